// Handlers as typed functions: bytes become a checked request, a Result becomes the answer.
//
//   Status start_workflow(Services&, const std::shared_ptr<Call>&, wfs::StartWorkflowExecutionRequest)
//
// An error returned is the answer; otherwise the handler has seen to it that the call is finished, now or later.
#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "server/frontend/method_table.h"
#include "server/frontend/request_shape.h"
#include "server/frontend/services.h"

namespace perdure::frontend {

// INVALID_ARGUMENT: not a message of that type, or one with fields that the shape refuses.
Status parse(std::string_view bytes, google::protobuf::Message& request, const RequestShape& shape);

// Adds the row of one RPC. `services` outlives the table.
template <class Request>
void add_method(MethodTable& table, Services& services, std::string_view service, std::string_view name,
                Policy policy, RateClass rate,
                Status (*handle)(Services&, const std::shared_ptr<Call>&, Request)) {
  const RequestShape* shape = &shape_of(*Request::descriptor());
  table.add({std::string(service).append(name), policy, rate,
             [&services, shape, handle](std::shared_ptr<Call> call) {
               Request request;
               Status status = parse(call->request(), request, *shape);
               if (status) status = handle(services, call, std::move(request));
               if (!status) call->finish(std::unexpected(std::move(status).error()));
             }});
}

// Answers with a message.
inline void answer(Call& call, const google::protobuf::MessageLite& response) {
  call.finish(response.SerializeAsString());
}

// The callbacks that turn what Executions and Matching give into the answer of the call.
inline Done<std::string> bytes_to(std::shared_ptr<Call> call) {
  return [call = std::move(call)](Result<std::string> bytes) { call->finish(std::move(bytes)); };
}
inline Done<void> empty_to(std::shared_ptr<Call> call) {
  return [call = std::move(call)](Status status) {
    if (status) {
      call->finish(std::string());
    } else {
      call->finish(std::unexpected(std::move(status).error()));
    }
  };
}
// A reply that says nothing but that it is done.
inline Done<core::Reply> nothing_to(std::shared_ptr<Call> call) {
  return [call = std::move(call)](Result<core::Reply> reply) {
    if (reply) {
      call->finish(std::string());
    } else {
      call->finish(std::unexpected(std::move(reply).error()));
    }
  };
}
// A reply that is the response.
template <class Response>
Done<core::Reply> response_to(std::shared_ptr<Call> call) {
  return [call = std::move(call)](Result<core::Reply> reply) {
    if (!reply) {
      call->finish(std::unexpected(std::move(reply).error()));
      return;
    }
    const auto* response = std::get_if<Response>(&*reply);
    CHECK(response != nullptr);  // the command decides the type of its reply
    answer(*call, *response);
  };
}

}  // namespace perdure::frontend
