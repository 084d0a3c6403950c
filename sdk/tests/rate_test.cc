// The worker's rate of starts, on times that the test makes up.
#include <gtest/gtest.h>

#include "sdk/src/worker/rate.h"

namespace perdure::worker {
namespace {

using namespace std::chrono_literals;

const base::Time kStart{std::chrono::hours(1)};

TEST(Rate, without_a_limit_everything_starts_at_once) {
  Rate rate;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(rate.take(kStart));
  EXPECT_EQ(rate.next(kStart), kStart);
}

TEST(Rate, a_second_holds_as_many_as_it_says) {
  Rate rate(10);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(rate.take(kStart)) << i;
  EXPECT_FALSE(rate.take(kStart));
  const base::Time next = rate.next(kStart);
  EXPECT_GE(next, kStart + 100ms);
  EXPECT_LE(next, kStart + 110ms);
  EXPECT_TRUE(rate.take(next));
  EXPECT_FALSE(rate.take(next));
}

TEST(Rate, what_did_not_start_is_given_back_and_idle_time_is_not_saved_up) {
  Rate rate(2);
  EXPECT_TRUE(rate.take(kStart));
  EXPECT_TRUE(rate.take(kStart));
  rate.give_back();
  EXPECT_TRUE(rate.take(kStart));
  EXPECT_FALSE(rate.take(kStart));
  EXPECT_TRUE(rate.take(kStart + 1h));
  EXPECT_TRUE(rate.take(kStart + 1h));
  EXPECT_FALSE(rate.take(kStart + 1h));
}

TEST(Rate, one_in_a_long_time) {
  Rate rate(0.001);
  EXPECT_TRUE(rate.take(kStart));
  EXPECT_FALSE(rate.take(kStart + 900s));
  EXPECT_TRUE(rate.take(kStart + 1001s));
}

}  // namespace
}  // namespace perdure::worker
