// Polls of both kinds: the same checks, the same way to the queue.
#pragma once

#include <memory>

#include "server/frontend/validate.h"

namespace perdure::frontend {

// `Context timeout is not set.`, `Context timeout is too short.` (MA-07).
Status check_poll_deadline(const Call& call, Time now);

// What both poll requests carry. The caller sets what only one of them has.
template <class Request>
Result<matching::PollRequest> poll_request(const Services& services, const Call& call, const Request& request,
                                           core::TaskKind kind) {
  TRY_VOID(check_poll_deadline(call, services.clock.now()));
  TRY(const NamespaceView ns, find_namespace(services, request.namespace_()));
  TRY_VOID(check_length(request.identity(), "Identity", services.limits));
  TRY_VOID(check_task_queue(request.has_task_queue(), request.task_queue(), "taskQueue is not set",
                            services.limits));
  TRY_VOID(check_deployment(request.deployment_options()));
  matching::PollRequest poll{.queue = {ns->id(), kind, request.task_queue().name()},
                             .deadline = call.deadline()};
  poll.normal_name = request.task_queue().normal_name();
  poll.poller.identity = request.identity();
  poll.poller.worker_instance_key = request.worker_instance_key();
  poll.poller.build_id = request.has_worker_version_capabilities()
                             ? request.worker_version_capabilities().build_id()
                             : request.deployment_options().build_id();
  poll.poller.deployment = request.deployment_options().deployment_name();
  return poll;
}

// Parks the poll; a client that leaves frees its place at once.
void park(Services& services, std::shared_ptr<Call> call, matching::PollRequest poll);

}  // namespace perdure::frontend
