// What CI runs of the simulator: seeds, every crash point of the reference workloads, and that a seed is
// always the same run.
#include <gtest/gtest.h>

#include "tests/sim/simulation.h"

namespace perdure::sim {
namespace {

TEST(Simulation, E18_TheSameSeedIsTheSameRun) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed)
    EXPECT_EQ(simulate(seed).hash, simulate(seed).hash) << seed;
}

}  // namespace
}  // namespace perdure::sim
