// E12: an id whose rules break is put aside alone, for as long as it is there: shown, readable, deletable.
#include <gtest/gtest.h>

#include "proto/internal/record.pb.h"
#include "server/store/memory/memory_content.h"
#include "temporal/api/workflowservice/v1/request_response.pb.h"
#include "tests/engine/world.h"

namespace perdure::engine {
namespace {

namespace wfs = temporal::api::workflowservice::v1;
namespace pb = internal::v1;
using std::chrono::seconds;

base::Result<wfs::StartWorkflowExecutionResponse> start(World& world, const std::string& id) {
  wfs::StartWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.set_workflow_id(id);
  request.mutable_workflow_type()->set_name("T");
  request.mutable_task_queue()->set_name("tq");
  request.set_request_id("start-" + id);
  return world.call<wfs::StartWorkflowExecutionResponse>("StartWorkflowExecution", request);
}

base::Result<wfs::DescribeWorkflowExecutionResponse> describe(World& world, const std::string& id,
                                                              const std::string& run = {}) {
  wfs::DescribeWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.mutable_execution()->set_workflow_id(id);
  request.mutable_execution()->set_run_id(run);
  return world.call<wfs::DescribeWorkflowExecutionResponse>("DescribeWorkflowExecution", request);
}

base::Result<wfs::SignalWorkflowExecutionResponse> signal(World& world, const std::string& id,
                                                          const std::string& request_id) {
  wfs::SignalWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.mutable_workflow_execution()->set_workflow_id(id);
  request.set_signal_name("s");
  request.set_request_id(request_id);
  return world.call<wfs::SignalWorkflowExecutionResponse>("SignalWorkflowExecution", request);
}

base::Result<wfs::DeleteWorkflowExecutionResponse> remove(World& world, const std::string& id) {
  wfs::DeleteWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.mutable_workflow_execution()->set_workflow_id(id);
  return world.call<wfs::DeleteWorkflowExecutionResponse>("DeleteWorkflowExecution", request);
}

int history_length(World& world, const std::string& id, const std::string& run = {}) {
  wfs::GetWorkflowExecutionHistoryRequest request;
  request.set_namespace_("default");
  request.mutable_execution()->set_workflow_id(id);
  request.mutable_execution()->set_run_id(run);
  const auto response =
      world.call<wfs::GetWorkflowExecutionHistoryResponse>("GetWorkflowExecutionHistory", request);
  EXPECT_TRUE(response) << (response ? "" : response.error().message);
  return response ? response->history().events_size() : -1;
}

template <class Info>
std::string problems(const Info& info) {
  const auto& fields = info.search_attributes().indexed_fields();
  const auto found = fields.find("TemporalReportedProblems");
  return found == fields.end() ? "" : found->second.data();
}

// What List says of the id: its problems; "none" without a row, "fine" without problems.
std::string listed(World& world, const std::string& id) {
  wfs::ListWorkflowExecutionsRequest request;
  request.set_namespace_("default");
  request.set_query("WorkflowId = '" + id + "'");
  const auto response = world.call<wfs::ListWorkflowExecutionsResponse>("ListWorkflowExecutions", request);
  EXPECT_TRUE(response);
  if (!response || response->executions_size() == 0) return "none";
  const std::string text = problems(response->executions(0));
  return text.empty() ? "fine" : text;
}

std::string namespace_id(World& world) {
  wfs::DescribeNamespaceRequest request;
  request.set_namespace_("default");
  return world.call<wfs::DescribeNamespaceResponse>("DescribeNamespace", request)->namespace_info().id();
}

pb::UnitRecords& of_unit(World& world, pb::Group& group, const std::string& id) {
  pb::UnitRecords& records = *group.add_units();
  records.set_namespace_id(namespace_id(world));
  records.set_kind(1);
  records.set_id(id);
  return records;
}

using Spoil = std::function<void(pb::UnitRecords& records, const std::string& run_id)>;

const std::vector<std::pair<const char*, Spoil>> kImpossible = {
    {"a timer that never started is removed",
     [](pb::UnitRecords& records, const std::string& run_id) {
       auto& record = *records.add_records();
       record.set_run_id(run_id);
       record.set_remove_timer("never started");
     }},
    {"the run claims a history that it does not have",
     [](pb::UnitRecords& records, const std::string& run_id) {
       auto& record = *records.add_records();
       record.set_run_id(run_id);
       record.mutable_progress()->set_status(1);
       record.mutable_progress()->set_next_event_id(1'000);
     }},
    {"an event with a number of its own",
     [](pb::UnitRecords& records, const std::string& run_id) {
       auto& record = *records.add_records();
       record.set_run_id(run_id);
       record.mutable_event()->set_event_id(77);
     }},
    {"a run that was never started",
     [](pb::UnitRecords& records, const std::string&) {
       auto& record = *records.add_records();
       record.set_run_id("11111111-1111-4111-8111-111111111111");
       record.mutable_progress()->set_status(1);
     }},
    {"a record of runs, of no run",
     [](pb::UnitRecords& records, const std::string&) {
       records.add_records()->set_remove_timer("nothing");
     }},
};

class E12Planted : public testing::TestWithParam<std::size_t> {};

// Planted into the log, through recovery, projection and another start, to its deletion; `projected`: what came before it was.
TEST_P(E12Planted, IsShownReadAndDeletedAloneAndTheLogIsTrimmed) {
  for (const bool projected : {false, true}) {
    SCOPED_TRACE(std::string(kImpossible[GetParam()].first) + (projected ? ", projected" : ""));
    World world;
    ASSERT_TRUE(start(world, "good"));
    const auto bad = start(world, "bad");
    ASSERT_TRUE(bad);
    ASSERT_TRUE(signal(world, "bad", "before"));
    if (projected) world.advance(seconds(3));
    pb::Group group;
    kImpossible[GetParam()].second(of_unit(world, group, "bad"), bad->run_id());
    world.crash_and_plant(group.SerializeAsString());
    for (int life = 0; life < 3; ++life) {
      EXPECT_EQ(world.quarantined(), 1u);
      EXPECT_EQ(history_length(world, "good"), 2);
      EXPECT_EQ(listed(world, "good"), "fine");
      const auto shown = describe(world, "bad");
      ASSERT_TRUE(shown) << shown.error().message;
      EXPECT_EQ(shown->workflow_execution_info().execution().workflow_id(), "bad");
      EXPECT_NE(problems(shown->workflow_execution_info()).find("category=Quarantined"), std::string::npos);
      EXPECT_NE(problems(shown->workflow_execution_info()).find("cause="), std::string::npos);
      EXPECT_NE(listed(world, "bad").find("category=Quarantined"), std::string::npos) << listed(world, "bad");
      EXPECT_EQ(history_length(world, "bad"), 3);
      const auto refused = signal(world, "bad", "after");
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, base::Code::kFailedPrecondition);
      EXPECT_NE(refused.error().message.find("quarantined"), std::string::npos);
      EXPECT_FALSE(start(world, "bad"));
      ASSERT_TRUE(start(world, "another " + std::to_string(life)));
      world.advance(seconds(5));
      EXPECT_TRUE(world.content().groups.empty()) << "the cursor does not pass the quarantined id";
      world.crash();
    }
    ASSERT_TRUE(remove(world, "bad"));
    EXPECT_EQ(world.quarantined(), 0u);
    EXPECT_EQ(listed(world, "bad"), "none");
    EXPECT_EQ(describe(world, "bad").error().code, base::Code::kNotFound);
    world.crash();  // with the deletion in the log alone
    EXPECT_EQ(world.quarantined(), 0u);
    EXPECT_EQ(describe(world, "bad", bad->run_id()).error().code, base::Code::kNotFound);
    world.advance(seconds(5));
    EXPECT_TRUE(world.content().groups.empty());
    const auto key = store::UnitKey{namespace_id(world), store::Kind::kWorkflow, "bad"};
    EXPECT_FALSE(world.content().units.contains(key));
    const auto again = start(world, "bad");
    ASSERT_TRUE(again);
    EXPECT_NE(again->run_id(), bad->run_id());
    world.advance(seconds(5));
    world.crash();
    EXPECT_EQ(history_length(world, "bad"), 2);
    EXPECT_EQ(listed(world, "bad"), "fine");
  }
}

INSTANTIATE_TEST_SUITE_P(Records, E12Planted, testing::Range<std::size_t>(0, 5));

TEST(E12, AnIdIsUsedAgainBeforeItsDeletionIsProjected) {
  World world;
  const auto bad = start(world, "bad");
  ASSERT_TRUE(bad);
  world.advance(seconds(3));
  pb::Group group;
  kImpossible[0].second(of_unit(world, group, "bad"), bad->run_id());
  world.crash_and_plant(group.SerializeAsString());
  ASSERT_TRUE(remove(world, "bad"));
  const auto again = start(world, "bad");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(describe(world, "bad", bad->run_id()).error().code, base::Code::kNotFound);
  EXPECT_EQ(listed(world, "bad"), "fine");
  world.crash();
  EXPECT_EQ(describe(world, "bad")->workflow_execution_info().execution().run_id(), again->run_id());
  world.advance(seconds(3));
  EXPECT_TRUE(world.content().groups.empty());
  EXPECT_EQ(describe(world, "bad", bad->run_id()).error().code, base::Code::kNotFound);
  world.crash();
  EXPECT_EQ(describe(world, "bad", bad->run_id()).error().code, base::Code::kNotFound);
  EXPECT_EQ(listed(world, "bad"), "fine");
  EXPECT_EQ(history_length(world, "bad"), 2);
}

// Damage in what is stored, not in the log: of a run, and of the head.
TEST(E12, WhatCannotBeReadIsShownReadAndDeleted) {
  for (const bool head : {false, true}) {
    SCOPED_TRACE(head ? "head" : "run");
    World world;
    const auto bad = start(world, "bad");
    ASSERT_TRUE(bad);
    ASSERT_TRUE(start(world, "good"));
    world.advance(seconds(3));
    auto& unit = world.content().units.at({namespace_id(world), store::Kind::kWorkflow, "bad"});
    (head ? unit.head : unit.runs.at(bad->run_id()).snapshot) = "\x0f not a message";
    world.crash();
    for (int life = 0; life < 2; ++life) {
      const auto shown = describe(world, "bad");
      ASSERT_TRUE(shown) << shown.error().message;
      EXPECT_NE(problems(shown->workflow_execution_info()).find("category=Quarantined"), std::string::npos);
      world.advance(seconds(3));
      EXPECT_NE(listed(world, "bad").find("category=Quarantined"), std::string::npos) << listed(world, "bad");
      EXPECT_EQ(history_length(world, "bad", bad->run_id()), 2);
      EXPECT_EQ(world.quarantined(), 1u);
      EXPECT_TRUE(world.content().groups.empty());
      world.crash();
    }
    ASSERT_TRUE(remove(world, "bad"));
    world.advance(seconds(3));
    EXPECT_EQ(listed(world, "bad"), "none");
    EXPECT_EQ(world.quarantined(), 0u);
    EXPECT_FALSE(world.content().units.contains({namespace_id(world), store::Kind::kWorkflow, "bad"}));
    EXPECT_EQ(history_length(world, "good"), 2);
  }
}

TEST(E12, TasksOfAQuarantinedIdAreNotDispatched) {
  World world;
  const auto bad = start(world, "bad");
  ASSERT_TRUE(bad);
  ASSERT_TRUE(start(world, "good"));
  world.advance(seconds(3));
  pb::Group group;
  kImpossible[0].second(of_unit(world, group, "bad"), bad->run_id());
  world.crash_and_plant(group.SerializeAsString());
  for (int i = 0; i < 2; ++i) {
    wfs::PollWorkflowTaskQueueRequest request;
    request.set_namespace_("default");
    request.mutable_task_queue()->set_name("tq");
    const auto task = world.start("PollWorkflowTaskQueue", request);
    wfs::PollWorkflowTaskQueueResponse response;
    if (task->answered()) {
      ASSERT_TRUE(response.ParseFromString(task->answer->value()));
    }
    EXPECT_EQ(response.workflow_execution().workflow_id(), i == 0 ? "good" : "");
  }
}

int remembered(World& world, const std::string& id) {
  world.advance(seconds(3));  // projected
  pb::Records head;
  EXPECT_TRUE(
      head.ParseFromString(world.content().units.at({namespace_id(world), store::Kind::kWorkflow, id}).head));
  return static_cast<int>(std::count_if(head.records().begin(), head.records().end(),
                                        [](const pb::Record& record) { return record.has_received(); }));
}

// E7: the receiver of a signal remembers it until it is told to forget; also when the sender breaks first.
TEST(E7, ABrokenSenderThatIsDeletedIsForgottenByItsReceivers) {
  for (const bool outcome_recorded : {false, true}) {
    SCOPED_TRACE(outcome_recorded ? "outcome recorded" : "delivered");
    World world;
    const auto sender = start(world, "sender");
    ASSERT_TRUE(sender);
    ASSERT_TRUE(start(world, "receiver"));
    pb::Group group;
    auto& owing = *of_unit(world, group, "sender").add_records();
    owing.set_run_id(sender->run_id());
    owing.mutable_external()->set_initiated_id(2);
    owing.mutable_external()->set_kind(1);
    owing.mutable_external()->set_namespace_id(namespace_id(world));
    owing.mutable_external()->set_workflow_id("receiver");
    owing.mutable_external()->set_outcome_recorded(outcome_recorded);
    of_unit(world, group, "receiver").add_records()->mutable_received()->set_key(sender->run_id() + "/2");
    kImpossible[0].second(of_unit(world, group, "sender"), sender->run_id());
    world.crash_and_plant(group.SerializeAsString());
    EXPECT_EQ(remembered(world, "receiver"), 1);
    EXPECT_EQ(world.quarantined(), 1u);
    world.crash();
    ASSERT_TRUE(remove(world, "sender"));
    world.crash();
    EXPECT_EQ(remembered(world, "receiver"), 0);
    EXPECT_EQ(describe(world, "sender").error().code, base::Code::kNotFound);
    EXPECT_EQ(history_length(world, "receiver"), 2);
  }
}

// The log holds the end of a unit that the projection, ahead of its cursor, has dropped already.
TEST(E12, ADeletedIdThatTheProjectionHasForgottenIsNotBroken) {
  World world;
  ASSERT_TRUE(start(world, "gone"));
  world.advance(seconds(3));
  ASSERT_TRUE(signal(world, "gone", "s"));
  ASSERT_TRUE(remove(world, "gone"));
  const auto groups = world.content().groups;
  const auto cursor = world.content().cursor;
  world.advance(seconds(3));
  world.content().groups = groups;
  world.content().cursor = cursor;
  world.crash();
  world.advance(seconds(3));
  EXPECT_EQ(world.quarantined(), 0u);
  EXPECT_EQ(describe(world, "gone").error().code, base::Code::kNotFound);
  EXPECT_TRUE(world.content().groups.empty());
  EXPECT_TRUE(start(world, "gone"));
}

}  // namespace
}  // namespace perdure::engine
