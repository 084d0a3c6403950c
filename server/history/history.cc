#include "server/history/history.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/planted.h"
#include "server/core/errors.h"
#include "server/history/loop.h"
#include "server/history/token.h"

namespace perdure::history {

class Engine {
 public:
  explicit Engine(HistoryOptions options) {
    shared.options = std::move(options);
    CHECK(!shared.options.executors.empty() && shared.options.store && shared.options.catalog);
    for (std::size_t i = 0; i < shared.options.executors.size(); ++i)
      shared.loops.push_back(std::make_unique<Loop>(shared, i));
  }

  Shared shared;
};

namespace {

base::Lane lane_of(const core::Command& command) {
  if (std::holds_alternative<core::StartWorkflow>(command) ||
      std::holds_alternative<core::SignalWithStart>(command) ||
      std::holds_alternative<core::SignalWorkflow>(command) ||
      std::holds_alternative<core::DescribeWorkflow>(command)) {
    return base::Lane::kNewWork;
  }
  return base::Lane::kCompletion;
}

bool adds_work(const core::Command& command) {
  return std::holds_alternative<core::StartWorkflow>(command) ||
         std::holds_alternative<core::SignalWithStart>(command) ||
         std::holds_alternative<core::SignalWorkflow>(command);
}

// The field number of a record that this version does not know; 0: it knows it.
int unknown_type(const core::pb::Record& record) {
  if (record.change_case() != core::pb::Record::CHANGE_NOT_SET) return 0;
  const auto& unknown = record.GetReflection()->GetUnknownFields(record);
  return unknown.empty() ? -1 : unknown.field(0).number();
}

// Records mean what they meant when they were written; one that is not understood may not be passed over (rule E14).
base::Status newer_format(store::GroupNumber group, int type) {
  return base::fail(base::Code::kDataLoss,
                    "group " + std::to_string(group) + " of the log holds a record of type " +
                        std::to_string(type) +
                        ", which this version does not know; a newer version wrote it");
}

}  // namespace

History::History(HistoryOptions options) : engine_(std::make_unique<Engine>(std::move(options))) {}
History::~History() = default;

std::uint64_t History::quarantined() const {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(engine_->shared.quarantined, 0));
}

base::Status History::start(matching::Matching& matching) {
  Shared& shared = engine_->shared;
  shared.matching = &matching;
  catalog::CatalogStore& catalog = *shared.options.catalog;
  TRY_VOID(catalog.load(*shared.options.store));
  TRY(const std::uint64_t quarantined, shared.options.store->count_quarantined());
  shared.quarantined = static_cast<std::int64_t>(quarantined);
  base::Status parsed;
  std::size_t groups = 0, bytes_read = 0;
  const auto replayed = [&](store::GroupNumber number, std::string_view bytes) {
    ++groups;
    bytes_read += bytes.size();
    core::pb::Group group;
    if (!group.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      parsed =
          base::fail(base::Code::kDataLoss, "group " + std::to_string(number) + " of the log cannot be read");
      return;
    }
    std::vector<store::CatalogEntry> entries;
    for (auto& change : *group.mutable_catalog()) entries.push_back({change.key(), change.value()});
    if (!entries.empty()) catalog.apply(entries);
    for (auto& records : *group.mutable_units()) {
      for (const core::pb::Record& record : records.records()) {
        if (const int type = unknown_type(record); type != 0 && parsed) parsed = newer_format(number, type);
      }
      UnitKey key{records.namespace_id(), static_cast<store::Kind>(records.kind()), records.id()};
      shared.loop_of(key).recover(key, number, std::move(records));
    }
    for (const store::CatalogEntry& entry : entries) shared.loops[0]->recover_catalog(number, entry);
  };
  TRY(const store::GroupNumber last, shared.options.store->replay(replayed));
  TRY_VOID(std::move(parsed));
  LOG(kInfo, "recovered", {{"groups", groups}, {"bytes", bytes_read}, {"last_group", last}});
  shared.life = last + 1;
  shared.stream = std::make_unique<Stream>(shared.loops[0]->executor(), *shared.options.store, last);
  catalog.set_append([&shared](std::vector<store::CatalogEntry> entries, Done<void> done) {
    Loop& loop = *shared.loops[0];
    loop.executor().post(base::Lane::kCompletion, 0,
                         [&loop, entries = std::move(entries), done = std::move(done)]() mutable {
                           loop.append_catalog(std::move(entries), std::move(done));
                         });
  });
  for (const auto& loop : shared.loops) {
    loop->executor().post(base::Lane::kCompletion, 0, [&loop = *loop] { loop.start(); });
  }
  return {};
}

void History::stop(Done<void> done) {
  Shared& shared = engine_->shared;
  struct Left {
    std::atomic<std::size_t> count;
    Done<void> done;
  };
  auto left = std::make_shared<Left>(shared.loops.size(), std::move(done));
  for (const auto& loop : shared.loops) {
    loop->executor().post(base::Lane::kCompletion, 0, [&loop = *loop, left] {
      loop.stop([left](base::Status) {
        if (left->count.fetch_sub(1) == 1) left->done({});
      });
    });
  }
}

namespace {

// New work that has waited for so long is refused when its turn comes: half of what SDKs wait for an answer. Otherwise a server
// that is asked for more than it can do would soon work only for clients that have gone (rule E15).
constexpr base::Duration kLongestWait = std::chrono::seconds(5);
// About what a waiting request holds beside its own bytes: the call, its stream and headers, what is to be done.
constexpr std::size_t kHeldByEach = 4 << 10;

// Runs `work` on the loop of the key; refused when its lane is full.
template <class T, class Work>
void on_loop(Shared& shared, const UnitKey& key, base::Lane lane, std::size_t bytes, Done<T> done,
             Work work) {
  if (shared.ended && !base::planted(base::Bug::kEndedStillAnswers))
    return done(std::unexpected(
        base::Error{base::Code::kUnavailable, "the server has lost its log; please retry", {}}));
  if (shared.options.store->statistics().unprojected_bytes > 2 * shared.options.refuse_bytes) {
    return done(std::unexpected(
        core::overloaded("the server is far behind with writing to its database; please retry")));
  }
  Loop& loop = shared.loop_of(key);
  auto kept = std::make_shared<Done<T>>(std::move(done));
  bytes += kHeldByEach;
  const auto held = static_cast<std::int64_t>(bytes);
  shared.mailbox_bytes.fetch_add(held, std::memory_order_relaxed);
  const base::Clock& clock = loop.executor().clock();
  const base::Time until = lane == base::Lane::kNewWork ? base::add(clock.now(), kLongestWait) : base::kNever;
  const bool posted = loop.executor().post(
      lane, bytes, [&shared, &loop, &clock, until, held, kept, work = std::move(work)]() mutable {
        shared.mailbox_bytes.fetch_sub(held, std::memory_order_relaxed);
        if (until != base::kNever && clock.now() > until) {
          shared.refused_mailbox.fetch_add(1, std::memory_order_relaxed);
          return (*kept)(std::unexpected(core::overloaded("this shard has too much to do; please retry")));
        }
        work(loop, std::move(*kept));
      });
  if (posted) return;
  shared.mailbox_bytes.fetch_sub(held, std::memory_order_relaxed);
  shared.refused_mailbox.fetch_add(1, std::memory_order_relaxed);
  (*kept)(std::unexpected(core::overloaded("the queue of this shard is full; please retry")));
}

// Beyond the bound of what is not projected yet, and on a disk that is almost full, new work is refused (rules E10, E11).
std::optional<base::Error> refuse_new_work(Shared& shared) {
  const store::Statistics now = shared.options.store->statistics();
  if (now.low_space) {
    shared.refused_low_space.fetch_add(1, std::memory_order_relaxed);
    return core::overloaded("the disk is almost full: new work is refused until space is freed");
  }
  if (now.unprojected_bytes > std::min(shared.options.refuse_bytes, shared.options.replay_bytes)) {
    shared.refused_unprojected.fetch_add(1, std::memory_order_relaxed);
    return core::overloaded("the server is behind with writing to its database; please retry");
  }
  return std::nullopt;
}

}  // namespace

void History::execute(UnitKey key, core::Command command, std::size_t bytes, Done<core::Reply> done) {
  if (adds_work(command)) {
    if (auto refused = refuse_new_work(engine_->shared)) return done(std::unexpected(std::move(*refused)));
  }
  const base::Lane lane = lane_of(command);
  on_loop<core::Reply>(engine_->shared, key, lane, bytes, std::move(done),
                       [key, command = std::move(command)](Loop& loop, Done<core::Reply> then) mutable {
                         loop.execute(key, std::move(command), std::move(then));
                       });
}

void History::complete_workflow_task(UnitKey key, core::CompleteWorkflowTask command, std::size_t bytes,
                                     Done<std::string> done) {
  on_loop<std::string>(engine_->shared, key, base::Lane::kCompletion, bytes, std::move(done),
                       [key, command = std::move(command)](Loop& loop, Done<std::string> then) mutable {
                         loop.complete_workflow_task(key, std::move(command), std::move(then));
                       });
}

void History::start_workflow(UnitKey key, core::StartWorkflow command, std::size_t bytes,
                             Done<std::string> done) {
  if (auto refused = refuse_new_work(engine_->shared)) return done(std::unexpected(std::move(*refused)));
  on_loop<std::string>(engine_->shared, key, base::Lane::kNewWork, bytes, std::move(done),
                       [key, command = std::move(command)](Loop& loop, Done<std::string> then) mutable {
                         loop.start_workflow(key, std::move(command), std::move(then));
                       });
}

std::uint64_t History::read_history(HistoryRequest request, Done<HistoryPage> done) {
  const UnitKey key = request.key;
  const std::uint64_t waiter = request.wait_new_event ? ++engine_->shared.last_waiter : 0;
  request.waiter = waiter;
  on_loop<HistoryPage>(engine_->shared, key, base::Lane::kNewWork, 256, std::move(done),
                       [request = std::move(request)](Loop& loop, Done<HistoryPage> then) mutable {
                         loop.read_history(std::move(request), std::move(then));
                       });
  return waiter;
}

void History::leave_history(const UnitKey& key, std::uint64_t waiter) {
  Loop& loop = engine_->shared.loop_of(key);
  loop.executor().post(base::Lane::kCompletion, 0, [&loop, key, waiter] { loop.leave_history(key, waiter); });
}

void History::query(QueryRequest request, Done<core::wfs::QueryWorkflowResponse> done) {
  const UnitKey key = request.key;
  const std::size_t bytes = request.request.ByteSizeLong();
  on_loop<core::wfs::QueryWorkflowResponse>(engine_->shared, key, base::Lane::kNewWork, bytes,
                                            std::move(done),
                                            [request = std::move(request)](Loop& loop, auto then) mutable {
                                              loop.query(std::move(request), std::move(then));
                                            });
}

// The id of a direct query begins with the number of the loop that waits for the answer.
void History::answer_query(const std::string& query_id, core::wfs::RespondQueryTaskCompletedRequest request,
                           Done<void> done) {
  Shared& shared = engine_->shared;
  const std::size_t colon = query_id.find(':');
  std::size_t index = 0;
  for (std::size_t i = 0; i < colon && colon != std::string::npos && i < 6; ++i) {
    index = index * 10 + static_cast<std::size_t>(query_id[i] - '0');
  }
  if (colon == std::string::npos || index >= shared.loops.size()) {
    return done(std::unexpected(core::not_found("query task not found, or already expired")));
  }
  Loop& loop = *shared.loops[index];
  const std::size_t bytes = request.ByteSizeLong();
  loop.executor().post(
      base::Lane::kCompletion, bytes,
      [&loop, id = query_id.substr(colon + 1), request = std::move(request),
       done = std::move(done)]() mutable { loop.answer_query(id, std::move(request), std::move(done)); });
}

void History::await_visibility(Done<void> done) {
  Shared& shared = engine_->shared;
  struct Left {
    std::atomic<std::size_t> count;
    std::atomic<bool> ended{false};  // a loop's log has ended: what was answered may be in no row (E11)
    Done<void> done;
  };
  auto left = std::make_shared<Left>(shared.loops.size());
  left->done = std::move(done);
  for (const auto& loop : shared.loops) {
    loop->executor().post(base::Lane::kCompletion, 0, [&loop = *loop, left] {
      loop.await_visibility([left](base::Status status) {
        if (!status) left->ended = true;
        if (left->count.fetch_sub(1) != 1) return;
        if (!left->ended) return left->done({});
        left->done(std::unexpected(
            base::Error{base::Code::kUnavailable, "the server has lost its log; please retry", {}}));
      });
    });
  }
}

HistoryFigures History::figures() const {
  const Shared& shared = engine_->shared;
  HistoryFigures found;
  for (const auto& loop : shared.loops) {
    loop->executor().run_and_wait([&] { found.add(loop->figures()); });
  }
  found.mailbox_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(0, shared.mailbox_bytes.load()));
  found.refused_mailbox = shared.refused_mailbox.load();
  found.refused_unprojected = shared.refused_unprojected.load();
  found.refused_low_space = shared.refused_low_space.load();
  return found;
}

// ---- TaskStarter ---------------------------------------------------------------------------------------------------------------

void History::start_task(const matching::Offer& offer, const matching::Poller& poller,
                         Done<std::string> done) {
  Loop& loop = engine_->shared.loop_of(offer.unit);
  if (loop.executor().is_current()) return loop.start_task(offer, poller, std::move(done));
  loop.executor().post(base::Lane::kCompletion, 0, [&loop, offer, poller, done = std::move(done)]() mutable {
    loop.start_task(offer, poller, std::move(done));
  });
}

void History::undo_start(const matching::Offer& offer, const std::string& response) {
  std::string token_bytes;
  if (offer.task.kind == core::TaskKind::kWorkflow) {
    core::wfs::PollWorkflowTaskQueueResponse parsed;
    if (parsed.ParseFromString(response)) token_bytes = parsed.task_token();
  } else {
    core::wfs::PollActivityTaskQueueResponse parsed;
    if (parsed.ParseFromString(response)) token_bytes = parsed.task_token();
  }
  const auto token = read_token(token_bytes, engine_->shared.options.catalog->snapshot()->token_key);
  if (!token) return;
  core::UndoStart command{.run_id = offer.run_id,
                          .kind = offer.task.kind,
                          .scheduled_id = token->scheduled_id(),
                          .nonce = token->nonce()};
  execute(offer.unit, std::move(command), 0, [](Result<core::Reply>) {});
}

void History::sticky_unavailable(const matching::Offer& offer) {
  core::StickyUnavailable command{.run_id = offer.run_id, .scheduled_id = offer.task.scheduled_id};
  execute(offer.unit, std::move(command), 0, [](Result<core::Reply>) {});
}

}  // namespace perdure::history
