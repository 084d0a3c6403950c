// Local activities against the fake server: markers, their place among the commands, retries, heartbeats of
// the workflow task, cancellation; a replay after every task.
#include <gtest/gtest.h>

#include "sdk/tests/fake_server.h"

namespace perdure::test::local {  // named: g++ 12 warns about coroutines of unnamed ones

using detail::define_workflow;
using detail::LocalActivity;
using detail::LocalResult;

int price(std::string item);
int weigh(std::string item);
int work(int);
constexpr LocalActivityOptions kLocal{.start_to_close_timeout = 10s};
constexpr ActivityOptions kOptions{.start_to_close_timeout = 10s};

LocalResult length(const LocalActivity& asked) {
  return FakeServer::local_value<int>(
      static_cast<int>(detail::decode<std::string>(asked.arguments.at(0)).size()));
}

Task<int> shop(Context ctx) {
  int cents = co_await ctx.execute_local<&price>(kLocal, "apple");
  int done = co_await ctx.execute<&work>(kOptions, cents);
  int more = co_await ctx.execute_local<&price>(kLocal, "fig");
  co_return done + more;
}
TEST(Local, result_is_a_marker_before_what_follows_from_it) {
  FakeServer server(define_workflow<&shop>());
  server.local = length;
  EXPECT_EQ(server.task(), "RecordMarker(core_local_activity(price)) ScheduleActivity(work)");
  server.complete_activity(0, 100);
  EXPECT_EQ(server.task(), "RecordMarker(core_local_activity(price)) CompleteWorkflow");
  EXPECT_EQ(server.result<int>(), 103);
}

Task<> follow(Context ctx, int seconds) {
  (void)co_await ctx.execute_local<&price>(kLocal, std::string(static_cast<std::size_t>(seconds), 'x'));
  co_await ctx.sleep(Duration(seconds * 1000));
}
Task<> both(Context ctx) {
  std::vector<Future<void>> all{ctx.spawn(follow(ctx, 1)), ctx.spawn(follow(ctx, 2))};
  co_await when_all(all);
}
TEST(Local, results_are_replayed_in_the_order_in_which_they_came) {
  for (const bool reversed : {false, true}) {
    FakeServer server(define_workflow<&both>());
    server.local = length;
    server.newest_local_first = reversed;
    const std::string marker = "RecordMarker(core_local_activity(price)) ";
    EXPECT_EQ(server.task(), reversed ? marker + "StartTimer(2s) " + marker + "StartTimer(1s)"
                                      : marker + "StartTimer(1s) " + marker + "StartTimer(2s)");
    server.fire_timer(0);
    server.fire_timer(1);
    EXPECT_EQ(server.task(), "CompleteWorkflow");
  }
}

class Patient {
 public:
  Task<int> run(Context ctx) {
    Future<int> slow = ctx.execute_local<&price>(kLocal, "melon");
    (void)ctx.sleep(1h);
    co_await ctx.until([this] { return notes_ == 2; });
    int cents = co_await slow;
    co_return cents;
  }
  void note() { ++notes_; }
  using signals = handlers<&Patient::note>;

 private:
  int notes_ = 0;
};
TEST(Local, goes_on_over_heartbeats_of_the_workflow_task) {
  FakeServer server(define_workflow<Patient>());
  EXPECT_EQ(server.task(), "StartTimer(3600s)");
  EXPECT_EQ(server.task(), "");
  server.signal("note");
  EXPECT_EQ(server.task(), "");
  server.signal("note");
  server.local = length;
  EXPECT_EQ(server.task(), "RecordMarker(core_local_activity(price)) CompleteWorkflow");
  EXPECT_EQ(server.result<int>(), 5);
}

TEST(Local, failure_is_an_activity_failure_with_its_cause) {
  FakeServer server(define_workflow<&shop>());
  server.local = [](const LocalActivity&) {
    LocalResult result;
    result.failure = std::make_exception_ptr(ApplicationFailure("out of stock"));
    return result;
  };
  EXPECT_EQ(server.task(), "RecordMarker(core_local_activity(price)) FailWorkflow");
  EXPECT_EQ(server.failure(), "local activity failed <- out of stock");
}

TEST(Local, retry_that_is_far_away_waits_for_a_timer) {
  FakeServer server(define_workflow<&shop>());
  std::vector<int> attempts;
  server.local = [&](const LocalActivity& asked) {
    if (asked.sequence > 3) return length(asked);  // the second one
    attempts.push_back(asked.attempt);
    EXPECT_EQ(asked.scheduled_millis, asked.attempt == 1 ? 0 : 777);
    if (asked.attempt > 1) return length(asked);
    LocalResult result;
    result.failure = std::make_exception_ptr(ApplicationFailure("later"));
    result.attempt = 4;
    result.backoff = 2min;
    result.scheduled_millis = 777;
    return result;
  };
  EXPECT_EQ(server.task(), "RecordMarker(core_local_activity(price)) StartTimer(120s)");
  server.fire_timer(0);
  EXPECT_EQ(server.task(), "RecordMarker(core_local_activity(price)) ScheduleActivity(work)");
  EXPECT_EQ(attempts, (std::vector<int>{1, 5}));
  server.complete_activity(0, 1);
  server.task();
  EXPECT_EQ(server.result<int>(), 4);
}

Task<std::string> impatient(Context ctx, CancellationType how) {
  LocalActivityOptions options = kLocal;
  options.cancellation = how;
  Future<int> slow = ctx.execute_local<&price>(options, "melon");
  bool in_time = co_await ctx.within(1s, ctx.until([] { return false; }));
  slow.cancel();
  auto outcome = co_await attempt(slow);
  co_return std::string(in_time ? "in time " : "") + (outcome.is_cancelled() ? "cancelled" : "done");
}
TEST(Local, cancelled_without_waiting_leaves_no_marker) {
  FakeServer server(define_workflow<&impatient>(), CancellationType::kTryCancel);
  EXPECT_EQ(server.task(), "StartTimer(1s)");
  server.fire_timer(0);
  EXPECT_EQ(server.task(), "CompleteWorkflow");
  EXPECT_EQ(server.run().cancelled_local_activities().size(), 1u);
  EXPECT_EQ(server.result<std::string>(), "cancelled");
}
TEST(Local, cancelled_with_waiting_ends_as_it_really_ends) {
  FakeServer server(define_workflow<&impatient>(), CancellationType::kWaitCompleted);
  EXPECT_EQ(server.task(), "StartTimer(1s)");
  server.fire_timer(0);
  EXPECT_EQ(server.task(), "");
  EXPECT_EQ(server.run().cancelled_local_activities().size(), 1u);
  server.local = length;
  EXPECT_EQ(server.task(), "RecordMarker(core_local_activity(price)) CompleteWorkflow");
  EXPECT_EQ(server.result<std::string>(), "done");
}
TEST(Local, cancelled_between_attempts_cancels_the_timer) {
  FakeServer server(define_workflow<&impatient>(), CancellationType::kWaitCompleted);
  server.local = [](const LocalActivity&) {
    LocalResult result;
    result.failure = std::make_exception_ptr(ApplicationFailure("later"));
    result.backoff = 2min;
    return result;
  };
  EXPECT_EQ(server.task(), "StartTimer(1s) RecordMarker(core_local_activity(price)) StartTimer(120s)");
  server.fire_timer(0);
  EXPECT_EQ(server.task(), "CancelTimer(3) CompleteWorkflow");
  EXPECT_EQ(server.result<std::string>(), "cancelled");
}

struct Other {
  static constexpr std::string_view workflow_name = "shop";
  Task<int> run(Context ctx) {
    int cents = co_await ctx.execute_local<&weigh>(kLocal, "apple");
    co_return cents;
  }
};
struct None {
  static constexpr std::string_view workflow_name = "shop";
  Task<int> run(Context ctx) {
    int cents = co_await ctx.execute<&work>(kOptions, 5);
    co_return cents;
  }
};
struct Later {
  static constexpr std::string_view workflow_name = "shop";
  Task<int> run(Context ctx) {
    (void)ctx.sleep(1s);
    int cents = co_await ctx.execute_local<&price>(kLocal, "apple");
    int done = co_await ctx.execute<&work>(kOptions, cents);
    co_return done;
  }
};
TEST(Local, other_code_is_non_deterministic) {
  FakeServer server(define_workflow<&shop>());
  server.local = length;
  server.task();
  const std::string other = server.replay_into(define_workflow<Other>());
  EXPECT_TRUE(
      other.starts_with("event 5 MarkerRecorded(core_local_activity(price)), but local_activity_test.cc:"))
      << other;
  EXPECT_TRUE(other.ends_with("asked RecordMarker(core_local_activity(weigh))")) << other;
  const std::string none = server.replay_into(define_workflow<None>());
  EXPECT_TRUE(none.ends_with("asked ScheduleActivity(work)")) << none;
  const std::string later = server.replay_into(define_workflow<Later>());
  EXPECT_TRUE(later.ends_with("asked StartTimer(1s)")) << later;
}

}  // namespace perdure::test::local
