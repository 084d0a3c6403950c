// The environment for users' tests, used as users use it.
#include <gtest/gtest.h>

#include <perdure/testing.h>

#include "base/clock.h"

namespace environment {

using namespace perdure;
using perdure::testing::ActivityEnvironment;
using perdure::testing::Environment;
using perdure::testing::EnvironmentOptions;

// ---- time

Task<int> subscription(Context ctx, int months) {
  int paid = 0;
  for (int month = 0; month < months; ++month) {
    co_await ctx.sleep(24h * 30);
    paid += co_await ctx.execute<int>("charge", {.start_to_close_timeout = 1min}, month);
  }
  co_return paid;
}

TEST(Time, months_pass_in_milliseconds) {
  Environment env;
  env.add<&subscription>();
  env.mock<int(int)>("charge", [](int) { return 5; });
  const base::Time began = base::system_clock().now();
  EXPECT_EQ(env.execute<&subscription>(12), 60);
  EXPECT_LT(base::system_clock().now() - began, 20s);  // a machine may be starved
}

Task<int> once(Context ctx) {
  co_return co_await ctx.execute<int>(
      "flaky", {.start_to_close_timeout = 1min, .retry = {.initial_interval = 1h, .maximum_attempts = 3}});
}

TEST(Time, waits_between_attempts_are_skipped) {
  Environment env;
  env.add<&once>();
  env.mock<int()>("flaky", [](ActivityContext& context) {
    if (context.info().attempt < 3) throw std::runtime_error("not yet");
    return context.info().attempt;
  });
  const TimePoint before = env.now();
  EXPECT_EQ(env.execute<&once>(), 3);
  EXPECT_EQ(env.now() - before, 3h);
}

void poll_until_cancelled(ActivityContext& context) {
  for (int i = 0;; ++i) {
    context.heartbeat(i);
    context.sleep_for(10min);
  }
}
Task<std::string> impatient(Context ctx) {
  constexpr ActivityOptions options{.start_to_close_timeout = 24h,
                                    .heartbeat_timeout = 1h,
                                    .cancellation = CancellationType::kWaitCompleted};
  bool done = co_await ctx.within(5h, ctx.execute<&poll_until_cancelled>(options));
  co_return done ? "done" : "gave up";
}

TEST(Time, passes_while_an_activity_sleeps) {
  Environment env;
  env.add<&impatient, &poll_until_cancelled>();
  const TimePoint before = env.now();
  EXPECT_EQ(env.execute<&impatient>(), "gave up");
  EXPECT_GE(env.now() - before, 5h);
  EXPECT_LT(env.now() - before, 6h);
}

Task<> patient(Context ctx) {
  co_await ctx.until([] { return false; });
}

TEST(Time, who_waits_for_what_never_happens_is_told) {
  Environment env;
  env.add<&patient>();
  try {
    env.execute<&patient>();
    FAIL() << "it never ends";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("nothing happens any more"), std::string::npos) << error.what();
  }
}

// ---- what a test must find

int& outside() {
  static int value = 0;
  return value;
}
Task<> forgets_replay(Context ctx) {
  if (++outside() % 2 == 0) co_await ctx.sleep(1s);
  co_await ctx.execute<int>("work", {.start_to_close_timeout = 1min});
}

TEST(Replay, code_that_is_not_deterministic_fails_its_test) {
  Environment env;
  env.add<&forgets_replay>();
  env.mock<int()>("work", [] { return 1; });
  try {
    env.execute<&forgets_replay>();
    FAIL() << "it must be found";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("testing_test.cc"), std::string::npos) << error.what();
  }
}

Task<> differs_after_its_end(Context ctx) {
  if (++outside() > 1) co_await ctx.sleep(1s);
}

TEST(Replay, the_last_task_is_replayed_when_the_result_is_read) {
  outside() = 0;
  Environment env;
  env.add<&differs_after_its_end>();
  EXPECT_THROW(env.execute<&differs_after_its_end>(), Error);
}

TEST(Replay, can_be_switched_off) {
  outside() = 0;
  Environment env({.replay = false});
  env.add<&differs_after_its_end>();
  EXPECT_NO_THROW(env.execute<&differs_after_its_end>());
}

Task<int> has_a_bug(Context) {
  throw std::logic_error("index out of range");
  co_return 1;
}

TEST(Failures, a_bug_in_workflow_code_fails_the_test_with_its_reason) {
  Environment env;
  env.add<&has_a_bug>();
  try {
    env.execute<&has_a_bug>();
    FAIL() << "the task fails";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("index out of range"), std::string::npos) << error.what();
  }
}

Task<> names_two_the_same(Context ctx) {
  constexpr ActivityOptions options{.start_to_close_timeout = 1min, .activity_id = "same"};
  Future<int> first = ctx.execute<int>("work", options);
  Future<int> second = ctx.execute<int>("work", options);
  co_await when_all(first, second);
}

TEST(Failures, a_task_that_the_server_refuses_fails_the_test_with_its_reason) {
  Environment env;
  env.add<&names_two_the_same>();
  env.mock<int()>("work", [] { return 1; });
  try {
    env.execute<&names_two_the_same>();
    FAIL() << "the server takes no two activities of one id";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("DuplicateId"), std::string::npos) << error.what();
  }
}

// A signal comes while the workflow's last task is under way: the server has that task done again.
class Signalled {
 public:
  Task<int> run(Context ctx) {
    co_await ctx.execute_local<void>("signal", {.start_to_close_timeout = 1min});
    co_return signals_;
  }
  void put() { ++signals_; }
  using signals = handlers<&Signalled::put>;

 private:
  int signals_ = 0;
};

TEST(Failures, a_task_that_the_server_wants_done_again_is_none) {
  Environment env;
  env.add<Signalled>();
  bool sent = false;
  env.mock<void()>("signal", [&] {
    if (!std::exchange(sent, true)) env.client().handle<Signalled>("signalled").signal<&Signalled::put>();
  });
  EXPECT_EQ(env.execute<Signalled>(StartOptions{.id = "signalled"}), 1);
}

// ---- exceptions of one's own

class OutOfStock : public std::runtime_error {
 public:
  explicit OutOfStock(int missing)
      : std::runtime_error(std::to_string(missing) + " are missing"), missing_(missing) {}
  int missing() const { return missing_; }

 private:
  int missing_;
};
class StockFailures : public FailureConverter {
 public:
  std::exception_ptr to_failure(const std::exception_ptr& error) override {
    try {
      std::rethrow_exception(error);
    } catch (const OutOfStock& out) {
      ApplicationFailureOptions options{.type = "OutOfStock", .non_retryable = true};
      options.details = {detail::encode(out.missing())};
      return std::make_exception_ptr(ApplicationFailure(out.what(), std::move(options)));
    } catch (...) {
      return error;
    }
  }
  std::exception_ptr from_failure(const std::exception_ptr& failure) override {
    try {
      std::rethrow_exception(failure);
    } catch (const ApplicationFailure& application) {
      if (application.type() != "OutOfStock") return failure;
      return std::make_exception_ptr(OutOfStock(detail::decode<int>(application.options().details.at(0))));
    } catch (...) {
      return failure;
    }
  }
};
int missing_in(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const ActivityFailure& failure) {
    return missing_in(failure.cause());
  } catch (const OutOfStock& out) {
    return out.missing();
  } catch (...) {
    return -1;
  }
}

// Asks an activity, then one nearby, for more than there is; fails with what both lack.
class Sells {
 public:
  Task<int> run(Context ctx) {
    constexpr ActivityOptions far{.start_to_close_timeout = 1min};
    constexpr LocalActivityOptions near{.start_to_close_timeout = 1min};
    auto first = co_await attempt(ctx.execute<int>("take", far, 3));
    auto second = co_await attempt(ctx.execute_local<int>("take", near, 4));
    throw OutOfStock(missing_in(first.error()) + missing_in(second.error()));
    co_return 0;
  }
  using failure_types = exceptions<OutOfStock>;
};

TEST(Failures, a_converter_carries_exceptions_of_ones_own) {
  EnvironmentOptions options;
  options.failure_converter = std::make_shared<StockFailures>();
  Environment env(options);
  env.add<Sells>();
  env.mock<int(int)>("take", [](int wanted) -> int { throw OutOfStock(wanted); });
  try {
    (void)env.execute<Sells>();
    FAIL() << "there is nothing left";
  } catch (const WorkflowFailed& failed) {
    EXPECT_EQ(missing_in(failed.failure()), 7);
    EXPECT_NE(std::string(failed.what()).find("7 are missing"), std::string::npos) << failed.what();
  }
}

// ---- queues, and activities alone

inline constexpr Activity<std::string(std::string, std::string)> ship{"Ship"};

Task<std::string> sends_elsewhere(Context ctx) {
  co_return co_await ctx.execute<&ship>({.start_to_close_timeout = 1h, .task_queue = "shipping"}, "o", "r");
}

TEST(Queues, mocks_serve_all_queues_of_the_environment) {
  Environment env({.task_queues = {"orders", "shipping"}});
  env.add<&sends_elsewhere>();
  env.mock<&ship>([](std::string, std::string) { return std::string("van 7"); });
  EXPECT_EQ(env.execute<&sends_elsewhere>(), "van 7");
}

int import_rows(ActivityContext& context, int rows) {
  int row = context.last_heartbeat<int>().value_or(0);
  for (; row < rows; ++row) {
    context.heartbeat(row + 1);
    context.sleep_for(1s);
  }
  return row;
}

TEST(Activities, run_without_a_server) {
  ActivityEnvironment env;
  EXPECT_EQ(import_rows(env.context(), 3), 3);
  EXPECT_EQ(env.heartbeats<int>(), (std::vector{1, 2, 3}));
  EXPECT_EQ(env.slept(), 3s);
}

TEST(Activities, go_on_where_the_last_attempt_was) {
  ActivityEnvironment env = ActivityEnvironment::after_heartbeat(2);
  EXPECT_EQ(import_rows(env.context(), 3), 3);
  EXPECT_EQ(env.heartbeats<int>(), std::vector{3});
}

TEST(Activities, are_cancelled) {
  ActivityEnvironment env;
  env.cancel();
  EXPECT_THROW(import_rows(env.context(), 3), CancelledFailure);
  EXPECT_EQ(env.context().reason(), CancelReason::kRequested);
}

}  // namespace environment
