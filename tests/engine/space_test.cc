// E10: a disk that runs full, under the real shell and the local store; and a directory that stays small (retention).
#include <gtest/gtest.h>

#include <cstdlib>

#include "temporal/api/errordetails/v1/message.pb.h"
#include "temporal/api/workflowservice/v1/request_response.pb.h"
#include "tests/engine/world.h"

namespace perdure::engine {
namespace {

namespace wfs = temporal::api::workflowservice::v1;
namespace enums = temporal::api::enums::v1;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint64_t kMiB = 1 << 20;

wfs::StartWorkflowExecutionRequest start_request(const std::string& id, std::size_t input_bytes = 0) {
  wfs::StartWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.set_workflow_id(id);
  request.mutable_workflow_type()->set_name("T");
  request.mutable_task_queue()->set_name("tq");
  request.set_request_id("start-" + id);
  if (input_bytes > 0) request.mutable_input()->add_payloads()->set_data(std::string(input_bytes, 'x'));
  return request;
}

base::Status start(World& world, const std::string& id, std::size_t input_bytes = 0) {
  const auto response = world.call<wfs::StartWorkflowExecutionResponse>("StartWorkflowExecution",
                                                                        start_request(id, input_bytes));
  if (!response) return std::unexpected(response.error());
  return {};
}

wfs::DescribeWorkflowExecutionRequest describe_request(const std::string& id) {
  wfs::DescribeWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.mutable_execution()->set_workflow_id(id);
  return request;
}

base::Status signal(World& world, const std::string& id) {
  wfs::SignalWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.mutable_workflow_execution()->set_workflow_id(id);
  request.set_signal_name("s");
  const auto response = world.call<wfs::SignalWorkflowExecutionResponse>("SignalWorkflowExecution", request);
  if (!response) return std::unexpected(response.error());
  return {};
}

base::Status remove(World& world, const std::string& id) {
  wfs::DeleteWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.mutable_workflow_execution()->set_workflow_id(id);
  const auto response = world.call<wfs::DeleteWorkflowExecutionResponse>("DeleteWorkflowExecution", request);
  if (!response) return std::unexpected(response.error());
  return {};
}

// Takes the next workflow task and completes its workflow; the id, empty when there was no task.
std::string complete_next(World& world, std::size_t result_bytes = 0) {
  wfs::PollWorkflowTaskQueueRequest poll;
  poll.set_namespace_("default");
  poll.mutable_task_queue()->set_name("tq");
  const auto task = world.call<wfs::PollWorkflowTaskQueueResponse>("PollWorkflowTaskQueue", poll);
  if (!task || task->task_token().empty()) return "";
  wfs::RespondWorkflowTaskCompletedRequest request;
  request.set_namespace_("default");
  request.set_task_token(task->task_token());
  auto& command = *request.add_commands();
  command.set_command_type(enums::COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION);
  auto& result = *command.mutable_complete_workflow_execution_command_attributes()->mutable_result();
  if (result_bytes > 0) result.add_payloads()->set_data(std::string(result_bytes, 'x'));
  const auto done =
      world.call<wfs::RespondWorkflowTaskCompletedResponse>("RespondWorkflowTaskCompleted", request);
  EXPECT_TRUE(done) << (done ? "" : done.error().message);
  return done ? task->workflow_execution().workflow_id() : "";
}

std::int64_t count(World& world) {
  wfs::CountWorkflowExecutionsRequest request;
  request.set_namespace_("default");
  const auto response = world.call<wfs::CountWorkflowExecutionsResponse>("CountWorkflowExecutions", request);
  EXPECT_TRUE(response);
  return response ? response->count() : -1;
}

void expect_refused_for_the_disk(const base::Status& status) {
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, base::Code::kResourceExhausted);
  EXPECT_NE(status.error().message.find("disk"), std::string::npos) << status.error().message;
  EXPECT_FALSE(status.error().detail.empty());  // ResourceExhaustedFailure, with its cause
}

// ---- E11: what the database does not hold yet is bounded ----------------------------------------------------------------------

TEST(E11, ADatabaseThatStandsStillStopsNewWorkThenEverything) {
  World world({.local = true, .refuse_bytes = 2 * kMiB, .replay_bytes = kMiB});
  world.projection().stall();
  int started = 0;
  base::Status last;
  for (; started < 500 && last; ++started) last = start(world, "w-" + std::to_string(started), 16 << 10);
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, base::Code::kResourceExhausted);
  EXPECT_FALSE(last.error().detail.empty());
  EXPECT_NEAR(static_cast<double>(world.any_store().statistics().unprojected_bytes), kMiB, kMiB / 10);
  const base::Status signalled = signal(world, "w-0");
  ASSERT_FALSE(signalled);
  EXPECT_EQ(signalled.error().code, base::Code::kResourceExhausted);
  // What is under way goes on, until twice the other bound.
  int completed = 0;
  for (; completed < started - 1 && world.any_store().statistics().unprojected_bytes < 4 * kMiB; ++completed)
    ASSERT_NE(complete_next(world, 96 << 10), "") << completed;
  ASSERT_GT(completed, 20);
  const auto described = world.call<wfs::DescribeWorkflowExecutionResponse>("DescribeWorkflowExecution",
                                                                            describe_request("w-0"));
  ASSERT_FALSE(described);
  EXPECT_EQ(described.error().code, base::Code::kResourceExhausted);
  world.projection().go_on();
  world.advance(seconds(2));
  EXPECT_NE(complete_next(world), "");
  EXPECT_TRUE(start(world, "after"));
  EXPECT_EQ(count(world), started);
}

// E6: a tail whose replay would take long is written without a pause, so that nobody is refused for it.
TEST(E6, TheTailToReplayStaysShortUnderLoad) {
  World world({.local = true, .replay_bytes = kMiB});
  for (int i = 0; i < 300; ++i) {  // 5 MiB, and no time passes
    ASSERT_TRUE(start(world, "w-" + std::to_string(i), 16 << 10)) << i;
    ASSERT_LT(world.any_store().statistics().unprojected_bytes, kMiB * 3 / 4) << i;
  }
}

WorldOptions small_disk() {
  return {.local = true,
          .space = {.ballast_bytes = 4 * kMiB, .low_mark = 8 * kMiB, .critical_mark = 2 * kMiB},
          .retention = minutes(10)};
}

TEST(E10, BelowTheLowMarkNewWorkIsRefusedAndCompletionsAndDeletionsGoOn) {
  World world(small_disk());
  world.disk().set_capacity(64 * kMiB);
  int started = 0;
  base::Status last;
  for (; started < 2'000 && last; ++started) {
    last = start(world, "w-" + std::to_string(started), 64 << 10);
    if (started % 20 == 0) world.advance(seconds(2));
  }
  expect_refused_for_the_disk(last);
  ASSERT_GT(started, 100);
  EXPECT_FALSE(world.fatal());
  expect_refused_for_the_disk(signal(world, "w-0"));
  // What is under way comes to its end, and goes.
  for (int i = 0; i < 50; ++i) EXPECT_NE(complete_next(world), "") << i;
  for (int i = 0; i < started - 1; ++i) {
    const base::Status removed = remove(world, "w-" + std::to_string(i));
    EXPECT_TRUE(removed) << i << " " << (removed ? "" : removed.error().message);
    if (i % 20 == 0) world.advance(seconds(2));
  }
  world.advance(minutes(2));  // projected, given back to the disk, checkpointed
  EXPECT_FALSE(world.fatal());
  EXPECT_EQ(count(world), 0);
  EXPECT_TRUE(start(world, "after"));
  EXPECT_LT(world.disk().used(), 24 * kMiB);
}

TEST(E10, AFullDiskIsStartedOnDeletedFromAndRecovers) {
  World world(small_disk());
  world.disk().set_capacity(64 * kMiB);
  int started = 0;
  for (base::Status last; started < 2'000 && last; ++started) {
    last = start(world, "w-" + std::to_string(started), 64 << 10);
    if (started % 20 == 0) world.advance(seconds(2));
  }
  world.die(base::Crash::kKeepAll);
  world.disk().set_capacity(world.disk().used());  // somebody else took the rest
  const base::Status begun = world.begin();
  ASSERT_TRUE(begun) << begun.error().message;
  expect_refused_for_the_disk(start(world, "more"));
  EXPECT_NE(complete_next(world), "");
  for (int i = 0; i < started - 1; ++i) {
    const base::Status removed = remove(world, "w-" + std::to_string(i));
    EXPECT_TRUE(removed) << i << " " << (removed ? "" : removed.error().message);
    if (i % 5 == 0) world.advance(seconds(2));
  }
  world.advance(minutes(2));
  EXPECT_FALSE(world.fatal());
  EXPECT_EQ(count(world), 0);
  EXPECT_TRUE(start(world, "after"));
  world.crash(base::Crash::kDropUnsynced);
  EXPECT_EQ(count(world), 1);
}

// Retention, the log and SQLite together: what many short workflows leave is bounded by what is younger than the retention.
TEST(E10, TheDirectoryStaysSmallAfterManyShortWorkflows) {
  // 200,000 take half a minute and show the same.
  const char* wanted = std::getenv("PERDURE_SHORT_WORKFLOWS");
  const int workflows = wanted != nullptr ? std::atoi(wanted) : 20'000, batch = 500;
  World world({.local = true, .segment_bytes = kMiB, .checkpoint_bytes = kMiB, .retention = minutes(1)});
  std::uint64_t most = 0, early = 0;
  for (int done = 0; done < workflows; done += batch) {
    for (int i = 0; i < batch; ++i) {
      world.issue("StartWorkflowExecution", start_request("w-" + std::to_string(done + i)));
      if (i % 50 == 49) world.scheduler.run_until_idle();
    }
    for (int i = 0; i < batch; ++i) ASSERT_NE(complete_next(world), "") << done + i;
    world.advance(seconds(5));
    most = std::max(most, world.disk().used());
    if (done + batch == workflows / 2) early = most;  // when the first of them have gone
  }
  EXPECT_LT(most, early + early / 4) << "the directory grows with the number of workflows";
  world.advance(minutes(5));
  EXPECT_EQ(count(world), 0);
  EXPECT_LT(world.disk().size_of("data/projection-0.db"), kMiB);
  EXPECT_LT(world.disk().used(), 8 * kMiB);
}

}  // namespace
}  // namespace perdure::engine
