// Typed calls of Temporal's WorkflowService over GrpcClient: what both the client side and the worker side of
// the driver use.
#pragma once

#include <google/protobuf/arena.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "base/time.h"
#include "bench/grpc_client.h"

namespace perdure::bench {

using namespace std::chrono_literals;

inline constexpr base::Duration kCallTimeout = 30s;
inline constexpr base::Duration kPollTimeout = 70s;  // as SDKs: longer than the server parks a poll

// The answer is valid during the callback.
template <class Response>
using OnReply = std::move_only_function<void(base::Result<const Response*>)>;

class Api {
 public:
  Api(GrpcClient& client, std::string name_space) : client_(client), namespace_(std::move(name_space)) {}

  // `path`: a literal, "/temporal.api.workflowservice.v1.WorkflowService/Name". Fills in no field.
  template <class Response, class Request>
  void call(std::size_t connection, std::string_view path, const Request& request, base::Duration timeout,
            OnReply<Response> done) {
    request.SerializeToString(&buffer_);
    client_.call(connection, path, buffer_, timeout, [done = std::move(done)](Reply reply) mutable {
      if (!reply) return done(std::unexpected(std::move(reply).error()));
      google::protobuf::Arena arena;
      auto* response = google::protobuf::Arena::CreateMessage<Response>(&arena);
      if (!response->ParseFromArray(reply->data(), static_cast<int>(reply->size()))) {
        return done(base::fail(base::Code::kInternal, "the answer is not the message it should be"));
      }
      done(response);
    });
  }

  const std::string& name_space() const { return namespace_; }
  GrpcClient& client() { return client_; }

 private:
  GrpcClient& client_;
  std::string namespace_;
  std::string buffer_;  // kept for its memory
};

namespace path {
#define PERDURE_BENCH_PATH "/temporal.api.workflowservice.v1.WorkflowService/"
inline constexpr std::string_view kGetSystemInfo = PERDURE_BENCH_PATH "GetSystemInfo";
inline constexpr std::string_view kDescribeNamespace = PERDURE_BENCH_PATH "DescribeNamespace";
inline constexpr std::string_view kRegisterNamespace = PERDURE_BENCH_PATH "RegisterNamespace";
inline constexpr std::string_view kStartWorkflow = PERDURE_BENCH_PATH "StartWorkflowExecution";
inline constexpr std::string_view kSignalWorkflow = PERDURE_BENCH_PATH "SignalWorkflowExecution";
inline constexpr std::string_view kGetHistory = PERDURE_BENCH_PATH "GetWorkflowExecutionHistory";
inline constexpr std::string_view kPollWorkflowTask = PERDURE_BENCH_PATH "PollWorkflowTaskQueue";
inline constexpr std::string_view kRespondWorkflowTask = PERDURE_BENCH_PATH "RespondWorkflowTaskCompleted";
inline constexpr std::string_view kPollActivityTask = PERDURE_BENCH_PATH "PollActivityTaskQueue";
inline constexpr std::string_view kRespondActivityTask = PERDURE_BENCH_PATH "RespondActivityTaskCompleted";
#undef PERDURE_BENCH_PATH
}  // namespace path

}  // namespace perdure::bench
