// The calls of ActivityHandle, each by token or by id.
#include "sdk/src/client/connection.h"
#include "sdk/src/payload/convert.h"

#include <temporal/api/workflowservice/v1/request_response.pb.h>

namespace perdure {
inline namespace v1 {
namespace detail {

namespace service = temporal::api::workflowservice::v1;

namespace {

// Sends ByToken or ByIdRequest, named as the activity is; fill(request) adds what the call says.
template <class ByToken, class ById, class Response, class Fill>
Response call(Connection& connection, const ActivityName& name, const std::string& method, Fill fill) {
  try {
    if (!name.token.empty()) {
      ByToken request;
      request.set_task_token(name.token);
      request.set_namespace_(connection.ns());
      request.set_identity(connection.identity());
      fill(request);
      return connection.call<Response>(method.c_str(), request);
    }
    ById request;
    request.set_namespace_(connection.ns());
    request.set_workflow_id(name.workflow_id);
    request.set_run_id(name.run_id);
    request.set_activity_id(name.activity_id);
    request.set_identity(connection.identity());
    fill(request);
    return connection.call<Response>((method + "ById").c_str(), request);
  } catch (const RpcError& error) {
    if (error.code() == static_cast<int>(base::Code::kNotFound))
      throw ActivityNotFound(std::string("the activity is not there, or not any more: ") + error.what());
    throw;
  }
}

template <class Answer>
CancelReason reason_in(const Answer& answer) {
  if (answer.cancel_requested()) return CancelReason::kRequested;
  if (answer.activity_paused()) return CancelReason::kPaused;
  return answer.activity_reset() ? CancelReason::kReset : CancelReason::kNone;
}

}  // namespace

void complete_activity(Connection& connection, const ActivityName& name, const Payloads& result) {
  call<service::RespondActivityTaskCompletedRequest, service::RespondActivityTaskCompletedByIdRequest,
       service::RespondActivityTaskCompletedResponse>(
      connection, name, "RespondActivityTaskCompleted",
      [&](auto& request) { connection.encode(result, request.mutable_result()); });
}

void fail_activity(Connection& connection, const ActivityName& name, const std::exception_ptr& error) {
  call<service::RespondActivityTaskFailedRequest, service::RespondActivityTaskFailedByIdRequest,
       service::RespondActivityTaskFailedResponse>(
      connection, name, "RespondActivityTaskFailed", [&](auto& request) {
        convert::to_wire(error, request.mutable_failure(), connection.failures().get());
        connection.encode_all(*request.mutable_failure());
      });
}

CancelReason heartbeat_activity(Connection& connection, const ActivityName& name, const Payloads& details) {
  const auto fill = [&](auto& request) { connection.encode(details, request.mutable_details()); };
  if (name.token.empty()) {
    return reason_in(
        call<service::RecordActivityTaskHeartbeatRequest, service::RecordActivityTaskHeartbeatByIdRequest,
             service::RecordActivityTaskHeartbeatByIdResponse>(connection, name,
                                                               "RecordActivityTaskHeartbeat", fill));
  }
  return reason_in(
      call<service::RecordActivityTaskHeartbeatRequest, service::RecordActivityTaskHeartbeatByIdRequest,
           service::RecordActivityTaskHeartbeatResponse>(connection, name, "RecordActivityTaskHeartbeat",
                                                         fill));
}

void report_cancelled(Connection& connection, const ActivityName& name, const Payloads& details) {
  call<service::RespondActivityTaskCanceledRequest, service::RespondActivityTaskCanceledByIdRequest,
       service::RespondActivityTaskCanceledResponse>(
      connection, name, "RespondActivityTaskCanceled", [&](auto& request) {
        if (!details.empty()) connection.encode(details, request.mutable_details());
      });
}

}  // namespace detail
}  // namespace v1
}  // namespace perdure
