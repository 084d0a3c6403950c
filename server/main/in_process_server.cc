#include "server/main/in_process_server.h"

#include "base/check.h"
#include "server/main/wiring.h"
#include "server/store/memory/memory_store.h"

namespace perdure::server {

struct InProcessServer::Parts {
  std::unique_ptr<base::Executor> loop, io;
  std::unique_ptr<store::Store> own_store;
  std::unique_ptr<Wiring> wiring;
};

InProcessServer::InProcessServer(base::SimScheduler& scheduler, InProcessOptions options)
    : parts_(std::make_unique<Parts>()) {
  parts_->loop = scheduler.make_executor("loop");
  parts_->io = scheduler.make_executor("io");
  if (!options.store) {
    parts_->own_store = std::make_unique<store::MemoryStore>(*parts_->io);
    options.store = parts_->own_store.get();
  }
  WiringOptions wiring{.executors = {parts_->loop.get()},
                       .clock = &scheduler.clock(),
                       .store = options.store,
                       .seed = options.seed,
                       .limits = options.limits,
                       .rhythm = options.rhythm};
  parts_->wiring = std::make_unique<Wiring>(std::move(wiring));
  const base::Status started = parts_->wiring->start();
  CHECK(started);
  bool ready = false;
  parts_->wiring->ensure_namespace(options.default_namespace, std::chrono::hours(24),
                                   [&](base::Status status) {
                                     CHECK(status);
                                     ready = true;
                                   });
  scheduler.run_until_idle();
  CHECK(ready);
}

InProcessServer::~InProcessServer() = default;

const frontend::MethodTable& InProcessServer::methods() const {
  return parts_->wiring->methods();
}

}  // namespace perdure::server
