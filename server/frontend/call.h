// Call: one RPC on its way through the server, whatever door it came in by (gRPC, in process, later HTTP).
//
// A door makes a Call, looks its method up in the MethodTable and hands it to the handler, which finishes it exactly once, at any
// time, from any thread. The request and the response travel as serialized protobuf.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace perdure::frontend {

class Call {
 public:
  virtual ~Call() = default;

  // Valid for the life of the Call. Any thread.
  virtual std::string_view request() const = 0;
  // When the client stops waiting; base::kNever when it set no deadline.
  virtual base::Time deadline() const = 0;
  // A request header (metadata key in lower case); empty when absent.
  virtual std::string_view header(std::string_view name) const = 0;

  // `left` runs once, on any thread, when the client cancels, disconnects or its deadline passes; at once if it already has.
  // Not after finish(). At most one may be set. The call must still be finished.
  virtual void on_client_gone(std::move_only_function<void()> left) = 0;

  // The answer: serialized response message, or the error. Exactly once.
  virtual void finish(base::Result<std::string> response) = 0;
};

}  // namespace perdure::frontend
