// The worker of the load driver: plain polls, no SDK, no sticky queue, no cache.
//
// Its one workflow, of type "activities-N", runs N activities one after the other and completes. What comes
// next is read from the history in each task, so the worker keeps no state. `pollers` polls of each kind are
// always parked: a poll that brought a task is replaced before the task is worked on.
#pragma once

#include <cstddef>
#include <string>

#include "bench/api.h"

namespace temporal::api::workflowservice::v1 {
class PollWorkflowTaskQueueResponse;
class PollActivityTaskQueueResponse;
}  // namespace temporal::api::workflowservice::v1

namespace perdure::bench {

class Worker {
 public:
  // Polls begin at once. `api` must outlive the worker's polls: end them by destroying the GrpcClient first.
  Worker(Api& api, std::string task_queue, std::size_t pollers, bool activities);

  // Answers of ours that the server refused, and polls that failed; 0 in a healthy run.
  std::size_t errors() const { return errors_; }
  const std::string& last_error() const { return last_error_; }

  void stop() { stopped_ = true; }  // no new poll, no new answer

 private:
  void poll_workflow_task(std::size_t connection);
  void poll_activity_task(std::size_t connection);
  void work(std::size_t connection,
            const temporal::api::workflowservice::v1::PollWorkflowTaskQueueResponse& task);
  void work(std::size_t connection,
            const temporal::api::workflowservice::v1::PollActivityTaskQueueResponse& task);
  void note(const base::Error& error);

  Api& api_;
  std::string task_queue_;
  std::size_t errors_ = 0;
  std::string last_error_;
  bool stopped_ = false;
};

// The workflow type that runs `activities` activities, and back (0 for any other name).
std::string workflow_type(int activities);
int activities_of(const std::string& workflow_type);

}  // namespace perdure::bench
