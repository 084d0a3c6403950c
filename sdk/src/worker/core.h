// The worker behind perdure::Worker: pollers, slots, threads, and an orderly end.
//
// All its state belongs to one executor ("control"); polls are asynchronous calls, never threads.
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
#include "sdk/src/worker/workflow_lane.h"

#include <perdure/worker.h>

namespace perdure {
inline namespace v1 {
namespace detail {

class WorkerCore {
 public:
  WorkerCore(std::shared_ptr<Connection> connection, WorkerOptions options);
  ~WorkerCore();  // stops

  // Before start(); throw std::logic_error on a name that is taken.
  void add(WorkflowDefinition definition);
  void add(ActivityDefinition definition);

  // In the place of one of that name, or new. Before start().
  void replace(ActivityDefinition definition);

  // For a clock that is simulated, before start(): `changed` is called whenever the answer of at_rest() may have changed.
  void simulate(const Simulation* simulation, std::function<void()> changed);
  // The polls that wait and the activities that run, when nothing else is under way. Any thread but the worker's own.
  struct Rest {
    int polls = 0, activities = 0;
  };
  std::optional<Rest> at_rest();

  void start();  // any thread; throws std::logic_error when it is running
  void stop();   // any thread; blocks until what runs has ended

 private:
  enum class Queue : std::uint8_t { kWorkflow, kSticky, kActivity };
  struct ActivityThread {
    std::unique_ptr<base::Executor> executor;
    bool busy = false;
  };

  void open_lanes();
  void fill(Queue queue);
  void poll(Queue queue);
  std::string poll_request(Queue queue) const;
  void polled(Queue queue, std::uint64_t poll, client::Reply reply);
  void workflow_task(const std::string& bytes);
  void activity_task(const std::string& bytes);
  void begin_stop();
  void stop_activities();
  void check_ended();
  void tell_server_of_end();
  bool has_slot(Queue queue) const;
  int pollers(Queue queue) const;

  std::shared_ptr<Connection> connection_;
  WorkerOptions options_;
  std::map<std::string, WorkflowDefinition, std::less<>> workflows_;
  std::map<std::string, ActivityDefinition, std::less<>> activities_;
  std::string sticky_queue_;
  bool started_ = false;  // start() and stop() take turns
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
  bool stopping_ = false, over_ = false;
  std::promise<void> ended_;

  std::vector<std::unique_ptr<worker::WorkflowLane>> lanes_;
  std::unique_ptr<base::Executor> control_;
};

}  // namespace detail
}  // namespace v1
}  // namespace perdure
