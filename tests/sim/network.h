// Network: how requests reach the server and answers come back: late, twice, out of order, or not at all.
//
// The oracle stands at the server's side of it: what left the server counts as said, whether it is heard or
// not.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/random.h"
#include "base/result.h"
#include "server/frontend/method_table.h"
#include "tests/sim/events.h"
#include "tests/sim/oracle.h"
#include "tests/sim/plan.h"
#include "tests/sim/trace.h"

namespace perdure::sim {

// UNAVAILABLE: nobody knows what became of the request.
using Heard = std::move_only_function<void(base::Result<std::string>)>;

struct NetworkParts {
  Events& events;
  Oracle& oracle;
  Trace& trace;
  const Plan& plan;
  Coverage& coverage;
  // The server's methods; nullptr while it is dead.
  std::function<const frontend::MethodTable*()> server;
  // An answer is about to leave; false: the server dies before.
  std::function<bool()> answering;
  // Until when the server does not even read what arrives.
  std::function<base::Time()> paused_until;
  // Since when the server has had no reason to be slow.
  std::function<base::Time()> calm_since;
  // The server's clock minus the true time.
  std::function<base::Duration()> clock_offset;
};

// Whoever sends: when it dies, nothing more is heard and its calls are left.
class Sender {
 public:
  bool dead = false;
};

class Network {
 public:
  Network(NetworkParts parts, std::uint64_t seed) : parts_(std::move(parts)), random_(seed) {}

  // Sends a request once; `heard` runs exactly once, unless the sender dies.
  void send(std::shared_ptr<Sender> sender, std::string method, std::string request, base::Duration patience,
            Heard heard);
  // From now on nothing is lost, and what is not answered in time is a violation.
  void heal() { healed_ = true; }
  bool healed() const { return healed_; }
  // Connections break.
  void server_died();
  // Calls of senders that died are left.
  void drop_dead();

 private:
  struct Exchange;
  class ServerCall;

  bool chance(Fault fault, std::uint64_t in);
  base::Duration delay();
  void arrive(const std::shared_ptr<Exchange>& exchange);
  void answered(const std::shared_ptr<Exchange>& exchange, std::uint64_t call,
                base::Result<std::string> answer);
  void give(const std::shared_ptr<Exchange>& exchange, base::Result<std::string> answer);
  void leave(const std::shared_ptr<Exchange>& exchange);
  bool waits_at_server(const std::shared_ptr<Exchange>& exchange) const;
  base::Time server_now() const { return parts_.events.now() + parts_.clock_offset(); }

  NetworkParts parts_;
  base::Random random_;
  bool healed_ = false;
  std::uint64_t last_call_ = 0;
  std::map<std::uint64_t, std::pair<std::shared_ptr<Exchange>, std::shared_ptr<ServerCall>>>
      at_server_;  // by call
};

}  // namespace perdure::sim
