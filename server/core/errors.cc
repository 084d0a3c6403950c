#include "server/core/errors.h"

#include <google/protobuf/any.pb.h>

#include <utility>

#include "temporal/api/errordetails/v1/message.pb.h"

namespace perdure::core {

namespace details = ::temporal::api::errordetails::v1;
namespace enums_v1 = ::temporal::api::enums::v1;
using base::Code;

std::string detail_of(const google::protobuf::Message& message) {
  google::protobuf::Any any;
  any.PackFrom(message);
  return any.SerializeAsString();
}

Error detailed(Code code, std::string text, const google::protobuf::Message& detail) {
  return Error{code, std::move(text), detail_of(detail)};
}

Error not_found(std::string text) {
  return detailed(Code::kNotFound, std::move(text), details::NotFoundFailure());
}

Error workflow_not_found(std::string_view workflow_id, std::string_view run_id) {
  const std::string id(workflow_id);
  if (run_id.empty()) return not_found("workflow not found for ID: " + id);
  return not_found("workflow execution not found for workflow ID \"" + id + "\" and run ID \"" +
                   std::string(run_id) + "\"");
}

Error chain_not_found() {
  return not_found("workflow execution not found");
}

Error workflow_completed() {
  return not_found("workflow execution already completed");
}

Error workflow_task_not_found() {
  return not_found("Workflow task not found.");
}

Error activity_not_found() {
  return not_found("invalid activityID or activity already timed out or invoking workflow is completed");
}

Error namespace_not_found(std::string_view name) {
  details::NamespaceNotFoundFailure detail;
  detail.set_namespace_(std::string(name));
  return detailed(Code::kNotFound, "Namespace " + std::string(name) + " is not found.", detail);
}

Error namespace_exists(std::string_view name) {
  return detailed(Code::kAlreadyExists, "Namespace \"" + std::string(name) + "\" already exists",
                  details::NamespaceAlreadyExistsFailure());
}

namespace {

// "NAMESPACE_STATE_DEPRECATED" as people read it: "Deprecated".
std::string state_name(enums_v1::NamespaceState state) {
  std::string name = enums_v1::NamespaceState_Name(state);
  name.erase(0, std::string_view("NAMESPACE_STATE_").size());
  for (std::size_t i = 1; i < name.size(); ++i)
    if (name[i] >= 'A' && name[i] <= 'Z') name[i] = static_cast<char>(name[i] - 'A' + 'a');
  return name;
}

}  // namespace

Error namespace_invalid_state(std::string_view name, enums_v1::NamespaceState state,
                              const std::vector<enums_v1::NamespaceState>& allowed) {
  details::NamespaceInvalidStateFailure detail;
  detail.set_namespace_(std::string(name));
  detail.set_state(state);
  std::string names;
  for (const auto each : allowed) {
    detail.add_allowed_states(each);
    names += (names.empty() ? "" : " or ") + state_name(each);
  }
  return detailed(Code::kFailedPrecondition,
                  "Namespace has invalid state: " + state_name(state) + ". Must be " + names + ".", detail);
}

Error already_started(std::string text, std::string_view start_request_id, std::string_view run_id,
                      std::string_view first_execution_run_id) {
  details::WorkflowExecutionAlreadyStartedFailure detail;
  detail.set_start_request_id(std::string(start_request_id));
  detail.set_run_id(std::string(run_id));
  detail.set_first_execution_run_id(std::string(first_execution_run_id));
  return detailed(Code::kAlreadyExists, std::move(text), detail);
}

Error query_failed(std::string text, const temporal::api::failure::v1::Failure* failure) {
  details::QueryFailedFailure detail;
  if (failure != nullptr) *detail.mutable_failure() = *failure;
  return detailed(Code::kInvalidArgument, std::move(text), detail);
}

Error workflow_not_ready(std::string text) {
  return detailed(Code::kFailedPrecondition, std::move(text), details::WorkflowNotReadyFailure());
}

Error permission_denied(std::string text, std::string_view reason) {
  details::PermissionDeniedFailure detail;
  detail.set_reason(std::string(reason));
  return detailed(Code::kPermissionDenied, std::move(text), detail);
}

Error resource_exhausted(enums_v1::ResourceExhaustedCause cause, enums_v1::ResourceExhaustedScope scope,
                         std::string text) {
  details::ResourceExhaustedFailure detail;
  detail.set_cause(cause);
  detail.set_scope(scope);
  return detailed(Code::kResourceExhausted, std::move(text), detail);
}

Error busy_workflow(std::string text) {
  return resource_exhausted(enums_v1::RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW,
                            enums_v1::RESOURCE_EXHAUSTED_SCOPE_NAMESPACE, std::move(text));
}

Error overloaded(std::string text) {
  return resource_exhausted(enums_v1::RESOURCE_EXHAUSTED_CAUSE_SYSTEM_OVERLOADED,
                            enums_v1::RESOURCE_EXHAUSTED_SCOPE_SYSTEM, std::move(text));
}

}  // namespace perdure::core
