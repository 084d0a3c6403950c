// Activities: retries, the four timeouts, heartbeats, cancellation, answers from outside, local activities.
#include "tests/compat/cpp/trial.h"

namespace perdure::compat {

struct Timeouts {
  int start_to_close = 0, schedule_to_start = 0, schedule_to_close = 0, heartbeat = 0;  // milliseconds
};

namespace {

constexpr RetryPolicy kQuick{.initial_interval = 100ms, .backoff_coefficient = 1.0};
constexpr RetryPolicy kOnce{.maximum_attempts = 1};
inline constexpr Activity<std::string(std::string)> work{"work"};
inline constexpr Activity<int(int)> square{"square"};
inline constexpr Activity<void()> idle{"idle"};
inline constexpr Activity<std::string()> beat{"beat"};
inline constexpr Activity<std::string()> near{"near"};

std::string name_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const ActivityFailure& failure) {
    try {
      std::rethrow_exception(failure.cause());
    } catch (const TimeoutFailure& timeout) {
      switch (timeout.type()) {
        case TimeoutType::kStartToClose: return "START_TO_CLOSE";
        case TimeoutType::kScheduleToStart: return "SCHEDULE_TO_START";
        case TimeoutType::kScheduleToClose: return "SCHEDULE_TO_CLOSE";
        case TimeoutType::kHeartbeat: return "HEARTBEAT";
        default: return "another";
      }
    }
  }
}

}  // namespace

// Calls the activity `work` with what it was given and returns its result.
Task<std::string> calls(Context ctx, std::string argument, int maximum_attempts, int interval_ms) {
  ActivityOptions options{.start_to_close_timeout = 60s};
  options.retry.initial_interval = Duration(interval_ms);
  options.retry.backoff_coefficient = 1.0;
  options.retry.maximum_attempts = maximum_attempts;
  co_return co_await ctx.execute<&work>(options, argument);
}

Task<std::vector<int>> parallel(Context ctx, int count) {
  constexpr ActivityOptions options{.start_to_close_timeout = 60s};
  std::vector<Future<int>> all;
  for (int number = 0; number < count; ++number) all.push_back(ctx.execute<&square>(options, number));
  std::vector<int> squares = co_await when_all(all);
  co_return squares;
}

// Calls `idle` with the given timeouts and returns the type of the timeout it met.
Task<std::string> times(Context ctx, std::string queue, Timeouts timeouts, int attempts) {
  ActivityOptions options{.task_queue = Text(queue)};
  options.start_to_close_timeout = Duration(timeouts.start_to_close);
  options.schedule_to_start_timeout = Duration(timeouts.schedule_to_start);
  options.schedule_to_close_timeout = Duration(timeouts.schedule_to_close);
  options.heartbeat_timeout = Duration(timeouts.heartbeat);
  options.retry = kQuick;
  options.retry.maximum_attempts = attempts;
  auto outcome = co_await attempt(ctx.execute<&idle>(options));
  if (outcome) co_return "none";
  co_return name_of(outcome.error());
}

Task<std::string> beats(Context ctx) {
  constexpr ActivityOptions options{.start_to_close_timeout = 60s, .heartbeat_timeout = 20s, .retry = kQuick};
  co_return co_await ctx.execute<&beat>(options);
}

Task<> cancels_activity(Context ctx, int cancellation, std::string queue) {
  ActivityOptions options{.start_to_close_timeout = 60s, .heartbeat_timeout = 30s, .task_queue = Text(queue)};
  options.retry = kOnce;
  options.cancellation = static_cast<CancellationType>(cancellation);
  co_await ctx.execute<&idle>(options);
}

Task<std::string> local(Context ctx) {
  constexpr LocalActivityOptions options{.start_to_close_timeout = 60s, .retry = kQuick};
  co_return co_await ctx.execute_local<&near>(options);
}

void add_activity_workflows(const Registry& to) {
  to.add<&calls, &parallel, &times, &beats, &cancels_activity, &local>();
}

namespace {

void hello(Trial& trial) {
  const auto worker = trial.worker();
  worker->add<&work>([](std::string name) { return "hello " + name; });
  worker->start();
  check_equal(trial.start<&calls>("world", 0, 100).result(), "hello world");
}

void parallel_activities(Trial& trial) {
  const auto worker = trial.worker();
  worker->add<&square>([](int number) { return number * number; });
  worker->start();
  std::vector<int> squares;
  for (int number = 0; number < 50; ++number) squares.push_back(number * number);
  check_equal(trial.start<&parallel>(50).result(), squares);
}

inline constexpr Activity<std::string(ActivityContext&, std::string)> watched{"work"};

void activity_retries(Trial& trial) {
  const auto worker = trial.worker();
  worker->add<&watched>([](ActivityContext& context, std::string) {
    const std::string attempt = "attempt " + std::to_string(context.info().attempt);
    if (context.info().attempt < 3) throw ApplicationFailure(attempt + " fails", "NotYet");
    return attempt;
  });
  worker->start();
  auto handle = trial.start<&calls>("", 0, 100);
  check_equal(handle.result(), "attempt 3");
  const auto started = trial.first(handle, "ActivityTaskStarted").activity_task_started_event_attributes();
  check_equal(started.attempt(), 3);
  check_equal(started.last_failure().message(), "attempt 2 fails");
  check_equal(started.last_failure().application_failure_info().type(), "NotYet");
}

void activity_next_retry_delay(Trial& trial) {
  const auto worker = trial.worker();
  worker->add<&watched>([](ActivityContext& context, std::string) {
    ApplicationFailureOptions soon;
    soon.next_retry_delay = 100ms;
    if (context.info().attempt == 1) throw ApplicationFailure("come back soon", soon);
    return std::string("soon");
  });
  worker->start();
  check_equal(trial.start<&calls>("", 0, 3'600'000).result(), "soon");
}

// What the workflow failed with, which must be an activity's failure, and the event.
ActivityFailure failure_of(Trial& trial, Worker& worker, int attempts, Event* event) {
  worker.start();
  auto handle = trial.start<&calls>("", attempts, 100);
  const auto error = raises<WorkflowFailed>([&] { (void)handle.result(); });
  *event = trial.first(handle, "ActivityTaskFailed");
  return as<ActivityFailure>(error.failure());
}

void activity_retries_exhausted(Trial& trial) {
  const auto worker = trial.worker();
  worker->add<&watched>([](ActivityContext& context, std::string) -> std::string {
    throw ApplicationFailure("attempt " + std::to_string(context.info().attempt));
  });
  Event event;
  const auto failure = failure_of(trial, *worker, 2, &event);
  check_equal(std::string(as<ApplicationFailure>(failure.cause()).what()), "attempt 2");
  check_equal(event.activity_task_failed_event_attributes().retry_state(),
              enums::RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED);
}

void activity_fails(Trial& trial) {
  const auto worker = trial.worker();
  worker->add<&work>([](std::string) -> std::string {
    ApplicationFailureOptions hopeless;
    hopeless.type = "Hopeless";
    hopeless.non_retryable = true;
    hopeless.details = {detail::encode(42)};
    hopeless.cause = std::make_exception_ptr(std::invalid_argument("the reason"));
    throw ApplicationFailure("no use", hopeless);
  });
  Event event;
  const auto failure = failure_of(trial, *worker, 0, &event);
  check_equal(failure.activity_type(), "work");
  const auto cause = as<ApplicationFailure>(failure.cause());
  check_equal(std::string(cause.what()), "no use");
  check(cause.type() == "Hopeless" && cause.non_retryable(), "as it was thrown");
  check_equal(detail::decode<int>(cause.options().details.at(0)), 42);
  check_equal(std::string(as<ApplicationFailure>(cause.cause()).what()), "the reason");
  check_equal(event.activity_task_failed_event_attributes().retry_state(),
              enums::RETRY_STATE_NON_RETRYABLE_FAILURE);
}

inline constexpr Activity<void(ActivityContext&)> idle_body{"idle"};

void endless(ActivityContext& context) {
  context.sleep_for(1h);
}  // until the worker shuts down

void timeout_start_to_close(Trial& trial) {
  const auto worker = trial.worker();
  worker->add<&idle_body>(&endless);
  worker->start();
  Timeouts timeouts{.start_to_close = 500};
  check_equal(trial.start<&times>(trial.queue(), timeouts, 1).result(), "START_TO_CLOSE");
}

void timeout_schedule_to_start(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  Timeouts timeouts{.start_to_close = 60'000, .schedule_to_start = 500};
  check_equal(trial.start<&times>(trial.id("nobody"), timeouts, 1).result(), "SCHEDULE_TO_START");
}

void timeout_schedule_to_close(Trial& trial) {
  const auto worker = trial.worker();
  worker->add<&idle_body>([](ActivityContext& context) {
    if (context.info().attempt == 1) throw ApplicationFailure("again");
    endless(context);
  });
  worker->start();
  Timeouts timeouts{.start_to_close = 60'000, .schedule_to_close = 1000};
  check_equal(trial.start<&times>(trial.queue(), timeouts, 0).result(), "SCHEDULE_TO_CLOSE");
}

void timeout_heartbeat(Trial& trial) {
  const auto worker = trial.worker();
  worker->add<&idle_body>([](ActivityContext& context) {
    context.heartbeat("alive");
    endless(context);
  });
  worker->start();
  Timeouts timeouts{.start_to_close = 60'000, .heartbeat = 500};
  check_equal(trial.start<&times>(trial.queue(), timeouts, 1).result(), "HEARTBEAT");
}

void heartbeat_details(Trial& trial) {
  static constexpr Activity<std::string(ActivityContext&)> body{"beat"};
  const auto worker = trial.worker();
  worker->add<&body>([](ActivityContext& context) {
    if (context.info().attempt == 1) {
      context.heartbeat("progress", 7);
      throw ApplicationFailure("after the heartbeat");
    }
    return context.last_heartbeat<std::string>().value_or("nothing");
  });
  worker->start();
  check_equal(trial.start<&beats>().result(), "progress");
}

// Starts, waits until before_cancel returns, cancels the workflow, expects it to end as cancelled.
void cancel_activity(Trial& trial, CancellationType cancellation, const std::function<void()>& before_cancel,
                     const std::string& queue) {
  auto handle = trial.start<&cancels_activity>(static_cast<int>(cancellation), queue);
  trial.wait_for(handle, "ActivityTaskScheduled");
  before_cancel();
  handle.cancel();
  (void)raises<WorkflowCanceled>([&] { handle.result(); });
}

void cancel_activity_wait(Trial& trial) {
  Gate running, told;
  WorkerOptions quick = trial.worker_options();
  quick.max_heartbeat_throttle_interval = 200ms;
  const auto worker = trial.worker(quick);
  worker->add<&idle_body>([&](ActivityContext& context) {
    running.open();
    try {
      for (;;) {
        context.heartbeat("still here");
        context.sleep_for(100ms);
      }
    } catch (const CancelledFailure&) {
      told.open();
      throw;
    }
  });
  worker->start();
  cancel_activity(trial, CancellationType::kWaitCompleted, [&] { running.wait(); }, trial.queue());
  check(told.is_open(), "the activity was told");
}

void cancel_activity_try(Trial& trial) {
  Gate running;
  const auto worker = trial.worker();
  worker->add<&idle_body>([&](ActivityContext& context) {
    running.open();
    endless(context);
  });
  worker->start();
  cancel_activity(trial, CancellationType::kTryCancel, [&] { running.wait(); }, trial.queue());
}

void cancel_activity_unstarted(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  cancel_activity(trial, CancellationType::kWaitCompleted, [] {}, trial.id("nobody"));
}

// ---- answers from outside

// Hands out its token and leaves; whoever has the token answers.
class Left {
 public:
  std::string operator()(ActivityContext& context, std::string) const { leave(context); }
  [[noreturn]] void leave(ActivityContext& context) const {
    token_->set_value(context.info().task_token);
    complete_async();
  }
  std::string token() const { return token_->get_future().get(); }

 private:
  std::shared_ptr<std::promise<std::string>> token_ = std::make_shared<std::promise<std::string>>();
};

// The only activity of the workflow, once it has been picked up.
temporal::api::workflow::v1::PendingActivityInfo pending(Trial& trial, const HandleBase& handle) {
  temporal::api::workflow::v1::PendingActivityInfo shown;
  eventually([&] {
    const auto description = trial.describe(handle);
    if (description.pending_activities().empty()) return false;
    shown = description.pending_activities(0);
    return shown.has_last_started_time();
  });
  return shown;
}

void async_completion_token(Trial& trial) {
  const Left left;
  const auto worker = trial.worker();
  worker->add<&watched>(left);
  worker->start();
  auto handle = trial.start<&calls>("", 0, 100);
  const ActivityHandle later = trial.client().activity(left.token());
  (void)later.heartbeat("half way");
  check_equal(pending(trial, handle).heartbeat_details().payloads(0).data(), "\"half way\"");
  later.complete("by token");
  check_equal(handle.result(), "by token");
  (void)raises<ActivityNotFound>([&] { later.complete("twice"); });
}

void async_completion_id(Trial& trial) {
  const Left left;
  const auto worker = trial.worker();
  worker->add<&watched>(left);
  worker->start();
  auto handle = trial.start<&calls>("", 0, 100);
  const ActivityHandle later =
      trial.client().activity(handle.id(), handle.run_id(), pending(trial, handle).activity_id());
  (void)later.heartbeat(1);
  later.complete("by id");
  check_equal(handle.result(), "by id");
  (void)raises<ActivityNotFound>([&] { (void)later.heartbeat(2); });
}

void async_failure(Trial& trial) {
  const Left left;
  const auto worker = trial.worker();
  worker->add<&watched>(left);
  worker->start();
  auto handle = trial.start<&calls>("", 1, 100);
  trial.client().activity(left.token()).fail(ApplicationFailure("from outside"));
  const auto error = raises<WorkflowFailed>([&] { (void)handle.result(); });
  const auto failure = as<ActivityFailure>(error.failure());
  check_equal(std::string(as<ApplicationFailure>(failure.cause()).what()), "from outside");
}

void cancel_activity_abandon(Trial& trial) {
  const Left left;
  const auto worker = trial.worker();
  worker->add<&idle_body>([&](ActivityContext& context) { left.leave(context); });
  worker->start();
  std::string token;
  cancel_activity(trial, CancellationType::kAbandon, [&] { token = left.token(); }, trial.queue());
  (void)raises<ActivityNotFound>([&] { trial.client().activity(token).complete(); });
}

// ---- local activities

inline constexpr Activity<std::string(ActivityContext&)> near_body{"near"};

void local_activity(Trial& trial) {
  const auto worker = trial.worker();
  worker->add<&near_body>([](ActivityContext& context) {
    if (context.info().attempt == 1) throw ApplicationFailure("once");
    return "attempt " + std::to_string(context.info().attempt);
  });
  worker->start();
  check_equal(trial.start<&local>().result(), "attempt 2");
}

void local_activity_long(Trial& trial) {
  const auto worker = trial.worker();
  worker->add<&near_body>([](ActivityContext& context) {
    context.sleep_for(4s);  // the workflow task timeout is two seconds
    return std::string("at last");
  });
  worker->start();
  StartOptions options = trial.options();
  options.task_timeout = 2s;
  check_equal(trial.start_with<&local>(options).result(), "at last");
}

void describe_pending_activity(Trial& trial) {
  Gate repaired;
  const auto worker = trial.worker();
  worker->add<&watched>([&](ActivityContext& context, std::string) {
    context.heartbeat("so far");
    if (!repaired.is_open())
      throw ApplicationFailure("attempt " + std::to_string(context.info().attempt) + " fails");
    return std::string("done");
  });
  worker->start();
  auto handle = trial.start<&calls>("", 0, 100);
  temporal::api::workflow::v1::PendingActivityInfo shown;
  eventually([&] {
    const auto description = trial.describe(handle);
    if (description.pending_activities().empty()) return false;
    shown = description.pending_activities(0);
    return shown.attempt() >= 3;
  });
  check_equal(shown.activity_type().name(), "work");
  check(shown.last_failure().message().starts_with("attempt "), "the last failure");
  check_equal(shown.heartbeat_details().payloads(0).data(), "\"so far\"");
  repaired.open();
  check_equal(handle.result(), "done");
}

}  // namespace

void add_activity_scenarios(Scenarios& scenarios) {
  scenarios["hello"] = hello;
  scenarios["parallel_activities"] = parallel_activities;
  scenarios["activity_retries"] = activity_retries;
  scenarios["activity_next_retry_delay"] = activity_next_retry_delay;
  scenarios["activity_retries_exhausted"] = activity_retries_exhausted;
  scenarios["activity_fails"] = activity_fails;
  scenarios["timeout_start_to_close"] = timeout_start_to_close;
  scenarios["timeout_schedule_to_start"] = timeout_schedule_to_start;
  scenarios["timeout_schedule_to_close"] = timeout_schedule_to_close;
  scenarios["timeout_heartbeat"] = timeout_heartbeat;
  scenarios["heartbeat_details"] = heartbeat_details;
  scenarios["cancel_activity_wait"] = cancel_activity_wait;
  scenarios["cancel_activity_try"] = cancel_activity_try;
  scenarios["cancel_activity_abandon"] = cancel_activity_abandon;
  scenarios["cancel_activity_unstarted"] = cancel_activity_unstarted;
  scenarios["async_completion_token"] = async_completion_token;
  scenarios["async_completion_id"] = async_completion_id;
  scenarios["async_failure"] = async_failure;
  scenarios["local_activity"] = local_activity;
  scenarios["local_activity_long"] = local_activity_long;
  scenarios["describe_pending_activity"] = describe_pending_activity;
}

}  // namespace perdure::compat
