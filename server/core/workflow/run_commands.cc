#include "server/core/workflow/run_commands.h"

#include "server/core/activity/activity.h"
#include "server/core/errors.h"
#include "server/core/workflow/workflow_task.h"

namespace perdure::core {

Decision start_workflow_task(UnitDraft& unit, StartWorkflowTask command) {
  RunDraft* run = unit.find_run(command.run_id);
  if (!run || !run->running()) return UnitDraft::refuse(workflow_task_not_found());
  const pb::WorkflowTask& task = run->task_now();
  // Obsolete: another task, already started, or offered to a queue it has left since (WT-07).
  if (task.scheduled_id() != command.scheduled_id || task.started_id() != 0 ||
      task.on_sticky_queue() != command.sticky ||
      (command.attempt != 0 && task.attempt() != command.attempt)) {
    return UnitDraft::refuse(workflow_task_not_found());
  }
  WorkflowTaskStarted started = start_workflow_task_now(*run,
                                                        {.identity = std::move(command.identity),
                                                         .request_id = std::move(command.request_id),
                                                         .build_id = std::move(command.build_id),
                                                         .sticky = command.sticky},
                                                        unit.env());
  return unit.finish(std::move(started));
}

Decision undo_start(UnitDraft& unit, UndoStart command) {
  RunDraft* run = unit.find_run(command.run_id);
  if (!run || !run->running()) return unit.finish(Nothing{});
  if (command.kind == TaskKind::kWorkflow) {
    undo_workflow_task_start(*run, command.nonce, unit.env());
  } else {
    undo_activity_start(*run, command.scheduled_id, command.nonce);
  }
  return unit.finish(Nothing{});
}

Decision sticky_unavailable(UnitDraft& unit, StickyUnavailable command) {
  RunDraft* run = unit.find_run(command.run_id);
  if (!run || !run->running()) return unit.finish(Nothing{});
  const pb::WorkflowTask& task = run->task_now();
  if (task.scheduled_id() == command.scheduled_id && task.started_id() == 0 && task.on_sticky_queue()) {
    move_to_normal_queue(*run);
  }
  return unit.finish(Nothing{});
}

Decision read_history(UnitDraft& unit, ReadHistory command) {
  const RunDraft* run = unit.find_run(command.run_id);
  if (!run) return UnitDraft::refuse(workflow_not_found(unit.loaded().workflow_id, command.run_id));
  const pb::RunProgress& progress = run->state().progress;
  HistoryPosition position{.run_id = run->run_id(),
                           .new_run_id = progress.new_run_id(),
                           .running = run->running(),
                           .next_event_id = progress.next_event_id(),
                           .close_event_id = progress.close_event_id()};
  if (command.with_tail) position.tail = transient_tail(run->state(), false);
  return unit.finish(std::move(position));
}

namespace {

bool rejects(int condition, int status) {
  switch (condition) {
    case enums::QUERY_REJECT_CONDITION_NOT_OPEN: return status != enums::WORKFLOW_EXECUTION_STATUS_RUNNING;
    case enums::QUERY_REJECT_CONDITION_NOT_COMPLETED_CLEANLY:
      return status != enums::WORKFLOW_EXECUTION_STATUS_RUNNING &&
             status != enums::WORKFLOW_EXECUTION_STATUS_COMPLETED &&
             status != enums::WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW;
    default: return false;
  }
}

}  // namespace

Decision route_query(UnitDraft& unit, RouteQuery command, const Volatile& now) {
  RunDraft* run = unit.find_run(command.run_id);
  if (!run) return UnitDraft::refuse(workflow_not_found(unit.loaded().workflow_id, command.run_id));
  const pb::RunProgress& progress = run->state().progress;
  QueryRoute route{.run_id = run->run_id(),
                   .workflow_type = run->start().workflow_type(),
                   .task_queue = run->start().task_queue(),
                   .sticky_queue = progress.sticky_queue(),
                   .sticky_timeout = Duration(progress.sticky_timeout()),
                   .previous_started_id = progress.last_completed_task_started_id(),
                   .next_event_id = progress.next_event_id()};
  if (rejects(command.reject_condition, progress.status())) {
    route.how = QueryRoute::How::kRejected;
    route.rejected_status = progress.status();
    return unit.finish(std::move(route));
  }
  const pb::WorkflowTask& task = progress.task();
  if (!run->running()) {
    if (progress.last_completed_task_id() == 0) {
      return UnitDraft::refuse(
          workflow_not_ready("Workflow execution closed before WorkflowTaskStarted event"));
    }
    return unit.finish(std::move(route));
  }
  if (task.attempt() >= 3) {
    return UnitDraft::refuse(
        workflow_not_ready("Unable to query workflow due to Workflow Task in failed state."));
  }
  if (!progress.first_task_scheduled()) {
    route.how = QueryRoute::How::kAttach;
    route.pending_first_task = true;
  } else if (task.scheduled_id() != 0 || progress.last_completed_task_id() == 0) {
    route.how = QueryRoute::How::kAttach;
  }
  if (route.how == QueryRoute::How::kAttach &&
      now.buffered_queries >= static_cast<int>(unit.env().limits.buffered_queries)) {
    return UnitDraft::refuse(
        busy_workflow("consistent query buffer is full, this may be caused by too many queries and workflow "
                      "not able to process query fast enough"));
  }
  return unit.finish(std::move(route));
}

}  // namespace perdure::core
