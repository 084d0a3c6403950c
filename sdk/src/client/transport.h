// How bytes get to the server and back: the one interface between the SDK and a gRPC library.
//
// Any thread. Who calls owns the returned Call; dropping it drops the interest, not the call: cancel() ends
// it early.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"

#include <perdure/client.h>

namespace perdure::client {

using Reply = base::Result<std::string>;

class Transport {
 public:
  class Call {
   public:
    virtual ~Call() = default;
    virtual void cancel() = 0;  // any thread; the reply then is kCancelled, unless it came first
  };
  virtual ~Transport() = default;
  // `done` is called exactly once, maybe before this returns, on a thread that it must not block.
  virtual std::shared_ptr<Call> call(const std::string& method, const std::string& request,
                                     base::Duration timeout, std::function<void(Reply)> done) = 0;
};

// gRPC's own C++ library.
std::unique_ptr<Transport> make_grpc_transport(const ClientOptions& options);
// Tells `metrics` about each call through `transport`.
std::unique_ptr<Transport> make_metered_transport(std::unique_ptr<Transport> transport,
                                                  std::shared_ptr<Metrics> metrics, const std::string& ns);

}  // namespace perdure::client
