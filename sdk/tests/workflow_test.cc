// Verbs and combinators, failures, non-determinism, markers: each against the fake server, with a replay
// after every task.
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <perdure/replayer.h>

#include "examples/fan_out/thumbnails.h"
#include "examples/hello/hello.h"
#include "examples/order_saga/order.h"
#include "sdk/tests/fake_server.h"

namespace perdure::test::workflow {  // named: g++ 12 warns about coroutines of unnamed ones

using detail::define_workflow;

int work(int);
constexpr ActivityOptions kOptions{.start_to_close_timeout = 10s};

TEST(Workflow, hello) {
  FakeServer server(define_workflow<&hello::greet>(), std::string("Ann"));
  EXPECT_EQ(server.task(), "ScheduleActivity(compose)");
  server.complete_activity(0, std::string("Hello, Ann!"));
  EXPECT_EQ(server.task(), "CompleteWorkflow");
  EXPECT_EQ(server.result<std::string>(), "Hello, Ann!");
}

struct Members {
  virtual ~Members() = default;
  virtual int constant(ActivityContext&, int n) const = 0;
  virtual void quiet(std::string text) noexcept = 0;
};
Task<int> calls_members(Context ctx) {
  int n = co_await ctx.execute<&Members::constant>(kOptions, 1);
  co_await ctx.execute<&Members::quiet>(kOptions, "sh");
  co_return n;
}
TEST(Workflow, activities_are_members_of_every_kind) {
  FakeServer server(define_workflow<&calls_members>());
  EXPECT_EQ(server.task(), "ScheduleActivity(constant)");
  server.complete_activity(0, 7);
  EXPECT_EQ(server.task(), "ScheduleActivity(quiet)");
  server.complete_activity(1, detail::Unit());
  EXPECT_EQ(server.task(), "CompleteWorkflow");
  EXPECT_EQ(server.result<int>(), 7);
}

TEST(Workflow, a_saga_compensates_in_reverse_order_shielded_from_the_cancellation) {
  FakeServer server(define_workflow<shop::OrderWorkflow>(), shop::Order{"o", {"42", 1}, 5});
  EXPECT_EQ(server.task(), "ScheduleActivity(reserve)");
  server.complete_activity(0, std::string("res"));
  EXPECT_EQ(server.task(), "StartTimer(86400s)");
  server.signal("approve", std::string("ann"));
  EXPECT_EQ(server.task(), "CancelTimer(2) ScheduleActivity(charge)");
  server.complete_activity(1, shop::Receipt{"paid", 5});
  EXPECT_EQ(server.task(), "ScheduleActivity(ShipOrder)");
  EXPECT_EQ(detail::decode<std::string>(server.run().query("order-status", {})), "shipping");
  server.cancel();
  EXPECT_EQ(server.task(), "RequestCancelActivity ScheduleActivity(refund)");
  server.complete_activity(3, detail::Unit());
  EXPECT_EQ(server.task(), "ScheduleActivity(release)");
  server.fail_activity(4, "gone");
  EXPECT_EQ(server.task(), "CancelWorkflow");
}

TEST(Workflow, within_gives_up_after_its_limit) {
  FakeServer server(define_workflow<shop::OrderWorkflow>(), shop::Order{"o", {"42", 1}, 5});
  server.task();
  server.complete_activity(0, std::string("res"));
  server.task();
  server.fire_timer(0);
  EXPECT_EQ(server.task(), "ScheduleActivity(release)");
  server.complete_activity(1, detail::Unit());
  EXPECT_EQ(server.task(), "FailWorkflow");
  EXPECT_EQ(server.failure(), "nobody approved o within a day");
}

Task<int> slow(Context ctx) {
  co_await ctx.sleep(10h);
  co_return 1;
}
Task<int> limited_task(Context ctx) {
  std::optional<int> got = co_await ctx.within(5min, slow(ctx));
  co_return got ? *got : -1;
}
TEST(Workflow, within_a_task_cancels_it_and_waits_for_its_end) {
  FakeServer server(define_workflow<&limited_task>());
  EXPECT_EQ(server.task(), "StartTimer(300s) StartTimer(36000s)");
  server.fire_timer(0);
  EXPECT_EQ(server.task(), "CancelTimer(2) CompleteWorkflow");
  EXPECT_EQ(server.result<int>(), -1);
}

TEST(Workflow, map_concurrent_keeps_to_its_limit) {
  FakeServer server(define_workflow<&pictures::thumbnails>(), std::vector<std::string>(12, "u"));
  server.task();
  for (int i = 0; i < 10; ++i) server.complete_activity(i, pictures::Thumb{"u", 7});
  EXPECT_EQ(server.task(), "ScheduleActivity(make_thumbnail) ScheduleActivity(make_thumbnail)");
  server.complete_activity(11, pictures::Thumb{"u", 7});
  server.complete_activity(10, pictures::Thumb{"u", 7});
  EXPECT_EQ(server.task(), "CompleteWorkflow");
  EXPECT_EQ(server.result<int>(), 84);
}

Task<> one_of_group(Context ctx, int seconds) {
  co_await ctx.sleep(Duration(seconds * 1000));
  if (seconds == 1) throw ApplicationFailure("first");
}
Task<> group(Context ctx) {
  TaskGroup tasks(ctx);
  tasks.spawn(one_of_group(ctx, 1));
  tasks.spawn(one_of_group(ctx, 2));
  co_await tasks.join();
}
TEST(Workflow, the_first_failure_of_a_group_cancels_the_others) {
  FakeServer server(define_workflow<&group>());
  EXPECT_EQ(server.task(), "StartTimer(1s) StartTimer(2s)");
  server.fire_timer(0);
  EXPECT_EQ(server.task(), "CancelTimer(2) FailWorkflow");
}
// What has ended in the same task, later in history, is not asked to end: the server would refuse the whole task, for ever.
TEST(Workflow, what_ended_in_the_same_task_is_not_cancelled) {
  FakeServer activities(define_workflow<&pictures::thumbnails>(), std::vector<std::string>(3, "u"));
  activities.task();
  activities.fail_activity(0, "no picture");
  activities.complete_activity(1, pictures::Thumb{"u", 7});
  EXPECT_EQ(activities.task(), "RequestCancelActivity FailWorkflow");
  FakeServer timers(define_workflow<&group>());
  timers.task();
  timers.fire_timer(0);
  timers.fire_timer(1);
  EXPECT_EQ(timers.task(), "FailWorkflow");
}
Task<> abandoned_group(Context ctx) {
  {
    TaskGroup tasks(ctx);
    tasks.spawn(one_of_group(ctx, 1));
    co_await ctx.sleep(5s);
  }
  co_await ctx.sleep(6s);
}
TEST(Workflow, a_group_that_is_left_is_cancelled_and_none_of_its_code_runs_again) {
  FakeServer server(define_workflow<&abandoned_group>());
  EXPECT_EQ(server.task(), "StartTimer(5s) StartTimer(1s)");
  server.fire_timer(0);
  EXPECT_EQ(server.task(), "CancelTimer(2) StartTimer(6s)");
}

Task<> background(Context ctx) {
  co_await ctx.sleep(1s);
  throw ApplicationFailure("nobody looks");
}
Task<> unobserved(Context ctx) {
  (void)ctx.spawn(background(ctx));
  co_await ctx.sleep(1h);
}
TEST(Workflow, a_failure_that_nobody_observes_is_the_workflows) {
  FakeServer server(define_workflow<&unobserved>());
  server.task();
  server.fire_timer(1);
  EXPECT_EQ(server.task(), "FailWorkflow");
}

Task<> buggy(Context) {
  throw std::runtime_error("a bug");
  co_return;
}
TEST(Workflow, an_exception_that_is_no_failure_fails_the_task) {
  FakeServer server(define_workflow<&buggy>());
  EXPECT_THROW(server.task(), std::runtime_error);
}
struct Tolerant {
  using failure_types = exceptions<std::runtime_error>;
  Task<> run(Context) {
    throw std::range_error("listed by its base");
    co_return;
  }
};
TEST(Workflow, listed_exceptions_fail_the_workflow) {
  FakeServer server(define_workflow<Tolerant>());
  EXPECT_EQ(server.task(), "FailWorkflow");
}
Task<> without_timeout(Context ctx) {
  co_await ctx.execute<&work>({}, 1);
}
Task<> without_timeout_nearby(Context ctx) {
  co_await ctx.execute_local<&work>({}, 1);
}
TEST(Workflow, an_activity_without_a_timeout_names_its_line) {
  for (auto& definition : {define_workflow<&without_timeout>(), define_workflow<&without_timeout_nearby>()}) {
    FakeServer server(definition);
    try {
      server.task();
      FAIL() << definition.name;
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find("workflow_test.cc:"), std::string::npos) << error.what();
    }
  }
}

Task<> withdrawn(Context ctx) {
  Future<void> timer = ctx.sleep(1s);
  Future<int> activity = ctx.execute<&work>(kOptions, 1);
  timer.cancel();
  activity.cancel();
  auto outcome = co_await attempt(activity);
  if (!outcome.is_cancelled()) throw ApplicationFailure("not cancelled");
}
TEST(Workflow, what_is_cancelled_before_it_was_sent_is_not_sent) {
  FakeServer server(define_workflow<&withdrawn>());
  EXPECT_EQ(server.task(), "CompleteWorkflow");
}

Task<int> chances(Context ctx) {
  int drawn = ctx.side_effect([] {
    static int calls = 0;
    return ++calls;
  });
  co_await ctx.sleep(1s);
  co_return drawn;
}
TEST(Workflow, a_side_effect_is_drawn_once) {
  FakeServer server(define_workflow<&chances>());
  EXPECT_EQ(server.task(), "RecordMarker(SideEffect) StartTimer(1s)");
  server.fire_timer(0);
  server.task();
  EXPECT_EQ(server.result<int>(), 1);
}

Task<int> unpatched(Context ctx) {
  co_await ctx.sleep(1s);
  co_return 1;
}
struct Versioned {
  static constexpr std::string_view workflow_name = "unpatched";
  Task<int> run(Context ctx) {
    const bool newer = ctx.patched("longer");
    co_await ctx.sleep(newer ? Duration(2s) : Duration(1s));
    co_return newer ? 2 : 1;
  }
};
struct Deprecated {
  static constexpr std::string_view workflow_name = "unpatched";
  Task<int> run(Context ctx) {
    ctx.deprecate_patch("longer");
    co_await ctx.sleep(2s);
    co_return 2;
  }
};
TEST(Workflow, a_patch_is_taken_by_new_runs_and_not_by_old_ones) {
  FakeServer old(define_workflow<&unpatched>());
  old.task();
  old.fire_timer(0);
  old.task();
  EXPECT_EQ(old.replay_into(define_workflow<Versioned>()), "");
  FakeServer fresh(define_workflow<Versioned>());
  EXPECT_EQ(fresh.task(), "patched(longer) StartTimer(2s)");
  fresh.fire_timer(0);
  fresh.task();
  EXPECT_EQ(fresh.result<int>(), 2);
  EXPECT_EQ(fresh.replay_into(define_workflow<Deprecated>()), "");
  EXPECT_NE(fresh.replay_into(define_workflow<&unpatched>()), "");
}

struct Changed {
  static constexpr std::string_view workflow_name = "unpatched";
  Task<int> run(Context ctx) {
    int done = co_await ctx.execute<&work>(kOptions, 1);
    co_return done;
  }
};
struct Shorter {
  static constexpr std::string_view workflow_name = "unpatched";
  Task<int> run(Context) { co_return 1; }
};
TEST(Workflow, non_determinism_names_the_event_and_the_line) {
  FakeServer server(define_workflow<&unpatched>());
  server.task();
  server.fire_timer(0);
  server.task();
  const std::string error = server.replay_into(define_workflow<Changed>());
  EXPECT_TRUE(error.starts_with("event 5 TimerStarted(1), but workflow_test.cc:")) << error;
  EXPECT_TRUE(error.ends_with("asked ScheduleActivity(work)")) << error;
  EXPECT_EQ(server.replay_into(define_workflow<Shorter>()),
            "event 5 TimerStarted(1), but the code asked CompleteWorkflow");
}

TEST(Workflow, the_replayer_reads_what_the_command_line_prints) {
  FakeServer server(define_workflow<&unpatched>());
  server.task();
  server.fire_timer(0);
  server.task();
  temporal::api::history::v1::History history;
  for (const auto& event : server.history()) *history.add_events() = event;
  std::string json;
  ASSERT_TRUE(google::protobuf::util::MessageToJsonString(history, &json).ok());
  Replayer same;
  same.add<&unpatched>();
  EXPECT_EQ(same.replay(json), std::nullopt);
  EXPECT_EQ(same.replay(history.SerializeAsString()), std::nullopt);
  const std::string key = "EVENT_TYPE_TIMER_STARTED";
  json.replace(json.find(key), key.size(), "TimerStarted");
  EXPECT_EQ(same.replay(json), std::nullopt);
  Replayer changed;
  changed.add<Changed>();
  EXPECT_TRUE(
      changed.replay(json).value_or("").starts_with("event 5 TimerStarted(1), but workflow_test.cc:"));
  EXPECT_THROW((void)changed.replay("{}"), std::invalid_argument);
}

class Counter {
 public:
  explicit Counter(int start) : count_(start) {}
  Task<int> run(Context ctx, int) {
    co_await ctx.until([this, ctx] { return count_ > 1 && ctx.continue_as_new_suggested(); });
    try {
      co_await ctx.continue_as_new<Counter>(count_);
    } catch (...) {
      co_return -1;
    }
    co_return -2;
  }
  void add(int by) { count_ += by; }
  using signals = handlers<&Counter::add>;

 private:
  int count_;
};
TEST(Workflow, nothing_runs_after_continue_as_new) {
  FakeServer server(define_workflow<Counter>(), 0);
  EXPECT_EQ(server.task(), "");
  server.suggest_continue_as_new = true;
  server.signal("add", 2);
  EXPECT_EQ(server.task(), "ContinueAsNew");
}
TEST(Workflow, a_signal_that_cannot_be_read_is_dropped) {
  FakeServer server(define_workflow<Counter>(), 0);
  server.signal("add", std::string("two"));
  server.signal("nobody", 1);
  EXPECT_EQ(server.task(), "");
}

// Four come at once; each stays inside for a second, and is noted when it comes in and when it leaves.
template <class Lock>
class Doorway {
 public:
  static constexpr std::string_view workflow_name = "Doorway";
  Task<std::string> run(Context ctx) {
    std::vector<Future<void>> all;
    for (int i = 0; i < 4; ++i) all.push_back(ctx.spawn(enter(ctx, i)));
    co_await when_all(all);
    co_return log_;
  }

 private:
  Task<> enter(Context ctx, int number) {
    auto permit = co_await lock_.lock(ctx);
    log_ += std::to_string(number);
    co_await ctx.sleep(1s);
    log_ += std::to_string(number);
  }
  Lock lock_;
  std::string log_;
};
struct TwoPermits : Semaphore {
  TwoPermits() : Semaphore(2) {}
};
TEST(Workflow, a_mutex_is_fair) {
  FakeServer server(define_workflow<Doorway<Mutex>>());
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(server.task(), "StartTimer(1s)");
    server.fire_timer(i);
  }
  server.task();
  EXPECT_EQ(server.result<std::string>(), "00112233");
}
TEST(Workflow, a_semaphore_lets_in_as_many_as_it_has_permits_in_order) {
  FakeServer server(define_workflow<Doorway<TwoPermits>>());
  EXPECT_EQ(server.task(), "StartTimer(1s) StartTimer(1s)");
  server.fire_timer(1);
  EXPECT_EQ(server.task(), "StartTimer(1s)");
  server.fire_timer(0);
  server.fire_timer(2);
  EXPECT_EQ(server.task(), "StartTimer(1s)");
  server.fire_timer(3);
  EXPECT_EQ(server.task(), "CompleteWorkflow");
  EXPECT_EQ(server.result<std::string>(), "01120323");
}

TEST(Workflow, the_stack_trace_names_the_line) {
  FakeServer server(define_workflow<&slow>());
  server.task();
  const std::string trace = detail::decode<std::string>(server.run().query("__stack_trace", {}));
  EXPECT_NE(trace.find("workflow_test.cc:"), std::string::npos) << trace;
}
TEST(Workflow, frames_are_counted) {
  FakeServer server(define_workflow<&slow>());
  server.task();
  EXPECT_GT(server.run().bytes(), 100u);
}

}  // namespace perdure::test::workflow
