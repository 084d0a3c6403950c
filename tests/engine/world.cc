#include "tests/engine/world.h"

#include "base/check.h"
#include "server/store/memory/memory_content.h"
#include "temporal/api/operatorservice/v1/service.pb.h"
#include "temporal/api/workflowservice/v1/service.pb.h"

namespace perdure::engine {

World::World() {
  begin();
  for (const std::string_view prefix : {frontend::kWorkflowService, frontend::kOperatorService}) {
    const auto* service = google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
        std::string(prefix.substr(1, prefix.size() - 2)));
    CHECK(service);
    for (int i = 0; i < service->method_count(); ++i) {
      const std::string name = std::string(prefix) + service->method(i)->name();
      forwarding_.add({name, frontend::Policy::kPublic, frontend::RateClass::kNone,
                       [this, name](std::shared_ptr<frontend::Call> call) {
                         wiring_->methods().dispatch(name, std::move(call));
                       }});
    }
  }
}

World::~World() = default;

void World::begin() {
  ++life_;
  loop_ = scheduler.make_executor("loop");
  io_ = scheduler.make_executor("io");
  store_ = std::make_unique<store::MemoryStore>(*io_, content_);
  wiring_ = std::make_unique<server::Wiring>(server::WiringOptions{
      .executors = {loop_.get()}, .clock = &clock, .store = store_.get(), .seed = life_});
  CHECK(wiring_->start());
  bool ready = false;
  wiring_->ensure_namespace("default", std::chrono::hours(24),
                            [&](base::Status status) { ready = status.has_value(); });
  scheduler.run_until_idle();
  CHECK(ready);
}

void World::crash_and_plant(std::string group) {
  content_->groups[++content_->last] = std::move(group);
  crash();
}

void World::crash() {
  // Queued tasks die with their executors, before what they point to.
  loop_.reset();
  io_.reset();
  wiring_.reset();
  store_.reset();
  begin();
}

}  // namespace perdure::engine
