// History: the executions. Loads a unit, decides, commits, publishes.
//
//   load → decide (core) → apply in memory → hand the turn's records to the stream → answer when they are durable (rule E1)
//
// Every id belongs to one executor, which alone touches it: no locks. Everything that leaves (answers, also of reads, repeats and
// errors) waits until the newest record it looked at is durable.
//
// Thread rule: every method from any thread; `done` runs on an executor and must not block.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/random.h"
#include "server/catalog/catalog.h"
#include "server/core/command.h"
#include "server/core/limits/limits.h"
#include "server/history/figures.h"
#include "server/history/token.h"
#include "server/matching/matching.h"
#include "server/store/store.h"

namespace perdure::history {

using base::Result;
using base::Time;
using store::Done;
using store::UnitKey;

// GetWorkflowExecutionHistory, in both directions, with or without waiting.
struct HistoryRequest {
  UnitKey key;
  std::string run_id;  // empty: the current run
  // where the page starts (reverse: where it starts going down; 0: the newest event)
  std::int64_t first_event_id = 1;
  int page_size = 256;
  bool reverse = false;
  // long poll: answer when there is something after first_event_id, or at wait_until
  bool wait_new_event = false;
  bool close_event_only = false;  // HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT
  // events of a workflow task in flight that are not in the history (WT-66)
  bool with_tail = true;
  Time wait_until{};         // when a long poll gives up with an empty page
  std::uint64_t waiter = 0;  // of a long poll: its name for leave_history; History gives it
};
struct HistoryPage {
  std::string run_id;
  std::vector<std::shared_ptr<const std::string>> events;  // serialized HistoryEvents
  std::int64_t next_event_id = 1;                          // where the next page starts
  bool more = false;                                       // events are left beyond this page
  bool running = false;                                    // the run was running when the page was made
};

// QueryWorkflow (WT-50…55). The answer of the worker, or query_rejected, or an error.
struct QueryRequest {
  UnitKey key;
  core::wfs::QueryWorkflowRequest request;
  Time deadline{};
};

struct HistoryOptions {
  std::vector<base::Executor*> executors;
  store::Store* store = nullptr;
  catalog::CatalogStore* catalog = nullptr;
  std::uint64_t seed = 0;
  core::Limits limits;
  std::uint32_t shards = 4096;
  base::Duration long_poll = std::chrono::seconds(20);
  base::Duration flush_interval = std::chrono::seconds(1);  // projection of states and histories
  base::Duration visibility_interval = std::chrono::milliseconds(50);
  // between looks for units that are not in memory and due
  base::Duration wake_scan = std::chrono::seconds(5);
  // between looks for runs that are older than the retention
  base::Duration sweep = std::chrono::seconds(30);
  // un-projected bytes that start a flush early
  std::uint64_t flush_bytes = 16 << 20;
  // … that refuse new work (E11); at twice that, everything
  std::uint64_t refuse_bytes = 256 << 20;
  // … whose replay takes about 0.3 s: from half of it on the projection is not idle between two flushes, beyond it new work is
  // refused, so that a start is as short after a crash under load (E6).
  std::uint64_t replay_bytes = 28 << 20;
  std::size_t cache_bytes = 256 << 20;  // of loaded units, per process
  // an id was found broken (E12); on an executor
  std::function<void(const UnitKey&, const std::string& why)> on_quarantine;
  // the stream has ended (E12): the host decides what to do
  std::function<void(const base::Error&)> on_fatal;
};

class Engine;

class History : public matching::TaskStarter {
 public:
  explicit History(HistoryOptions options);
  ~History() override;

  // Replays the log (blocking, before anything else), then serves. Must be called once; `matching` outlives History's use.
  base::Status start(matching::Matching& matching);
  // Stops taking work, flushes, waits for the log. Blocking callers use it at shutdown; in tests run the scheduler until done.
  void stop(Done<void> done);

  // `bytes`: the size of the request, counted against the lane's bound; a full lane is RESOURCE_EXHAUSTED.
  void execute(UnitKey key, core::Command command, std::size_t bytes, Done<core::Reply> done);
  // The same for a token-addressed workflow task completion; the answer is the serialized RespondWorkflowTaskCompletedResponse.
  void complete_workflow_task(UnitKey key, core::CompleteWorkflowTask command, std::size_t bytes,
                              Done<std::string> done);
  // StartWorkflowExecution; the answer is the serialized StartWorkflowExecutionResponse (an eager task's history included).
  void start_workflow(UnitKey key, core::StartWorkflow command, std::size_t bytes, Done<std::string> done);
  // A long poll has a name, for leave_history(); others get 0.
  std::uint64_t read_history(HistoryRequest request, Done<HistoryPage> done);
  // Its client waits no longer: `done` runs with an empty page, if the long poll waits by now and its id is `key`.
  void leave_history(const UnitKey& key, std::uint64_t waiter);
  void query(QueryRequest request, Done<core::wfs::QueryWorkflowResponse> done);
  // RespondQueryTaskCompleted for a direct query. NOT_FOUND: unknown or too late.
  void answer_query(const std::string& query_id, core::wfs::RespondQueryTaskCompletedRequest request,
                    Done<void> done);

  // Waits until visibility shows everything acknowledged before this call (rule E11).
  void await_visibility(Done<void> done);

  // What is counted, of all loops. Waits for their executors: not from one of several.
  HistoryFigures figures() const;
  // Workflow ids that are quarantined (rule E12), as far as they were found; all that were found by lives before.
  std::uint64_t quarantined() const;

  // TaskStarter, for Matching.
  void start_task(const matching::Offer& offer, const matching::Poller& poller,
                  Done<std::string> done) override;
  void undo_start(const matching::Offer& offer, const std::string& response) override;
  void sticky_unavailable(const matching::Offer& offer) override;

 private:
  std::unique_ptr<Engine> engine_;
};

}  // namespace perdure::history
