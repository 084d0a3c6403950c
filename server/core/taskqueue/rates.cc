#include "server/core/taskqueue/rates.h"

#include <algorithm>
#include <cmath>

namespace perdure::core {
namespace {

constexpr double kEnough = 1 - 1e-6;  // of a token: what rounding took is not waited for
constexpr Duration kStep = std::chrono::seconds(5);

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

double TokenBucket::burst() const {
  return std::max(1.0, rate_ / 10);
}

double TokenBucket::tokens(Time now) const {
  if (now <= counted_) return tokens_;
  return std::min(burst(), tokens_ + rate_ * seconds(now - counted_));
}

void TokenBucket::set_rate(double per_second, Time now) {
  const double rate = per_second > 0 ? per_second : 0;
  if (rate == rate_) return;
  if (unlimited()) {
    rate_ = rate;
    tokens_ = burst();  // nothing was counted before: as a new one
  } else {
    tokens_ = tokens(now);
    rate_ = rate;
    tokens_ = std::min(tokens_, burst());
  }
  counted_ = std::max(counted_, now);
}

bool TokenBucket::take(Time now) {
  if (unlimited()) return true;
  if (rate_ == 0) return false;
  const double held = tokens(now);
  if (held < kEnough) return false;
  tokens_ = std::max(0.0, held - 1);
  counted_ = std::max(counted_, now);
  return true;
}

void TokenBucket::give_back() {
  if (!unlimited()) tokens_ = std::min(burst(), tokens_ + 1);
}

Time TokenBucket::next(Time now) const {
  if (unlimited()) return now;
  if (rate_ == 0) return base::kNever;
  const double missing = 1 - tokens(now);
  if (missing <= 1 - kEnough) return now;
  const double wait = missing / rate_;
  if (wait > 1e9) return base::kNever;
  return base::add(now, Duration(static_cast<std::int64_t>(std::ceil(wait * 1e9))));
}

std::int64_t RollingRate::step_of(Time time) const {
  return time.time_since_epoch() / kStep;
}

void RollingRate::count(Time now) {
  const std::int64_t step = std::max(step_of(now), newest_);
  if (newest_ < 0) first_ = now;
  if (newest_ >= 0 && step - newest_ >= kSteps) counts_.fill(0);
  for (std::int64_t passed = std::max(newest_ + 1, step - kSteps + 1); newest_ >= 0 && passed <= step;
       ++passed) {
    counts_[passed % kSteps] = 0;
  }
  newest_ = step;
  ++counts_[step % kSteps];
}

double RollingRate::per_second(Time now) const {
  if (newest_ < 0) return 0;
  const std::int64_t step = std::max(step_of(now), newest_);
  double total = 0;
  for (std::int64_t old = std::max<std::int64_t>(0, step - kSteps + 1); old <= newest_; ++old) {
    total += counts_[old % kSteps];
  }
  const Duration window = kSteps * kStep;
  return total / seconds(std::clamp<Duration>(now - first_, std::chrono::seconds(1), window));
}

}  // namespace perdure::core
