// The commands of a workflow that concern activities: schedule, request cancel.
#include <algorithm>

#include "server/core/activity/activity.h"
#include "server/core/limits/durations.h"
#include "server/core/workflow/completion.h"

namespace perdure::core {
namespace {

using Attributes = command::ScheduleActivityTaskCommandAttributes;
using google::protobuf::Duration;

constexpr auto kBadSchedule = enums::WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES;
constexpr auto kBadCancel = enums::WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_ACTIVITY_ATTRIBUTES;

std::string too_long(const char* what, std::size_t length, std::size_t limit) {
  return std::string(what) + " exceeds length limit. Length=" + std::to_string(length) +
         " Limit=" + std::to_string(limit);
}

// Empty: fine. Fills in what is missing of the retry policy (AC-02), caps the timeouts.
std::string validate(Attributes& attributes, const Limits& limits) {
  if (attributes.task_queue().name().empty()) return "missing task queue name";
  if (attributes.task_queue().name().size() > limits.id_length) return "taskQueue length exceeds limit";
  if (attributes.activity_id().empty()) return "activityId is not set";
  if (attributes.activity_type().name().empty()) return "activityType is not set";
  if (std::string wrong = normalise_retry_policy(*attributes.mutable_retry_policy()); !wrong.empty())
    return wrong;
  if (attributes.activity_id().size() > limits.id_length) {
    return too_long("activityId", attributes.activity_id().size(), limits.id_length);
  }
  if (attributes.activity_type().name().size() > limits.id_length) {
    return too_long("activityType", attributes.activity_type().name().size(), limits.id_length);
  }
  const std::pair<const char*, Duration*> timeouts[] = {
      {"ScheduleToCloseTimeout", attributes.mutable_schedule_to_close_timeout()},
      {"ScheduleToStartTimeout", attributes.mutable_schedule_to_start_timeout()},
      {"StartToCloseTimeout", attributes.mutable_start_to_close_timeout()},
      {"HeartbeatTimeout", attributes.mutable_heartbeat_timeout()}};
  for (const auto& [name, timeout] : timeouts) {
    if (is_negative(*timeout)) return std::string("invalid ") + name + ": negative duration";
    cap(*timeout);
  }
  return {};
}

struct Timeouts {
  std::int64_t schedule_to_close = 0, schedule_to_start = 0, start_to_close = 0, heartbeat = 0;
};

// 0 stands for "no limit" on both sides.
std::int64_t capped(std::int64_t value, std::int64_t cap) {
  if (cap == 0) return value;
  return value == 0 ? cap : std::min(value, cap);
}

// Every value is present and within what encloses it (AC-05). Either `start_to_close` or `schedule_to_close` is set.
Timeouts normalise(const Attributes& from, std::int64_t run_timeout) {
  Timeouts timeouts{nanos(from.schedule_to_close_timeout()), nanos(from.schedule_to_start_timeout()),
                    nanos(from.start_to_close_timeout()), nanos(from.heartbeat_timeout())};
  timeouts.schedule_to_close = capped(timeouts.schedule_to_close, run_timeout);
  timeouts.schedule_to_start = capped(timeouts.schedule_to_start, timeouts.schedule_to_close);
  timeouts.start_to_close = capped(timeouts.start_to_close, timeouts.schedule_to_close);
  timeouts.heartbeat = std::min(timeouts.heartbeat, timeouts.start_to_close);
  return timeouts;
}

// What an activity does not say about its priority is said by its workflow (SA-06).
temporal::api::common::v1::Priority merged(const temporal::api::common::v1::Priority& own,
                                           const temporal::api::common::v1::Priority& workflow) {
  temporal::api::common::v1::Priority priority = workflow;
  if (own.priority_key() != 0) priority.set_priority_key(own.priority_key());
  if (!own.fairness_key().empty()) priority.set_fairness_key(own.fairness_key());
  if (own.fairness_weight() != 0) priority.set_fairness_weight(own.fairness_weight());
  return priority;
}

pb::Activity new_activity(const Attributes& from, const Timeouts& timeouts, const RunDraft& run,
                          std::int64_t completed_id) {
  pb::Activity activity;
  activity.set_activity_id(from.activity_id());
  activity.set_type(from.activity_type().name());
  activity.set_task_queue(from.task_queue().name());
  activity.set_scheduled_time(nanos(run.now()));
  activity.set_first_scheduled_time(nanos(run.now()));
  activity.set_schedule_to_close_timeout(timeouts.schedule_to_close);
  activity.set_schedule_to_start_timeout(timeouts.schedule_to_start);
  activity.set_start_to_close_timeout(timeouts.start_to_close);
  activity.set_heartbeat_timeout(timeouts.heartbeat);
  *activity.mutable_retry_policy() = from.retry_policy();
  activity.set_attempt(1);
  if (from.has_priority() || run.start().has_priority()) {
    *activity.mutable_priority() = merged(from.priority(), run.start().priority());
  }
  activity.set_workflow_task_completed_id(completed_id);
  return activity;
}

void write_scheduled(RunDraft& run, Attributes& from, const Timeouts& timeouts, std::int64_t completed_id) {
  auto& to = *run.append(enums::EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
                  .mutable_activity_task_scheduled_event_attributes();
  to.set_activity_id(from.activity_id());
  *to.mutable_activity_type() = from.activity_type();
  to.mutable_task_queue()->set_name(from.task_queue().name());
  to.mutable_task_queue()->set_kind(enums::TASK_QUEUE_KIND_NORMAL);
  if (from.has_header()) *to.mutable_header() = std::move(*from.mutable_header());
  if (from.has_input()) *to.mutable_input() = std::move(*from.mutable_input());
  assign(to.mutable_schedule_to_close_timeout(), timeouts.schedule_to_close);
  assign(to.mutable_schedule_to_start_timeout(), timeouts.schedule_to_start);
  assign(to.mutable_start_to_close_timeout(), timeouts.start_to_close);
  assign(to.mutable_heartbeat_timeout(), timeouts.heartbeat);
  *to.mutable_retry_policy() = std::move(*from.mutable_retry_policy());
  if (from.has_priority()) *to.mutable_priority() = from.priority();
  to.set_workflow_task_completed_event_id(completed_id);
}

bool is_result_of(const HistoryEvent& event, std::int64_t scheduled_id) {
  switch (event.event_type()) {
    case enums::EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
      return event.activity_task_completed_event_attributes().scheduled_event_id() == scheduled_id;
    case enums::EVENT_TYPE_ACTIVITY_TASK_FAILED:
      return event.activity_task_failed_event_attributes().scheduled_event_id() == scheduled_id;
    case enums::EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
      return event.activity_task_timed_out_event_attributes().scheduled_event_id() == scheduled_id;
    case enums::EVENT_TYPE_ACTIVITY_TASK_CANCELED:
      return event.activity_task_canceled_event_attributes().scheduled_event_id() == scheduled_id;
    default: return false;
  }
}

std::int64_t write_cancel_requested(Completion& completion, std::int64_t scheduled_id) {
  HistoryEvent& event = completion.run.append(enums::EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED);
  auto& requested = *event.mutable_activity_task_cancel_requested_event_attributes();
  requested.set_scheduled_event_id(scheduled_id);
  requested.set_workflow_task_completed_event_id(completion.completed_id);
  return event.event_id();
}

// Nobody works on it: it is canceled at once (WT-32, AC-12). The event follows those of all commands, and is lost if one of them
// closes the run (WT-42).
void cancel_waiting(Completion& completion, std::int64_t scheduled_id, std::int64_t requested_id) {
  HistoryEvent& event = completion.run.buffer(enums::EVENT_TYPE_ACTIVITY_TASK_CANCELED);
  auto& canceled = *event.mutable_activity_task_canceled_event_attributes();
  canceled.set_scheduled_event_id(scheduled_id);
  canceled.set_latest_cancel_requested_event_id(requested_id);
  canceled.set_identity(completion.request.identity());
  auto& payload = *canceled.mutable_details()->add_payloads();
  (*payload.mutable_metadata())["encoding"] = "json/plain";
  payload.set_data("\"ACTIVITY_ID_NOT_STARTED\"");
  completion.run.remove_activity(scheduled_id);
  completion.wake_needed = true;
}

}  // namespace

CommandResult schedule_activity(Completion& completion, command::Command& command) {
  RunDraft& run = completion.run;
  const Limits& limits = completion.env.limits;
  if (!command.has_schedule_activity_task_command_attributes()) {
    return bad_command(kBadSchedule,
                       "ScheduleActivityTaskCommandAttributes is not set on ScheduleActivityTaskCommand.");
  }
  Attributes& attributes = *command.mutable_schedule_activity_task_command_attributes();
  if (std::string wrong = validate(attributes, limits); !wrong.empty())
    return bad_command(kBadSchedule, std::move(wrong));
  if (nanos(attributes.schedule_to_close_timeout()) == 0 && nanos(attributes.start_to_close_timeout()) == 0) {
    return bad_command(
        kBadSchedule,
        "a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set on the activity. ActivityId=" +
            attributes.activity_id() + " ActivityType=" + attributes.activity_type().name());
  }
  if (attributes.input().ByteSizeLong() > limits.blob_size) {
    return std::unexpected(CommandError{kBadSchedule,
                                        "ScheduleActivityTaskCommandAttributes.Input exceeds size limit.",
                                        /*terminates=*/true});
  }
  const std::size_t pending = run.state().activities.size();
  if (pending >= limits.pending_activities) {
    return bad_command(enums::WORKFLOW_TASK_FAILED_CAUSE_PENDING_ACTIVITIES_LIMIT_EXCEEDED,
                       "the number of pending activities, " + std::to_string(pending) +
                           ", has reached the per-workflow limit of " +
                           std::to_string(limits.pending_activities));
  }
  if (run.find_activity(attributes.activity_id())) {
    return bad_command(
        enums::WORKFLOW_TASK_FAILED_CAUSE_SCHEDULE_ACTIVITY_DUPLICATE_ID,
        "invalid history builder state for action: add-activitytask-scheduled-event, ActivityID: " +
            attributes.activity_id());
  }
  const Timeouts timeouts = normalise(attributes, run.start().run_timeout());
  pb::Activity activity = new_activity(attributes, timeouts, run, completion.completed_id);
  const std::int64_t scheduled_id = run.next_event_id();
  activity.set_scheduled_id(scheduled_id);
  if (attributes.request_eager_execution()) completion.eager_activities.push_back(scheduled_id);
  write_scheduled(run, attributes, timeouts, completion.completed_id);
  run.add_activity(std::move(activity));
  return {};
}

CommandResult request_cancel_activity(Completion& completion, command::Command& command) {
  if (!command.has_request_cancel_activity_task_command_attributes()) {
    return bad_command(
        kBadCancel,
        "RequestCancelActivityTaskCommandAttributes is not set on RequestCancelActivityTaskCommand.");
  }
  const std::int64_t scheduled_id =
      command.request_cancel_activity_task_command_attributes().scheduled_event_id();
  if (scheduled_id == 0) {
    return bad_command(kBadCancel, "ScheduledEventId is not set on RequestCancelActivityTaskCommand.");
  }
  RunDraft& run = completion.run;
  const auto* entry = run.state().activities.find(scheduled_id);
  if (!entry &&
      run.has_buffered([&](const HistoryEvent& event) { return is_result_of(event, scheduled_id); })) {
    write_cancel_requested(completion, scheduled_id);  // it is over already, which the worker could not know
    return {};
  }
  if (!entry || (*entry)->cancel_requested()) {
    return bad_command(
        kBadCancel,
        "invalid history builder state for action: add-activitytask-cancel-requested-event, ScheduledEventID: " +
            std::to_string(scheduled_id));
  }
  const std::int64_t requested_id = write_cancel_requested(completion, scheduled_id);
  pb::Activity& activity = run.activity(scheduled_id);
  activity.set_cancel_requested(true);
  activity.set_cancel_requested_id(requested_id);
  if (activity.started_time() == 0) cancel_waiting(completion, scheduled_id, requested_id);
  return {};
}

}  // namespace perdure::core
