// MA-08 and MA-12: the token bucket and the rolling rate, with the time as an argument.
#include "server/core/taskqueue/rates.h"

#include <gtest/gtest.h>

namespace perdure::core {
namespace {

using namespace std::chrono_literals;

const Time kStart{1'700'000'000s};

TEST(TokenBucket, WithoutARateNobodyWaits_MA08) {
  TokenBucket bucket;
  for (int i = 0; i < 10'000; ++i) ASSERT_TRUE(bucket.take(kStart));
  EXPECT_EQ(bucket.next(kStart), kStart);
}

// How many tokens a bucket gives in `period`, when asked at every moment that next() names.
int taken_in(double rate, Duration period) {
  TokenBucket bucket;
  bucket.set_rate(rate, kStart);
  int taken = 0;
  for (Time now = kStart; now < kStart + period; now = bucket.next(now)) {
    while (bucket.take(now)) ++taken;
  }
  return taken;
}

TEST(TokenBucket, GivesItsRateAndNoMore_MA08) {
  struct Row {
    double rate;
    Duration period;
    int least, most;
  };
  for (const Row& row :
       {Row{5, 10s, 50, 51}, Row{0.5, 10s, 5, 6}, Row{1000, 2s, 2000, 2101}, Row{20, 5s, 100, 102},
        Row{99'999, 100ms, 9'999, 20'000}, Row{1.0 / 3600, 2h, 2, 3}}) {
    const int taken = taken_in(row.rate, row.period);
    EXPECT_GE(taken, row.least) << row.rate;
    EXPECT_LE(taken, row.most) << row.rate;
  }
}

TEST(TokenBucket, ZeroStops_MA08) {
  for (const double rate : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
    TokenBucket bucket;
    bucket.set_rate(rate, kStart);
    EXPECT_FALSE(bucket.take(kStart + 24h)) << rate;
    EXPECT_EQ(bucket.next(kStart), base::kNever) << rate;
    bucket.set_rate(10, kStart + 24h);
    EXPECT_LE(bucket.next(kStart + 24h), kStart + 24h + 100ms) << rate;
  }
}

TEST(TokenBucket, ATokenForNothingComesBack_MA08) {
  TokenBucket bucket;
  bucket.set_rate(1, kStart);
  EXPECT_TRUE(bucket.take(kStart));
  EXPECT_FALSE(bucket.take(kStart));
  bucket.give_back();
  EXPECT_TRUE(bucket.take(kStart));
  EXPECT_EQ(bucket.next(kStart), kStart + 1s);
}

TEST(TokenBucket, NamingTheSameRateAgainGivesNothing_MA08) {
  TokenBucket bucket;
  bucket.set_rate(1, kStart);
  EXPECT_TRUE(bucket.take(kStart));
  for (int i = 1; i <= 9; ++i) {
    bucket.set_rate(1, kStart + i * 100ms);
    EXPECT_FALSE(bucket.take(kStart + i * 100ms)) << i;
  }
}

TEST(RollingRate, AveragesHalfAMinute_MA12) {
  RollingRate rate;
  EXPECT_EQ(rate.per_second(kStart), 0);
  for (int i = 0; i < 100; ++i) rate.count(kStart + i * 100ms);  // 10 a second for 10 s
  EXPECT_NEAR(rate.per_second(kStart + 10s), 10, 0.1);
  EXPECT_NEAR(rate.per_second(kStart + 20s), 5, 0.1);
  EXPECT_LE(rate.per_second(kStart + 34s), 4);
  EXPECT_EQ(rate.per_second(kStart + 45s), 0);
  rate.count(kStart + 1h);
  EXPECT_NEAR(rate.per_second(kStart + 1h), 1.0 / 30, 0.01);
}

}  // namespace
}  // namespace perdure::core
