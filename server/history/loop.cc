#include "server/history/loop.h"

#include <algorithm>

#include "base/check.h"
#include "base/planted.h"
#include "server/core/errors.h"

namespace perdure::history {
namespace {

base::Error ended_error() {
  return {base::Code::kUnavailable, "the server has lost its log and is going down; please retry", {}};
}

// What no installed decision may do (rule E12); empty: all is well.
std::string broken_rule(Unit& unit, const core::Decision& decision) {
  if (!decision.reply && decision.reply.error().code == base::Code::kDataLoss)
    return decision.reply.error().message;
  for (const core::RunChange& change : decision.runs) {
    if (change.deleted || !change.after.exists()) continue;
    const Run* run = unit.find(change.run_id);
    const std::int64_t end =
        (run ? run->events.next() : 1) + static_cast<std::int64_t>(change.encoded.size());
    if (change.after.progress.next_event_id() != end)
      return "corrupt execution: the history does not end where the run says";
  }
  return {};
}

}  // namespace

std::uint32_t shard_of(const UnitKey& key, std::uint32_t shards) {
  // FNV-1a: stable across machines and releases, because shards are part of stored rows.
  std::uint64_t hash = 14695981039346656037ULL;
  const auto mix = [&](const std::string& text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  };
  mix(key.namespace_id);
  mix(key.id);
  return static_cast<std::uint32_t>((hash >> 32) % shards);
}

Loop& Shared::loop_of(const UnitKey& key) {
  return *loops[shard_of(key, options.shards) % loops.size()];
}

Loop::Loop(Shared& shared, std::size_t index)
    : shared_(shared),
      index_(index),
      executor_(*shared.options.executors[index]),
      store_(*shared.options.store),
      random_(base::derive_seed(shared.options.seed, 0x100 + index)) {
  executor_.set_end_of_turn([this] { end_of_turn(); });
}

// ---- units ---------------------------------------------------------------------------------------------------------------------

Unit* Loop::find_unit(const UnitKey& key) {
  const auto found = units_.find(key);
  return found == units_.end() ? nullptr : found->second.get();
}

Unit& Loop::unit(const UnitKey& key) {
  std::unique_ptr<Unit>& slot = units_[key];
  if (!slot) {
    slot = std::make_unique<Unit>();
    slot->key = key;
    slot->shard = shard_of(key, shared_.options.shards);
    slot->age = ages_.insert(ages_.begin(), slot.get());
  } else {
    touch(*slot);
  }
  return *slot;
}

void Loop::touch(Unit& unit) {
  ages_.splice(ages_.begin(), ages_, unit.age);
}

void Loop::recount(Unit& unit) {
  cached_bytes_ -= unit.counted_bytes;
  unit.counted_bytes = unit.bytes();
  cached_bytes_ += unit.counted_bytes;
}

void Loop::evict() {
  const std::size_t limit = shared_.options.cache_bytes / shared_.loops.size();
  const Time horizon = executor_.clock().now() + std::chrono::seconds(30);
  constexpr int kLook = 64;  // from the old end, per turn
  auto at = ages_.end();
  for (int looked = 0; cached_bytes_ > limit && looked < kLook && at != ages_.begin(); ++looked) {
    Unit& oldest = **--at;
    // A unit that wakes soon stays: the index is scanned ahead of time and will not name it again.
    if (!oldest.evictable() || oldest.timer_at < horizon) continue;
    if (oldest.timer != 0) executor_.cancel(oldest.timer);
    cached_bytes_ -= oldest.counted_bytes;
    at = ages_.erase(oldest.age);
    units_.erase(UnitKey(oldest.key));
  }
}

// ---- deciding ------------------------------------------------------------------------------------------------------------------

void Loop::decide(const UnitKey& key, core::Command command, Decided decided) {
  if (ended_ && !base::planted(base::Bug::kEndedStillAnswers)) return decided(std::unexpected(ended_error()));
  Unit& unit = this->unit(key);
  PendingCommand pending{std::move(command), std::move(decided)};
  if (!unit.waiting.empty() || !ready(unit, pending.command)) {
    unit.waiting.push_back(std::move(pending));
    return;
  }
  decide_now(unit, std::move(pending));
}

void Loop::execute(const UnitKey& key, core::Command command, Done<core::Reply> done) {
  decide(key, std::move(command), [this, key, done = std::move(done)](Result<core::Reply> reply) mutable {
    const Unit* unit = find_unit(key);
    if (base::planted(base::Bug::kAckBeforeSync)) return done(std::move(reply));
    if (base::planted(base::Bug::kErrorDoesNotWait) && !reply) return done(std::move(reply));
    when_durable(unit ? unit->sequence : 0,
                 [reply = std::move(reply), done = std::move(done)](base::Status status) mutable {
                   if (!status) return done(std::unexpected(std::move(status).error()));
                   done(std::move(reply));
                 });
  });
}

void Loop::run_waiting(Unit& unit) {
  const UnitKey key = unit.key;
  while (Unit* now = find_unit(key)) {
    if (now->waiting.empty() || !ready(*now, now->waiting.front().command)) return;
    PendingCommand pending = std::move(now->waiting.front());
    now->waiting.pop_front();
    decide_now(*now, std::move(pending));
  }
}

void Loop::decide_now(Unit& unit, PendingCommand pending) {
  if (unit.quarantine) return decide_quarantined(unit, std::move(pending));
  core::Volatile now;
  if (const auto* query = std::get_if<core::RouteQuery>(&pending.command)) {
    const Run* run = unit.find(query->run_id.empty() ? unit.head.head.current_run_id() : query->run_id);
    now.buffered_queries = run ? static_cast<int>(run->queries.size()) : 0;
  }
  QueryResults query_results;
  std::string completed_run;
  if (auto* complete = std::get_if<core::CompleteWorkflowTask>(&pending.command)) {
    completed_run = complete->task.run_id;
    query_results.swap(*complete->request.mutable_query_results());
  }
  core::Decision decision = decide_only(unit, std::move(pending.command), now);
  if (!decision.reply && decision.reply.error().code == base::Code::kResourceExhausted)
    ++counted_.refused_execution;
  if (const std::string broken = broken_rule(unit, decision); !broken.empty()) {
    quarantine(unit, broken);
    return pending.done(std::unexpected(base::Error{base::Code::kDataLoss, broken, {}}));
  }
  const bool changed = !decision.records.empty();
  if (decision.reply && !query_results.empty()) {
    take_query_results(unit.runs[completed_run], query_results, changed ? sequence_ + 1 : unit.sequence);
  }
  if (changed) install(unit, decision);
  pending.done(std::move(decision.reply));
  if (changed) after_change(unit, decision.runs);
}

// Nothing is changed by it.
core::Decision Loop::decide_only(Unit& unit, core::Command command, const core::Volatile& now) {
  const std::shared_ptr<const core::Catalog> catalog = shared_.options.catalog->snapshot();
  const core::Namespace* ns = catalog->find_by_id(unit.key.namespace_id);
  if (!ns) {
    core::Decision refused;
    refused.reply = std::unexpected(core::namespace_not_found(unit.key.namespace_id));
    return refused;
  }
  // The clock may be behind what an earlier life, or another machine, has written (rule E14).
  Time time = executor_.clock().now();
  if (base::planted(base::Bug::kTimeGoesBack)) time -= std::chrono::milliseconds(random_.below(50));
  for (const auto& [id, run] : unit.runs) {
    if (base::planted(base::Bug::kTimeGoesBack)) break;
    time = std::max(time, core::time_of(run.state.progress.last_event_time()));
  }
  const core::Env env{
      .now = time, .limits = shared_.options.limits, .catalog = *catalog, .ns = *ns, .random = random_};
  const core::Loaded loaded{.namespace_id = unit.key.namespace_id,
                            .workflow_id = unit.key.id,
                            .head = unit.head,
                            .run = [&](const std::string& id) -> const core::RunState* {
                              const Run* run = unit.find(id);
                              return run && run->state.exists() ? &run->state : nullptr;
                            },
                            .event = [&](const std::string& id,
                                         std::int64_t event_id) -> std::shared_ptr<const core::HistoryEvent> {
                              const Run* run = unit.find(id);
                              if (!run || !run->events.holds(event_id) || event_id >= run->events.next())
                                return nullptr;
                              auto event = std::make_shared<core::HistoryEvent>();
                              event->ParseFromString(*run->events.at(event_id));
                              return event;
                            }};
  return core::decide(loaded, now, std::move(command), env);
}

void Loop::install(Unit& unit, core::Decision& decision) {
  for (core::RunChange& change : decision.runs) install_run_change(unit, change);
  if (decision.head_after) {
    unit.head = std::move(*decision.head_after);
    unit.head_dirty = true;
  }
  core::pb::UnitRecords& records = records_of(unit);
  for (core::pb::Record& record : decision.records) {
    if (!record.has_event() && !record.run_id().empty()) {
      Run& run = unit.runs[record.run_id()];
      if (run.snapshot_bytes > 16 * 1024) run.records.push_back(record.SerializeAsString());
    }
    *records.add_records() = std::move(record);
  }
  recount(unit);
}

void Loop::mark_dirty(Unit& unit) {
  if (unit.dirty) return;
  unit.dirty = true;
  dirty_.push_back(&unit);
}

void Loop::mark_visible(Unit& unit, const std::string& run_id, Run& run) {
  if (run.visibility_dirty) return;
  run.visibility_dirty = true;
  visibility_dirty_.emplace_back(unit.key, run_id);
}

void Loop::install_run_change(Unit& unit, core::RunChange& change) {
  Run& run = unit.runs[change.run_id];
  run.loaded = true;
  run.dirty = true;
  count_change(unit, run.state, change);
  if (change.deleted) {
    run.deleted = true;
    run.state = core::RunState{};
  } else {
    run.state = std::move(change.after);
  }
  for (std::string& event : change.encoded)
    run.events.append(std::make_shared<const std::string>(std::move(event)));
  if (change.visibility_changed) mark_visible(unit, change.run_id, run);
}

void Loop::after_change(Unit& unit, const std::vector<core::RunChange>& changes) {
  const UnitKey key = unit.key;
  for (const core::RunChange& change : changes) {
    Run* run = unit.find(change.run_id);
    if (!run) continue;
    offer_tasks(unit, *run, change);
    if (!run->waiters.empty()) answer_waiters(unit, *run);
    if (!run->queries.empty()) settle_queries(unit, *run);
    if (run->state.owes()) pay_obligations(unit, *run);
  }
  if (Unit* now = find_unit(key)) arm(*now);
}

// ---- tasks and wakes -----------------------------------------------------------------------------------------------------------

void Loop::offer(const Unit& unit, const Run& run, core::Task task) {
  task.ready_time = ready_time(task);
  shared_.matching->offer({.unit = unit.key,
                           .run_id = run.state.start->run_id(),
                           .task = std::move(task),
                           .stream = shared_.life});
}

void Loop::offer_tasks(Unit& unit, Run& run, const core::RunChange& change) {
  if (!run.state.exists() || !run.state.running()) return;
  if (change.task_changed) {
    std::vector<core::Task> tasks = core::workflow_task_of(run.state);
    if (tasks.empty()) {
      run.offered_scheduled_id = 0;
    } else if (tasks[0].scheduled_id != run.offered_scheduled_id || tasks[0].attempt != run.offered_attempt ||
               tasks[0].sticky != run.offered_sticky) {
      run.offered_scheduled_id = tasks[0].scheduled_id;
      run.offered_attempt = tasks[0].attempt;
      run.offered_sticky = tasks[0].sticky;
      offer(unit, run, std::move(tasks[0]));
    }
  }
  for (const std::int64_t id : change.touched_activities) {
    const auto* activity = run.state.activities.find(id);
    if (!activity) continue;
    for (core::Task& task : core::task_of(run.state, **activity)) offer(unit, run, std::move(task));
  }
}

void Loop::offer_all(Unit& unit) {
  for (auto& [id, run] : unit.runs) {
    for (core::Task& task : core::tasks_of(run.state)) offer(unit, run, std::move(task));
  }
}

void Loop::arm(Unit& unit) {
  if (unit.quarantine) return;  // nothing happens to it any more
  const Run* current = unit.find(unit.head.head.current_run_id());
  const Time next = current ? core::next_wake(current->state) : base::kNever;
  if (next >= unit.timer_at) return;  // the armed timer is early enough: it looks again
  if (unit.timer != 0) executor_.cancel(unit.timer);
  unit.timer_at = next;
  unit.timer = executor_.call_at(next, [this, key = unit.key] { woken(key); });
}

void Loop::woken(const UnitKey& key) {
  Unit* unit = find_unit(key);
  if (!unit || ended_) return;
  unit->timer = 0;
  unit->timer_at = base::kNever;
  const Run* current = unit->find(unit->head.head.current_run_id());
  const Time next = current ? core::next_wake(current->state) : base::kNever;
  if (next > executor_.clock().now()) return arm(*unit);
  decide(key, core::Wake{}, [this, key](Result<core::Reply> reply) {
    Unit* now = find_unit(key);
    if (!now || now->quarantine) return;
    if (reply) return arm(*now);
    // What it needs cannot be read: not at once again.
    constexpr auto kAgain = std::chrono::seconds(1);
    if (now->timer != 0) executor_.cancel(now->timer);
    now->timer_at = executor_.clock().now() + kAgain;
    now->timer = executor_.call_at(now->timer_at, [this, key] { woken(key); });
  });
}

// ---- turns and gates -----------------------------------------------------------------------------------------------------------

void Loop::hand_over() {
  if (group_.units_size() == 0 && group_.catalog_size() == 0) return;
  const Sequence sequence = ++sequence_;
  store::GroupNumber nothing = kNothing;
  unprojected_from_.compare_exchange_strong(nothing, shared_.stream->durable() + 1,
                                            std::memory_order_release);
  if (base::planted(base::Bug::kDropLastRecord) && group_.units_size() > 0 && sequence % 16 == 0) {
    group_.mutable_units(group_.units_size() - 1)->mutable_records()->RemoveLast();
  }
  std::string bytes = group_.SerializeAsString();
  group_.Clear();
  bytes_since_flush_ += bytes.size();
  shared_.stream->append(std::move(bytes), [this, sequence](Result<store::GroupNumber> result) mutable {
    executor_.post(base::Lane::kCompletion, 0, [this, sequence, result = std::move(result)]() mutable {
      turn_appended(sequence, std::move(result));
    });
  });
  schedule_flush();
}

void Loop::end_of_turn() {
  hand_over();
  if (!visibility_dirty_.empty() || !visibility_rows_.empty()) schedule_visibility();
  if (cached_bytes_ > shared_.options.cache_bytes / shared_.loops.size()) evict();
}

void Loop::turn_appended(Sequence sequence, Result<store::GroupNumber> result) {
  if (!result) return end(result.error());
  if (ended_) return;
  durable_ = sequence;
  group_numbers_[sequence] = *result;
  release(sequence, {});
  store_.mark_answered(*result);
}

void Loop::end(const base::Error& why) {
  if (ended_) return;
  ended_ = true;
  end_ = ended_error();
  release(~Sequence{0}, std::unexpected(end_));
  end_parked(end_);
  if (shared_.ended.exchange(true)) return;
  for (const auto& loop : shared_.loops) {
    if (loop.get() == this) continue;
    loop->executor_.post(base::Lane::kCompletion, 0, [&loop = *loop, why] { loop.end(why); });
  }
  if (shared_.options.on_fatal) shared_.options.on_fatal(why);
}

void Loop::when_durable(Sequence sequence, std::move_only_function<void(base::Status)> then) {
  if (base::planted(base::Bug::kEndedStillAnswers) && ended_) return then({});
  if (ended_) return then(std::unexpected(ended_error()));
  if (sequence <= durable_) return then({});
  gates_[sequence].push_back(std::move(then));
}

void Loop::release(Sequence up_to, const base::Status& status) {
  while (!gates_.empty() && gates_.begin()->first <= up_to) {
    auto gate = gates_.extract(gates_.begin());
    for (auto& then : gate.mapped()) then(status);
  }
}

void Loop::append_catalog(std::vector<store::CatalogEntry> entries, Done<void> done) {
  if (ended_) return done(std::unexpected(ended_error()));
  for (const store::CatalogEntry& entry : entries) {
    auto& change = *group_.add_catalog();
    change.set_key(entry.key);
    change.set_value(entry.value);
    catalog_dirty_.push_back(entry);
  }
  when_durable(sequence_ + 1,
               [done = std::move(done)](base::Status status) mutable { done(std::move(status)); });
}

}  // namespace perdure::history
