#include "server/core/activity/results.h"

namespace perdure::core {
namespace {

// When the activity as a whole must be over; kNever without a schedule-to-close timeout.
Time expiration_of(const pb::Activity& activity) {
  if (activity.schedule_to_close_timeout() == 0) return base::kNever;
  return base::add(time_of(activity.first_scheduled_time()), Duration(activity.schedule_to_close_timeout()));
}

}  // namespace

std::int64_t write_activity_started(RunDraft& run, const pb::Activity& activity) {
  if (activity.started_time() == 0) return 0;
  HistoryEvent& event = run.append_or_buffer(enums::EVENT_TYPE_ACTIVITY_TASK_STARTED);
  assign(event.mutable_event_time(), activity.started_time());
  auto& started = *event.mutable_activity_task_started_event_attributes();
  started.set_scheduled_event_id(activity.scheduled_id());
  started.set_identity(activity.started_identity());
  started.set_request_id(activity.request_id());
  started.set_attempt(activity.attempt());
  if (activity.has_last_failure()) *started.mutable_last_failure() = activity.last_failure();
  return event.event_id();
}

enums::RetryState retry_activity(RunDraft& run, std::int64_t scheduled_id, const Failure& failure,
                                 const Env& env) {
  const pb::Activity& now = **run.state().activities.find(scheduled_id);
  if (now.cancel_requested()) return enums::RETRY_STATE_CANCEL_REQUESTED;
  const RetryDecision decision = decide_retry(now.has_retry_policy() ? &now.retry_policy() : nullptr,
                                              now.attempt(), failure, env.now, expiration_of(now));
  if (decision.state != enums::RETRY_STATE_IN_PROGRESS) return decision.state;
  pb::Activity& activity = run.activity(scheduled_id);
  activity.set_attempt(activity.attempt() + 1);
  activity.set_scheduled_time(nanos(base::add(env.now, decision.delay)));
  activity.set_waiting_for_retry(decision.delay > Duration::zero());
  activity.set_current_retry_interval(decision.delay.count());
  *activity.mutable_last_failure() = shortened(failure, env.limits.activity_failure_in_state);
  activity.set_started_time(0);
  activity.clear_started_identity();
  activity.clear_request_id();
  activity.set_nonce(0);
  return decision.state;
}

void write_activity_failed(RunDraft& run, std::int64_t scheduled_id, const Failure& failure,
                           const std::string& identity, enums::RetryState retry_state) {
  const std::int64_t started_id = write_activity_started(run, **run.state().activities.find(scheduled_id));
  auto& failed = *run.append_or_buffer(enums::EVENT_TYPE_ACTIVITY_TASK_FAILED)
                      .mutable_activity_task_failed_event_attributes();
  failed.set_scheduled_event_id(scheduled_id);
  failed.set_started_event_id(started_id);
  failed.set_identity(identity);
  failed.set_retry_state(retry_state);
  if (failure.ByteSizeLong() != 0) *failed.mutable_failure() = failure;
  run.remove_activity(scheduled_id);
}

}  // namespace perdure::core
