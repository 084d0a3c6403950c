// Overload: an open loop of clients that start workflows at a given rate, whatever becomes of them, beside clients that ask much
// and never read, and clients that are merely connected.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "bench/meter.h"

namespace perdure::bench {

struct OverloadOptions {
  std::string address, name_space, run_name;
  std::size_t in_flight = 128, pollers = 32, connections = 4;  // of the clients that are measured
  std::size_t idle = 5'000;                                    // connections
  // clients, each of which asks `questions` times
  std::size_t stalled = 20;
  std::size_t questions = 50;  // for a history of 64 KiB
  double times = 2;            // of what the server can do
  base::Duration window = std::chrono::seconds(3);
};

// One time of load.
struct OverloadWindow {
  std::string name;
  double offered_per_s = 0;  // starts
  double goodput_per_s = 0;  // workflows that ended within 10 s of their start
  double refused_per_s = 0;  // RESOURCE_EXHAUSTED
  std::size_t late = 0;      // not answered within 10 s
  std::size_t failed = 0;    // any other error
  std::string last_error;
  double p50_ms = 0, p99_ms = 0;  // from the start of a workflow to its end, of those that ended
  double rss_mib = 0;             // at the end
  double server_cpu_percent = 0, driver_cpu_percent = 0;
};

// What the server can do (one window and a quarter); that many times as much (two); the same with idle and stalled clients (two);
// then half of it (9 s and half a window).
base::Result<std::vector<OverloadWindow>> run_overload(const Meter& meter, const OverloadOptions& options);

}  // namespace perdure::bench
