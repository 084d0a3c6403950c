// Rates as values, with the time as an argument: how fast a queue may dispatch (MA-08) and how fast it did (MA-12).
#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"

namespace perdure::core {

using base::Duration;
using base::Time;

// Tokens that grow at a rate, up to a tenth of a second's worth and at least one. Starts full and unlimited.
class TokenBucket {
 public:
  // Per second. 0 (or less, or not a number) stops it; kUnlimited and more never stops anybody. Tokens in hand are kept.
  static constexpr double kUnlimited = 100'000;  // what stands for "no limit" on the wire (MA-08)
  void set_rate(double per_second, Time now);
  double rate() const { return rate_; }

  // Takes a token if there is one.
  bool take(Time now);
  // The token of a take() that led to nothing.
  void give_back();
  // When take() may succeed: not after `now` when it would now; kNever when the rate is 0.
  Time next(Time now) const;

 private:
  bool unlimited() const { return rate_ >= kUnlimited; }
  double burst() const;
  double tokens(Time now) const;

  double rate_ = kUnlimited;
  double tokens_ = 1;
  Time counted_{};  // when tokens_ was true
};

// Events per second over the last half minute, in steps of five seconds.
class RollingRate {
 public:
  void count(Time now);
  double per_second(Time now) const;

 private:
  static constexpr std::int64_t kSteps = 6;
  std::int64_t step_of(Time time) const;

  std::array<std::uint32_t, kSteps> counts_{};
  std::int64_t newest_ = -1;  // step; -1: nothing was counted
  Time first_{};
};

}  // namespace perdure::core
