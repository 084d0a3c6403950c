#include "tests/engine/world.h"

#include "base/check.h"
#include "base/random.h"
#include "server/store/memory/memory_content.h"
#include "temporal/api/operatorservice/v1/service.pb.h"
#include "temporal/api/workflowservice/v1/service.pb.h"

namespace perdure::engine {

void StallingExecutor::go_on() {
  stalled_ = false;
  for (auto& [lane, task] : std::exchange(kept_, {})) inner_->post(lane, 0, std::move(task));
}

bool StallingExecutor::post(base::Lane lane, std::size_t bytes, base::Task task) {
  if (!stalled_) return inner_->post(lane, bytes, std::move(task));
  kept_.emplace_back(lane, std::move(task));
  return true;
}

World::World(WorldOptions options)
    : clock(options.start), options_(std::move(options)), life_(options_.lives) {
  if (options_.local) {
    disk_ = options_.disk ? options_.disk : std::make_shared<base::SimDisk>(options_.seed);
    if (options_.wrap) wrapped_ = options_.wrap(*disk_);
  }
  const base::Status begun = begin();
  CHECK(begun || options_.may_refuse);
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

World::~World() {
  die(base::Crash::kKeepAll);
}

base::Status World::open_store() {
  if (!options_.local) {
    auto store = options_.make_memory ? options_.make_memory(*log_, content_)
                                      : std::make_unique<store::MemoryStore>(*log_, content_);
    memory_ = store.get();
    store_ = std::move(store);
    return {};
  }
  store::LocalStoreOptions options{.disk = wrapped_ ? wrapped_.get() : disk_.get(),
                                   .directory = "data",
                                   .log = log_.get(),
                                   .projection = projection_.get(),
                                   .reads = reads_.get(),
                                   .lists = lists_.get(),
                                   .clock = &clock,
                                   .seed = base::derive_seed(options_.seed, life_)};
  options.segment_bytes = options_.segment_bytes;
  options.checkpoint_bytes = options_.checkpoint_bytes;
  options.space = options_.space;
  TRY(store_, store::LocalStore::open(std::move(options)));
  return {};
}

base::Status World::begin() {
  return begun_ = begin_life();
}

base::Status World::begin_life() {
  ++life_;
  fatal_.reset();
  for (int i = 0; i < options_.loops; ++i) {
    loops_.push_back(scheduler.make_executor("loop-" + std::to_string(i), options_.mailbox));
  }
  log_ = scheduler.make_executor("log");
  projection_ = std::make_unique<StallingExecutor>(scheduler.make_executor("projection"));
  reads_ = std::make_unique<StallingExecutor>(scheduler.make_executor("reads"));
  lists_ = std::make_unique<StallingExecutor>(scheduler.make_executor("lists"));
  TRY_VOID(open_store());
  server::WiringOptions wiring{.clock = &clock, .store = store_.get(), .seed = life_};
  for (const auto& loop : loops_) wiring.executors.push_back(loop.get());
  wiring.cache_bytes = options_.cache_bytes;
  wiring.refuse_bytes = options_.refuse_bytes;
  wiring.replay_bytes = options_.replay_bytes;
  wiring.secure_bytes = options_.secure_bytes;
  wiring.on_fatal = [this](const base::Error& error) { fatal_ = error; };
  wiring_ = std::make_unique<server::Wiring>(std::move(wiring));
  TRY_VOID(wiring_->start());
  std::optional<base::Status> ready;
  wiring_->ensure_namespace("default", options_.retention,
                            [&](base::Status status) { ready = std::move(status); });
  scheduler.run_until_idle();
  if (!ready) return base::fail(base::Code::kUnavailable, "the namespace is not there");
  return *ready;
}

void World::plant(std::string group) {
  content_->groups[++content_->last] = std::move(group);
}

void World::crash_and_plant(std::string group) {
  plant(std::move(group));
  crash();
}

bool World::stop() {
  bool stopped = false;
  wiring_->stop([&](base::Status) { stopped = true; });
  scheduler.run_until_idle();
  return stopped;
}

void World::die(base::Crash kind) {
  if (disk_) disk_->stop_at(0);  // nothing that the old process still does reaches the disk
  if (options_.local) store_.reset();
  // Queued tasks die with their executors, before what they point to.
  loops_.clear();
  log_.reset();
  projection_.reset();
  reads_.reset();
  lists_.reset();
  wiring_.reset();
  store_.reset();
  memory_ = nullptr;
  if (disk_) disk_->crash(kind);
}

void World::crash(base::Crash kind) {
  die(kind);
  const base::Status begun = begin();
  CHECK(begun);
}

}  // namespace perdure::engine
