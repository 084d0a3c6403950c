// The worker behind perdure::Worker: pollers, slots, threads, and an orderly end.
//
// All its state belongs to one executor ("control"); polls are asynchronous calls, never threads. Where the threads that bring
// replies are the SDK's own, control is a strand on them.
#pragma once

#include <future>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/executor.h"
#include "sdk/src/client/connection.h"
#include "sdk/src/worker/activity_task.h"
#include "sdk/src/worker/local_activities.h"
#include "sdk/src/worker/rate.h"
#include "sdk/src/worker/workflow_lane.h"

#include <perdure/worker.h>

namespace perdure {
inline namespace v1 {
namespace detail {

class WorkerCore {
 public:
  WorkerCore(std::shared_ptr<Connection> connection, WorkerOptions options);
  ~WorkerCore();  // stops

  // Called once if the worker ends without being asked to, on a thread of its own. Before start().
  void on_failure(std::function<void()> call) { on_failure_ = std::move(call); }
  // Why it ended so, or nothing.
  const std::string& failure() const { return failure_; }

  // Before start(); throw std::logic_error on a name that is taken.
  void add(WorkflowDefinition definition);
  void add(ActivityDefinition definition);

  // In the place of one of that name, or new. Before start().
  void replace(ActivityDefinition definition);

  // For a clock that is simulated, before start(): `changed` is called whenever the answer of at_rest() may
  // have changed.
  void simulate(const Simulation* simulation, std::function<void()> changed);
  // The polls that wait and the activities that run, when nothing else is under way. Any thread but the
  // worker's own.
  struct Rest {
    int polls = 0, activities = 0;
  };
  std::optional<Rest> at_rest();

  // Any thread. Throws std::logic_error when it is running, RpcError when the namespace cannot be had.
  void start();
  void stop();  // any thread; blocks until what runs has ended

 private:
  enum class Queue : std::uint8_t { kWorkflow, kSticky, kActivity };
  struct ActivityThread {
    std::atomic<bool> busy{false};
    std::unique_ptr<base::Executor> executor;  // last: its task writes the flag
  };

  void ask_capabilities();
  void open_lanes();
  std::shared_ptr<worker::WorkflowLane> new_lane(std::size_t index);
  void watch_lanes();
  void replace_lane(std::size_t index, worker::WorkflowLane::Stuck stuck);
  void fail(std::string why);
  void drop_lanes();
  void show_slots() const;
  void show_pollers(Queue queue);
  void count_poll(Queue queue, bool task) const;
  void fill(Queue queue);
  void poll(Queue queue);
  std::string poll_request(Queue queue) const;
  void polled(Queue queue, std::uint64_t poll, client::Reply reply);
  bool workflow_task(const std::string& bytes);  // false: there was none
  bool activity_task(const std::string& bytes);  // false: there was none
  void run_activity(const std::shared_ptr<ActivityTask>& task, const ActivityDefinition* definition);
  void run_somewhere(const ActivityDefinition* definition, std::function<void()> work);
  void run_on_own_thread(std::function<void()> work);
  std::shared_ptr<ActivityTask> new_task(
      const temporal::api::workflowservice::v1::PollActivityTaskQueueResponse&);
  const ActivityDefinition* find_activity(const std::string& type) const;
  void open_locals();
  bool reserve_eager(const std::string& type);  // any thread
  void end_eager(std::string task);             // any thread
  void fill_when_rate_allows();
  void begin_stop();
  void give_up_polls();
  void stop_activities();
  void check_ended();
  void tell_server_of_end();
  bool take_slot(Queue queue);
  bool take_activity_slot();  // any thread
  void give_back_activity_poll();
  int pollers(Queue queue) const;

  std::shared_ptr<Connection> connection_;
  WorkerOptions options_;
  observe::Meter meter_;
  std::function<void()> on_failure_;
  std::string failure_;
  std::shared_ptr<worker::Definitions> workflows_ = std::make_shared<worker::Definitions>();
  std::map<std::string, ActivityDefinition, std::less<>> activities_;
  std::string sticky_queue_, instance_key_;
  bool server_ends_polls_ = false;  // when it is told that this worker stops
  bool started_ = false;            // start() and stop() take turns
  const Simulation* simulation_ = nullptr;
  std::function<void()> changed_;

  // Control's.
  std::map<std::uint64_t, std::shared_ptr<client::Transport::Call>> polls_;
  std::map<Queue, int> polling_;
  std::map<Queue, base::Duration> backoff_;
  std::uint64_t last_poll_ = 0;
  int workflow_tasks_ = 0;
  std::set<std::shared_ptr<ActivityTask>, std::owner_less<std::shared_ptr<ActivityTask>>> running_;
  std::vector<std::unique_ptr<ActivityThread>> threads_;
  std::unique_ptr<worker::LocalActivities> locals_;
  std::atomic<int> eager_ = 0, activity_slots_ = 0;  // activities that the server may still send; slots taken
  worker::Rate activity_rate_;
  bool waiting_for_rate_ = false, telling_server_ = false;
  bool stopping_ = false, over_ = false;
  std::promise<void> ended_;

  // Shared with the threads of lanes that were given up.
  std::vector<std::shared_ptr<worker::WorkflowLane>> lanes_, given_up_;
  std::shared_ptr<std::atomic<int>> cached_runs_ = std::make_shared<std::atomic<int>>(0);
  bool watching_ = false;
  std::unique_ptr<base::Executor> control_;
};

}  // namespace detail
}  // namespace v1
}  // namespace perdure
