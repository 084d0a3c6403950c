// The clock and an activity: four timeouts (AC-06, AC-07) and the end of a backoff.
#include <algorithm>

#include "server/core/activity/results.h"

namespace perdure::core {
namespace {

struct Deadline {
  Time at = base::kNever;
  enums::TimeoutType type{};
};

// The timeout of the activity that passes first. Of two at the same time: start-to-close, then schedule-to-start, then
// schedule-to-close, then heartbeat.
Deadline first_deadline(const pb::Activity& activity) {
  Deadline first;
  const auto consider = [&](std::int64_t from, std::int64_t timeout, enums::TimeoutType type) {
    if (timeout == 0) return;
    const Time at = base::add(time_of(from), Duration(timeout));
    if (at < first.at) first = {at, type};
  };
  if (activity.started_time() != 0) {
    consider(activity.started_time(), activity.start_to_close_timeout(), enums::TIMEOUT_TYPE_START_TO_CLOSE);
  } else {
    consider(activity.scheduled_time(), activity.schedule_to_start_timeout(),
             enums::TIMEOUT_TYPE_SCHEDULE_TO_START);
  }
  consider(activity.first_scheduled_time(), activity.schedule_to_close_timeout(),
           enums::TIMEOUT_TYPE_SCHEDULE_TO_CLOSE);
  if (activity.started_time() != 0) {
    const std::int64_t alive = std::max(activity.last_heartbeat_time(), activity.started_time());
    consider(alive, activity.heartbeat_timeout(), enums::TIMEOUT_TYPE_HEARTBEAT);
  }
  return first;
}

// True: an event was written. Otherwise the next attempt waits.
bool time_out(RunDraft& run, std::int64_t scheduled_id, enums::TimeoutType type, const Env& env) {
  Failure failure = activity_timeout_failure(type);
  enums::RetryState state = enums::RETRY_STATE_TIMEOUT;
  if (type == enums::TIMEOUT_TYPE_START_TO_CLOSE || type == enums::TIMEOUT_TYPE_HEARTBEAT) {
    state = retry_activity(run, scheduled_id, failure, env);
    if (state == enums::RETRY_STATE_IN_PROGRESS) return false;
  }
  const pb::Activity& activity = **run.state().activities.find(scheduled_id);
  if (state == enums::RETRY_STATE_TIMEOUT && type != enums::TIMEOUT_TYPE_SCHEDULE_TO_START) {
    failure = activity_timeout_failure(enums::TIMEOUT_TYPE_SCHEDULE_TO_CLOSE);
    failure.set_message(
        "Not enough time to schedule next retry before activity ScheduleToClose timeout, giving up retrying");
    if (activity.has_last_failure()) *failure.mutable_cause() = activity.last_failure();
  }
  if (activity.has_heartbeat_details()) {
    *failure.mutable_timeout_failure_info()->mutable_last_heartbeat_details() = activity.heartbeat_details();
  }
  const std::int64_t started_id = write_activity_started(run, activity);
  auto& timed_out = *run.append_or_buffer(enums::EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT)
                         .mutable_activity_task_timed_out_event_attributes();
  timed_out.set_scheduled_event_id(scheduled_id);
  timed_out.set_started_event_id(started_id);
  timed_out.set_retry_state(state);
  *timed_out.mutable_failure() = std::move(failure);
  run.remove_activity(scheduled_id);
  return true;
}

}  // namespace

bool activity_deadlines_passed(RunDraft& run, const Env& env) {
  struct Due {
    Time at;
    std::int64_t scheduled_id;
    enums::TimeoutType type;  // UNSPECIFIED: a backoff ended
  };
  std::vector<Due> due;
  run.state().activities.each([&](std::int64_t id, const auto& activity) {
    const Deadline deadline = first_deadline(*activity);
    if (deadline.at <= env.now) {
      due.push_back({deadline.at, id, deadline.type});
    } else if (activity->waiting_for_retry() && time_of(activity->scheduled_time()) <= env.now) {
      due.push_back({time_of(activity->scheduled_time()), id, enums::TIMEOUT_TYPE_UNSPECIFIED});
    }
  });
  std::stable_sort(due.begin(), due.end(), [](const Due& a, const Due& b) { return a.at < b.at; });
  bool wrote = false;
  for (const Due& one : due) {
    if (one.type == enums::TIMEOUT_TYPE_UNSPECIFIED) {
      run.activity(one.scheduled_id).set_waiting_for_retry(false);
    } else if (time_out(run, one.scheduled_id, one.type, env)) {
      wrote = true;
    }
  }
  return wrote;
}

}  // namespace perdure::core
