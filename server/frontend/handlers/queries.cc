// Queries: the client's question and the worker's direct answer.
#include "server/frontend/api.h"
#include "server/frontend/method.h"
#include "server/frontend/task_token.h"
#include "temporal/api/enums/v1/query.pb.h"

namespace perdure::frontend {
namespace {

using base::invalid_argument;
using CallPtr = std::shared_ptr<Call>;
namespace enums = ::temporal::api::enums::v1;

// Why there is no answer is worth more than the client's own deadline error: it leaves this long before.
constexpr base::Duration kAnswerMargin = std::chrono::milliseconds(300);

Status query_workflow(Services& services, const CallPtr& call, wfs::QueryWorkflowRequest request) {
  TRY(const NamespaceView ns, find_namespace(services, request.namespace_()));
  TRY_VOID(check_execution(request.has_execution(), request.execution(), services.limits));
  if (!request.has_query()) return invalid_argument("WorkflowQuery is not set on request.");
  if (request.query().query_type().empty()) return invalid_argument("QueryType is not set on request.");
  TRY_VOID(check_length(request.query().query_type(), "QueryType", services.limits));
  if (request.query().has_query_args()) TRY_VOID(check_blob(request.query().query_args(), services.limits));
  const Time deadline = call->deadline() == base::kNever ? base::kNever : call->deadline() - kAnswerMargin;
  history::QueryRequest query{.key = workflow_key(*ns, request.execution().workflow_id()),
                              .request = std::move(request),
                              .deadline = deadline};
  services.executions.query(std::move(query), [call](Result<wfs::QueryWorkflowResponse> response) {
    if (response) {
      answer(*call, *response);
    } else {
      call->finish(std::unexpected(std::move(response).error()));
    }
  });
  return {};
}

Status answer_query(Services& services, const CallPtr& call, wfs::RespondQueryTaskCompletedRequest request) {
  TRY(TaskTarget target,
      read_task_token(services, request.namespace_(), request.task_token(), TaskTokenKind::kQuery));
  if (request.query_result().ByteSizeLong() > services.limits.blob_size) {
    request.clear_query_result();
    request.set_completed_type(enums::QUERY_RESULT_TYPE_FAILED);
    request.set_error_message("Blob data size exceeds limit.");
  }
  services.executions.answer_query(target.query_id, std::move(request), empty_to(call));
  return {};
}

}  // namespace

void add_query_methods(MethodTable& table, Services& services) {
  add_method(table, services, kWorkflowService, "QueryWorkflow", Policy::kReadNamespace,
             RateClass::kExecution, query_workflow);
  add_method(table, services, kWorkflowService, "RespondQueryTaskCompleted", Policy::kWorker,
             RateClass::kExecution, answer_query);
}

}  // namespace perdure::frontend
