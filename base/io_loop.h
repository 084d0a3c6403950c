// IoLoop: an executor that also waits for file descriptors (epoll, level-triggered). What owns sockets runs
// on one.
//
// Thread rule: as Executor; watch, change and unwatch from the loop's own tasks only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/executor.h"

namespace perdure::base {

class IoLoop : public Executor {
 public:
  static constexpr std::uint32_t kRead = 1, kWrite = 2;

  // Calls `ready` while `fd` is ready for one of `events`, with those that are; a broken descriptor is ready
  // for everything. `fd` stays the caller's and is unwatched before it is closed.
  virtual void watch(int fd, std::uint32_t events, std::function<void(std::uint32_t ready)> ready) = 0;
  virtual void change(int fd, std::uint32_t events) = 0;
  // `ready` is not called again. Allowed inside `ready`.
  virtual void unwatch(int fd) = 0;
};

// Starts the thread; the destructor finishes the queued tasks, drops timers and watches, and joins.
std::unique_ptr<IoLoop> make_io_loop(std::string name, const Clock& clock, ExecutorLimits limits = {});

}  // namespace perdure::base
