// The whole server on one thread with a simulated clock: every component of the real one but the gRPC door.
#pragma once

#include <memory>
#include <string>

#include "base/sim_scheduler.h"
#include "server/core/limits/limits.h"
#include "server/frontend/method_table.h"
#include "server/main/wiring.h"
#include "server/store/store.h"

namespace perdure::server {

struct InProcessOptions {
  std::uint64_t seed = 1;
  store::Store* store = nullptr;  // absent: a memory store of its own
  core::Limits limits;
  std::string default_namespace = "default";  // registered at start unless empty
  Rhythm rhythm;
};

class InProcessServer {
 public:
  InProcessServer(base::SimScheduler& scheduler, InProcessOptions options = {});
  ~InProcessServer();
  // Calls run on the scheduler: dispatch, then scheduler.run_until_idle().
  const frontend::MethodTable& methods() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace perdure::server
