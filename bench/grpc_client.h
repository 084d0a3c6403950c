// A gRPC client that costs little: unary calls of bytes over HTTP/2 (nghttp2), many at once, on one thread
// and without locks.
//
// A load driver that shares the machine with the server must not be what is measured. gRPC's own C++ client
// needs as much CPU for a call as a server does; this one needs a few microseconds. It knows what the driver
// needs and no more: clear text, no compression, no retries, no interceptors; it is not for users.
//
// Thread rule: everything on one thread, from `run` or before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace perdure::bench {

class Connection;

// What came back: the message's bytes (valid during the callback only), or the status the server or this
// client gave.
using Reply = base::Result<std::string_view>;
using Done = std::move_only_function<void(Reply)>;

class GrpcClient {
 public:
  // `connections` connections to `address` ("host:port", numeric host). UNAVAILABLE when one is refused.
  static base::Result<std::unique_ptr<GrpcClient>> connect(const std::string& address,
                                                           std::size_t connections);
  ~GrpcClient();
  GrpcClient(const GrpcClient&) = delete;
  GrpcClient& operator=(const GrpcClient&) = delete;

  // Sends one call on connection `which` modulo their number. `path` is "/package.Service/Method" and must
  // live as long as the client. `done` is called once, from `turn`, unless the client is destroyed first.
  // `timeout` is told to the server, which ends the call; a connection that breaks ends its calls as
  // UNAVAILABLE.
  void call(std::size_t which, std::string_view path, std::string_view message, base::Duration timeout,
            Done done);

  // Writes what is queued, waits at most `wait` for answers, and runs their callbacks.
  void turn(base::Duration wait);

  std::size_t connections() const { return connections_.size(); }
  std::size_t in_flight() const;

 private:
  GrpcClient() = default;

  std::vector<std::unique_ptr<Connection>> connections_;
  int epoll_ = -1;
};

// "90S", "1500m": the largest unit that loses nothing, as the grpc-timeout header wants it (at most eight
// digits).
std::string grpc_timeout(base::Duration timeout);
// Undoes the percent encoding of the grpc-message header; malformed escapes stay as they are.
std::string percent_decoded(std::string_view text);

}  // namespace perdure::bench
