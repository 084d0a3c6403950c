#include "bench/sync_counter.h"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <string>

namespace perdure::bench {
namespace {

// The tracepoint's number, or 0.
std::uint64_t tracepoint(const std::string& name) {
  std::ifstream in("/sys/kernel/tracing/events/syscalls/" + name + "/id");
  std::uint64_t id = 0;
  in >> id;
  return id;
}

// A counter of one tracepoint in one thread and those it will create; -1 when the kernel refuses.
int counter_of(std::uint64_t tracepoint_id, int thread) {
  perf_event_attr attributes{};
  attributes.type = PERF_TYPE_TRACEPOINT;
  attributes.size = sizeof attributes;
  attributes.config = tracepoint_id;
  attributes.inherit = 1;
  return static_cast<int>(syscall(SYS_perf_event_open, &attributes, thread, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

}  // namespace

SyncCounter::SyncCounter(int pid) {
  std::error_code error;
  const std::string threads = "/proc/" + std::to_string(pid) + "/task";
  for (const char* name : {"sys_enter_fsync", "sys_enter_fdatasync"}) {
    const auto id = tracepoint(name);
    if (id == 0) continue;
    for (const auto& entry : std::filesystem::directory_iterator(threads, error)) {
      const std::string thread = entry.path().filename();
      int number = 0;
      std::from_chars(thread.data(), thread.data() + thread.size(), number);
      if (const int fd = counter_of(id, number); fd >= 0) counters_.push_back(fd);
    }
  }
}

SyncCounter::~SyncCounter() {
  for (const int fd : counters_) close(fd);
}

std::optional<std::int64_t> SyncCounter::count() const {
  if (counters_.empty()) return std::nullopt;
  std::int64_t sum = 0;
  for (const int fd : counters_) {
    std::int64_t value = 0;
    if (read(fd, &value, sizeof value) == sizeof value) sum += value;
  }
  return sum;
}

}  // namespace perdure::bench
