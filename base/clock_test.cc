#include "base/clock.h"

#include <gtest/gtest.h>

namespace perdure::base {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t kStart = 1'700'000'000'000'000'000;
std::int64_t the_wall, the_steady;

class SteadyClockTest : public testing::Test {
 protected:
  SteadyClockTest() {
    the_wall = kStart;
    the_steady = 5'000;
    clock = make_steady_clock([] { return the_wall; }, [] { return the_steady; });
  }
  // Both clocks go on, in steps in which somebody asks.
  void pass(Duration time, Duration step = milliseconds(1)) {
    for (Duration left = time; left > Duration::zero(); left -= step) {
      the_wall += step.count();
      the_steady += step.count();
      const Time now = clock->now();
      ASSERT_GE(now, last);
      last = now;
    }
  }
  Duration since_start() { return clock->now() - Time(Duration(kStart)); }

  std::unique_ptr<Clock> clock;
  Time last{};
};

TEST_F(SteadyClockTest, FollowsTheWallClock) {
  EXPECT_EQ(since_start(), Duration::zero());
  pass(seconds(3));
  EXPECT_EQ(since_start(), seconds(3));
}

TEST_F(SteadyClockTest, TakesAStepForwardOver) {
  pass(seconds(1));
  the_wall += Duration(seconds(3600)).count();
  pass(milliseconds(1));
  EXPECT_EQ(since_start(), seconds(3601) + milliseconds(1));
}

// A timer that is due in five seconds fires in five and a half, not when the wall clock has caught up an hour later.
TEST_F(SteadyClockTest, DoesNotStandStillAfterAStepBack) {
  pass(seconds(1));
  the_wall -= Duration(seconds(3600)).count();
  pass(seconds(10));
  EXPECT_GE(since_start(), seconds(10));
  EXPECT_LE(since_start(), seconds(11));
  pass(seconds(10), seconds(1));  // whoever asks seldom does not see jumps either
  EXPECT_GE(since_start(), seconds(19));
}

TEST_F(SteadyClockTest, MeetsTheWallClockAgain) {
  pass(seconds(1));
  the_wall -= Duration(milliseconds(500)).count();
  pass(seconds(6));
  EXPECT_NEAR(static_cast<double>(since_start().count()), 6.5e9, 3e6);
}

// Losing the processor between the two reads looks like a step, and is none.
TEST_F(SteadyClockTest, APauseBetweenTheReadsIsNoStep) {
  auto paused = make_steady_clock([] { return the_wall; },
                                  [] {
                                    const std::int64_t now = the_steady;
                                    the_steady += 40'000'000;
                                    the_wall += 40'000'000;
                                    return now;
                                  });
  for (int i = 0; i < 100; ++i) static_cast<void>(paused->now());
  const std::int64_t told = paused->now().time_since_epoch().count();
  EXPECT_NEAR(static_cast<double>(told), static_cast<double>(the_wall), 150e6);
}

}  // namespace
}  // namespace perdure::base
