// E1 and E9 with the real shell on the local store: what leaves, when, and what is there afterwards.
#include <gtest/gtest.h>

#include "base/random.h"
#include "tests/engine/answers.h"
#include "tests/engine/world.h"

namespace perdure::engine {
namespace {

using base::Code;
using base::Crash;
using std::chrono::milliseconds;

base::Result<wfs::StartWorkflowExecutionResponse> begin_workflow(World& world, const std::string& id,
                                                                 const std::string& queue = "tq") {
  return world.call<wfs::StartWorkflowExecutionResponse>("StartWorkflowExecution", start_request(id, queue));
}

wfs::QueryWorkflowRequest query_request(const std::string& id) {
  wfs::QueryWorkflowRequest request;
  request.set_namespace_("default");
  request.mutable_execution()->set_workflow_id(id);
  request.mutable_query()->set_query_type("q");
  return request;
}

// ---- E1: a disk whose sync never returns ---------------------------------------------------------------

// One random command about an id that was written to since the disk stands still.
std::shared_ptr<ClientCall> any_command(World& world, base::Random& random, const std::string& id) {
  switch (random.below(13)) {
    case 0: return world.issue("StartWorkflowExecution", start_request(id));  // a repeat
    case 1: {
      auto other = start_request(id);
      other.set_request_id("another");
      return world.issue("StartWorkflowExecution", other);
    }
    case 2: return world.issue("SignalWorkflowExecution", signal_request(id, std::to_string(random.next())));
    case 3: return world.issue("DescribeWorkflowExecution", describe_request(id));
    case 4: return world.issue("GetWorkflowExecutionHistory", history_request(id));
    case 5: return world.issue("GetWorkflowExecutionHistory", history_request(id, true));
    case 6: {
      wfs::ListWorkflowExecutionsRequest list;
      list.set_namespace_("default");
      return world.issue("ListWorkflowExecutions", list);
    }
    case 7: {
      wfs::CountWorkflowExecutionsRequest count;
      count.set_namespace_("default");
      return world.issue("CountWorkflowExecutions", count);
    }
    case 8: return world.issue("QueryWorkflow", query_request(id), seconds(5));
    case 9: {
      wfs::TerminateWorkflowExecutionRequest terminate;
      terminate.set_namespace_("default");
      terminate.mutable_workflow_execution()->set_workflow_id(id);
      return world.issue("TerminateWorkflowExecution", terminate);
    }
    case 10: {
      wfs::RequestCancelWorkflowExecutionRequest cancel;
      cancel.set_namespace_("default");
      cancel.mutable_workflow_execution()->set_workflow_id(id);
      return world.issue("RequestCancelWorkflowExecution", cancel);
    }
    case 11: {
      wfs::SignalWithStartWorkflowExecutionRequest both;
      both.set_namespace_("default");
      both.set_workflow_id(id);
      both.mutable_workflow_type()->set_name("T");
      both.mutable_task_queue()->set_name("tq");
      both.set_signal_name("s");
      return world.issue("SignalWithStartWorkflowExecution", both);
    }
    default: {
      wfs::DeleteWorkflowExecutionRequest remove;
      remove.set_namespace_("default");
      remove.mutable_workflow_execution()->set_workflow_id(id);
      return world.issue("DeleteWorkflowExecution", remove);
    }
  }
}

TEST(E1, NothingLeavesADiskWhoseSyncNeverReturns) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    World world({.local = true, .seed = seed, .loops = 1 + static_cast<int>(seed % 2)});
    base::Random random(seed);
    ASSERT_TRUE(begin_workflow(world, "held"));
    const auto task = world.call<wfs::PollWorkflowTaskQueueResponse>("PollWorkflowTaskQueue", poll_request());
    ASSERT_TRUE(task && !task->task_token().empty());
    world.disk().hold_syncs();
    std::vector<std::shared_ptr<ClientCall>> calls;
    for (int i = 0; i < 4; ++i) {
      calls.push_back(world.issue("StartWorkflowExecution", start_request("new-" + std::to_string(i))));
      // gets a task, which may not leave
      calls.push_back(world.issue("PollWorkflowTaskQueue", poll_request()));
    }
    world.scheduler.run_until_idle();  // the starts are decided: whatever is asked from now on sees them
    auto commands = completion(task->task_token());
    add_activity(commands, "a", seconds(10));
    calls.push_back(world.issue("RespondWorkflowTaskCompleted", commands));
    calls.push_back(world.issue("PollActivityTaskQueue", activity_poll()));
    for (int n = 0; n < 80; ++n) {
      calls.push_back(any_command(world, random, "new-" + std::to_string(random.below(4))));
      if (random.below(2) == 0) world.scheduler.run_until_idle();
      if (random.below(10) == 0) world.advance(milliseconds(random.below(900)));
      // Validation looks at nothing.
      const auto invalid = world.start("StartWorkflowExecution", wfs::StartWorkflowExecutionRequest());
      ASSERT_TRUE(invalid->answered() && invalid->answer->error().code == Code::kInvalidArgument);
    }
    world.advance(seconds(6));  // queries run out of time, workflow tasks time out
    for (std::size_t i = 0; i < calls.size(); ++i) {
      ASSERT_FALSE(calls[i]->answered())
          << "seed " << seed << " call " << i << ": "
          << (calls[i]->answer->has_value() ? "OK" : calls[i]->answer->error().message);
    }
    world.crash();
    for (int i = 0; i < 4; ++i) {
      const auto gone =
          world.start("DescribeWorkflowExecution", describe_request("new-" + std::to_string(i)));
      ASSERT_TRUE(gone->answered() && !gone->answer->has_value());
      EXPECT_EQ(gone->answer->error().code, Code::kNotFound);
    }
  }
}

// ---- E1: each answer is explained by what was durable when it left -------------------------------------

struct Asked {
  std::string method, id;
  std::shared_ptr<ClientCall> call;
};

// What a server says that was started, at this moment, on what would survive a loss of power.
class Survivor {
 public:
  Survivor(World& original, std::uint64_t seed)
      : world_({.local = true,
                .seed = seed,
                .start = original.clock.now(),
                .lives = 100,
                .disk = copy_of(original, seed)}) {}

  std::optional<wfs::DescribeWorkflowExecutionResponse> describe(const std::string& id) {
    auto response = world_.call<wfs::DescribeWorkflowExecutionResponse>("DescribeWorkflowExecution",
                                                                        describe_request(id));
    if (!response) return std::nullopt;
    return *response;
  }
  wfs::GetWorkflowExecutionHistoryResponse history(const std::string& id) {
    auto response = world_.call<wfs::GetWorkflowExecutionHistoryResponse>("GetWorkflowExecutionHistory",
                                                                          history_request(id));
    return response ? *response : wfs::GetWorkflowExecutionHistoryResponse();
  }

 private:
  static std::shared_ptr<base::SimDisk> copy_of(World& original, std::uint64_t seed) {
    std::shared_ptr<base::SimDisk> disk = original.disk().copy(seed);
    disk->crash(Crash::kDropUnsynced);
    return disk;
  }
  World world_;
};

// Why the answer could not have been given by the server on what is durable; empty when it could.
std::string unexplained(Survivor& survivor, const Asked& asked) {
  const auto there = survivor.describe(asked.id);
  const bool running =
      there && there->workflow_execution_info().status() == enums::WORKFLOW_EXECUTION_STATUS_RUNNING;
  if (!asked.call->answer->has_value()) {
    const base::Error& error = asked.call->answer->error();
    if (error.code == Code::kNotFound) return running ? "NOT_FOUND, but it runs" : "";
    if (error.code == Code::kAlreadyExists) return there ? "" : "ALREADY_EXISTS, but it is not there";
    return error.message;
  }
  if (!there) return "it is not there";
  if (asked.method == "GetWorkflowExecutionHistory") {
    wfs::GetWorkflowExecutionHistoryResponse shown;
    shown.ParseFromString(**asked.call->answer);
    const auto kept = survivor.history(asked.id);
    if (kept.history().events_size() < shown.history().events_size())
      return "more events were shown than are durable";
    for (int i = 0; i < shown.history().events_size(); ++i) {
      if (shown.history().events(i).SerializeAsString() != kept.history().events(i).SerializeAsString())
        return "another event";
    }
  }
  if (asked.method == "DescribeWorkflowExecution") {
    wfs::DescribeWorkflowExecutionResponse shown;
    shown.ParseFromString(**asked.call->answer);
    if (shown.workflow_execution_info().history_length() > there->workflow_execution_info().history_length())
      return "a longer history was told than is durable";
    if (shown.workflow_execution_info().status() != enums::WORKFLOW_EXECUTION_STATUS_RUNNING && running)
      return "a close was told that is not durable";
  }
  if (asked.method == "TerminateWorkflowExecution" && running) return "a termination that is not durable";
  return {};
}

TEST(E1, EachAnswerIsExplainedByThePrefixThatWasDurableWhenItLeft) {
  int checked = 0;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    World world({.local = true, .seed = seed, .loops = 1 + static_cast<int>(seed % 2)});
    base::Random random(base::derive_seed(seed, 7));
    std::vector<Asked> open;
    bool holding = false;
    for (int n = 0; n < 150; ++n) {
      const std::string id = "id-" + std::to_string(random.below(6));
      switch (random.below(6)) {
        case 0:
          open.push_back(
              {"StartWorkflowExecution", id, world.issue("StartWorkflowExecution", start_request(id))});
          break;
        case 1:
          open.push_back({"SignalWorkflowExecution", id,
                          world.issue("SignalWorkflowExecution", signal_request(id, std::to_string(n)))});
          break;
        case 2: {
          wfs::TerminateWorkflowExecutionRequest request;
          request.set_namespace_("default");
          request.mutable_workflow_execution()->set_workflow_id(id);
          open.push_back(
              {"TerminateWorkflowExecution", id, world.issue("TerminateWorkflowExecution", request)});
          break;
        }
        case 3:
          open.push_back({"DescribeWorkflowExecution", id,
                          world.issue("DescribeWorkflowExecution", describe_request(id))});
          break;
        default:
          open.push_back({"GetWorkflowExecutionHistory", id,
                          world.issue("GetWorkflowExecutionHistory", history_request(id))});
          break;
      }
      world.scheduler.run_until_idle(1 + random.below(12));
      if (random.below(4) == 0) {
        holding ? world.disk().release_syncs() : world.disk().hold_syncs();
        holding = !holding;
      }
      if (random.below(8) == 0 && !holding) world.advance(milliseconds(random.below(700)));
      if (std::ranges::none_of(open, [](const Asked& asked) { return asked.call->answered(); })) continue;
      Survivor survivor(world, seed * 1000 + static_cast<std::uint64_t>(n));
      std::erase_if(open, [&](const Asked& asked) {
        if (!asked.call->answered()) return false;
        ++checked;
        const std::string why = unexplained(survivor, asked);
        EXPECT_EQ(why, "") << asked.method << " of " << asked.id << ", seed " << seed << " step " << n;
        return true;
      });
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(checked, 400);
}

// ---- E9 ------------------------------------------------------------------------------------------------

TEST(E9, AFailedSyncEndsTheServerAndASecondOneThatWouldSucceedIsNotBelieved) {
  World world({.local = true});
  ASSERT_TRUE(begin_workflow(world, "before"));
  const auto waiting = world.start("GetWorkflowExecutionHistory", history_request("before", true));
  world.disk().fail_next_sync();
  const auto start = world.start("StartWorkflowExecution", start_request("lost"));
  ASSERT_TRUE(start->answered() && !start->answer->has_value());
  EXPECT_EQ(start->answer->error().code, Code::kUnavailable);
  EXPECT_TRUE(world.fatal());
  // Who waits is told at once, and nothing is answered from memory any more, though the disk works again.
  ASSERT_TRUE(waiting->answered() && !waiting->answer->has_value());
  EXPECT_EQ(waiting->answer->error().code, Code::kUnavailable);
  for (const std::string id : {"lost", "before", "another"}) {
    const auto call = world.start("StartWorkflowExecution", start_request(id));
    ASSERT_TRUE(call->answered() && !call->answer->has_value());
    EXPECT_EQ(call->answer->error().code, Code::kUnavailable);
  }
  world.crash();
  EXPECT_EQ(history_types(world, "before").size(), 2u);
  const auto gone = world.start("DescribeWorkflowExecution", describe_request("lost"));
  ASSERT_TRUE(gone->answered() && !gone->answer->has_value());
  EXPECT_EQ(gone->answer->error().code, Code::kNotFound);
  EXPECT_TRUE(begin_workflow(world, "lost"));
}

// What was acknowledged before may be in no row yet, and will never be in one of this process.
TEST(E11, NothingIsListedAfterTheLogHasEnded) {
  for (const int loops : {1, 2}) {
    World world({.local = true, .loops = loops});
    ASSERT_TRUE(begin_workflow(world, "acknowledged"));
    world.disk().fail_next_sync();
    ASSERT_FALSE(begin_workflow(world, "lost"));
    wfs::ListWorkflowExecutionsRequest list;
    list.set_namespace_("default");
    const auto listed = world.call<wfs::ListWorkflowExecutionsResponse>("ListWorkflowExecutions", list);
    ASSERT_FALSE(listed);
    EXPECT_EQ(listed.error().code, Code::kUnavailable);
  }
}

TEST(E9, WhatRecoveryHasShownSurvivesALossOfPower) {
  World world({.local = true});
  ASSERT_TRUE(begin_workflow(world, "old"));
  world.disk().hold_syncs();
  const auto start = world.start("StartWorkflowExecution", start_request("in the page cache"));
  const auto signal = world.start("SignalWorkflowExecution", signal_request("old", "s"));
  EXPECT_FALSE(start->answered());
  EXPECT_FALSE(signal->answered());
  world.crash(Crash::kKeepAll);  // the process dies, the machine lives: the next one finds what was written
  const auto first = world.start("DescribeWorkflowExecution", describe_request("in the page cache"));
  ASSERT_TRUE(first->answered() && first->answer->has_value());
  const std::size_t shown = history_types(world, "old").size();
  world.crash(Crash::kDropUnsynced);
  const auto second = world.start("DescribeWorkflowExecution", describe_request("in the page cache"));
  ASSERT_TRUE(second->answered());
  EXPECT_TRUE(second->answer->has_value());
  EXPECT_EQ(history_types(world, "old").size(), shown);
}

}  // namespace
}  // namespace perdure::engine
