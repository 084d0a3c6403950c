// Counts a process's fsync and fdatasync calls from outside, by the kernel's tracepoints: for a server that
// does not count them itself. Needs the right to do so (root, as a rule) and a mounted tracefs.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace perdure::bench {

class SyncCounter {
 public:
  // Counts from now on, in all threads of `pid` and those they will create.
  explicit SyncCounter(int pid);
  ~SyncCounter();
  SyncCounter(const SyncCounter&) = delete;
  SyncCounter& operator=(const SyncCounter&) = delete;

  // Calls since the beginning; none where the kernel does not let us count.
  std::optional<std::int64_t> count() const;

 private:
  std::vector<int> counters_;  // file descriptors of perf events
};

}  // namespace perdure::bench
