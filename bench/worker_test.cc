#include "bench/worker.h"

#include <gtest/gtest.h>

namespace perdure::bench {
namespace {

TEST(WorkflowType, NamesItsActivities) {
  for (const int n : {0, 1, 3, 25}) EXPECT_EQ(activities_of(workflow_type(n)), n);
  EXPECT_EQ(activities_of("prepare"), 0);
  EXPECT_EQ(activities_of("activities-"), 0);
}

}  // namespace
}  // namespace perdure::bench
