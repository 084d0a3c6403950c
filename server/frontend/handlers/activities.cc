// Activity tasks: polls, heartbeats and results, by token and by id.
#include "server/core/activity/failures.h"
#include "server/frontend/api.h"
#include "server/frontend/method.h"
#include "server/frontend/poll.h"
#include "server/frontend/task_token.h"

namespace perdure::frontend {
namespace {

using base::invalid_argument;
using CallPtr = std::shared_ptr<Call>;

Status poll_activity_task(Services& services, const CallPtr& call,
                          wfs::PollActivityTaskQueueRequest request) {
  TRY(matching::PollRequest poll, poll_request(services, *call, request, core::TaskKind::kActivity));
  if (request.task_queue_metadata().has_max_tasks_per_second()) {
    poll.max_tasks_per_second = request.task_queue_metadata().max_tasks_per_second().value();
  }
  park(services, call, std::move(poll));
  return {};
}

template <class Request>
Result<TaskTarget> target_of(const Services& services, const Request& request) {
  TRY_VOID(check_length(request.identity(), "Identity", services.limits));
  if constexpr (requires { request.task_token(); }) {
    return read_task_token(services, request.namespace_(), request.task_token(), TaskTokenKind::kActivity);
  } else {
    return activity_by_id(services, request);
  }
}

template <class Request, class Response>
Status heartbeat(Services& services, const CallPtr& call, Request request) {
  TRY(TaskTarget target, target_of(services, request));
  core::HeartbeatActivity command{.task = std::move(target.task),
                                  .has_details = request.has_details(),
                                  .identity = std::move(*request.mutable_identity())};
  if (command.has_details) command.details = std::move(*request.mutable_details());
  services.executions.execute(std::move(target.key), std::move(command), call->request().size(),
                              [call](Result<core::Reply> reply) {
                                if (!reply) {
                                  call->finish(std::unexpected(std::move(reply).error()));
                                  return;
                                }
                                const auto* beat = std::get_if<core::Heartbeat>(&*reply);
                                CHECK(beat != nullptr);
                                Response response;
                                response.set_cancel_requested(beat->cancel_requested);
                                answer(*call, response);
                              });
  return {};
}

template <class Request>
Status complete(Services& services, const CallPtr& call, Request request) {
  TRY(TaskTarget target, target_of(services, request));
  core::CompleteActivity command{.task = std::move(target.task),
                                 .has_result = request.has_result(),
                                 .identity = std::move(*request.mutable_identity())};
  if (command.has_result) command.result = std::move(*request.mutable_result());
  services.executions.execute(std::move(target.key), std::move(command), call->request().size(),
                              nothing_to(call));
  return {};
}

// What of the report is too large to be kept, and what stands in its place.
template <class Response, class Request>
Response reported_failures(const Request& request, const core::Limits& limits) {
  Response response;
  if (request.last_heartbeat_details().ByteSizeLong() > limits.blob_size) {
    *response.add_failures() = core::server_failure("Heartbeat details exceed size limit.", true);
  }
  if (request.failure().ByteSizeLong() > limits.blob_size) {
    *response.add_failures() = core::server_failure("Failure exceeds size limit.", true);
  }
  return response;
}

template <class Request, class Response>
Status fail_activity(Services& services, const CallPtr& call, Request request) {
  TRY(TaskTarget target, target_of(services, request));
  if (request.has_failure() && !request.failure().has_application_failure_info()) {
    return invalid_argument("Failure must have ApplicationFailureInfo.");
  }
  const auto response = reported_failures<Response>(request, services.limits);
  core::FailActivity command{.task = std::move(target.task),
                             .failure = std::move(*request.mutable_failure()),
                             .identity = std::move(*request.mutable_identity())};
  if (request.has_last_heartbeat_details())
    command.last_heartbeat_details = std::move(*request.mutable_last_heartbeat_details());
  services.executions.execute(std::move(target.key), std::move(command), call->request().size(),
                              [call, bytes = response.SerializeAsString()](Result<core::Reply> reply) {
                                if (reply) {
                                  call->finish(bytes);
                                } else {
                                  call->finish(std::unexpected(std::move(reply).error()));
                                }
                              });
  return {};
}

template <class Request>
Status cancel(Services& services, const CallPtr& call, Request request) {
  TRY(TaskTarget target, target_of(services, request));
  core::CancelActivity command{.task = std::move(target.task),
                               .has_details = request.has_details(),
                               .identity = std::move(*request.mutable_identity())};
  if (command.has_details) command.details = std::move(*request.mutable_details());
  services.executions.execute(std::move(target.key), std::move(command), call->request().size(),
                              nothing_to(call));
  return {};
}

}  // namespace

void add_activity_methods(MethodTable& table, Services& services) {
  const auto add = [&](std::string_view name, RateClass rate, auto handle) {
    add_method(table, services, kWorkflowService, name, Policy::kWorker, rate, handle);
  };
  add("PollActivityTaskQueue", RateClass::kPoll, poll_activity_task);
  add("RecordActivityTaskHeartbeat", RateClass::kExecution,
      heartbeat<wfs::RecordActivityTaskHeartbeatRequest, wfs::RecordActivityTaskHeartbeatResponse>);
  add("RecordActivityTaskHeartbeatById", RateClass::kExecution,
      heartbeat<wfs::RecordActivityTaskHeartbeatByIdRequest, wfs::RecordActivityTaskHeartbeatByIdResponse>);
  add("RespondActivityTaskCompleted", RateClass::kExecution,
      complete<wfs::RespondActivityTaskCompletedRequest>);
  add("RespondActivityTaskCompletedById", RateClass::kExecution,
      complete<wfs::RespondActivityTaskCompletedByIdRequest>);
  add("RespondActivityTaskFailed", RateClass::kExecution,
      fail_activity<wfs::RespondActivityTaskFailedRequest, wfs::RespondActivityTaskFailedResponse>);
  add("RespondActivityTaskFailedById", RateClass::kExecution,
      fail_activity<wfs::RespondActivityTaskFailedByIdRequest, wfs::RespondActivityTaskFailedByIdResponse>);
  add("RespondActivityTaskCanceled", RateClass::kExecution, cancel<wfs::RespondActivityTaskCanceledRequest>);
  add("RespondActivityTaskCanceledById", RateClass::kExecution,
      cancel<wfs::RespondActivityTaskCanceledByIdRequest>);
}

}  // namespace perdure::frontend
