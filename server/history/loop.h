// Loop: everything of History that one executor owns: its units, the records of the present turn, the answers that wait for them.
//
// A turn: commands are decided and applied at once, their records collected; at the end of the turn the records go to the stream
// as one group; when it is durable, what was gated on it is let go (rule E1). Thread rule: own executor only, unless noted.
#pragma once

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "server/history/history.h"
#include "server/history/stream.h"
#include "server/history/unit.h"

namespace perdure::history {

struct UnitKeyHash {
  std::size_t operator()(const UnitKey& key) const {
    return std::hash<std::string>{}(key.id) ^ (std::hash<std::string>{}(key.namespace_id) << 1);
  }
};
using QueryResults = google::protobuf::Map<std::string, temporal::api::query::v1::WorkflowQueryResult>;

std::uint32_t shard_of(const UnitKey& key, std::uint32_t shards);

// What the loops of one process share.
struct Shared {
  HistoryOptions options;
  matching::Matching* matching = nullptr;
  std::unique_ptr<Stream> stream;
  std::vector<std::unique_ptr<class Loop>> loops;
  // the first group of this process life: names its offers, greater than those before (E16)
  store::GroupNumber life = 0;
  std::atomic<bool> ended{false};  // the stream has ended: nothing is answered from memory any more
  std::atomic<std::int64_t> mailbox_bytes{0};  // of requests that wait for their executor
  std::atomic<std::uint64_t> refused_mailbox{0}, refused_unprojected{0}, refused_low_space{0};
  std::atomic<std::int64_t> quarantined{0};  // ids (rule E12)
  std::atomic<std::uint64_t> last_waiter{0};
  Loop& loop_of(const UnitKey& key);
};

class Loop {
 public:
  static constexpr store::GroupNumber kNothing = ~store::GroupNumber{0};

  Loop(Shared& shared, std::size_t index);

  base::Executor& executor() { return executor_; }
  // Start-up, before any command: a unit of the recovered tail. The unit is loaded behind it.
  void recover(UnitKey key, store::GroupNumber group, core::pb::UnitRecords records);
  void recover_catalog(store::GroupNumber group, const store::CatalogEntry& entry);
  void start();
  // Writes everything behind, then `done`.
  void stop(Done<void> done);

  using Decided = std::move_only_function<void(Result<core::Reply>)>;
  // Decides as soon as what it needs is loaded, in order per id. `decided` runs at once after: before the records are durable.
  void decide(const UnitKey& key, core::Command command, Decided decided);
  // The same; `done` runs when everything it looked at is durable.
  void execute(const UnitKey& key, core::Command command, Done<core::Reply> done);

  void read_history(HistoryRequest request, Done<HistoryPage> done);
  void leave_history(const UnitKey& key, std::uint64_t waiter);
  void query(QueryRequest request, Done<core::wfs::QueryWorkflowResponse> done);
  void answer_query(const std::string& id, core::wfs::RespondQueryTaskCompletedRequest request,
                    Done<void> done);
  void start_task(const matching::Offer& offer, const matching::Poller& poller, Done<std::string> done);
  void complete_workflow_task(const UnitKey& key, core::CompleteWorkflowTask command, Done<std::string> done);
  void start_workflow(const UnitKey& key, core::StartWorkflow command, Done<std::string> done);
  void append_catalog(std::vector<store::CatalogEntry> entries, Done<void> done);
  void await_visibility(Done<void> done);

  // No group below this one holds records of this loop that are not projected. Any thread.
  store::GroupNumber unprojected_from() const { return unprojected_from_.load(std::memory_order_acquire); }

  HistoryFigures figures() const;

  // Runs when the records of `sequence` are durable, or at once; with an error when the stream has ended.
  void when_durable(Sequence sequence, std::move_only_function<void(base::Status)> then);

 private:
  friend class Projector;
  Unit& unit(const UnitKey& key);
  Unit* find_unit(const UnitKey& key);
  void touch(Unit& unit);
  void evict();
  void recount(Unit& unit);

  // loading.cc
  bool ready(Unit& unit, const core::Command& command);
  static bool current_loaded(Unit& unit);
  void load_head(Unit& unit);
  void load_run(Unit& unit, const std::string& run_id);
  void load_events(Unit& unit, const std::string& run_id, std::int64_t first);
  void loaded(const UnitKey& key);
  // A read failed, which may pass: those who wait are told, the recovered log is read again.
  void load_failed(const UnitKey& key, const base::Error& error);
  void apply_tail(Unit& unit);
  void head_read(Unit& unit, const std::optional<store::StoredHead>& stored);
  void install_run(Unit& unit, const std::string& run_id, const std::optional<store::StoredRun>& stored);
  base::Status make_run(Run& run, const store::StoredRun& stored);
  bool load_for_tail(Unit& unit);
  base::Status apply_decision(Unit& unit, core::pb::UnitRecords& records,
                              const std::set<std::string>& deleted_later);
  void load_tails();
  void tail_applied(Unit& unit);
  // `then` runs when events [first, …) of the run are in memory (or the read failed).
  void with_events(const UnitKey& key, const std::string& run_id, std::int64_t first,
                   std::move_only_function<void(base::Status)> then);

  // quarantine.cc
  void quarantine(Unit& unit, const std::string& why, const std::string& run_id = {});
  void take_quarantine(Unit& unit, core::pb::Quarantine quarantine);
  // From tail[first] on the recovered log does not fit what is there: that is put aside.
  void reject_tail(Unit& unit, std::size_t first, const std::string& why);
  void decide_quarantined(Unit& unit, PendingCommand pending);
  Result<core::Reply> describe_quarantined(Unit& unit, const std::string& run_id);
  bool goes_whole(const Unit& unit, const core::DeleteWorkflow& command) const;
  void forget_and_delete(Unit& unit, PendingCommand pending);
  Result<core::Reply> delete_quarantined(Unit& unit, const core::DeleteWorkflow& command);
  // Nothing is left of the unit, whatever it was.
  void wipe(Unit& unit);
  // False: the history is to be read as always.
  bool serve_stored_history(const UnitKey& key, const HistoryRequest& request, Done<HistoryPage>& done);
  bool shows_quarantine(const Unit& unit, const std::string& run_id) const;
  void show_quarantine(Unit& unit);
  void show_in_stored_rows(Unit& unit, std::vector<store::VisibilityRow> rows);
  store::VisibilityRow bare_row(const Unit& unit) const;

  // loop.cc
  void mark_dirty(Unit& unit);
  void mark_visible(Unit& unit, const std::string& run_id, Run& run);
  core::pb::UnitRecords& records_of(Unit& unit);
  core::Decision decide_only(Unit& unit, core::Command command, const core::Volatile& now = {});
  void run_waiting(Unit& unit);
  void decide_now(Unit& unit, PendingCommand pending);
  void install(Unit& unit, core::Decision& decision);
  void install_run_change(Unit& unit, core::RunChange& change);
  void count_change(const Unit& unit, const core::RunState& before, const core::RunChange& change);
  void after_change(Unit& unit, const std::vector<core::RunChange>& changes);
  void end_of_turn();
  // The records so far become a group of their own: what is decided from now on is not in it.
  void hand_over();
  void turn_appended(Sequence sequence, Result<store::GroupNumber> result);
  void release(Sequence up_to, const base::Status& status);
  // The stream has ended: who waits is told, on this loop and by it on the others.
  void end(const base::Error& why);
  void offer_tasks(Unit& unit, Run& run, const core::RunChange& change);
  void offer(const Unit& unit, const Run& run, core::Task task);
  // Since when the task waits. Never in the future, also when the clock is behind what an earlier life wrote: it may go out.
  base::Time ready_time(const core::Task& task) const {
    return std::min(task.ready_time, executor_.clock().now());
  }
  void offer_all(Unit& unit);
  void arm(Unit& unit);
  void woken(const UnitKey& key);
  void scan_wakes(std::optional<store::WakeEntry> after);

  // answers.cc
  void answer_waiters(Unit& unit, Run& run);
  bool history_page(const Unit& unit, Run& run, const HistoryRequest& request, bool last_chance,
                    HistoryPage& page);
  void serve_history(const UnitKey& key, HistoryRequest request, Done<HistoryPage> done);
  // when what it looked at is durable
  void answer_page(const Unit& unit, Result<HistoryPage> page, Done<HistoryPage> done);
  void park_history(Unit& unit, Run& run, HistoryRequest request, Done<HistoryPage> done);
  void end_waiter(const UnitKey& key, const std::string& run_id, std::uint64_t waiter);
  void release_parked();
  void end_parked(const base::Error& why);
  std::string workflow_task_reply(Unit& unit, Run& run, const core::WorkflowTaskStarted& started,
                                  bool with_queries);
  std::string activity_task_reply(const Unit& unit, const core::ActivityTaskStarted& started);
  std::string token_key() const;

  // queries.cc
  void query_directly(const UnitKey& key, const core::QueryRoute& route, const std::string& id,
                      const QueryRequest& request);
  void settle_queries(Unit& unit, Run& run);
  void query_overdue(const UnitKey& key, const std::string& run_id, const std::string& id,
                     base::Time deadline);
  // The answer leaves when `looked_at`, and what its routing looked at, are durable.
  void finish_query(const std::string& id, Result<core::wfs::QueryWorkflowResponse> answer,
                    Sequence looked_at = 0);
  void take_query_results(Run& run, const QueryResults& results, Sequence looked_at);
  void query_answered(const std::string& id, int type, const temporal::api::common::v1::Payloads& answer,
                      const std::string& message, const temporal::api::failure::v1::Failure* failure,
                      Sequence looked_at);

  // obligations.cc
  void pay_obligations(Unit& unit, Run& run);
  void deliver(const UnitKey& key, const std::string& run_id, std::int64_t initiated_id, int attempt);
  void delivered(const UnitKey& key, const std::string& run_id, std::int64_t initiated_id, int attempt,
                 Result<core::Reply> reply);
  void forget(const UnitKey& key, const std::string& run_id, std::int64_t initiated_id, int attempt);
  void forget_debts(const Unit& unit, std::move_only_function<void(base::Status)> then);
  const core::pb::External* owed(const UnitKey& key, const std::string& run_id, std::int64_t initiated_id);
  void pay_later(const UnitKey& key, const std::string& run_id, std::int64_t initiated_id, int attempt);

  // projection.cc
  void schedule_flush();
  void schedule_visibility();
  void flush(Done<void> done);
  void flush_visibility();
  void visibility_flushed(const base::Status& status);
  void projected(const std::vector<Unit*>& units);
  store::UnitUpdate update_of(Unit& unit);
  store::RunUpdate update_of(Unit& unit, const std::string& run_id, Run& run);
  store::VisibilityRow visibility_row(const Unit& unit, const std::string& run_id, const Run& run) const;
  store::GroupNumber group_of(Sequence sequence) const;
  bool pressed() const;
  void sweep_retention();
  void sweep_namespace(const std::string& id);
  void after_sweep(const std::string& id, std::size_t found, std::size_t removed);

  Shared& shared_;
  const std::size_t index_;
  base::Executor& executor_;
  store::Store& store_;
  base::Random random_;

  HistoryFigures counted_;    // the counters; gauges are filled in when somebody asks
  std::int64_t waiting_ = 0;  // history waiters of all units
  std::unordered_map<UnitKey, std::unique_ptr<Unit>, UnitKeyHash> units_;
  std::list<Unit*> ages_;  // most recently used first
  std::size_t cached_bytes_ = 0;

  core::pb::Group group_;  // of the present turn
  Sequence sequence_ = 0;  // of the last turn handed to the stream
  Sequence durable_ = 0;
  // of durable turns that the projection has not reached
  std::map<Sequence, store::GroupNumber> group_numbers_;
  std::map<Sequence, std::vector<std::move_only_function<void(base::Status)>>> gates_;
  bool ended_ = false;
  bool stopping_ = false;  // nothing may wait for long any more
  base::Error end_;

  std::vector<Unit*> dirty_;
  // an empty run id: the workflow id was deleted whole
  std::vector<std::pair<UnitKey, std::string>> visibility_dirty_;
  std::vector<store::VisibilityRow> visibility_rows_;  // made already, behind those
  // with the number of the flush they wait for
  std::deque<std::pair<std::uint64_t, Done<void>>> visibility_waiters_;
  std::vector<Done<void>> tail_waiters_;  // until the recovered log is applied
  std::vector<store::CatalogEntry> catalog_dirty_;
  // units of the recovered log that are still to be loaded, oldest first
  std::deque<UnitKey> tails_;
  std::size_t tails_left_ = 0, tails_loading_ = 0;
  bool flush_scheduled_ = false, visibility_scheduled_ = false, flushing_ = false;
  std::uint64_t visibility_begun_ = 0, visibility_ended_ = 0;  // flushes, which end in order
  std::uint64_t bytes_since_flush_ = 0;
  std::atomic<store::GroupNumber> unprojected_from_{kNothing};

  struct PendingQuery {
    QueryRequest request;
    Done<core::wfs::QueryWorkflowResponse> done;
    Sequence sequence = 0;  // what its routing looked at
    base::TimerId timer = 0;
  };
  std::map<std::string, PendingQuery> queries_;
};

}  // namespace perdure::history
