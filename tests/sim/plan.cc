#include "tests/sim/plan.h"

namespace perdure::sim {

std::string_view name_of(Feature feature) {
  constexpr std::array<std::string_view, kFeatures> kNames = {"activity",
                                                              "activity-retry",
                                                              "activity-timeout",
                                                              "heartbeat",
                                                              "activity-cancel",
                                                              "timer",
                                                              "timer-cancel",
                                                              "signal",
                                                              "signal-with-start",
                                                              "external-signal",
                                                              "external-cancel",
                                                              "query",
                                                              "cancel",
                                                              "terminate",
                                                              "continue-as-new",
                                                              "workflow-retry",
                                                              "cron",
                                                              "id-reuse",
                                                              "marker",
                                                              "upsert",
                                                              "sticky",
                                                              "run-timeout",
                                                              "task-failure",
                                                              "next-task",
                                                              "long-poll",
                                                              "list",
                                                              "delete"};
  return kNames[static_cast<std::size_t>(feature)];
}

std::string_view name_of(Fault fault) {
  constexpr std::array<std::string_view, kFaults> kNames = {
      "kill",        "power-loss", "torn-writes",  "mid-operation", "crash-in-recovery",
      "sync-error",  "disk-full",  "slow-disk",    "drop",          "duplicate",
      "delay",       "disconnect", "client-death", "worker-death",  "pause",
      "slow-thread", "clock-jump", "full-queues",  "cold-cache"};
  return kNames[static_cast<std::size_t>(fault)];
}

Plan plan_of(std::uint64_t seed) {
  base::Random random(base::derive_seed(seed, 0x91a9));
  Plan plan{.seed = seed};
  const std::uint64_t most = 2 + random.below(3);  // of 5: some seeds do much, others little
  for (std::size_t i = 0; i < kFeatures; ++i) plan.features[i] = random.below(5) < most;
  const std::uint64_t faulty = random.below(4);  // of 6
  for (std::size_t i = 0; i < kFaults; ++i) plan.faults[i] = random.below(6) < faulty;
  plan.remote = random.below(8) == 0;
  plan.loops = 1 + static_cast<int>(random.below(3));
  plan.clients = 1 + static_cast<int>(random.below(4));
  plan.workers = 1 + static_cast<int>(random.below(2));
  plan.workflow_ids = 1 + static_cast<int>(random.below(6));
  plan.actions = 20 + static_cast<int>(random.below(60));
  plan.think = std::chrono::milliseconds(random.below(3) == 0 ? 5 : 100 + random.below(900));
  plan.segment_bytes = std::size_t{8} << (10 + random.below(4));
  plan.checkpoint_bytes = std::uint64_t{16} << (10 + random.below(5));
  if (plan.has(Fault::kColdCache)) plan.cache_bytes = 0;
  if (plan.has(Fault::kFullQueues)) plan.mailbox = {.internal_bytes = 1, .new_work_bytes = 1};
  return plan;
}

Plan reference_plan(int number) {
  using F = Feature;
  static constexpr std::array<std::array<Feature, 6>, kReferences> kWorkloads = {{
      {F::kActivity, F::kActivityRetry, F::kHeartbeat, F::kTimer, F::kTimerCancel, F::kSticky},
      {F::kSignal, F::kSignalWithStart, F::kIdReuse, F::kTerminate, F::kCancel, F::kTimer},
      {F::kExternalSignal, F::kExternalCancel, F::kContinueAsNew, F::kTimer, F::kActivity, F::kSignal},
      {F::kWorkflowRetry, F::kCron, F::kRunTimeout, F::kActivityTimeout, F::kActivity, F::kNextTask},
      {F::kList, F::kLongPoll, F::kQuery, F::kUpsert, F::kMarker, F::kActivityCancel},
  }};
  const auto index = static_cast<std::size_t>(number);
  Plan plan{.seed = 1000 + index,
            .loops = 1 + number % 2,
            .clients = 2,
            .workers = 1,
            .workflow_ids = 3,
            .actions = 10};
  plan.segment_bytes = 8 << 10;
  plan.checkpoint_bytes = 32 << 10;
  for (const Feature feature : kWorkloads[index]) plan.features.set(static_cast<std::size_t>(feature));
  return plan;
}

}  // namespace perdure::sim
