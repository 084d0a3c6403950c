// What the client reads: descriptions, lists, counts, histories. Against a server, which tests/run.py starts.
#include <gtest/gtest.h>

#include <future>
#include <set>

#include "base/guarded.h"

#include <perdure/client.h>
#include <perdure/worker.h>

namespace client_test {  // named: g++ 12 warns about coroutines of unnamed ones

using namespace perdure;

std::promise<void>& began() {
  static std::promise<void> promise;
  return promise;
}
int waits_for_the_end(ActivityContext& context) {
  context.heartbeat(std::string("half"));
  if (context.info().attempt == 1) throw ApplicationFailure("the first time", "First");
  began().set_value();
  context.sleep_for(1h);
  return 1;
}
Task<int> adds(Context, int a, int b) {
  co_return a + b;
}
Task<int> works(Context ctx) {
  co_return co_await ctx.execute<&waits_for_the_end>(
      {.start_to_close_timeout = 1min,
       .heartbeat_timeout = 30s,
       .retry = {.initial_interval = 1ms, .maximum_attempts = 7},
       .activity_id = "the-activity"});
}
Task<> waits(Context ctx) {
  co_await ctx.sleep(24h);
}

class ClientReads : public ::testing::Test {
 protected:
  ClientReads() : worker_(client_, options()) {
    worker_.add<&adds, &works, &waits, &waits_for_the_end>();
    worker_.start();
  }
  WorkerOptions options() const {
    WorkerOptions options;
    options.task_queue = queue_;
    options.graceful_shutdown = 0ms;
    return options;
  }
  StartOptions named(const std::string& id) const { return {.id = queue_ + "-" + id, .task_queue = queue_}; }

  Client client_ = Client::connect();
  const std::string queue_ = "client-" + std::to_string(getpid()) + "-" +
                             ::testing::UnitTest::GetInstance()->current_test_info()->name();
  Worker worker_;
};

TEST_F(ClientReads, a_description_of_what_has_ended) {
  auto handle = client_.start<&adds>(named("sum"), 1, 2);
  EXPECT_EQ(handle.result(), 3);
  const WorkflowDescription description = handle.describe();
  EXPECT_EQ(description.id, handle.id());
  EXPECT_EQ(description.run_id, handle.run_id());
  EXPECT_EQ(description.type, "adds");
  EXPECT_EQ(description.task_queue, queue_);
  EXPECT_EQ(description.status, WorkflowStatus::kCompleted);
  EXPECT_EQ(status_name(description.status), "Completed");
  EXPECT_FALSE(description.is_running());
  EXPECT_EQ(description.history_length, 5);
  EXPECT_GT(description.history_bytes, 0);
  EXPECT_LE(description.start_time, description.close_time.value());
  EXPECT_TRUE(description.activities.empty());
  EXPECT_EQ(description.workflow_task_attempt, 0);
}

TEST_F(ClientReads, a_description_of_what_runs) {
  StartOptions start = named("works");
  start.execution_timeout = 1h;
  auto handle = client_.start<&works>(start);
  began().get_future().wait();
  const WorkflowDescription description = handle.describe();
  EXPECT_TRUE(description.is_running());
  EXPECT_EQ(description.close_time, std::nullopt);
  EXPECT_EQ(description.execution_timeout, 1h);
  ASSERT_EQ(description.activities.size(), 1u);
  const PendingActivity& activity = description.activities.front();
  EXPECT_EQ(activity.id, "the-activity");
  EXPECT_EQ(activity.type, "waits_for_the_end");
  EXPECT_EQ(activity.state, ActivityState::kStarted);
  EXPECT_EQ(activity.attempt, 2);
  EXPECT_EQ(activity.maximum_attempts, 7);
  EXPECT_EQ(describe(activity.last_failure), "the first time");
  EXPECT_TRUE(activity.last_started_time.has_value());
  EXPECT_FALSE(activity.last_worker.empty());
  handle.terminate();
}

// Of a type that nobody runs, on a queue that nobody polls.
TEST_F(ClientReads, a_list_is_a_range_and_is_counted) {
  const std::string type = queue_ + "-type";
  std::set<std::string> ids;
  for (int i = 0; i < 7; ++i) {
    StartOptions start = named("listed-" + std::to_string(i));
    start.task_queue = "nobody";
    ids.insert(start.id);
    const UntypedHandle handle = client_.start(type, start);
    if (i < 3) handle.terminate();
  }
  const std::string all = "WorkflowType = '" + type + "'", running = all + " and ExecutionStatus = 'Running'";
  // Temporal lists a moment later
  while (client_.count(all).count < 7 || client_.count(running).count != 4) {
  }
  std::set<std::string> listed;
  for (const WorkflowExecution& one : client_.list(all)) {
    EXPECT_TRUE(listed.insert(one.id).second);
    EXPECT_EQ(one.type, type);
    EXPECT_EQ(one.is_running(), one.id >= queue_ + "-listed-3");
    EXPECT_EQ(one.status, one.is_running() ? WorkflowStatus::kRunning : WorkflowStatus::kTerminated);
  }
  EXPECT_EQ(listed, ids);
  EXPECT_EQ(client_.count(all).count, 7);
  EXPECT_EQ(client_.count(running).count, 4);
  EXPECT_EQ(client_.list("WorkflowType = 'nothing is called this'").begin(), std::default_sentinel);
  EXPECT_THROW((void)client_.list("Nonsense ! 3").begin(), RpcError);
  for (const WorkflowExecution& one : client_.list(running)) client_.handle(one.id).terminate();
}

TEST_F(ClientReads, a_history_is_a_range) {
  auto handle = client_.start<&adds>(named("sum"), 1, 2);
  EXPECT_EQ(handle.result(), 3);
  std::string types;
  std::int64_t last = 0;
  for (const HistoryEvent& event : handle.history()) {
    types += event.type + " ";
    EXPECT_EQ(event.id, ++last);
    EXPECT_GT(event.time, TimePoint());
    EXPECT_NE(event.json().find("\"eventId\":\"" + std::to_string(last) + "\""), std::string::npos)
        << event.json();
  }
  EXPECT_EQ(types,
            "WorkflowExecutionStarted WorkflowTaskScheduled WorkflowTaskStarted WorkflowTaskCompleted "
            "WorkflowExecutionCompleted ");
  std::vector<std::string> closing;
  for (const HistoryEvent& event : handle.history({.close_event_only = true})) closing.push_back(event.type);
  EXPECT_EQ(closing, std::vector<std::string>{"WorkflowExecutionCompleted"});
  EXPECT_THROW((void)client_.handle("nobody").history().begin(), WorkflowNotFound);
}

TEST_F(ClientReads, a_history_that_is_waited_for_ends_with_the_run) {
  auto handle = client_.start<&waits>(named("waits"));
  std::string last;
  for (const HistoryEvent& event : handle.history({.wait = true})) {
    last = event.type;
    if (event.type == "TimerStarted") handle.cancel();
  }
  EXPECT_EQ(last, "WorkflowExecutionCanceled");
}

// Pages of any size, also empty ones, and more than one reader.
TEST(PagedRange, pages_are_fetched_when_they_are_needed) {
  std::vector<std::string> asked;
  const Paged<int> range([&](const std::string& token) -> Paged<int>::Page {
    asked.push_back(token);
    if (token.empty()) return {{1, 2}, "a"};
    if (token == "a") return {{}, "b"};
    return {{3}, ""};
  });
  auto it = range.begin();
  EXPECT_EQ(asked.size(), 1u);
  std::vector<int> all;
  for (; it != range.end(); ++it) all.push_back(*it);
  EXPECT_EQ(all, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(asked, (std::vector<std::string>{"", "a", "b"}));
  for (const int one : range) all.push_back(one);
  EXPECT_EQ(all.size(), 6u);
}

}  // namespace client_test
