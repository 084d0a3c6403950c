// The errors that clients tell apart: canonical code, text, and the typed detail that SDKs turn into their own error classes
// (semantics sheet ER-01). Plain INVALID_ARGUMENT carries no detail: base::invalid_argument.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "temporal/api/enums/v1/failed_cause.pb.h"
#include "temporal/api/enums/v1/namespace.pb.h"
#include "temporal/api/failure/v1/message.pb.h"

namespace google::protobuf {
class Message;
}

namespace perdure::core {

using base::Error;

// `message` as a serialized google.protobuf.Any, as Error::detail holds it.
std::string detail_of(const google::protobuf::Message& message);
// The error with that detail.
Error detailed(base::Code code, std::string text, const google::protobuf::Message& detail);

Error not_found(std::string text);  // NotFoundFailure
// `workflow not found for ID: …`, or with a run: `workflow execution not found for workflow ID "…" and run ID "…"`
Error workflow_not_found(std::string_view workflow_id, std::string_view run_id = {});
// `workflow execution not found`: of another chain
Error chain_not_found();
Error workflow_completed();       // `workflow execution already completed`
Error workflow_task_not_found();  // `Workflow task not found.`
// `invalid activityID or activity already timed out or invoking workflow is completed`
Error activity_not_found();
Error namespace_not_found(std::string_view name);  // `Namespace X is not found.`
Error namespace_exists(std::string_view name);     // NamespaceAlreadyExistsFailure
Error namespace_invalid_state(std::string_view name, temporal::api::enums::v1::NamespaceState state,
                              const std::vector<temporal::api::enums::v1::NamespaceState>& allowed);
// ALREADY_EXISTS with WorkflowExecutionAlreadyStartedFailure.
Error already_started(std::string text, std::string_view start_request_id, std::string_view run_id,
                      std::string_view first_execution_run_id);
// INVALID_ARGUMENT with QueryFailedFailure; `failure` may be null.
Error query_failed(std::string text, const temporal::api::failure::v1::Failure* failure);
// FAILED_PRECONDITION, WorkflowNotReadyFailure
Error workflow_not_ready(std::string text);
Error permission_denied(std::string text, std::string_view reason);
Error resource_exhausted(temporal::api::enums::v1::ResourceExhaustedCause cause,
                         temporal::api::enums::v1::ResourceExhaustedScope scope, std::string text);
// The same, of one workflow id: cause BUSY_WORKFLOW, scope NAMESPACE.
Error busy_workflow(std::string text);
// The same, of the whole server: cause SYSTEM_OVERLOADED, scope SYSTEM.
Error overloaded(std::string text);

}  // namespace perdure::core
