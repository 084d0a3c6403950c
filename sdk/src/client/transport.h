// How bytes get to the server and back: the one interface between the SDK and a gRPC library.
//
// Any thread. Who calls owns the returned Call; dropping it drops the interest, not the call: cancel() ends
// it early.
#pragma once

#include <functional>
#include <memory>
#include <stdexcept>
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
  // The threads that call `done` are there for nothing else: more may be done on them than to hand the reply on.
  virtual bool has_own_threads() const { return false; }
};

// While it stands, this thread brings replies: who waits for one here waits for ever.
class BringsReplies {
 public:
  BringsReplies() { here_ = true; }
  BringsReplies(const BringsReplies&) = delete;
  ~BringsReplies() { here_ = false; }

  // Throws std::logic_error there. `what` is about to wait.
  static void must_not_be_here(const char* what) {
    if (!here_) return;
    throw std::logic_error(std::string("perdure: ") + what +
                           " waits on the thread that brings the answers: it would wait for ever");
  }

 private:
  static inline thread_local bool here_ = false;
};

// gRPC's own C++ library.
std::unique_ptr<Transport> make_grpc_transport(const ClientOptions& options);
// Tells `metrics` about each call through `transport`.
std::unique_ptr<Transport> make_metered_transport(std::unique_ptr<Transport> transport,
                                                  std::shared_ptr<Metrics> metrics, const std::string& ns);

}  // namespace perdure::client
