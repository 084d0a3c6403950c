#include "server/frontend/task_token.h"

namespace perdure::frontend {

using base::invalid_argument;

Result<TaskTarget> read_task_token(const Services& services, const std::string& namespace_name,
                                   const std::string& bytes, TaskTokenKind kind) {
  NamespaceView ns;
  if (!namespace_name.empty()) {
    TRY(ns, find_namespace(services, namespace_name));
  } else {
    ns.catalog = services.catalog.snapshot();
  }
  if (bytes.empty()) return invalid_argument("Task token not set on request.");
  TRY(const auto token, history::read_token(bytes, ns.catalog->token_key));
  if (token.kind() != static_cast<std::int32_t>(kind))
    return invalid_argument("Error deserializing task token.");
  if (ns.record != nullptr && ns->id() != token.namespace_id()) {
    return invalid_argument("Operation requested with a token from a different namespace.");
  }
  return TaskTarget{UnitKey{token.namespace_id(), store::Kind::kWorkflow, token.workflow_id()},
                    core::TaskRef{.run_id = token.run_id(),
                                  .scheduled_id = token.scheduled_id(),
                                  .started_id = token.started_id(),
                                  .attempt = token.attempt(),
                                  .nonce = token.nonce(),
                                  .activity_id = token.activity_id()},
                    token.query_id()};
}

}  // namespace perdure::frontend
