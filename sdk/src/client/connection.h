// A connection: one server, one namespace, the calls that block until they are answered, and the codec.
//
// Any thread. Transient errors are retried here and nowhere else: with backoff, until the call's deadline.
#pragma once

#include <memory>
#include <string>

#include "base/executor.h"
#include "sdk/src/client/transport.h"

#include <temporal/api/common/v1/message.pb.h>

namespace perdure {
inline namespace v1 {
namespace detail {

// Throws RpcError.
template <class Response>
Response response_in(const client::Reply& reply) {
  if (!reply)
    throw RpcError(static_cast<int>(reply.error().code), reply.error().message, reply.error().detail);
  Response response;
  if (!response.ParseFromString(*reply))
    throw RpcError(static_cast<int>(base::Code::kInternal), "the server's answer could not be read");
  return response;
}

class Connection {
 public:
  Connection(ClientOptions options, std::unique_ptr<client::Transport> transport);

  const std::string& ns() const { return options_.ns; }
  const std::string& identity() const { return options_.identity; }
  client::Transport& transport() { return *transport_; }
  const std::shared_ptr<Metrics>& metrics() const { return options_.metrics; }
  const std::shared_ptr<FailureConverter>& failures() const { return options_.failure_converter; }
  bool has_codec() const { return options_.codec != nullptr; }
  const std::vector<std::shared_ptr<ClientInterceptor>>& interceptors() const {
    return options_.interceptors;
  }

  static std::string path(std::string_view method);  // of WorkflowService

  // Throws RpcError; std::logic_error in workflow code. `timeout` for each attempt, `retry_time` in all.
  template <class Response, class Request>
  Response call(const char* method, const Request& request, base::Duration timeout = kCallTimeout,
                base::Duration retry_time = kRetryTime) {
    return response_in<Response>(call_bytes(method, request.SerializeAsString(), timeout, retry_time));
  }
  client::Reply call_bytes(const std::string& method, const std::string& request,
                           base::Duration timeout = kCallTimeout, base::Duration retry_time = kRetryTime);

  // Like call(), without blocking: `done` gets the reply, after retries, on a thread that it must not block.
  // `under_way` is told each attempt.
  using Done = std::function<void(client::Reply)>;
  using UnderWay = std::function<void(std::shared_ptr<client::Transport::Call>)>;
  void call_async(const std::string& method, std::string request, base::Executor& timers, Done done,
                  base::Duration timeout = kCallTimeout, UnderWay under_way = {});

  // What leaves and what arrives, through the codec if there is one.
  void encode(const Payloads& payloads, temporal::api::common::v1::Payloads* out) const;
  Payloads decode(const temporal::api::common::v1::Payloads& payloads) const;
  // The same for every payload inside a message, but for search attributes, which the server must read, and
  // headers, which go as their interceptors made them. encode_all() also hides failures if that was asked
  // for.
  void encode_all(google::protobuf::Message& message) const;
  void decode_all(google::protobuf::Message& message) const;

  static constexpr base::Duration kCallTimeout = std::chrono::seconds(10),
                                  kLongPollTimeout = std::chrono::seconds(70);
  static constexpr base::Duration kRetryTime = std::chrono::seconds(60);

 private:
  ClientOptions options_;
  std::unique_ptr<client::Transport> transport_;
};

// Clients of servers that need no connecting.
struct ClientAccess {
  static Client make(std::shared_ptr<Connection> connection) { return Client(std::move(connection)); }
};

// The codes that are retried: those that the other SDKs retry.
bool is_transient(base::Code code);

}  // namespace detail
}  // namespace v1
}  // namespace perdure
