#include "server/core/activity/activity.h"

#include "base/planted.h"
#include "server/core/activity/results.h"
#include "server/core/errors.h"
#include "server/core/workflow/workflow_task.h"

namespace perdure::core {
namespace {

// The run and the activity that an answer is about.
struct Found {
  RunDraft& run;
  std::int64_t scheduled_id;
  const pb::Activity& activity() const { return **run.state().activities.find(scheduled_id); }
};

// By token: the very attempt that the token was given for (AC-13, rule E17). By id: whatever attempt is current; it is held by a
// worker unless `may_wait` (AC-14).
Result<Found> find(UnitDraft& unit, const TaskRef& task, bool may_wait) {
  RunDraft* run = unit.find_run(task.run_id);
  if (!run) return std::unexpected(workflow_not_found(unit.loaded().workflow_id, task.run_id));
  if (!run->running()) return std::unexpected(workflow_completed());
  if (task.by_id()) {
    const pb::Activity* activity = run->find_activity(task.activity_id);
    if (!activity) {
      return std::unexpected(not_found("cannot find pending activity with ActivityID " + task.activity_id +
                                       ", check workflow execution history for more details"));
    }
    if (activity->started_time() == 0 && !may_wait) return std::unexpected(activity_not_found());
    return Found{*run, activity->scheduled_id()};
  }
  const auto* entry = run->state().activities.find(task.scheduled_id);
  if (!entry) return std::unexpected(activity_not_found());
  const pb::Activity& activity = **entry;
  if (base::planted(base::Bug::kOldToken)) return Found{*run, task.scheduled_id};
  if (activity.started_time() == 0 || activity.attempt() != task.attempt || activity.nonce() != task.nonce) {
    return std::unexpected(activity_not_found());
  }
  return Found{*run, task.scheduled_id};
}

// The attempt failed, or the server failed it in place of an answer it cannot keep (AC-15).
void attempt_failed(const Found& found, const Failure& failure, const std::string& identity, const Env& env) {
  const enums::RetryState state = retry_activity(found.run, found.scheduled_id, failure, env);
  if (state == enums::RETRY_STATE_IN_PROGRESS) {
    found.run.activity(found.scheduled_id).set_last_attempt_complete_time(nanos(env.now));
    return;
  }
  write_activity_failed(found.run, found.scheduled_id, failure, identity, state);
  wake_workflow(found.run, env);
}

Decision fail_instead(UnitDraft& unit, const TaskRef& task, const std::string& identity, const char* text,
                      Reply reply) {
  const Result<Found> found = find(unit, task, false);
  if (!found) return UnitDraft::refuse(found.error());
  attempt_failed(*found, server_failure(text, true), identity, unit.env());
  return unit.finish(std::move(reply));
}

ActivityTaskStarted started_answer(const RunDraft& run, std::int64_t scheduled_id) {
  ActivityTaskStarted answer;
  answer.workflow_id = run.start().workflow_id();
  answer.run_id = run.run_id();
  answer.workflow_type = run.start().workflow_type();
  answer.scheduled_id = scheduled_id;
  const pb::Activity& activity = **run.state().activities.find(scheduled_id);
  answer.activity_id = activity.activity_id();
  answer.nonce = activity.nonce();
  answer.activity = std::make_shared<const pb::Activity>(activity);
  if (const HistoryEvent* event = run.drafted(scheduled_id))
    answer.scheduled_event = std::make_shared<const HistoryEvent>(*event);
  return answer;
}

std::uint64_t new_nonce(base::Random& random) {
  std::uint64_t nonce = random.next();
  while (nonce == 0) nonce = random.next();  // 0 stands for "not started"
  return nonce;
}

}  // namespace

// ---- starting ------------------------------------------------------------------------------------------------------------------

ActivityTaskStarted start_activity_now(RunDraft& run, std::int64_t scheduled_id, const std::string& identity,
                                       const std::string& request_id, const std::string& build_id,
                                       const Env& env) {
  pb::Activity& activity = run.activity(scheduled_id);
  activity.set_started_time(nanos(env.now));
  activity.set_last_started_time(nanos(env.now));
  activity.set_started_identity(identity);
  activity.set_last_worker_identity(identity);
  activity.set_request_id(request_id);
  activity.set_build_id(build_id);
  activity.set_nonce(new_nonce(env.random));
  activity.set_waiting_for_retry(false);
  activity.set_current_retry_interval(0);
  return started_answer(run, scheduled_id);
}

Decision start_activity_task(UnitDraft& unit, StartActivityTask command) {
  RunDraft* run = unit.find_run(command.run_id);
  if (!run) return UnitDraft::refuse(workflow_not_found(unit.loaded().workflow_id, command.run_id));
  if (!run->running()) return UnitDraft::refuse(workflow_completed());
  const auto* entry = run->state().activities.find(command.scheduled_id);
  if (!entry || (command.attempt != 0 && (*entry)->attempt() != command.attempt))
    return UnitDraft::refuse(activity_not_found());
  const pb::Activity& activity = **entry;
  const bool repeated = activity.started_time() != 0 && activity.request_id() == command.request_id;
  if (!repeated && (activity.started_time() != 0 || activity.waiting_for_retry())) {
    return UnitDraft::refuse(activity_not_found());
  }
  std::shared_ptr<const HistoryEvent> event = unit.loaded().event(run->run_id(), command.scheduled_id);
  if (!event) {
    return UnitDraft::refuse(
        {Code::kDataLoss, "corrupt execution: the scheduled event of an activity is missing", {}});
  }
  ActivityTaskStarted answer = repeated
                                   ? started_answer(*run, command.scheduled_id)
                                   : start_activity_now(*run, command.scheduled_id, command.identity,
                                                        command.request_id, command.build_id, unit.env());
  answer.scheduled_event = std::move(event);
  return unit.finish(std::move(answer));
}

void undo_activity_start(RunDraft& run, std::int64_t scheduled_id, std::uint64_t nonce) {
  const auto* entry = run.state().activities.find(scheduled_id);
  if (!entry || (*entry)->nonce() != nonce || (*entry)->started_time() == 0) return;
  pb::Activity& activity = run.activity(scheduled_id);
  activity.set_started_time(0);
  activity.clear_started_identity();
  activity.clear_request_id();
  activity.set_nonce(0);
  if (activity.attempt() > 1) return;
  activity.set_last_started_time(0);
  activity.clear_last_worker_identity();
}

// ---- answers -------------------------------------------------------------------------------------------------------------------

Decision complete_activity(UnitDraft& unit, CompleteActivity command) {
  const Env& env = unit.env();
  if (command.has_result && command.result.ByteSizeLong() > env.limits.blob_size) {
    return fail_instead(unit, command.task, command.identity, "Complete result exceeds size limit.",
                        Nothing{});
  }
  const Result<Found> found = find(unit, command.task, true);
  if (!found) return UnitDraft::refuse(found.error());
  RunDraft& run = found->run;
  if (found->activity().started_time() == 0) {
    // Completed from outside before a worker took it: the Started that must precede the result names the completer (AC-14).
    pb::Activity& activity = run.activity(found->scheduled_id);
    activity.set_started_time(nanos(env.now));
    activity.set_started_identity(command.identity);
  }
  const std::int64_t started_id = write_activity_started(run, found->activity());
  auto& completed = *run.append_or_buffer(enums::EVENT_TYPE_ACTIVITY_TASK_COMPLETED)
                         .mutable_activity_task_completed_event_attributes();
  completed.set_scheduled_event_id(found->scheduled_id);
  completed.set_started_event_id(started_id);
  completed.set_identity(command.identity);
  if (command.has_result) *completed.mutable_result() = std::move(command.result);
  run.remove_activity(found->scheduled_id);
  wake_workflow(run, env);
  return unit.finish(Nothing{});
}

Decision fail_activity(UnitDraft& unit, FailActivity command) {
  const Env& env = unit.env();
  if (command.failure.ByteSizeLong() != 0 && !command.failure.has_application_failure_info()) {
    return UnitDraft::refuse({Code::kInvalidArgument, "Failure must have ApplicationFailureInfo.", {}});
  }
  if (command.last_heartbeat_details &&
      command.last_heartbeat_details->ByteSizeLong() > env.limits.blob_size) {
    return fail_instead(unit, command.task, command.identity, "Heartbeat details exceed size limit.",
                        Nothing{});
  }
  const Result<Found> found = find(unit, command.task, false);
  if (!found) return UnitDraft::refuse(found.error());
  if (command.failure.ByteSizeLong() > env.limits.blob_size) {
    Failure instead = server_failure("Failure exceeds size limit.", true);
    *instead.mutable_cause() = shortened(command.failure, env.limits.activity_failure_in_state);
    command.failure = std::move(instead);
  }
  if (command.last_heartbeat_details) {
    pb::Activity& activity = found->run.activity(found->scheduled_id);
    *activity.mutable_heartbeat_details() = std::move(*command.last_heartbeat_details);
    activity.set_last_heartbeat_time(nanos(env.now));
  }
  attempt_failed(*found, command.failure, command.identity, env);
  return unit.finish(Nothing{});
}

Decision cancel_activity(UnitDraft& unit, CancelActivity command) {
  const Env& env = unit.env();
  if (command.has_details && command.details.ByteSizeLong() > env.limits.blob_size) {
    return fail_instead(unit, command.task, command.identity, "Cancel details exceed size limit.", Nothing{});
  }
  const Result<Found> found = find(unit, command.task, false);
  if (!found) return UnitDraft::refuse(found.error());
  if (!found->activity().cancel_requested()) {
    return UnitDraft::refuse(
        {Code::kInvalidArgument,
         "unable to mark activity as canceled without activity being request canceled first",
         {}});
  }
  RunDraft& run = found->run;
  const std::int64_t requested_id = found->activity().cancel_requested_id();
  const std::int64_t started_id = write_activity_started(run, found->activity());
  auto& canceled = *run.append_or_buffer(enums::EVENT_TYPE_ACTIVITY_TASK_CANCELED)
                        .mutable_activity_task_canceled_event_attributes();
  canceled.set_scheduled_event_id(found->scheduled_id);
  canceled.set_started_event_id(started_id);
  canceled.set_latest_cancel_requested_event_id(requested_id);
  canceled.set_identity(command.identity);
  if (command.has_details) *canceled.mutable_details() = std::move(command.details);
  run.remove_activity(found->scheduled_id);
  wake_workflow(run, env);
  return unit.finish(Nothing{});
}

Decision heartbeat_activity(UnitDraft& unit, HeartbeatActivity command) {
  const Env& env = unit.env();
  if (command.has_details && command.details.ByteSizeLong() > env.limits.blob_size) {
    return fail_instead(unit, command.task, command.identity, "Heartbeat details exceed size limit.",
                        Heartbeat{.cancel_requested = true});
  }
  const Result<Found> found = find(unit, command.task, false);
  if (!found) return UnitDraft::refuse(found.error());
  pb::Activity& activity = found->run.activity(found->scheduled_id);
  activity.set_last_heartbeat_time(nanos(env.now));
  if (base::planted(base::Bug::kHeartbeatNotWritten)) return unit.finish(Heartbeat{});
  if (command.has_details) {
    *activity.mutable_heartbeat_details() = std::move(command.details);
  } else {
    activity.clear_heartbeat_details();
  }
  return unit.finish(Heartbeat{.cancel_requested = activity.cancel_requested()});
}

}  // namespace perdure::core
