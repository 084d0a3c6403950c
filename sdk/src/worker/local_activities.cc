#include "sdk/src/worker/local_activities.h"

#include <algorithm>
#include <cmath>

#include "sdk/src/payload/convert.h"

namespace perdure::worker {

namespace enums = temporal::api::enums::v1;

namespace {

google::protobuf::Timestamp timestamp(base::Time time) {
  const auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  google::protobuf::Timestamp out;
  out.set_seconds(nanos / 1'000'000'000);
  out.set_nanos(static_cast<std::int32_t>(nanos % 1'000'000'000));
  return out;
}

std::int64_t millis(base::Time time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

// How long until the next attempt, or why there is none.
struct Verdict {
  std::optional<Duration> backoff;
  int retry_state = enums::RETRY_STATE_UNSPECIFIED;
};

Verdict judge(const detail::LocalActivity& asked, int attempt, const std::exception_ptr& error,
              std::optional<Duration> left) {
  const RetryPolicy& policy = asked.retry;
  const double initial = static_cast<double>(std::max<Duration>(policy.initial_interval, 1ms).count());
  const Duration most = policy.maximum_interval > Duration::zero()
                            ? policy.maximum_interval
                            : Duration(static_cast<std::int64_t>(initial * 100));
  Duration backoff(static_cast<std::int64_t>(std::min(
      initial * std::pow(policy.backoff_coefficient, attempt - 1), static_cast<double>(most.count()))));
  try {
    std::rethrow_exception(error);
  } catch (const ApplicationFailure& failure) {
    const auto& types = asked.non_retryable_error_types;
    if (failure.non_retryable() || std::find(types.begin(), types.end(), failure.type()) != types.end())
      return {std::nullopt, enums::RETRY_STATE_NON_RETRYABLE_FAILURE};
    if (failure.options().next_retry_delay > Duration::zero()) backoff = failure.options().next_retry_delay;
  } catch (const TimeoutFailure& timeout) {
    if (timeout.type() == TimeoutType::kScheduleToClose) return {std::nullopt, enums::RETRY_STATE_TIMEOUT};
  } catch (...) {
  }
  if (policy.maximum_attempts > 0 && attempt >= policy.maximum_attempts)
    return {std::nullopt, enums::RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED};
  if (left && backoff >= *left) return {std::nullopt, enums::RETRY_STATE_TIMEOUT};
  return {backoff, enums::RETRY_STATE_IN_PROGRESS};
}

// An exception as it looks after it has been to the wire and back: what the marker will say.
std::exception_ptr as_failure(const std::exception_ptr& error, FailureConverter* failures) {
  temporal::api::failure::v1::Failure wire;
  convert::to_wire(error, &wire, failures);
  return convert::from_wire(wire);
}

bool is_cancellation(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Failure& failure) {
    return failure.is_cancelled();
  } catch (...) {
    return false;
  }
}

}  // namespace

void LocalActivities::start(Call call) {
  host_.control->post(base::Lane::kCompletion, 0, [this, call] {
    call->attempt = call->asked->attempt;
    call->scheduled = call->asked->scheduled_millis == 0
                          ? host_.control->clock().now()
                          : base::Time(std::chrono::duration_cast<base::Time::duration>(
                                std::chrono::milliseconds(call->asked->scheduled_millis)));
    calls_.insert(call);
    begin(call);
  });
}

void LocalActivities::cancel(const Call& call) {
  host_.control->post(base::Lane::kCompletion, 0, [this, call] {
    call->cancelled = true;
    ask_to_end(call);
  });
}

void LocalActivities::forget(const Call& call) {
  host_.control->post(base::Lane::kCompletion, 0, [this, call] {
    if (call->task) call->task->stop(CancelReason::kGone);
    finish(call, std::nullopt);
  });
}

void LocalActivities::ask_to_end(const Call& call) {
  if (call->over) return;
  if (call->task) return call->task->stop(CancelReason::kRequested);
  detail::LocalResult result;
  result.failure = std::make_exception_ptr(CancelledFailure("local activity cancelled"));
  result.retry_state = enums::RETRY_STATE_CANCEL_REQUESTED;
  result.attempt = call->attempt;
  finish(call, std::move(result));
}

void LocalActivities::stop() {
  stopping_ = true;
  const std::set<Call> all = calls_;
  for (const Call& call : all) {
    if (call->task) {
      call->task->stop(CancelReason::kWorkerShutdown);
    } else {
      finish(call, std::nullopt);
    }
  }
}

void LocalActivities::begin(const Call& call) {
  if (call->over) return;
  if (stopping_) return finish(call, std::nullopt);
  if (call->cancelled) return ask_to_end(call);
  if (threads_ >= std::max(host_.limit, 1)) return waiting_.push_back(call);
  attempt(call);
}

std::optional<Duration> LocalActivities::time_left(const LocalCall& call) const {
  if (call.asked->schedule_to_close_timeout <= Duration::zero()) return std::nullopt;
  return call.asked->schedule_to_close_timeout -
         std::chrono::duration_cast<Duration>(host_.control->clock().now() - call.scheduled);
}

void LocalActivities::attempt(const Call& call) {
  const base::Time now = host_.control->clock().now();
  const std::optional<Duration> left = time_left(*call);
  if (left && *left <= Duration::zero()) return timed_out(call, TimeoutType::kScheduleToClose);
  temporal::api::workflowservice::v1::PollActivityTaskQueueResponse task;
  task.set_activity_id(call->asked->id);
  task.mutable_activity_type()->set_name(call->asked->type);
  task.mutable_workflow_execution()->set_workflow_id(call->workflow_id);
  task.mutable_workflow_execution()->set_run_id(call->run_id);
  task.mutable_workflow_type()->set_name(call->workflow_type);
  task.set_attempt(call->attempt);
  *task.mutable_scheduled_time() = timestamp(call->scheduled);
  *task.mutable_started_time() = timestamp(now);
  convert::to_wire(call->asked->start_to_close_timeout, task.mutable_start_to_close_timeout());
  convert::to_wire(call->asked->schedule_to_close_timeout, task.mutable_schedule_to_close_timeout());
  convert::to_wire(call->asked->headers, task.mutable_header());
  call->task = host_.make_task(task);
  call->task->run_locally(call->asked->arguments, [this, call, attempt = call->attempt](
                                                      Payloads result, std::exception_ptr error) {
    host_.control->post(base::Lane::kCompletion, 0,
                        [this, call, attempt, result, error] { ended(call, attempt, result, error); });
  });
  const Duration own = call->asked->start_to_close_timeout;
  const bool all = own <= Duration::zero() || (left && *left < own);
  call->timer = host_.control->call_at(base::add(now, all ? *left : own), [this, call, all] {
    timed_out(call, all ? TimeoutType::kScheduleToClose : TimeoutType::kStartToClose);
  });
  call->began = now;
  ++threads_;
  show_slots();
  host_.meter.count(observe::metric::kLocalActivityTotal,
                    {{"activity_type", call->asked->type}, {"workflow_type", call->workflow_type}});
  host_.run(call->asked->type, [this, running = call->task](const detail::ActivityBody* body) {
    running->run(body,
                 [this] { host_.control->post(base::Lane::kCompletion, 0, [this] { thread_ended(); }); });
  });
}

void LocalActivities::count_attempt(const LocalCall& call, const std::exception_ptr& error) const {
  const base::Time now = host_.control->clock().now();
  const auto labels = {MetricLabel{"activity_type", call.asked->type},
                       MetricLabel{"workflow_type", call.workflow_type}};
  host_.meter.took(observe::metric::kLocalActivityExecution, now - call.began, labels);
  if (!error)
    return host_.meter.took(observe::metric::kLocalActivitySucceedEndToEnd, now - call.scheduled, labels);
  const bool cancelled = call.cancelled && is_cancellation(error);
  host_.meter.count(
      cancelled ? observe::metric::kLocalActivityCancelled : observe::metric::kLocalActivityFailed, labels);
}

void LocalActivities::show_slots() const {
  const auto labels = {MetricLabel{"worker_type", "LocalActivityWorker"}};
  host_.meter.gauge(observe::metric::kSlotsUsed, threads_, labels);
  host_.meter.gauge(observe::metric::kSlotsAvailable, std::max(host_.limit - threads_, 0), labels);
}

void LocalActivities::thread_ended() {
  --threads_;
  show_slots();
  while (!waiting_.empty() && threads_ < std::max(host_.limit, 1)) {
    const Call next = std::move(waiting_.front());
    waiting_.pop_front();
    begin(next);
  }
  host_.changed();
}

void LocalActivities::ended(const Call& call, int attempt, Payloads result, std::exception_ptr error) {
  if (call->over || !call->task || call->attempt != attempt) return;  // it had timed out
  host_.control->cancel(call->timer);
  call->task.reset();
  count_attempt(*call, error);
  if (error) return failed(call, error);
  detail::LocalResult success;
  success.result = std::move(result);
  success.attempt = call->attempt;
  success.scheduled_millis = millis(call->scheduled);
  finish(call, std::move(success));
}

void LocalActivities::timed_out(const Call& call, TimeoutType type) {
  if (call->over) return;
  const auto error = std::make_exception_ptr(TimeoutFailure("local activity timed out", type));
  if (call->task) {
    call->task->stop(CancelReason::kGone);
    count_attempt(*call, error);
  }
  call->task.reset();
  failed(call, error);
}

void LocalActivities::failed(const Call& call, const std::exception_ptr& error) {
  if (stopping_) return finish(call, std::nullopt);
  detail::LocalResult result;
  result.failure = as_failure(error, host_.failures);
  result.attempt = call->attempt;
  result.scheduled_millis = millis(call->scheduled);
  if (call->cancelled && is_cancellation(error)) {
    result.retry_state = enums::RETRY_STATE_CANCEL_REQUESTED;
    return finish(call, std::move(result));
  }
  const Verdict verdict = judge(*call->asked, call->attempt, result.failure, time_left(*call));
  result.retry_state = verdict.retry_state;
  if (!verdict.backoff || call->cancelled) return finish(call, std::move(result));
  if (*verdict.backoff > call->asked->local_retry_threshold) {
    result.backoff = *verdict.backoff;
    return finish(call, std::move(result));
  }
  ++call->attempt;
  call->timer = host_.control->call_at(base::add(host_.control->clock().now(), *verdict.backoff),
                                       [this, call] { begin(call); });
}

void LocalActivities::finish(const Call& call, std::optional<detail::LocalResult> result) {
  if (std::exchange(call->over, true)) return;
  host_.control->cancel(call->timer);
  calls_.erase(call);
  const auto done = std::exchange(call->done, nullptr);
  if (done) done(std::move(result));
}

}  // namespace perdure::worker
