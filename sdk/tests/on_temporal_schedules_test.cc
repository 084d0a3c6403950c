// Schedules, against Temporal's server.
#include <chrono>

#include <perdure/schedules.h>

#include "sdk/tests/on_server.h"

namespace on_temporal_schedules {  // named: g++ 12 warns about coroutines of unnamed ones

using namespace perdure;

Task<std::string> greets(Context, std::string name) {
  co_return "Hello, " + name;
}

class Schedules : public OnServer {
 protected:
  Schedule hourly() const {
    return {.action = starts<&greets>({.id = queue() + "-greeting", .task_queue = queue()}, "Ann"),
            .spec = {.intervals = {{1h, 5min}}},
            .policy = {.overlap = OverlapPolicy::kAllowAll},
            .note = "for the test",
            .paused = true};
  }
  // What the schedule has started, when it has started so many.
  std::vector<ScheduleAction> actions(const ScheduleHandle& schedule, std::size_t count) {
    for (;;) {
      auto recent = schedule.describe().recent;
      if (recent.size() >= count) return recent;
    }
  }
};

TEST_P(Schedules, one_is_created_described_listed_and_removed) {
  const ScheduleHandle schedule =
      client().schedules().create(queue(), hourly(), {.memo = Memo().set("why", "test")});
  EXPECT_THROW(client().schedules().create(queue(), hourly()), ScheduleExists);
  const ScheduleDescription description = schedule.describe();
  EXPECT_EQ(description.schedule.action.type, "greets");
  EXPECT_EQ(detail::decode<std::string>(description.schedule.action.arguments.at(0)), "Ann");
  EXPECT_EQ(description.schedule.action.options.id, queue() + "-greeting");
  EXPECT_EQ(description.schedule.spec.intervals, (std::vector<ScheduleInterval>{{1h, 5min}}));
  EXPECT_EQ(description.schedule.policy.overlap, OverlapPolicy::kAllowAll);
  EXPECT_EQ(description.schedule.note, "for the test");
  EXPECT_TRUE(description.schedule.paused);
  EXPECT_EQ(description.memo.get<std::string>("why"), "test");
  ASSERT_GE(description.next.size(), 2u);
  EXPECT_EQ(description.next[1] - description.next[0], std::chrono::hours(1));
  bool listed = false;
  while (!listed) {  // the list follows the schedules
    for (const ScheduleListing& one : client().schedules().list()) listed |= one.id == queue() && one.paused;
  }
  schedule.remove();
  EXPECT_THROW(schedule.describe(), ScheduleNotFound);
}

TEST_P(Schedules, one_is_triggered_paused_and_unpaused) {
  worker().add<&greets>();
  start();
  const ScheduleHandle schedule = client().schedules().create(queue(), hourly());
  schedule.unpause("go");
  EXPECT_FALSE(schedule.describe().schedule.paused);
  EXPECT_EQ(schedule.describe().schedule.note, "go");
  schedule.trigger();
  const ScheduleAction action = actions(schedule, 1).front();
  EXPECT_TRUE(action.workflow_id.starts_with(queue() + "-greeting-")) << action.workflow_id;
  EXPECT_EQ(client().handle(action.workflow_id).result<std::string>(), "Hello, Ann");
  schedule.pause("stop");
  EXPECT_TRUE(schedule.describe().schedule.paused);
  schedule.remove();
}

TEST_P(Schedules, one_is_updated_and_past_times_are_filled_in) {
  worker().add<&greets>();
  start();
  const ScheduleHandle schedule = client().schedules().create(queue(), hourly());
  schedule.update([](Schedule& change) {
    change.spec.intervals = {{10min}};
    change.spec.skip = {{.minute = {{30}}, .hour = {{0, 23}}}};
    change.action.arguments = {detail::encode(std::string("Bob"))};
  });
  const ScheduleDescription description = schedule.describe();
  EXPECT_EQ(description.schedule.spec.intervals, (std::vector<ScheduleInterval>{{10min}}));
  ASSERT_EQ(description.schedule.spec.skip.size(), 1u);
  EXPECT_EQ(description.schedule.spec.skip[0].minute, (std::vector<ScheduleRange>{{30, 30}}));
  EXPECT_EQ(description.schedule.spec.skip[0].hour, (std::vector<ScheduleRange>{{0, 23}}));
  const TimePoint hour(std::chrono::floor<std::chrono::hours>(std::chrono::milliseconds(1'700'000'000'000)));
  schedule.backfill({{hour - 1min, hour + 21min, OverlapPolicy::kAllowAll}});
  for (const ScheduleAction& action : actions(schedule, 3))
    EXPECT_EQ(client().handle(action.workflow_id).result<std::string>(), "Hello, Bob");
  EXPECT_GE(schedule.describe().actions, 3);
  schedule.remove();
}

TEST_P(Schedules, what_is_not_there_is_said) {
  const ScheduleHandle nobody = client().schedules().handle("nobody-made-" + queue());
  EXPECT_THROW(nobody.describe(), ScheduleNotFound);
  EXPECT_THROW(nobody.pause(), ScheduleNotFound);
  EXPECT_THROW(nobody.update([](Schedule&) {}), ScheduleNotFound);
}

PERDURE_ON_SERVER(Schedules);

}  // namespace on_temporal_schedules
