// Matching: task queues and the polls that wait at them. All in memory; the truth about tasks is the state of their runs.
//
// History offers what tasks_of() says; a poll that meets an offer is *reserved* and History is asked to start the task
// (TaskStarter). Only History's answer decides: the poll gets the task, or the task turns out to be obsolete and the poll gets the
// next one. Each queue has one home executor; everything about it happens there (rule E15, E16).
//
// Thread rule: every method of Matching from any thread; callbacks run on the home executor of the queue and must not block.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/executor.h"
#include "server/core/state.h"
#include "server/matching/figures.h"
#include "server/store/store.h"
#include "temporal/api/taskqueue/v1/message.pb.h"

namespace perdure::matching {

using base::Result;
using base::Time;
using store::Done;

struct QueueKey {
  std::string namespace_id;
  core::TaskKind kind = core::TaskKind::kWorkflow;
  std::string name;
  friend auto operator<=>(const QueueKey&, const QueueKey&) = default;
};
// The key of the queue's rows in the store's ready index.
std::string ready_key(const QueueKey& key);

// A reference to a task, never its payload.
struct Offer {
  store::UnitKey unit;
  std::string run_id;
  core::Task task;  // attempt 0: read from the ready index; whatever attempt the state says
  // of the process life that made it; offers of an older one are dropped (E16)
  std::uint64_t stream = 0;
};

// Who polls: goes into the events and the state of what is started.
struct Poller {
  std::string identity, build_id, deployment;
  std::string worker_instance_key;
  bool sticky = false;     // polls a sticky queue
  std::string request_id;  // made by matching, one per start
};

struct PollRequest {
  QueueKey queue;
  std::string normal_name;  // of a sticky queue
  Poller poller;
  // of the client; the poll ends empty one second before, or after one minute (MA-05)
  Time deadline{};
  std::optional<double> max_tasks_per_second;  // activity queues: the worker's wish (MA-08)
};

// What the poll gets: a serialized Poll…Response; empty: no task came (an empty answer, never an error).
using PollDone = Done<std::string>;

// Implemented by History. Called on the home executor of the queue, possibly from within offer() or poll() on the same stack.
// `done` is called when the answer may leave (rule E1), on any executor, also at once:
//   bytes       the task is started, deliver this
//   NOT_FOUND   the task is obsolete: drop it, the poll goes on
//   else        put the task back and try again with back-off
class TaskStarter {
 public:
  virtual ~TaskStarter() = default;
  virtual void start_task(const Offer& offer, const Poller& poller, Done<std::string> done) = 0;
  // The started task could not be delivered: its poll is gone. The attempt is not consumed; History offers the task again (E16).
  virtual void undo_start(const Offer& offer, const std::string& response) = 0;
  // No poll was seen on the sticky queue for about ten seconds (WT-06): History moves the task to the normal queue.
  virtual void sticky_unavailable(const Offer& offer) = 0;
};

// A query on its way to a worker. Not durable.
struct QueryTask {
  std::string id;
  std::string response;              // the serialized PollWorkflowTaskQueueResponse that delivers it
  QueueKey queue;                    // tried first (sticky), with sticky_timeout …
  std::optional<QueueKey> fallback;  // … then this one; its response differs:
  std::string fallback_response;
  base::Duration sticky_timeout{};
  Time deadline{};
  // the sticky worker did not come: the binding is void (WT-53). May be absent
  std::move_only_function<void()> fell_back;
  // DEADLINE_EXCEEDED, or FAILED_PRECONDITION when no poller was seen lately (WT-53). OK: a worker took it.
  Done<void> taken;
};

struct QueueDescription {
  std::vector<temporal::api::taskqueue::v1::PollerInfo> pollers;
  std::int64_t backlog = 0;
  base::Duration backlog_age{};
  double add_rate = 0, dispatch_rate = 0;
  std::optional<double> max_tasks_per_second;
  struct Priority {
    int priority = 3;
    std::int64_t backlog = 0;
    base::Duration backlog_age{};
    double add_rate = 0, dispatch_rate = 0;
  };
  std::vector<Priority> priorities;  // those that hold or held tasks
};

struct MatchingOptions {
  std::vector<base::Executor*> executors;  // queue homes
  store::Store* store = nullptr;           // pages the ready index beyond the window
  TaskStarter* starter = nullptr;
  std::uint64_t seed = 0;
  std::size_t window = 10'000;  // references held per queue
  base::Duration long_poll = std::chrono::minutes(1);
  base::Duration sticky_availability = std::chrono::seconds(10);
};

class Matching {
 public:
  explicit Matching(MatchingOptions options);
  // When its executors run no more tasks, or from their only thread. Callbacks that are left are dropped: drain() first.
  ~Matching();

  // A task is due. Repeating an offer is harmless. At most as late as the state that made it: nothing is written here.
  void offer(Offer offer);
  // Parks until a task comes or the poll's time is over; `done` exactly once. The id is for cancel_poll.
  std::uint64_t poll(PollRequest request, PollDone done);
  // The client of a poll is gone: its place is freed at once.
  void cancel_poll(const QueueKey& queue, std::uint64_t poll_id);
  void query(QueryTask task);
  void describe(QueueKey queue, Done<QueueDescription> done);
  // ShutdownWorker: polls of that worker end empty at once (MA-16); its sticky queue is forgotten.
  void shutdown_worker(const std::string& namespace_id, const std::string& sticky_queue,
                       const std::string& identity, const std::string& worker_instance_key);
  // All parked polls end empty; new ones are answered empty at once; queries that wait fail UNAVAILABLE. For shutdown. A poll whose
  // task is being started still gets it.
  void drain();

  // What is counted, of all homes. Waits for their executors: not from one of several.
  MatchingFigures figures() const;

  class Home;  // internal: home.h

 private:
  Home& home(const QueueKey& key);

  MatchingOptions options_;
  std::vector<std::shared_ptr<Home>> homes_;
  std::atomic<std::uint64_t> last_poll_ = 0;
};

}  // namespace perdure::matching
