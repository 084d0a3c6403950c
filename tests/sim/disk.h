// The disk of a simulated server: a SimDisk whose every operation is in the trace, and whose syncs take time
// when they are told to.
#pragma once

#include <functional>
#include <memory>

#include "base/sim_disk.h"
#include "tests/sim/trace.h"

namespace perdure::sim {

struct DiskHooks {
  Trace* trace = nullptr;
  // How long the next sync of a group takes; zero: it is done at once.
  std::function<base::Duration()> sync_takes;
  // Runs it later, unless the server dies before.
  std::function<void(base::Duration, std::move_only_function<void()>)> later;
};

// `disk` and what the hooks stand for outlive it.
std::unique_ptr<base::Disk> make_traced_disk(base::SimDisk& disk, DiskHooks hooks);

}  // namespace perdure::sim
