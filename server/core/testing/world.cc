#include "server/core/testing/world.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>

#include "temporal/api/enums/v1/common.pb.h"

namespace perdure::core {
namespace {

// The same bytes for the same message: maps in order.
std::string bytes_of(const google::protobuf::MessageLite& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream out(&stream);
  out.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&out);
  out.Trim();
  return bytes;
}

// Applies what concerns the run. Empty: fine.
std::string fold(RunState& state, const std::string& run_id, const std::vector<pb::Record>& records) {
  for (const pb::Record& record : records) {
    if (record.run_id() != run_id) continue;
    if (const base::Status applied = apply(state, record); !applied) return applied.error().message;
  }
  return {};
}

std::string task_rules(const RunState& run) {
  const std::vector<Task> tasks = tasks_of(run);
  if (!run.running()) return tasks.empty() ? "" : "a closed run has tasks";
  std::size_t expected = run.has_pending_task() && !run.has_started_task() ? 1 : 0;
  run.activities.each([&](std::int64_t, const auto& activity) {
    if (activity->started_time() == 0 && !activity->waiting_for_retry()) ++expected;
    if (activity->attempt() < 1) expected = SIZE_MAX;
  });
  if (tasks.size() != expected) return "tasks are not those that wait for a worker";
  for (const Task& task : tasks)
    if (task.queue.empty() || task.scheduled_id <= 0 || task.attempt < 1)
      return "a task without queue, event or attempt";
  return {};
}

bool has_nonce_of_its_own(const RunState& run) {
  bool good = true;
  run.activities.each(
      [&](std::int64_t, const auto& a) { good = good && (a->nonce() != 0) == (a->started_time() != 0); });
  return good;
}

}  // namespace

World::World(std::uint64_t seed) : namespace_(std::make_shared<Namespace>()), random_(seed) {
  namespace_->set_id(namespace_id_);
  namespace_->set_name("default");
  namespace_->set_retention(std::chrono::nanoseconds(std::chrono::hours(24)).count());
  (*namespace_->mutable_search_attributes())["Color"] = temporal::api::enums::v1::INDEXED_VALUE_TYPE_KEYWORD;
  (*namespace_->mutable_search_attributes())["Size"] = temporal::api::enums::v1::INDEXED_VALUE_TYPE_INT;
  catalog_.by_id[namespace_id_] = namespace_;
  catalog_.by_name["default"] = namespace_;
}

const RunState* World::run(const std::string& run_id) const {
  const auto found = runs_.find(run_id);
  return found == runs_.end() ? nullptr : &found->second;
}

std::size_t World::history_length(const std::string& run_id) const {
  const auto found = histories_.find(run_id);
  return found == histories_.end() ? 0 : found->second.size();
}

void World::break_rule(std::string rule) {
  if (broken_.empty()) broken_ = std::move(rule);
}

Loaded World::loaded(const Needs& needs) {
  const std::string current = head_.head.current_run_id();
  std::vector<std::string> allowed;
  if (needs.run_id) allowed.push_back(needs.run_id->empty() ? current : *needs.run_id);
  if (needs.current_run) allowed.push_back(current);
  const std::vector<std::string> owing(head_.head.owing_run_ids().begin(), head_.head.owing_run_ids().end());
  if (needs.owing_runs) allowed.insert(allowed.end(), owing.begin(), owing.end());
  return {.namespace_id = namespace_id_,
          .workflow_id = workflow_id_,
          .head = head_,
          .run = [this, allowed](const std::string& id) -> const RunState* {
            return std::find(allowed.begin(), allowed.end(), id) == allowed.end() ? nullptr : run(id);
          },
          .event = [this, events = needs.events](const std::string& run_id,
                                                 std::int64_t id) -> std::shared_ptr<const HistoryEvent> {
            const auto history = histories_.find(run_id);
            if (history == histories_.end() || std::find(events.begin(), events.end(), id) == events.end())
              return nullptr;
            if (id < 1 || id > static_cast<std::int64_t>(history->second.size())) return nullptr;
            return history->second[static_cast<std::size_t>(id - 1)];
          }};
}

Decision World::decide(Command command) {
  const Loaded loaded_now = loaded(needs(command));
  const Env env{.now = now_, .limits = limits_, .catalog = catalog_, .ns = *namespace_, .random = random_};
  const bool wakes = std::holds_alternative<Wake>(command);
  Decision decision = core::decide(loaded_now, Volatile{}, std::move(command), env);
  check(decision);
  install(decision);
  if (wakes && run() && next_wake(*run()) <= now_) break_rule("a wake leaves something due");
  return decision;
}

void World::check(const Decision& decision) {
  if (!decision.reply && decision.reply.error().code == Code::kDataLoss)
    break_rule(decision.reply.error().message);
  for (const RunChange& change : decision.runs) check_run(change, decision.records);
  HeadState head = head_;
  for (const pb::Record& record : decision.records) {
    if (!record.run_id().empty()) continue;
    if (const base::Status applied = apply(head, record); !applied) break_rule(applied.error().message);
  }
  const HeadState& after = decision.head_after ? *decision.head_after : head_;
  if (bytes_of(snapshot(head)) != bytes_of(snapshot(after)))
    break_rule("the head is not the fold of its records");
}

void World::check_run(const RunChange& change, const std::vector<pb::Record>& records) {
  const RunState* before = run(change.run_id);
  if ((before == nullptr) != change.created) break_rule("created and the state before disagree");
  RunState folded = before ? *before : RunState{};
  if (std::string wrong = fold(folded, change.run_id, records); !wrong.empty()) break_rule(wrong);
  if (bytes_of(snapshot(folded)) != bytes_of(snapshot(change.after)))
    break_rule("the state is not the fold of its records");
  RunState restored;  // a snapshot read back is the state
  const pb::Records kept = snapshot(folded);
  for (const pb::Record& record : kept.records()) {
    if (!apply(restored, record)) break_rule("a snapshot cannot be applied");
  }
  if (bytes_of(snapshot(restored)) != bytes_of(snapshot(folded))) break_rule("a snapshot is not the state");
  if (change.deleted) return;

  std::int64_t id = static_cast<std::int64_t>(history_length(change.run_id));
  for (std::size_t i = 0; i < change.events.size(); ++i) {
    if (change.events[i].event_id() != ++id) break_rule("event ids have a gap (EV-02)");
    HistoryEvent decoded;
    decoded.ParseFromString(change.encoded[i]);
    if (bytes_of(decoded) != bytes_of(change.events[i])) break_rule("an event is not what was encoded");
  }
  if (change.after.progress.next_event_id() != id + 1)
    break_rule("the next event id is not that of the history");
  if (std::string wrong = task_rules(change.after); !wrong.empty()) break_rule(wrong);
  if (!has_nonce_of_its_own(change.after))
    break_rule("a started activity without a nonce, or a waiting one with one");
  if (change.after.has_started_task() ? false : !change.after.buffered.empty()) {
    break_rule("events are buffered though no workflow task is started (WT-40)");
  }
  change.after.activities.each([&](std::int64_t scheduled, const auto& activity) {
    const auto* old = before ? before->activities.find(scheduled) : nullptr;
    const bool same = old && bytes_of(**old) == bytes_of(*activity);
    const auto& touched = change.touched_activities;
    if (!same && std::find(touched.begin(), touched.end(), scheduled) == touched.end()) {
      break_rule("an activity changed that was not touched");
    }
  });
}

void World::install(const Decision& decision) {
  for (const RunChange& change : decision.runs) {
    if (change.deleted) {
      runs_.erase(change.run_id);
      histories_.erase(change.run_id);
      continue;
    }
    runs_[change.run_id] = change.after;
    for (const HistoryEvent& event : change.events) {
      histories_[change.run_id].push_back(std::make_shared<const HistoryEvent>(event));
    }
  }
  if (decision.head_after) head_ = *decision.head_after;
}

void World::advance_to(Time when) {
  for (int wakes = 0; run() && next_wake(*run()) <= when; ++wakes) {
    now_ = std::max(now_, next_wake(*run()));
    const Decision decision = decide(Wake{});
    if (on_wake) on_wake(decision);
    if (!broken_.empty()) return;
    if (wakes > 10'000) return break_rule("wakes without end");
  }
  now_ = std::max(now_, when);
}

}  // namespace perdure::core
