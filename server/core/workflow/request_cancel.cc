#include "server/core/workflow/request_cancel.h"

#include "server/core/errors.h"
#include "server/core/workflow/lifecycle.h"
#include "server/core/workflow/workflow_task.h"

namespace perdure::core {

bool request_cancel(RunDraft& run, const CancelRequest& request) {
  if (run.state().progress.cancel_requested()) return false;
  run.progress().set_cancel_requested(true);
  HistoryEvent& event = run.append_or_buffer(enums::EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED);
  auto& attributes = *event.mutable_workflow_execution_cancel_requested_event_attributes();
  attributes.set_cause(request.reason);
  attributes.set_identity(request.identity);
  if (request.external) {
    *attributes.mutable_external_workflow_execution() = *request.external;
    attributes.set_external_initiated_event_id(request.external_initiated_id);
  }
  if (request.links) *event.mutable_links() = *request.links;
  return true;
}

Decision request_cancel_workflow(UnitDraft& unit, RequestCancelWorkflow command) {
  const auto& request = command.request;
  RunDraft* run = unit.find_run(request.workflow_execution().run_id());
  if (!run)
    return UnitDraft::refuse(
        workflow_not_found(unit.loaded().workflow_id, request.workflow_execution().run_id()));
  const std::string& first = request.first_execution_run_id();
  if (!first.empty() && first != run->start().first_run_id()) return UnitDraft::refuse(chain_not_found());
  if (!run->running()) return unit.finish(Nothing{});
  const bool new_request = request_cancel(
      *run, {.reason = request.reason(), .identity = request.identity(), .links = &request.links()});
  if (new_request) {
    run->progress().set_cancel_request_id(request.request_id());
    wake_workflow(*run, unit.env());
  }
  return unit.finish(Nothing{});
}

Decision terminate_workflow(UnitDraft& unit, TerminateWorkflow command) {
  const auto& request = command.request;
  RunDraft* run = unit.find_run(request.workflow_execution().run_id());
  if (!run)
    return UnitDraft::refuse(
        workflow_not_found(unit.loaded().workflow_id, request.workflow_execution().run_id()));
  const std::string& first = request.first_execution_run_id();
  if (!first.empty() && first != run->start().first_run_id()) return UnitDraft::refuse(chain_not_found());
  if (!run->running()) return UnitDraft::refuse(workflow_completed());
  const std::string reason = request.reason().empty() ? "terminated by user via frontend" : request.reason();
  const std::string identity = request.identity().empty() ? "frontend-service" : request.identity();
  terminate_run(unit, *run, reason, identity, request.has_details() ? &request.details() : nullptr);
  return unit.finish(Nothing{});
}

Decision delete_workflow(UnitDraft& unit, DeleteWorkflow command) {
  RunDraft* run = unit.find_run(command.run_id);
  if (!run) return UnitDraft::refuse(workflow_not_found(unit.loaded().workflow_id, command.run_id));
  if (run->running()) {
    if (!command.even_if_running)
      return UnitDraft::refuse(Error{Code::kFailedPrecondition, "workflow execution is running", {}});
    terminate_run(unit, *run, "Delete workflow execution", "history-service", nullptr);
  }
  if (run->state().owes()) {
    // An effect on another id is still owed: the run goes when it is paid (rule E7).
    run->progress().set_deleted(true);
    return unit.finish(Nothing{});
  }
  const std::string run_id = run->run_id();
  run->delete_run();
  if (unit.head_now().head.current_run_id() == run_id) {
    pb::Head& head = unit.head();
    head.clear_current_run_id();
    head.clear_current_status();
    head.clear_current_start_time();
    head.clear_current_first_run_id();
    head.clear_current_request_id();
  }
  return unit.finish(Nothing{});
}

Decision reset_sticky(UnitDraft& unit, ResetSticky command) {
  RunDraft* run = unit.find_run(command.run_id);
  if (!run) return UnitDraft::refuse(workflow_not_found(unit.loaded().workflow_id, command.run_id));
  if (!run->running()) return UnitDraft::refuse(workflow_completed());
  const pb::WorkflowTask& task = run->task_now();
  if (task.on_sticky_queue() && task.started_id() == 0) {
    move_to_normal_queue(*run);  // the queue that it waits in is no more
  } else {
    run->progress().clear_sticky_queue();
    run->progress().clear_sticky_timeout();
  }
  return unit.finish(Nothing{});
}

}  // namespace perdure::core
