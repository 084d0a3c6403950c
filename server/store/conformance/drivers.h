// The drivers under test, each with a simulated disk (or what stands for one), on one thread. A life of a store ends by crash().
#pragma once

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "base/sim_disk.h"
#include "base/sim_scheduler.h"
#include "server/store/local/local_store.h"
#include "server/store/memory/memory_store.h"

namespace perdure::store::conformance {

class World {
 public:
  base::ManualClock& clock() { return clock_; }
  void run() { scheduler_.run_until_idle(); }
  void advance(base::Duration by) { scheduler_.advance_to(clock_.now() + by); }

  // Starts an operation, runs everything, and gives the answer; nullopt when there was none.
  template <class T, class Start>
  std::optional<Result<T>> ask(Start start) {
    auto answer = std::make_shared<std::optional<Result<T>>>();
    start(Done<T>([answer](Result<T> result) { *answer = std::move(result); }));
    run();
    return *answer;
  }

 protected:
  base::ManualClock clock_;
  base::SimScheduler scheduler_{clock_};
};

class MemoryDriver : public World {
 public:
  MemoryDriver() { open(); }
  Store& store() { return *store_; }
  // The process dies; the next one starts.
  void crash() {
    auto content = store_->content();
    store_ = std::make_unique<MemoryStore>(*executor_, std::move(content));
  }
  void hold_syncs() { store_->hold_appends(); }
  void release_syncs() { store_->release_appends(); }
  // The appends under way and those to come fail.
  void fail_next_sync() { store_->end_stream({base::Code::kUnavailable, "sync failed"}); }

 private:
  void open() { store_ = std::make_unique<MemoryStore>(*executor_); }

  std::unique_ptr<base::Executor> executor_ = scheduler_.make_executor("store");
  std::unique_ptr<MemoryStore> store_;
};

class LocalDriver : public World {
 public:
  LocalDriver() : LocalDriver(std::make_unique<base::SimDisk>(), true) {}
  // On a disk that holds what it holds. Unless `open_now`, start() is still to be called.
  LocalDriver(std::unique_ptr<base::SimDisk> disk, bool open_now) : disk_(std::move(disk)) {
    if (open_now) start().value();
  }
  ~LocalDriver() { store_.reset(); }

  base::Status start() {
    auto opened = LocalStore::open(options());
    if (!opened) return std::unexpected(opened.error());
    store_ = std::move(*opened);
    return {};
  }
  Store& store() { return *store_; }
  LocalStore* local() { return store_.get(); }
  base::SimDisk& disk() { return *disk_; }
  void crash(base::Crash kind = base::Crash::kDropUnsynced) {
    die(kind);
    const base::Status started = start();
    if (!started) throw std::runtime_error(started.error().message);
  }
  // The process is gone, nobody has started the next one.
  void die(base::Crash kind) {
    disk_->stop_at(0);  // nothing that the old process still does reaches the disk
    store_.reset();
    run();
    disk_->crash(kind);
  }
  void close() {
    store_->close();
    store_.reset();
    run();
  }
  void hold_syncs() { disk_->hold_syncs(); }
  void release_syncs() { disk_->release_syncs(); }
  void fail_next_sync() { disk_->fail_next_sync(); }

  LocalStoreOptions options() {
    LocalStoreOptions options{.disk = disk_.get(),
                              .directory = "data",
                              .log = log_.get(),
                              .projection = projection_.get(),
                              .reads = reads_.get(),
                              .clock = &clock_,
                              .seed = ++seed_};
    options.segment_bytes = segment_bytes;
    options.checkpoint_bytes = checkpoint_bytes;
    options.space = space;
    return options;
  }

  std::size_t segment_bytes = 16 << 10;
  std::uint64_t checkpoint_bytes = 1 << 20;
  local::SpaceLimits space{.ballast_bytes = 0, .low_mark = 0, .critical_mark = 0};

 private:
  std::unique_ptr<base::SimDisk> disk_;
  std::unique_ptr<base::Executor> log_ = scheduler_.make_executor("log");
  std::unique_ptr<base::Executor> projection_ = scheduler_.make_executor("projection");
  std::unique_ptr<base::Executor> reads_ = scheduler_.make_executor("reads");
  std::uint64_t seed_ = 0;
  std::unique_ptr<LocalStore> store_;
};

}  // namespace perdure::store::conformance
