// A rate of starts that is not exceeded: a bucket that holds at most one second's worth, and at least one.
//
// Time comes in as an argument. One thread at a time.
#pragma once

#include <algorithm>

#include "base/time.h"

namespace perdure::worker {

class Rate {
 public:
  explicit Rate(double per_second = 0) : per_second_(per_second), tokens_(most()) {}

  bool unlimited() const { return per_second_ <= 0; }
  // True: one may start now, and is counted.
  bool take(base::Time now) {
    if (unlimited()) return true;
    refill(now);
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }
  // One that was counted did not start.
  void give_back() {
    if (!unlimited()) tokens_ = std::min(tokens_ + 1, most());
  }
  // When the next may start.
  base::Time next(base::Time now) {
    if (unlimited()) return now;
    refill(now);
    if (tokens_ >= 1) return now;
    const std::chrono::duration<double> wait((1 - tokens_) / per_second_ + 0.001);
    return base::add(
        now, wait.count() < 1e9 ? std::chrono::duration_cast<base::Duration>(wait) : base::Duration::max());
  }

 private:
  double most() const { return std::max(per_second_, 1.0); }
  void refill(base::Time now) {
    if (filled_ != base::Time() && now > filled_)
      tokens_ =
          std::min(tokens_ + std::chrono::duration<double>(now - filled_).count() * per_second_, most());
    filled_ = now;
  }

  double per_second_, tokens_;
  base::Time filled_{};
};

}  // namespace perdure::worker
