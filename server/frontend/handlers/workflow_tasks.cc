// Workflow tasks: polls and their answers.
#include "server/frontend/api.h"
#include "server/frontend/method.h"
#include "server/frontend/poll.h"
#include "server/frontend/task_token.h"
#include "temporal/api/enums/v1/query.pb.h"
#include "temporal/api/enums/v1/task_queue.pb.h"

namespace perdure::frontend {
namespace {

using base::invalid_argument;
using CallPtr = std::shared_ptr<Call>;
namespace enums = ::temporal::api::enums::v1;

Status poll_workflow_task(Services& services, const CallPtr& call,
                          wfs::PollWorkflowTaskQueueRequest request) {
  TRY(matching::PollRequest poll, poll_request(services, *call, request, core::TaskKind::kWorkflow));
  poll.poller.sticky = request.task_queue().kind() == enums::TASK_QUEUE_KIND_STICKY;
  if (poll.poller.build_id.empty()) poll.poller.build_id = request.binary_checksum();
  park(services, call, std::move(poll));
  return {};
}

Status complete_workflow_task(Services& services, const CallPtr& call,
                              wfs::RespondWorkflowTaskCompletedRequest request) {
  TRY(TaskTarget target,
      read_task_token(services, request.namespace_(), request.task_token(), TaskTokenKind::kWorkflow));
  TRY_VOID(check_length(request.identity(), "Identity", services.limits));
  TRY_VOID(check_deployment(request.deployment_options()));
  for (auto& [id, result] : *request.mutable_query_results()) {
    if (result.has_answer() && result.answer().ByteSizeLong() > services.limits.blob_size) {
      result.clear_answer();
      result.set_result_type(enums::QUERY_RESULT_TYPE_FAILED);
      result.set_error_message("Blob data size exceeds limit.");
    }
  }
  services.executions.complete_workflow_task(
      std::move(target.key), core::CompleteWorkflowTask{std::move(target.task), std::move(request)},
      call->request().size(), bytes_to(call));
  return {};
}

Status fail_workflow_task(Services& services, const CallPtr& call,
                          wfs::RespondWorkflowTaskFailedRequest request) {
  TRY(TaskTarget target,
      read_task_token(services, request.namespace_(), request.task_token(), TaskTokenKind::kWorkflow));
  TRY_VOID(check_length(request.identity(), "Identity", services.limits));
  services.executions.execute(std::move(target.key),
                              core::FailWorkflowTask{std::move(target.task), std::move(request)},
                              call->request().size(), nothing_to(call));
  return {};
}

}  // namespace

void add_workflow_task_methods(MethodTable& table, Services& services) {
  add_method(table, services, kWorkflowService, "PollWorkflowTaskQueue", Policy::kWorker, RateClass::kPoll,
             poll_workflow_task);
  add_method(table, services, kWorkflowService, "RespondWorkflowTaskCompleted", Policy::kWorker,
             RateClass::kExecution, complete_workflow_task);
  add_method(table, services, kWorkflowService, "RespondWorkflowTaskFailed", Policy::kWorker,
             RateClass::kExecution, fail_workflow_task);
}

}  // namespace perdure::frontend
