// Ten times what the server can do, in simulated time: what it takes on it does, what it cannot do it refuses, and afterwards all
// is as before (E15).
#include <gtest/gtest.h>

#include <iostream>

#include "tests/sim/overload.h"

namespace perdure::sim {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr double kUsual = 0.4;  // of what it can do

void print(const char* name, const Window& window) {
  std::cout << name << ": goodput " << window.goodput_per_s << "/s, accepted " << window.accepted
            << ", refused " << window.refused << ", late " << window.late << ", other " << window.other
            << ", p99 " << duration_cast<milliseconds>(window.p99).count() << " ms; at most "
            << window.most_calls << " calls, " << window.most_mailbox_bytes << " bytes waiting, "
            << window.most_cached_bytes << " bytes of executions\n";
}

TEST(Overload, E15_ten_times_capacity_costs_a_fifth_at_most_and_is_over_ten_seconds_later) {
  Overload overload(1);
  overload.closed_loop(64, seconds(2));
  const Window peak = overload.closed_loop(0, seconds(5));
  print("peak", peak);
  ASSERT_GT(peak.goodput_per_s, 50);
  overload.open_loop(kUsual * peak.goodput_per_s, seconds(3));
  const Window before = overload.open_loop(kUsual * peak.goodput_per_s, seconds(4));
  print("usual", before);

  overload.open_loop(10 * peak.goodput_per_s, seconds(6));
  const Window flood = overload.open_loop(10 * peak.goodput_per_s, seconds(10));
  print("ten times", flood);
  EXPECT_GE(flood.goodput_per_s, 0.8 * peak.goodput_per_s);
  EXPECT_LE(flood.most_calls, Overload::kMostCalls);
  EXPECT_LE(flood.most_mailbox_bytes, 2 * Overload::kMailboxBytes);
  EXPECT_LE(flood.most_cached_bytes, Overload::kCacheBytes + Overload::kCacheBytes / 4);
  EXPECT_EQ(flood.other, 0U);

  overload.open_loop(kUsual * peak.goodput_per_s, seconds(10));
  const Window after = overload.open_loop(kUsual * peak.goodput_per_s, seconds(4));
  print("after", after);
  EXPECT_EQ(after.refused + after.late + after.other, 0U);
  EXPECT_GE(after.goodput_per_s, 0.95 * before.goodput_per_s);
  EXPECT_LE(after.p99, 2 * before.p99);
}

}  // namespace
}  // namespace perdure::sim
