// Which task a worker speaks of: by the token it was given, or by names.
#pragma once

#include <string>

#include "server/frontend/validate.h"
#include "server/history/token.h"

namespace perdure::frontend {

struct TaskTarget {
  UnitKey key;
  core::TaskRef task;
  std::string query_id;  // of a query task
};

enum class TaskTokenKind : std::int32_t { kWorkflow = 1, kActivity = 2, kQuery = 3 };

// `namespace_name`: of the request, may be empty. The errors are the ones clients know: a token that is missing, that was not made
// here, that is of another kind or of another namespace (rule E17).
Result<TaskTarget> read_task_token(const Services& services, const std::string& namespace_name,
                                   const std::string& bytes, TaskTokenKind kind);

// An activity by its id. `Request` is one of the …ById requests.
template <class Request>
Result<TaskTarget> activity_by_id(const Services& services, const Request& request) {
  TRY(const NamespaceView ns, find_namespace(services, request.namespace_()));
  if (request.activity_id().empty()) return base::invalid_argument("ActivityId is not set on request.");
  TRY_VOID(check_length(request.activity_id(), "ActivityId", services.limits));
  TRY_VOID(check_workflow_id(request.workflow_id(), services.limits));
  TRY_VOID(check_run_id(request.run_id()));
  return TaskTarget{workflow_key(*ns, request.workflow_id()),
                    core::TaskRef{.run_id = request.run_id(), .activity_id = request.activity_id()},
                    {}};
}

}  // namespace perdure::frontend
