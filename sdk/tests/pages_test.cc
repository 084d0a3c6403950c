// A worker given a history in pieces: pages of every size, or only its end, of a run that it does not have in memory. The
// server is a transport of a few lines.
#include <gtest/gtest.h>

#include <future>

#include "base/guarded.h"
#include "sdk/src/client/connection.h"
#include "sdk/tests/fake_server.h"

#include <perdure/worker.h>
#include <temporal/api/workflowservice/v1/request_response.pb.h>

namespace pages_test {  // named: g++ 12 warns about coroutines of unnamed ones

using namespace perdure;
namespace service = temporal::api::workflowservice::v1;
namespace enums = temporal::api::enums::v1;
using replay::Event;

Task<int> naps(Context ctx) {
  for (int i = 1; i <= 3; ++i) co_await ctx.sleep(Duration(1000 * i));
  co_return 7;
}

// The history of a run whose fourth task is under way.
std::vector<Event> history_of_naps() {
  test::FakeServer server(detail::define_workflow<&naps>());
  for (int i = 0; i < 3; ++i) {
    server.task();
    server.fire_timer(i);
  }
  std::vector<Event> events = server.history();
  const auto add = [&](enums::EventType type) {
    Event& event = events.emplace_back();
    event.set_event_id(static_cast<std::int64_t>(events.size()));
    event.set_event_type(type);
  };
  add(enums::EVENT_TYPE_WORKFLOW_TASK_SCHEDULED);
  add(enums::EVENT_TYPE_WORKFLOW_TASK_STARTED);
  return events;
}

// Gives out one workflow task, and its history in pages of `size` events.
class PagingServer {
 public:
  struct Call final : client::Transport::Call {
    explicit Call(std::function<void(client::Reply)> answer) : done(std::move(answer)) {}
    void cancel() override { done(base::fail(base::Code::kCancelled, "cancelled")); }
    std::function<void(client::Reply)> done;
  };

  PagingServer(std::vector<Event> history, std::size_t begin, std::size_t size)
      : history_(std::move(history)), begin_(begin), size_(size) {
    started_event_id_ = history_.back().event_id();
  }
  // Comes into the history while the task is under way.
  void signal() {
    Event& event = history_.emplace_back();
    event.set_event_id(static_cast<std::int64_t>(history_.size()));
    event.set_event_type(enums::EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED);
  }
  service::RespondWorkflowTaskCompletedRequest completion() { return completed_.get_future().get(); }

  std::shared_ptr<client::Transport::Call> call(const std::string& method, const std::string& bytes,
                                                std::function<void(client::Reply)> done) {
    if (method == "PollWorkflowTaskQueue") {
      if (given_.exchange(true)) return std::make_shared<Call>(std::move(done));
      done(task());
    } else if (method == "GetWorkflowExecutionHistory") {
      service::GetWorkflowExecutionHistoryRequest request;
      EXPECT_TRUE(request.ParseFromString(bytes));
      service::GetWorkflowExecutionHistoryResponse response;
      fill(request.next_page_token().empty() ? 0 : std::stoul(request.next_page_token()), history_.size(),
           response);
      done(response.SerializeAsString());
    } else if (method == "RespondWorkflowTaskCompleted") {
      service::RespondWorkflowTaskCompletedRequest request;
      EXPECT_TRUE(request.ParseFromString(bytes));
      done(std::string());
      completed_.set_value(std::move(request));
    } else {
      done(std::string());  // DescribeNamespace, ShutdownWorker
    }
    return nullptr;
  }

 private:
  std::string task() const {
    service::PollWorkflowTaskQueueResponse task;
    task.set_task_token("task");
    task.mutable_workflow_execution()->set_workflow_id("naps");
    task.mutable_workflow_execution()->set_run_id("run");
    task.mutable_workflow_type()->set_name("naps");
    task.set_started_event_id(started_event_id_);
    task.set_previous_started_event_id(started_event_id_ - 5);
    fill(begin_, static_cast<std::size_t>(started_event_id_), task);
    return task.SerializeAsString();
  }
  template <class Message>
  void fill(std::size_t begin, std::size_t end, Message& message) const {
    const std::size_t last = std::min(begin + size_, end);
    for (std::size_t i = begin; i < last; ++i) *message.mutable_history()->add_events() = history_[i];
    if (last < end) message.set_next_page_token(std::to_string(last));
  }

  std::vector<Event> history_;
  const std::size_t begin_, size_;
  std::int64_t started_event_id_ = 0;
  std::atomic<bool> given_{false};
  std::promise<service::RespondWorkflowTaskCompletedRequest> completed_;
};
class PagingTransport final : public client::Transport {
 public:
  explicit PagingTransport(PagingServer& server) : server_(server) {}
  std::shared_ptr<Call> call(const std::string& method, const std::string& request, base::Duration,
                             std::function<void(client::Reply)> done) override {
    return server_.call(method.substr(method.rfind('/') + 1), request, std::move(done));
  }

 private:
  PagingServer& server_;
};

// What the worker makes of the task: the workflow's end, as the whole history says.
void expect_completed(PagingServer& server, const std::string& what) {
  WorkerOptions options;
  options.task_queue = "queue";
  options.workflow_pollers = 1;
  options.deadlock_timeout = {};  // a starved machine is no deadlock
  Worker worker(detail::ClientAccess::make(std::make_shared<detail::Connection>(
                    ClientOptions(), std::make_unique<PagingTransport>(server))),
                options);
  worker.add<&naps>();
  worker.start();
  const auto completion = server.completion();
  ASSERT_EQ(completion.commands_size(), 1) << what;
  EXPECT_EQ(
      completion.commands(0).complete_workflow_execution_command_attributes().result().payloads(0).data(),
      "7")
      << what;
}

TEST(Pages, of_any_size_make_one_history) {
  const std::vector<Event> history = history_of_naps();
  for (std::size_t size = 1; size <= history.size(); ++size) {
    PagingServer server(history, 0, size);
    expect_completed(server, "pages of " + std::to_string(size));
  }
}

TEST(Pages,
     of_a_run_that_was_thought_to_be_cached_are_asked_for_from_the_first_and_no_further_than_the_task) {
  const std::vector<Event> history = history_of_naps();
  for (std::size_t size = 3; size <= history.size(); ++size) {
    PagingServer server(history, history.size() - 3, size);
    server.signal();
    expect_completed(server, "pages of " + std::to_string(size));
  }
}

}  // namespace pages_test
