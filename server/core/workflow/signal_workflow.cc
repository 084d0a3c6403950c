#include "server/core/workflow/signal_workflow.h"

#include "base/planted.h"
#include "server/core/errors.h"
#include "server/core/workflow/workflow_task.h"

namespace perdure::core {

std::optional<Error> deliver_signal(RunDraft& run, const Signal& signal, const Env& env) {
  if (run.state().progress.closing() && run.state().has_started_task()) {
    return resource_exhausted(enums::RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW,
                              enums::RESOURCE_EXHAUSTED_SCOPE_NAMESPACE,
                              "workflow operation can not be applied because workflow is closing");
  }
  if (run.state().progress.signals() >= env.limits.signals_per_run) {
    return Error{Code::kInvalidArgument, "exceeded workflow execution limit for signal events", {}};
  }
  HistoryEvent& event = run.append_or_buffer(enums::EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED);
  auto& attributes = *event.mutable_workflow_execution_signaled_event_attributes();
  attributes.set_signal_name(signal.name);
  if (signal.input) *attributes.mutable_input() = *signal.input;
  if (signal.header) *attributes.mutable_header() = *signal.header;
  attributes.set_identity(signal.identity);
  attributes.set_request_id(signal.request_id);
  if (signal.external) *attributes.mutable_external_workflow_execution() = *signal.external;
  if (signal.links) *event.mutable_links() = *signal.links;
  run.progress().set_signals(run.state().progress.signals() + 1);
  if (!signal.request_id.empty()) {
    run.add_request_id(signal.request_id, event.event_type(), event.event_id(), event.event_id() == 0);
  }
  return std::nullopt;
}

Decision signal_workflow(UnitDraft& unit, SignalWorkflow command) {
  const auto& request = command.request;
  RunDraft* run = unit.find_run(request.workflow_execution().run_id());
  if (!run)
    return UnitDraft::refuse(
        workflow_not_found(unit.loaded().workflow_id, request.workflow_execution().run_id()));
  const bool repeat = !request.request_id().empty() &&
                      run->state().request_ids.contains(request.request_id()) &&
                      !base::planted(base::Bug::kSignalTwice);
  if (!repeat) {
    if (!run->running()) return UnitDraft::refuse(not_found("workflow execution already completed"));
    Signal signal{
        .name = request.signal_name(), .identity = request.identity(), .request_id = request.request_id()};
    if (request.has_input()) signal.input = &request.input();
    if (request.has_header()) signal.header = &request.header();
    signal.links = &request.links();
    if (auto refused = deliver_signal(*run, signal, unit.env()))
      return UnitDraft::refuse(std::move(*refused));
    wake_workflow(*run, unit.env());
  } else if (!run->running()) {
    return UnitDraft::refuse(not_found("workflow execution already completed"));
  }
  wfs::SignalWorkflowExecutionResponse response;
  auto& link = *response.mutable_link()->mutable_workflow_event();
  link.set_namespace_(unit.env().ns.name());
  link.set_workflow_id(unit.loaded().workflow_id);
  link.set_run_id(run->run_id());
  link.mutable_request_id_ref()->set_request_id(request.request_id());
  link.mutable_request_id_ref()->set_event_type(enums::EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED);
  return unit.finish(std::move(response));
}

}  // namespace perdure::core
