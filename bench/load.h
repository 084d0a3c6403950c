// Puts a workload on the server and measures a window of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "bench/meter.h"
#include "bench/workloads.h"

namespace perdure::bench {

struct LoadOptions {
  std::size_t in_flight = 128;
  base::Duration warm_up = std::chrono::milliseconds(500);
  base::Duration window = std::chrono::seconds(3);
};

// One line of figures. "Per unit" is over the window: what the server spent in it, by the units that ended in
// it.
struct Figures {
  std::int64_t units = 0;
  double seconds = 0;
  double per_s = 0;
  double server_cpu_us = 0;       // per unit
  double server_cpu_percent = 0;  // of one core
  double driver_cpu_percent = 0;  // near 100: the driver, not the server, was the limit
  double other_cpu_percent =
      0;  // of one core, by everything else on the machine: it should be next to nothing
  double p50_ms = 0;
  double p99_ms = 0;
  std::map<std::string, double> cpu_us_by_thread;  // per unit, by the names of the server's threads
  std::optional<double> fsyncs;                    // per unit, as the server counts them
  std::optional<double> log_bytes;                 // the same
  // the same: of sleeping threads, by what was posted to them
  std::optional<double> wakes;
  double rss_mib = 0;             // at the end of the window
  std::size_t unfinished = 0;     // units that did not end within 15 s after the last one was begun
  std::size_t worker_errors = 0;  // calls of the worker that failed
  std::string last_worker_error;
};

// Keeps `in_flight` units under way: a unit that ends is followed by the next at once. The window opens when
// the warm-up is over and each slot has ended two units on average (or after 20 s). The first unit that fails
// ends the run with its error.
base::Result<Figures> run_load(Api& api, Workload& workload, const Meter& meter, const LoadOptions& options);

// Runs at least `units` units, `in_flight` at a time, and returns how many it did per second.
base::Result<double> run_units(Api& api, Workload& workload, std::size_t in_flight, std::size_t units);

struct ParkedFigures {
  double park_per_s = 0;
  double server_cpu_us = 0;  // to park one
  double rss_mib = 0;        // with all parked
  double kib_per_poll = 0;
  double idle_cpu_percent = 0;  // of one core, all parked
  double noop_p50_ms = 0;       // GetSystemInfo, one at a time, beside them
  double noop_p99_ms = 0;
};

// Parks `polls` activity polls on `queues` task queues and measures the server with all of them parked. A
// poll that comes back, whatever it brings, is a failure. What the server spends is settled when a second of
// it costs no more than idling.
base::Result<ParkedFigures> run_parked_polls(Api& api, const Meter& meter, const std::string& run_name,
                                             std::size_t polls, std::size_t queues);

}  // namespace perdure::bench
