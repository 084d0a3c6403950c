// What is measured: latencies, and the server's CPU, memory and disk as the kernel and the server's own
// counters tell them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "bench/sync_counter.h"

namespace perdure::bench {

// The nearest-rank percentile of `values`, which is reordered; 0 of none. `percent` in (0, 100].
base::Duration percentile(std::vector<base::Duration>& values, double percent);

// utime + stime of all threads, from the text of /proc/PID/stat. The resolution is one tick (10 ms).
std::optional<base::Duration> cpu_of_stat(std::string_view stat, std::int64_t ticks_per_second);

// What all cores together have been busy, from the text of /proc/stat.
std::optional<base::Duration> busy_of_stat(std::string_view stat, std::int64_t ticks_per_second);

// The value after `key` ("VmRSS:") in a "key: number" file of /proc.
std::optional<std::int64_t> field_of(std::string_view text, std::string_view key);

// The sum of all samples of `name` in Prometheus text, whatever their labels; none when there is no sample.
std::optional<double> metric_of(std::string_view text, std::string_view name);

struct Reading {
  base::Time at;
  base::Duration server_cpu{};
  base::Duration driver_cpu{};
  base::Duration machine_cpu{};  // of all cores, busy with anything
  std::int64_t rss_kib = 0;
  std::map<std::string, base::Duration> threads;  // CPU by thread name, of the threads that are there
  std::optional<double> fsyncs;                   // from the server's counters; else counted by the kernel
  std::optional<double> log_bytes;
  std::optional<double> wakes;
};

class Meter {
 public:
  // `metrics`: "host:port" of the server's Prometheus text, or empty.
  Meter(int server_pid, std::string metrics);

  // UNAVAILABLE when the server has no /proc entry, or does not answer on its metrics port.
  base::Result<Reading> read() const;

 private:
  int pid_;
  std::string metrics_;
  std::unique_ptr<SyncCounter>
      syncs_;  // only where there are no metrics: tracing costs every system call a little
};

}  // namespace perdure::bench
