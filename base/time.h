// Time and durations of the whole project: nanoseconds since the Unix epoch. Where time comes from: base/clock.h.
#pragma once

#include <chrono>
#include <cstdint>

namespace perdure::base {

using Duration = std::chrono::nanoseconds;
using Time = std::chrono::sys_time<Duration>;

inline constexpr Time kNever = Time::max();  // "no deadline", "no wake"; never stored

// Addition that stops at kNever instead of overflowing: durations from outside may be absurd.
constexpr Time add(Time time, Duration duration) {
  if (duration > Duration::zero() && time.time_since_epoch() > Duration::max() - duration) return kNever;
  return time + duration;
}

}  // namespace perdure::base
