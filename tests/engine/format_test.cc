// E14: what was written once is read for ever; what is not understood stops the start; time does not go back.
#include <gtest/gtest.h>

#include <fstream>

#include "proto/internal/record.pb.h"
#include "tests/engine/answers.h"
#include "tests/engine/golden_directory.h"

namespace perdure::engine {
namespace {

using base::Code;

std::string frozen_digest() {
  std::ifstream in(ENGINE_TESTDATA "/format-1.digest");
  std::string digest;
  in >> digest;
  return digest;
}

TEST(E14, TheDirectoryOfFormat1LoadsToTheSameState) {
  const auto disk = load_directory(ENGINE_TESTDATA "/format-1");
  {
    World world({.local = true, .start = kGoldenTime, .lives = 10, .disk = disk});
    EXPECT_GT(world.any_store().cursor(), 0u);                        // some of it comes from the projection,
    EXPECT_GT(world.any_store().statistics().unprojected_bytes, 0u);  // some from the log
    EXPECT_EQ(golden_digest(world), frozen_digest());
    world.advance(seconds(3));  // written behind, by the present version
    const std::string later = golden_digest(world);
    world.crash();
    EXPECT_EQ(golden_digest(world), later);
  }
}

TEST(E14, TheDirectoryOfFormat1GoesOn) {
  World world({.local = true,
               .start = kGoldenTime,
               .lives = 10,
               .disk = load_directory(ENGINE_TESTDATA "/format-1")});
  // The timer of a day, and the activity that nobody completes, end in their time.
  world.advance(std::chrono::hours(25));
  const auto timer = history_types(world, "golden-1");
  EXPECT_NE(std::ranges::find(timer, enums::EVENT_TYPE_TIMER_FIRED), timer.end());
  ASSERT_TRUE(
      world.call<wfs::StartWorkflowExecutionResponse>("StartWorkflowExecution", start_request("new")));
}

TEST(E14, ARecordOfAnUnknownTypeStopsTheStartAndIsNamed) {
  World world;
  ASSERT_TRUE(world.call<wfs::StartWorkflowExecutionResponse>("StartWorkflowExecution", start_request("id")));
  internal::v1::Group group;
  auto& records = *group.add_units();
  records.set_namespace_id("some");
  records.set_kind(1);
  records.set_id("id");
  auto& record = *records.add_records();
  record.set_run_id("run");
  record.GetReflection()->MutableUnknownFields(&record)->AddLengthDelimited(777, "from the future");
  world.die();
  world.plant(group.SerializeAsString());
  const base::Status begun = world.begin();
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().code, Code::kDataLoss);
  EXPECT_NE(begun.error().message.find("type 777"), std::string::npos) << begun.error().message;
}

TEST(E14, TimeDoesNotGoBackForAnIdWhenTheClockDoes) {
  std::shared_ptr<base::SimDisk> disk;
  const base::Time late{seconds(1'700'000'000)};
  {
    World world({.local = true, .start = late});
    ASSERT_TRUE(
        world.call<wfs::StartWorkflowExecutionResponse>("StartWorkflowExecution", start_request("id")));
    disk = world.disk().copy(1);
  }
  disk->crash(base::Crash::kDropUnsynced);
  World world({.local = true, .start = late - std::chrono::hours(1), .lives = 1, .disk = disk});
  ASSERT_TRUE(
      world.call<wfs::SignalWorkflowExecutionResponse>("SignalWorkflowExecution", signal_request("id", "s")));
  const auto task = world.call<wfs::PollWorkflowTaskQueueResponse>("PollWorkflowTaskQueue", poll_request());
  ASSERT_TRUE(task && !task->task_token().empty());
  auto done = completion(task->task_token());
  add_completion(done);
  ASSERT_TRUE(world.call<wfs::RespondWorkflowTaskCompletedResponse>("RespondWorkflowTaskCompleted", done));
  const auto response = world.call<wfs::GetWorkflowExecutionHistoryResponse>("GetWorkflowExecutionHistory",
                                                                             history_request("id"));
  ASSERT_TRUE(response);
  ASSERT_EQ(response->history().events_size(), 6);
  for (const auto& event : response->history().events())
    EXPECT_GE(event.event_time().seconds(), late.time_since_epoch() / seconds(1)) << event.ShortDebugString();
}

}  // namespace
}  // namespace perdure::engine
