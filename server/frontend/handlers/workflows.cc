// RPCs that clients send about one workflow: start, signal, cancel, terminate, delete, describe.
#include "server/frontend/api.h"
#include "server/frontend/method.h"
#include "server/frontend/start_request.h"
#include "server/frontend/validate.h"

namespace perdure::frontend {
namespace {

using base::invalid_argument;
using CallPtr = std::shared_ptr<Call>;

Status start_workflow(Services& services, const CallPtr& call, wfs::StartWorkflowExecutionRequest request) {
  TRY(const NamespaceView ns, find_namespace_for_start(services, request.namespace_()));
  TRY_VOID(prepare(request, *ns, services));
  const UnitKey key = workflow_key(*ns, request.workflow_id());
  services.executions.start_workflow(key, core::StartWorkflow{std::move(request)}, call->request().size(),
                                     bytes_to(call));
  return {};
}

Status signal_with_start(Services& services, const CallPtr& call,
                         wfs::SignalWithStartWorkflowExecutionRequest request) {
  TRY(const NamespaceView ns, find_namespace_for_start(services, request.namespace_()));
  TRY_VOID(prepare(request, *ns, services));
  const UnitKey key = workflow_key(*ns, request.workflow_id());
  services.executions.execute(key, core::SignalWithStart{std::move(request)}, call->request().size(),
                              response_to<wfs::SignalWithStartWorkflowExecutionResponse>(call));
  return {};
}

Status signal_workflow(Services& services, const CallPtr& call, wfs::SignalWorkflowExecutionRequest request) {
  const core::Limits& limits = services.limits;
  TRY(const NamespaceView ns, find_namespace(services, request.namespace_()));
  TRY_VOID(check_execution(request.has_workflow_execution(), request.workflow_execution(), limits));
  if (request.signal_name().empty()) return invalid_argument("SignalName is not set on request.");
  TRY_VOID(check_length(request.signal_name(), "SignalName", limits));
  TRY_VOID(check_length(request.request_id(), "RequestId", limits));
  TRY_VOID(check_length(request.identity(), "Identity", limits));
  if (request.has_input()) TRY_VOID(check_blob(request.input(), limits));
  if (request.has_header()) TRY_VOID(check_blob(request.header(), limits));
  TRY_VOID(check_links(request.links(), limits));
  const UnitKey key = workflow_key(*ns, request.workflow_execution().workflow_id());
  services.executions.execute(key, core::SignalWorkflow{std::move(request)}, call->request().size(),
                              response_to<wfs::SignalWorkflowExecutionResponse>(call));
  return {};
}

Status request_cancel(Services& services, const CallPtr& call,
                      wfs::RequestCancelWorkflowExecutionRequest request) {
  const core::Limits& limits = services.limits;
  TRY(const NamespaceView ns, find_namespace(services, request.namespace_()));
  TRY_VOID(check_execution(request.has_workflow_execution(), request.workflow_execution(), limits));
  TRY_VOID(check_run_id(request.first_execution_run_id()));
  TRY_VOID(check_length(request.request_id(), "RequestId", limits));
  TRY_VOID(check_length(request.identity(), "Identity", limits));
  TRY_VOID(check_length(request.reason(), "Reason", limits));
  TRY_VOID(check_links(request.links(), limits));
  const UnitKey key = workflow_key(*ns, request.workflow_execution().workflow_id());
  services.executions.execute(key, core::RequestCancelWorkflow{std::move(request)}, call->request().size(),
                              nothing_to(call));
  return {};
}

Status terminate_workflow(Services& services, const CallPtr& call,
                          wfs::TerminateWorkflowExecutionRequest request) {
  const core::Limits& limits = services.limits;
  TRY(const NamespaceView ns, find_namespace(services, request.namespace_()));
  TRY_VOID(check_execution(request.has_workflow_execution(), request.workflow_execution(), limits));
  TRY_VOID(check_run_id(request.first_execution_run_id()));
  TRY_VOID(check_length(request.identity(), "Identity", limits));
  TRY_VOID(check_length(request.reason(), "Reason", limits));
  if (request.has_details()) TRY_VOID(check_blob(request.details(), limits));
  TRY_VOID(check_links(request.links(), limits));
  const UnitKey key = workflow_key(*ns, request.workflow_execution().workflow_id());
  services.executions.execute(key, core::TerminateWorkflow{std::move(request)}, call->request().size(),
                              nothing_to(call));
  return {};
}

Status delete_workflow(Services& services, const CallPtr& call, wfs::DeleteWorkflowExecutionRequest request) {
  TRY(const NamespaceView ns, find_namespace(services, request.namespace_()));
  const auto& execution = request.workflow_execution();
  TRY_VOID(check_execution(request.has_workflow_execution(), execution, services.limits));
  services.executions.execute(workflow_key(*ns, execution.workflow_id()),
                              core::DeleteWorkflow{execution.run_id()}, call->request().size(),
                              nothing_to(call));
  return {};
}

Status describe_workflow(Services& services, const CallPtr& call,
                         wfs::DescribeWorkflowExecutionRequest request) {
  TRY(const NamespaceView ns, find_namespace(services, request.namespace_()));
  const auto& execution = request.execution();
  TRY_VOID(check_execution(request.has_execution(), execution, services.limits));
  services.executions.execute(workflow_key(*ns, execution.workflow_id()),
                              core::DescribeWorkflow{execution.run_id()}, call->request().size(),
                              response_to<wfs::DescribeWorkflowExecutionResponse>(call));
  return {};
}

Status reset_sticky(Services& services, const CallPtr& call, wfs::ResetStickyTaskQueueRequest request) {
  TRY(const NamespaceView ns, find_namespace(services, request.namespace_()));
  const auto& execution = request.execution();
  TRY_VOID(check_execution(request.has_execution(), execution, services.limits));
  services.executions.execute(workflow_key(*ns, execution.workflow_id()),
                              core::ResetSticky{execution.run_id()}, call->request().size(),
                              nothing_to(call));
  return {};
}

}  // namespace

void add_workflow_methods(MethodTable& table, Services& services) {
  const auto add = [&](std::string_view name, Policy policy, auto handle) {
    add_method(table, services, kWorkflowService, name, policy, RateClass::kExecution, handle);
  };
  add("StartWorkflowExecution", Policy::kWriteNamespace, start_workflow);
  add("SignalWithStartWorkflowExecution", Policy::kWriteNamespace, signal_with_start);
  add("SignalWorkflowExecution", Policy::kWriteNamespace, signal_workflow);
  add("RequestCancelWorkflowExecution", Policy::kWriteNamespace, request_cancel);
  add("TerminateWorkflowExecution", Policy::kWriteNamespace, terminate_workflow);
  add("DeleteWorkflowExecution", Policy::kWriteNamespace, delete_workflow);
  add("DescribeWorkflowExecution", Policy::kReadNamespace, describe_workflow);
  add("ResetStickyTaskQueue", Policy::kWriteNamespace, reset_sticky);
}

}  // namespace perdure::frontend
