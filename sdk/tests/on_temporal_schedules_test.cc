// Schedules, against Temporal's server.
#include <chrono>
#include <set>

#include <perdure/schedules.h>

#include "base/clock.h"
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

// ---- what happens when it is time and the last workflow has not ended

Task<std::string> waits(Context ctx) {
  auto outcome = co_await attempt(ctx.sleep(24h));
  co_return outcome.is_cancelled() ? "cancelled" : "slept";
}

class Overlaps : public OnServer {
 protected:
  Overlaps() {
    worker().add<&waits>();
    start();
  }
  // Two workflows are wanted by hand, of which the first has not ended when the second is: in another second, since the id
  // of the workflow is made of it.
  ScheduleHandle twice(OverlapPolicy policy) {
    const ScheduledStart action = starts<&waits>({.id = queue() + "-waits", .task_queue = queue()});
    const ScheduleHandle schedule = client().schedules().create(
        queue(), {.action = action, .policy = {.overlap = policy}}, {.trigger_immediately = true});
    const auto second = [](TimePoint time) { return std::chrono::floor<std::chrono::seconds>(time); };
    std::vector<ScheduleAction> first;
    while (first.empty() || second(base::system_clock().now()) == second(first.front().started))
      first = schedule.describe().recent;
    schedule.trigger();
    return schedule;
  }
  static std::vector<std::string> running(const ScheduleHandle& schedule) {
    std::vector<std::string> ids;
    for (const auto& [id, run_id] : schedule.describe().running) ids.push_back(id);
    return ids;
  }
  static std::string wait_for_other(const ScheduleHandle& schedule, const std::string& than) {
    for (;;) {
      const auto ids = running(schedule);
      if (!ids.empty() && ids.front() != than) return ids.front();
    }
  }
};
PERDURE_ON_SERVER(Overlaps);

TEST_P(Overlaps, are_skipped) {
  const ScheduleHandle schedule = twice(OverlapPolicy::kSkip);
  while (schedule.describe().skipped_for_overlap == 0) {
  }
  EXPECT_EQ(schedule.describe().actions, 1);
  client().handle(running(schedule).front()).terminate();
  schedule.remove();
}
TEST_P(Overlaps, are_kept_for_later) {
  const ScheduleHandle schedule = twice(OverlapPolicy::kBufferOne);
  const std::string first = running(schedule).front();
  client().handle(first).cancel();
  EXPECT_EQ(client().handle(first).result<std::string>(), "cancelled");
  client().handle(wait_for_other(schedule, first)).terminate();
  schedule.remove();
}
TEST_P(Overlaps, cancel_the_other) {
  const ScheduleHandle schedule = twice(OverlapPolicy::kCancelOther);
  const std::string first = schedule.describe().recent.front().workflow_id;
  EXPECT_EQ(client().handle(first).result<std::string>(), "cancelled");
  client().handle(wait_for_other(schedule, first)).terminate();
  schedule.remove();
}
TEST_P(Overlaps, terminate_the_other) {
  const ScheduleHandle schedule = twice(OverlapPolicy::kTerminateOther);
  const std::string first = schedule.describe().recent.front().workflow_id;
  EXPECT_THROW((void)client().handle(first).result<std::string>(), WorkflowTerminated);
  client().handle(wait_for_other(schedule, first)).terminate();
  schedule.remove();
}
TEST_P(Overlaps, are_all_allowed) {
  const ScheduleHandle schedule = twice(OverlapPolicy::kAllowAll);
  std::vector<ScheduleAction> both;
  while (both.size() < 2) both = schedule.describe().recent;
  for (const ScheduleAction& one : both) {
    EXPECT_TRUE(client().handle(one.workflow_id).describe().is_running());
    client().handle(one.workflow_id).terminate();
  }
  schedule.remove();
}

// Of four times that have passed, one runs, and as many wait as the policy of the backfill says, not the schedule's.
TEST_P(Overlaps, a_backfill_has_a_policy_of_its_own) {
  const ScheduledStart action = starts<&waits>({.id = queue() + "-waits", .task_queue = queue()});
  const ScheduleSpec spec{.intervals = {{10min}}};
  const ScheduleHandle schedule = client().schedules().create(
      queue(), {.action = action, .spec = spec, .policy = {.overlap = OverlapPolicy::kSkip}, .paused = true});
  const TimePoint hour(std::chrono::floor<std::chrono::hours>(std::chrono::milliseconds(1'700'000'000'000)));
  const ScheduleBackfill four{
      .start = hour - 1min, .end = hour + 31min, .overlap = OverlapPolicy::kBufferAll};
  schedule.backfill({four});
  std::set<std::string> ids;
  for (std::string last; ids.size() < 4; ids.insert(last)) {
    last = wait_for_other(schedule, last);
    client().handle(last).cancel();
  }
  const ScheduleDescription description = schedule.describe();
  EXPECT_EQ(description.skipped_for_overlap, 0);
  EXPECT_EQ(description.actions, 4);
  schedule.remove();
}

// ---- what is not there

TEST_P(Schedules, what_is_not_there_is_said) {
  const ScheduleHandle nobody = client().schedules().handle("nobody-made-" + queue());
  EXPECT_THROW(nobody.describe(), ScheduleNotFound);
  EXPECT_THROW(nobody.pause(), ScheduleNotFound);
  EXPECT_THROW(nobody.update([](Schedule&) {}), ScheduleNotFound);
}

PERDURE_ON_SERVER(Schedules);

}  // namespace on_temporal_schedules
