// The gRPC door: a listener that carries every RPC of the method table as bytes, over HTTP/2. No generated
// service code. Beside the table it serves health ("" and each service of the table) and server reflection.
//
// Thread rule: open, port and close from any one thread; handlers run on the door's own loops and finish
// calls from anywhere. Whatever may still finish a call has ended when the door is destroyed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/time.h"
#include "server/frontend/call_metrics.h"
#include "server/frontend/method_table.h"

namespace perdure::frontend {

struct GrpcDoorOptions {
  std::string ip = "127.0.0.1";     // numeric, of either version
  int port = 7233;                  // 0: any free one
  int loops = 1;                    // threads that serve connections
  int max_message_bytes = 4 << 20;  // of a request; larger is RESOURCE_EXHAUSTED `… larger than max …`
  std::size_t max_calls = 100'000;  // under way; more are answered RESOURCE_EXHAUSTED
  std::size_t max_request_bytes = 512 << 20;  // of all calls under way; more are answered RESOURCE_EXHAUSTED
  std::size_t max_connections = 20'000;       // more are closed at once
  // of the answers on one connection that its client has not taken yet: new calls on it are answered RESOURCE_EXHAUSTED then;
  // where calls that were under way make it eight times as much, the connection is closed
  std::size_t max_unread_bytes = 32 << 20;
  CallMetrics* metrics = nullptr;  // told of every call; outlives the door
};

class GrpcDoor {
 public:
  // `methods` outlives the door. UNAVAILABLE when the port cannot be had.
  static base::Result<std::unique_ptr<GrpcDoor>> open(const MethodTable& methods, GrpcDoorOptions options);
  virtual ~GrpcDoor() = default;

  virtual int port() const = 0;
  // How often its loops were woken (rule E15). Any thread.
  virtual std::uint64_t wakes() const = 0;
  // No new calls; those under way have `grace` to end, the rest are answered UNAVAILABLE. `done` runs on a
  // loop of the door when every connection is closed. Once.
  virtual void close(base::Duration grace, std::function<void()> done) = 0;
};

}  // namespace perdure::frontend
