// The rules of the engine (E1…E17) against the real shell: one thread, a simulated clock, crashes at will.
#include <gtest/gtest.h>

#include "proto/internal/record.pb.h"
#include "tests/engine/answers.h"
#include "tests/engine/world.h"

namespace perdure::engine {
namespace {

using std::chrono::seconds;

// ---- E1: nobody sees what a crash can undo
// ------------------------------------------------------------------------------------

TEST(E1, NothingLeavesWhileTheLogIsNotDurable) {
  World world;
  ASSERT_TRUE(
      world.call<wfs::StartWorkflowExecutionResponse>("StartWorkflowExecution", start_request("old")));
  world.store().hold_appends();
  const auto start = world.start("StartWorkflowExecution", start_request("a"));
  const auto again = world.start("StartWorkflowExecution", start_request("a"));
  auto other = start_request("a");
  other.set_request_id("other");
  const auto conflict = world.start("StartWorkflowExecution", other);
  const auto describe = world.start("DescribeWorkflowExecution", describe_request("a"));
  const auto history = world.start("GetWorkflowExecutionHistory", history_request("a"));
  const auto poll = world.start("PollWorkflowTaskQueue", poll_request());
  const auto signal = world.start("SignalWorkflowExecution", signal_request("a", "s1"));
  wfs::ListWorkflowExecutionsRequest list;
  list.set_namespace_("default");
  const auto listed = world.start("ListWorkflowExecutions", list);
  for (const auto& call : {start, again, conflict, describe, history, signal, listed})
    EXPECT_FALSE(call->answered());
  // Input validation looks at nothing, and a cold id that nothing was written to does not wait.
  EXPECT_TRUE(world.start("StartWorkflowExecution", wfs::StartWorkflowExecutionRequest())->answered());
  EXPECT_TRUE(world.start("DescribeWorkflowExecution", describe_request("unknown"))->answered());
  EXPECT_TRUE(world.start("DescribeWorkflowExecution", describe_request("old"))->answered() ||
              poll->answered() == false);
  world.store().release_appends();
  world.scheduler.run_until_idle();
  for (const auto& call : {start, again, conflict, describe, history, signal, listed})
    EXPECT_TRUE(call->answered());
}

TEST(E1, AfterAFailedAppendEverythingIsUnavailable) {
  World world;
  world.store().hold_appends();
  const auto start = world.start("StartWorkflowExecution", start_request("a"));
  const auto describe = world.start("DescribeWorkflowExecution", describe_request("a"));
  world.store().end_stream({base::Code::kUnavailable, "fsync failed", {}});
  world.scheduler.run_until_idle();
  for (const auto& call :
       {start, describe, world.start("DescribeWorkflowExecution", describe_request("a"))}) {
    ASSERT_TRUE(call->answered());
    ASSERT_FALSE(call->answer->has_value());
    EXPECT_EQ(call->answer->error().code, base::Code::kUnavailable);
  }
}

TEST(E1, WhatWasAcknowledgedIsThereAfterACrash) {
  World world;
  for (int i = 0; i < 50; ++i) {
    const std::string id = "wf-" + std::to_string(i);
    ASSERT_TRUE(world.call<wfs::StartWorkflowExecutionResponse>("StartWorkflowExecution", start_request(id)));
    ASSERT_TRUE(
        world.call<wfs::SignalWorkflowExecutionResponse>("SignalWorkflowExecution", signal_request(id, "s")));
    if (i % 7 == 0) world.advance(seconds(2));  // some are projected, some only in the log
  }
  world.crash();
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(
        history_types(world, "wf-" + std::to_string(i)),
        (std::vector{enums::EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, enums::EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
                     enums::EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED}));
  }
  wfs::CountWorkflowExecutionsRequest count;
  count.set_namespace_("default");
  EXPECT_EQ(world.call<wfs::CountWorkflowExecutionsResponse>("CountWorkflowExecutions", count)->count(), 50);
}

// ---- E4: the id is the unit
// -----------------------------------------------------------------------------------------------------

TEST(E4, AColdLoadDelaysNobodyElse) {
  World world;
  ASSERT_TRUE(
      world.call<wfs::StartWorkflowExecutionResponse>("StartWorkflowExecution", start_request("cold")));
  world.advance(seconds(3));
  world.crash();
  const auto cold = std::make_shared<ClientCall>(describe_request("cold").SerializeAsString(), base::kNever);
  const auto other = std::make_shared<ClientCall>(start_request("other").SerializeAsString(), base::kNever);
  world.methods().dispatch("/temporal.api.workflowservice.v1.WorkflowService/DescribeWorkflowExecution",
                           cold);
  world.methods().dispatch("/temporal.api.workflowservice.v1.WorkflowService/StartWorkflowExecution", other);
  world.scheduler.run_until_idle();
  EXPECT_TRUE(cold->answered());
  EXPECT_TRUE(other->answered());
}

TEST(E4, OneCurrentRunWhereverTheCrashFalls) {
  World world;
  auto request = start_request("chain");
  request.mutable_retry_policy()->set_maximum_attempts(3);
  ASSERT_TRUE(world.call<wfs::StartWorkflowExecutionResponse>("StartWorkflowExecution", request));
  for (int attempt = 1; attempt <= 3; ++attempt) {
    const auto task = world.call<wfs::PollWorkflowTaskQueueResponse>("PollWorkflowTaskQueue", poll_request());
    ASSERT_TRUE(task);
    ASSERT_FALSE(task->task_token().empty()) << attempt;
    world.crash();
    auto failing = completion(task->task_token());
    auto& command = *failing.add_commands();
    command.set_command_type(enums::COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION);
    command.mutable_fail_workflow_execution_command_attributes()
        ->mutable_failure()
        ->mutable_application_failure_info();
    ASSERT_TRUE(
        world.call<wfs::RespondWorkflowTaskCompletedResponse>("RespondWorkflowTaskCompleted", failing));
    world.crash();
    wfs::CountWorkflowExecutionsRequest running;
    running.set_namespace_("default");
    running.set_query("ExecutionStatus = 'Running'");
    EXPECT_EQ(world.call<wfs::CountWorkflowExecutionsResponse>("CountWorkflowExecutions", running)->count(),
              attempt < 3 ? 1 : 0);
    world.advance(seconds(10));
  }
}

// ---- E6: tasks and wakes are found again
// ----------------------------------------------------------------------------------------

TEST(E6, TasksAndTimersSurviveProjectionAndCrash) {
  World world;
  ASSERT_TRUE(world.call<wfs::StartWorkflowExecutionResponse>("StartWorkflowExecution", start_request("a")));
  const auto task = world.call<wfs::PollWorkflowTaskQueueResponse>("PollWorkflowTaskQueue", poll_request());
  auto commands = completion(task->task_token());
  add_activity(commands, "a1", seconds(10));
  auto& timer = *commands.add_commands();
  timer.set_command_type(enums::COMMAND_TYPE_START_TIMER);
  timer.mutable_start_timer_command_attributes()->set_timer_id("t");
  timer.mutable_start_timer_command_attributes()->mutable_start_to_fire_timeout()->set_seconds(100);
  ASSERT_TRUE(
      world.call<wfs::RespondWorkflowTaskCompletedResponse>("RespondWorkflowTaskCompleted", commands));
  world.advance(seconds(5));  // projected
  world.crash();              // nothing is in memory: only the indexes know
  const auto activity = world.start("PollActivityTaskQueue", activity_poll());
  EXPECT_EQ(answer_of<wfs::PollActivityTaskQueueResponse>(*activity).activity_id(), "a1");
  world.crash();
  world.advance(seconds(200));
  const auto types = history_types(world, "a");
  EXPECT_NE(std::find(types.begin(), types.end(), enums::EVENT_TYPE_TIMER_FIRED), types.end());
}

TEST(E6, AColdTimerFiresOnTime) {
  World world;
  auto request = start_request("delayed");
  request.mutable_workflow_start_delay()->set_seconds(3600);
  ASSERT_TRUE(world.call<wfs::StartWorkflowExecutionResponse>("StartWorkflowExecution", request));
  world.advance(seconds(5));
  world.crash();
  world.advance(seconds(3590));
  EXPECT_EQ(history_types(world, "delayed").size(), 1u);
  world.crash();
  world.advance(seconds(6));
  EXPECT_EQ(history_types(world, "delayed").size(), 2u);
}

TEST(E6, AProjectionStandsForExactlyItsPosition) {
  // A flush in the middle of a busy turn: what is decided after it belongs to the next group.
  World world;
  for (int round = 0; round < 20; ++round) {
    std::vector<std::shared_ptr<ClientCall>> calls;
    const auto issue = [&](std::string_view method, const google::protobuf::Message& request) {
      calls.push_back(std::make_shared<ClientCall>(request.SerializeAsString(), base::kNever));
      world.methods().dispatch(std::string(frontend::kWorkflowService) + std::string(method), calls.back());
    };
    const std::string id = "wf-" + std::to_string(round);
    issue("StartWorkflowExecution", start_request(id));
    world.scheduler.run_until_idle();
    world.clock.advance(seconds(1) - std::chrono::nanoseconds(1));  // the flush is due within the next turns
    for (int i = 0; i < 10; ++i) {
      issue("SignalWorkflowExecution", signal_request(id, "s" + std::to_string(i)));
      wfs::CountWorkflowExecutionsRequest count;
      count.set_namespace_("default");
      issue("CountWorkflowExecutions", count);  // flushes visibility in the same turn
      if (i == 5) world.clock.advance(std::chrono::nanoseconds(1));
    }
    world.scheduler.run_until_idle();
    world.crash();
    EXPECT_EQ(history_types(world, id).size(), 12u);
  }
}

// ---- E7: one effect on another id, whatever crashes
// ------------------------------------------------------------------------------

TEST(E7, AnExternalSignalArrivesOnce) {
  for (int crash_after = 0; crash_after < 3; ++crash_after) {
    World world;
    ASSERT_TRUE(
        world.call<wfs::StartWorkflowExecutionResponse>("StartWorkflowExecution", start_request("sender")));
    ASSERT_TRUE(world.call<wfs::StartWorkflowExecutionResponse>("StartWorkflowExecution",
                                                                start_request("target", "other")));
    const auto task = world.call<wfs::PollWorkflowTaskQueueResponse>("PollWorkflowTaskQueue", poll_request());
    auto commands = completion(task->task_token());
    add_external_signal(commands, "target");
    if (crash_after == 0) world.store().hold_appends();  // the effect itself is lost with the crash
    const auto sent = world.start("RespondWorkflowTaskCompleted", commands);
    if (crash_after == 0) {
      EXPECT_FALSE(sent->answered());
      world.crash();
      ASSERT_TRUE(
          world.call<wfs::RespondWorkflowTaskCompletedResponse>("RespondWorkflowTaskCompleted", commands));
    }
    if (crash_after == 2) world.advance(seconds(3));
    world.crash();
    world.advance(seconds(60));
    const auto received = history_types(world, "target");
    EXPECT_EQ(std::count(received.begin(), received.end(), enums::EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED), 1);
    const auto sender = history_types(world, "sender");
    EXPECT_EQ(
        std::count(sender.begin(), sender.end(), enums::EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED), 1);
  }
}

// ---- E16: a reserved poll loses nothing
// ------------------------------------------------------------------------------------------

TEST(E16, APollWhoseClientLeftGivesItsTaskBack) {
  World world;
  world.store().hold_appends();
  const auto start = world.start("StartWorkflowExecution", start_request("a"));
  const auto gone = world.start("PollWorkflowTaskQueue", poll_request());
  gone->leave();
  const auto next = world.start("PollWorkflowTaskQueue", poll_request());
  world.store().release_appends();
  world.scheduler.run_until_idle();
  world.advance(std::chrono::milliseconds(100));
  EXPECT_TRUE(next->answered());
  EXPECT_FALSE(answer_of<wfs::PollWorkflowTaskQueueResponse>(*next).task_token().empty());
}

TEST(E16, AnActivityIsNotLostWithItsPoll) {
  World world;
  ASSERT_TRUE(world.call<wfs::StartWorkflowExecutionResponse>("StartWorkflowExecution", start_request("a")));
  const auto task = world.call<wfs::PollWorkflowTaskQueueResponse>("PollWorkflowTaskQueue", poll_request());
  const auto gone = world.start("PollActivityTaskQueue", activity_poll());
  world.store().hold_appends();
  auto commands = completion(task->task_token());
  add_activity(commands, "a1", seconds(3600));
  const auto completed = world.start("RespondWorkflowTaskCompleted", commands);
  gone->leave();
  const auto next = world.start("PollActivityTaskQueue", activity_poll());
  world.store().release_appends();
  world.scheduler.run_until_idle();
  world.advance(std::chrono::milliseconds(100));
  const auto activity = answer_of<wfs::PollActivityTaskQueueResponse>(*next);
  EXPECT_EQ(activity.activity_id(), "a1");
  EXPECT_EQ(activity.attempt(), 1);  // the attempt was not consumed
}

// ---- E17: a token names the attempt it was issued for
// -----------------------------------------------------------------------------

TEST(E17, ATokenOfALostStartIsWorthless) {
  World world;
  ASSERT_TRUE(world.call<wfs::StartWorkflowExecutionResponse>("StartWorkflowExecution", start_request("a")));
  const auto first = world.call<wfs::PollWorkflowTaskQueueResponse>("PollWorkflowTaskQueue", poll_request());
  world.advance(seconds(11));  // it times out; the next attempt has the same ids but for the nonce
  const auto second = world.call<wfs::PollWorkflowTaskQueueResponse>("PollWorkflowTaskQueue", poll_request());
  ASSERT_FALSE(second->task_token().empty());
  auto old = completion(first->task_token());
  add_completion(old);
  const auto refused =
      world.call<wfs::RespondWorkflowTaskCompletedResponse>("RespondWorkflowTaskCompleted", old);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, base::Code::kNotFound);
  auto altered = second->task_token();
  altered.back() = static_cast<char>(altered.back() ^ 1);
  EXPECT_EQ(world
                .call<wfs::RespondWorkflowTaskCompletedResponse>("RespondWorkflowTaskCompleted",
                                                                 completion(altered))
                .error()
                .code,
            base::Code::kInvalidArgument);
  auto current = completion(second->task_token());
  add_completion(current);
  world.crash();  // tokens outlive the process
  EXPECT_TRUE(world.call<wfs::RespondWorkflowTaskCompletedResponse>("RespondWorkflowTaskCompleted", current));
}

}  // namespace
}  // namespace perdure::engine
