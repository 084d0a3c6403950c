// Wake: the clock reached something. What is due happens here, in order of what it may still depend on: the end of the execution,
// the end of the run, then timers, activities and the workflow task.
#include "server/core/activity/activity.h"
#include "server/core/timer/timer.h"
#include "server/core/workflow/lifecycle.h"
#include "server/core/workflow/run_commands.h"
#include "server/core/workflow/workflow_task.h"

namespace perdure::core {
namespace {

bool due(std::int64_t deadline, const Env& env) {
  return deadline != 0 && time_of(deadline) <= env.now;
}

temporal::api::failure::v1::Failure timeout_failure() {
  temporal::api::failure::v1::Failure failure;
  failure.set_message("workflow timeout");
  failure.set_source("Server");
  failure.mutable_timeout_failure_info()->set_timeout_type(enums::TIMEOUT_TYPE_START_TO_CLOSE);
  return failure;
}

// The run has run out of time (TM-02): closed, and perhaps followed by a retry or the next cron run.
void time_out_run(UnitDraft& unit, RunDraft& run, bool execution_over) {
  const Env& env = unit.env();
  force_close_workflow_task(run);
  const temporal::api::failure::v1::Failure failure = timeout_failure();
  Follow follow;
  follow.retry_state = enums::RETRY_STATE_TIMEOUT;
  if (!execution_over) follow = after_failure(run, failure, env);
  const std::shared_ptr<const HistoryEvent> started = follow.follows ? first_event(unit, run) : nullptr;
  if (!started) follow.follows = false;
  const std::string new_run_id = follow.follows ? env.random.uuid() : std::string();
  auto& attributes = *run.append(enums::EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT)
                          .mutable_workflow_execution_timed_out_event_attributes();
  attributes.set_retry_state(follow.retry_state);
  attributes.set_new_execution_run_id(new_run_id);
  close_run(unit, run, enums::WORKFLOW_EXECUTION_STATUS_TIMED_OUT, new_run_id);
  if (!follow.follows) return;
  const StartedAttributes& old = started->workflow_execution_started_event_attributes();
  follow_run(unit, run, follow, new_run_id,
             old.has_last_completion_result() ? &old.last_completion_result() : nullptr, &failure);
}

}  // namespace

Decision wake(UnitDraft& unit) {
  RunDraft* run = unit.current_run();
  const Env& env = unit.env();
  if (!run || !run->running()) return unit.finish(Nothing{});
  if (due(run->start().execution_expiration(), env)) {
    time_out_run(unit, *run, true);
    return unit.finish(Nothing{});
  }
  if (due(run->start().run_expiration(), env)) {
    time_out_run(unit, *run, false);
    return unit.finish(Nothing{});
  }
  bool wakes = timers_fired(*run, env);
  wakes |= activity_deadlines_passed(*run, env);
  workflow_task_deadline_passed(*run, env);
  if (wakes) wake_workflow(*run, env);
  return unit.finish(Nothing{});
}

}  // namespace perdure::core
