// What the files with the client's calls share. Any thread.
#pragma once

#include "base/random.h"
#include "google/rpc/status.pb.h"
#include "sdk/src/client/connection.h"
#include "sdk/src/payload/convert.h"

#include <perdure/interceptors.h>

#include <temporal/api/errordetails/v1/message.pb.h>
#include <temporal/api/workflowservice/v1/request_response.pb.h>

namespace perdure {
inline namespace v1 {
namespace detail {

namespace service = temporal::api::workflowservice::v1;
namespace enums = temporal::api::enums::v1;

inline std::string new_request_id() {
  base::Random random(base::random_seed());
  return random.uuid();
}

inline void name(const ExecutionName& execution, temporal::api::common::v1::WorkflowExecution* out) {
  out->set_workflow_id(execution.id);
  out->set_run_id(execution.run_id);
}

template <class Detail>
bool has_detail(const RpcError& error, Detail* out) {
  google::rpc::Status status;
  return status.ParseFromString(error.details()) && status.details_size() > 0 &&
         status.details(0).UnpackTo(out);
}

// Typed errors for what every call on a workflow can meet.
template <class F>
auto translated(const ExecutionName& execution, F call) {
  try {
    return call();
  } catch (const RpcError& error) {
    temporal::api::errordetails::v1::WorkflowExecutionAlreadyStartedFailure started;
    if (error.code() == static_cast<int>(base::Code::kAlreadyExists) && has_detail(error, &started)) {
      throw WorkflowAlreadyStarted("workflow '" + execution.id + "' is running already", started.run_id());
    }
    if (error.code() == static_cast<int>(base::Code::kNotFound)) {
      throw WorkflowNotFound("workflow '" + execution.id + "': " + error.what());
    }
    temporal::api::errordetails::v1::QueryFailedFailure failed;
    if (has_detail(error, &failed)) throw QueryFailed(error.what());
    throw;
  }
}

// Makes a call through the client's interceptors; send(headers) returns something.
template <class F>
auto intercepted(Connection& connection, ClientCall call, F send) {
  const auto& interceptors = connection.interceptors();
  if (interceptors.empty()) return send(call.headers);
  std::optional<std::invoke_result_t<F&, const Headers&>> result;
  std::function<void(std::size_t)> enter = [&](std::size_t index) {
    if (index == interceptors.size()) {
      result.emplace(send(call.headers));
    } else {
      interceptors[index]->call(call, [&] { enter(index + 1); });
    }
  };
  enter(0);
  if (!result) throw Error("an interceptor kept a call back");
  return std::move(*result);
}
template <class Message>
void put_headers(const Headers& headers, Message* message) {
  if (!headers.empty()) convert::to_wire(headers, message->mutable_header());
}

// What people see of a workflow.
template <class Message>
void put_user_metadata(const Connection& connection, const StartOptions& options, Message& message) {
  if (options.summary.empty() && options.details.empty()) return;
  auto* metadata = message.mutable_user_metadata();
  if (!options.summary.empty()) convert::to_wire(encode(options.summary), metadata->mutable_summary());
  if (!options.details.empty()) convert::to_wire(encode(options.details), metadata->mutable_details());
  connection.encode_all(*metadata);
}
// One of its two texts, after the codec; one that is no text is left out.
inline std::string text_of(const temporal::api::common::v1::Payload& payload) {
  try {
    return decode<std::string>(convert::from_wire(payload));
  } catch (const PayloadError&) {
    return {};
  }
}

template <class Request>
void fill_start(Connection& connection, std::string_view type, const StartOptions& options,
                const Payloads& arguments, Request& request) {
  request.set_namespace_(connection.ns());
  request.set_workflow_id(options.id);
  request.mutable_workflow_type()->set_name(std::string(type));
  request.mutable_task_queue()->set_name(options.task_queue);
  connection.encode(arguments, request.mutable_input());
  request.set_identity(connection.identity());
  request.set_request_id(new_request_id());
  const auto set = [](Duration duration, google::protobuf::Duration* out) {
    convert::to_wire(duration, out);
  };
  if (options.execution_timeout > Duration::zero())
    set(options.execution_timeout, request.mutable_workflow_execution_timeout());
  if (options.run_timeout > Duration::zero())
    set(options.run_timeout, request.mutable_workflow_run_timeout());
  if (options.task_timeout > Duration::zero())
    set(options.task_timeout, request.mutable_workflow_task_timeout());
  if (options.start_delay > Duration::zero())
    set(options.start_delay, request.mutable_workflow_start_delay());
  request.set_workflow_id_reuse_policy(static_cast<enums::WorkflowIdReusePolicy>(options.id_reuse));
  request.set_workflow_id_conflict_policy(static_cast<enums::WorkflowIdConflictPolicy>(options.id_conflict));
  request.set_cron_schedule(options.cron_schedule);
  for (const auto& [field, value] : options.memo.fields()) {
    convert::to_wire(value, &(*request.mutable_memo()->mutable_fields())[field]);
  }
  if (request.has_memo()) connection.encode_all(*request.mutable_memo());
  for (const auto& [field, value] : options.search_attributes.fields()) {
    convert::to_wire(value, &(*request.mutable_search_attributes()->mutable_indexed_fields())[field]);
  }
  convert::put_priority(options.priority, &request);
  if (options.retry) convert::to_wire(*options.retry, request.mutable_retry_policy());
  put_user_metadata(connection, options, request);
}

}  // namespace detail
}  // namespace v1
}  // namespace perdure
