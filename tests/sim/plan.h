// Plan: what one seed does. Each seed draws a subset of the features of the workload and a subset of the
// faults (swarm testing): a bug that needs few of them is not drowned by the others.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <string_view>

#include "base/executor.h"
#include "base/random.h"
#include "base/time.h"

namespace perdure::sim {

enum class Feature : std::uint8_t {
  kActivity,
  kActivityRetry,
  kActivityTimeout,
  kHeartbeat,
  kActivityCancel,
  kTimer,
  kTimerCancel,
  kSignal,
  kSignalWithStart,
  kExternalSignal,
  kExternalCancel,
  kQuery,
  kCancel,
  kTerminate,
  kContinueAsNew,
  kWorkflowRetry,
  kCron,
  kIdReuse,
  kMarker,
  kUpsert,
  kSticky,
  kRunTimeout,
  kTaskFailure,
  kNextTask,
  kLongPoll,
  kList,
  kDelete,
};
inline constexpr std::size_t kFeatures = 27;

enum class Fault : std::uint8_t {
  kKill,
  kPowerLoss,
  kTornWrites,
  kMidOperation,
  kCrashInRecovery,
  kSyncError,
  kDiskFull,
  kSlowDisk,
  kDrop,
  kDuplicate,
  kDelay,
  kDisconnect,
  kClientDeath,
  kWorkerDeath,
  kPause,
  kSlowThread,
  kClockJump,
  kFullQueues,
  kColdCache,
};
inline constexpr std::size_t kFaults = 19;

std::string_view name_of(Feature feature);
std::string_view name_of(Fault fault);

using Features = std::bitset<kFeatures>;
using Faults = std::bitset<kFaults>;

// Where a run whose plan has no other fault crashes: at one operation of the disk that changes something, or
// at one answer.
struct CrashPoint {
  enum class At : std::uint8_t { kNowhere, kOperation, kTornOperation, kBeforeAnswer, kAfterAnswer };
  At at = At::kNowhere;
  std::uint64_t number = 0;  // the first is 1
};

struct Plan {
  std::uint64_t seed = 0;
  CrashPoint crash;
  Features features;
  Faults faults;
  bool remote = false;  // on a model of a database behind a network, instead of the local store
  int loops = 1;
  int clients = 3;
  int workers = 2;
  int workflow_ids = 4;
  int actions = 60;  // of clients, before everything is brought to its end
  std::size_t cache_bytes = 64 << 20;
  std::size_t segment_bytes = 32 << 10;
  std::uint64_t checkpoint_bytes = 64 << 10;
  base::ExecutorLimits mailbox;
  base::Duration think = std::chrono::milliseconds(400);  // of a client between two actions, at most

  bool has(Feature feature) const { return features[static_cast<std::size_t>(feature)]; }
  bool has(Fault fault) const { return faults[static_cast<std::size_t>(fault)]; }
};

Plan plan_of(std::uint64_t seed);
// A workload without faults, for every crash point of which the simulator is run: 0 … kReferences - 1.
inline constexpr int kReferences = 5;
Plan reference_plan(int number);

// What of it really happened.
struct Coverage {
  std::array<std::uint32_t, kFeatures> features{};
  std::array<std::uint32_t, kFaults> faults{};
  void saw(Feature feature) { ++features[static_cast<std::size_t>(feature)]; }
  void saw(Fault fault) { ++faults[static_cast<std::size_t>(fault)]; }
};

}  // namespace perdure::sim
