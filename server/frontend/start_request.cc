#include "server/frontend/start_request.h"

#include "server/core/activity/activity.h"
#include "server/core/cron/cron.h"
#include "server/core/draft.h"
#include "server/core/limits/search_attributes.h"
#include "server/frontend/validate.h"
#include "temporal/api/enums/v1/workflow.pb.h"

namespace perdure::frontend {

namespace enums = ::temporal::api::enums::v1;
using base::invalid_argument;

namespace {

std::string name_of(enums::WorkflowIdReusePolicy policy) {
  return enums::WorkflowIdReusePolicy_Name(policy);
}
std::string name_of(enums::WorkflowIdConflictPolicy policy) {
  return enums::WorkflowIdConflictPolicy_Name(policy);
}

// ID-04.
Status check_policies(enums::WorkflowIdReusePolicy reuse, enums::WorkflowIdConflictPolicy conflict) {
  if (!enums::WorkflowIdReusePolicy_IsValid(reuse)) return invalid_argument("Invalid WorkflowIDReusePolicy.");
  if (!enums::WorkflowIdConflictPolicy_IsValid(conflict))
    return invalid_argument("Invalid WorkflowIDConflictPolicy.");
  if (conflict != enums::WORKFLOW_ID_CONFLICT_POLICY_UNSPECIFIED &&
      reuse == enums::WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING) {
    return invalid_argument("Invalid WorkflowIDReusePolicy: " + name_of(reuse) +
                            " cannot be used together with a WorkflowIDConflictPolicy");
  }
  if (conflict == enums::WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING &&
      reuse == enums::WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE) {
    return invalid_argument("Invalid WorkflowIDReusePolicy: " + name_of(reuse) +
                            " cannot be used together with WorkflowIdConflictPolicy " + name_of(conflict));
  }
  return {};
}

bool is_zero(const google::protobuf::Duration& duration) {
  return duration.seconds() == 0 && duration.nanos() == 0;
}

bool less(const google::protobuf::Duration& a, const google::protobuf::Duration& b) {
  return a.seconds() != b.seconds() ? a.seconds() < b.seconds() : a.nanos() < b.nanos();
}

// TM-01, WT-02. Zero is no timeout; the shorter of the two bounds the run.
template <class Request>
void fill_timeouts(Request& request, const core::Limits& limits) {
  if (request.has_workflow_execution_timeout() && is_zero(request.workflow_execution_timeout())) {
    request.clear_workflow_execution_timeout();
  }
  if (request.has_workflow_run_timeout() && is_zero(request.workflow_run_timeout()))
    request.clear_workflow_run_timeout();
  if (request.has_workflow_execution_timeout() &&
      (!request.has_workflow_run_timeout() ||
       less(request.workflow_execution_timeout(), request.workflow_run_timeout()))) {
    *request.mutable_workflow_run_timeout() = request.workflow_execution_timeout();
  }
  auto& task = *request.mutable_workflow_task_timeout();
  if (is_zero(task)) core::assign(&task, limits.default_task_timeout.count());
  google::protobuf::Duration most;
  core::assign(&most, limits.max_task_timeout.count());
  if (less(most, task)) task = most;
  if (request.has_workflow_run_timeout() && less(request.workflow_run_timeout(), task))
    task = request.workflow_run_timeout();
}

template <class Request>
Status check_times(Request& request) {
  if (request.has_workflow_execution_timeout())
    TRY_VOID(
        check_duration(*request.mutable_workflow_execution_timeout(), "WorkflowExecutionTimeoutSeconds"));
  if (request.has_workflow_run_timeout())
    TRY_VOID(check_duration(*request.mutable_workflow_run_timeout(), "WorkflowRunTimeoutSeconds"));
  if (request.has_workflow_task_timeout())
    TRY_VOID(check_duration(*request.mutable_workflow_task_timeout(), "WorkflowTaskTimeoutSeconds"));
  if (request.has_workflow_start_delay()) {
    TRY_VOID(check_duration(*request.mutable_workflow_start_delay(), "WorkflowStartDelaySeconds"));
    if (is_zero(request.workflow_start_delay())) request.clear_workflow_start_delay();
    if (request.has_workflow_start_delay() && !request.cron_schedule().empty()) {
      return invalid_argument("CronSchedule and WorkflowStartDelay may not be used together.");
    }
  }
  return {};
}

Status check_cron(const std::string& schedule, Time now) {
  const Result<Time> next = core::next_cron_time(schedule, now);
  return next ? Status{} : std::unexpected(next.error());
}

template <class Request>
Status check_sizes(const Request& request, const core::Limits& limits) {
  if (request.has_input()) TRY_VOID(check_blob(request.input(), limits));
  if (request.has_header()) TRY_VOID(check_blob(request.header(), limits));
  if (request.has_memo() && request.memo().ByteSizeLong() > limits.memo_size) {
    return invalid_argument("Memo size exceeds limit.");
  }
  return check_links(request.links(), limits);
}

// What the two kinds of request have in common; both carry the same fields.
template <class Request>
Status prepare_common(Request& request, const core::Namespace& ns, Services& services) {
  const core::Limits& limits = services.limits;
  TRY_VOID(check_workflow_id(request.workflow_id(), limits));
  if (request.workflow_type().name().empty()) return invalid_argument("WorkflowType is not set on request.");
  TRY_VOID(check_length(request.workflow_type().name(), "WorkflowType", limits));
  TRY_VOID(check_task_queue(true, request.task_queue(), "missing task queue name", limits));
  normalise(*request.mutable_task_queue());
  TRY_VOID(check_length(request.request_id(), "RequestId", limits));
  TRY_VOID(check_length(request.identity(), "Identity", limits));
  if (request.request_id().empty()) request.set_request_id(services.uuid());
  TRY_VOID(check_times(request));
  if (request.has_retry_policy()) {
    const std::string wrong = core::normalise_retry_policy(*request.mutable_retry_policy());
    if (!wrong.empty()) return invalid_argument(wrong);
  }
  if (!request.cron_schedule().empty()) {
    TRY_VOID(check_cron(request.cron_schedule(), services.clock.now()));
  }
  TRY_VOID(check_policies(request.workflow_id_reuse_policy(), request.workflow_id_conflict_policy()));
  if (request.has_priority()) TRY_VOID(check_priority(request.priority()));
  TRY_VOID(check_sizes(request, limits));
  if (request.has_search_attributes())
    TRY_VOID(core::validate_search_attributes(*request.mutable_search_attributes(), ns, limits));
  fill_timeouts(request, limits);
  return {};
}

}  // namespace

Status prepare(wfs::StartWorkflowExecutionRequest& request, const core::Namespace& ns, Services& services) {
  const auto& options = request.on_conflict_options();
  if (options.attach_completion_callbacks() && !options.attach_request_id()) {
    return invalid_argument("attaching request ID is required for attaching completion callbacks");
  }
  return prepare_common(request, ns, services);
}

Status prepare(wfs::SignalWithStartWorkflowExecutionRequest& request, const core::Namespace& ns,
               Services& services) {
  TRY_VOID(check_workflow_id(request.workflow_id(), services.limits));
  if (request.signal_name().empty()) return invalid_argument("SignalName is not set on request.");
  TRY_VOID(check_length(request.signal_name(), "SignalName", services.limits));
  if (request.has_signal_input()) TRY_VOID(check_blob(request.signal_input(), services.limits));
  return prepare_common(request, ns, services);
}

}  // namespace perdure::frontend
