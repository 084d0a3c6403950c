// Who moves the clock of the simulated server, and who must not.
#include "sdk/src/embedded/simulated_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include <temporal/api/workflowservice/v1/request_response.pb.h>

namespace perdure::embedded {
namespace {

namespace service = temporal::api::workflowservice::v1;

std::string start(const std::string& id, const std::string& queue) {
  service::StartWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.set_workflow_id(id);
  request.set_request_id(id);
  request.mutable_workflow_type()->set_name("any");
  request.mutable_task_queue()->set_name(queue);
  return request.SerializeAsString();
}

std::string await_close(const std::string& id) {
  service::GetWorkflowExecutionHistoryRequest request;
  request.set_namespace_("default");
  request.mutable_execution()->set_workflow_id(id);
  request.set_wait_new_event(true);
  request.set_history_event_filter_type(temporal::api::enums::v1::HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT);
  return request.SerializeAsString();
}

class Worker {
 public:
  explicit Worker(client::Transport& transport) : transport_(transport) {}
  void poll() {
    service::PollWorkflowTaskQueueRequest request;
    request.set_namespace_("default");
    request.mutable_task_queue()->set_name("polled");
    transport_.call(path("PollWorkflowTaskQueue"), request.SerializeAsString(), {},
                    [this](const client::Reply& reply) { tasks += reply && !reply->empty() ? 1 : 0; });
  }
  static std::string path(const std::string& method) {
    return "/temporal.api.workflowservice.v1.WorkflowService/" + method;
  }
  std::atomic<int> tasks = 0;

 private:
  client::Transport& transport_;
};

TEST(SimulatedServer, no_time_passes_while_a_task_is_under_way_that_came_after_the_worker_was_asked) {
  const base::Time begin{std::chrono::hours(24 * 365 * 30)};
  const auto server = std::make_shared<SimulatedServer>(begin);
  const auto transport = server->transport();
  Worker worker(*transport);
  const auto nothing = [](const client::Reply&) {};
  std::atomic<int> asked = 0;
  std::promise<void> asked_again;
  server->set_hooks(
      [&]() -> std::optional<SimulatedServer::Rest> {
        if (asked++ > 0) {
          if (asked == 2) asked_again.set_value();
          return std::nullopt;
        }
        // The worker rests when it is asked; before its answer is heard it has a task, and another poll.
        transport->call(Worker::path("StartWorkflowExecution"), start("busy", "polled"), {}, nothing);
        EXPECT_EQ(worker.tasks, 1);
        worker.poll();
        return SimulatedServer::Rest{1, 0};
      },
      [](const std::string&, const std::string&, client::Reply reply) { return reply; });
  worker.poll();
  transport->call(Worker::path("StartWorkflowExecution"), start("waits", "nobody"), {}, nothing);
  transport->call(Worker::path("GetWorkflowExecutionHistory"), await_close("waits"), {}, nothing);
  asked_again.get_future().wait();
  EXPECT_EQ(server->now(), begin);
  server->close();
}

}  // namespace
}  // namespace perdure::embedded
