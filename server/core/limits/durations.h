// Durations that come from outside: never negative, never longer than a century.
#pragma once

#include <google/protobuf/duration.pb.h>

#include <cstdint>

namespace perdure::core {

inline constexpr std::int64_t kMostDurationSeconds = 3'155'760'000;  // 100 years of 365.25 days

inline bool is_negative(const google::protobuf::Duration& duration) {
  return duration.seconds() < 0 || duration.nanos() < 0;
}

// Longer durations become the longest.
inline void cap(google::protobuf::Duration& duration) {
  if (duration.seconds() < kMostDurationSeconds) return;
  duration.set_seconds(kMostDurationSeconds);
  duration.set_nanos(0);
}

}  // namespace perdure::core
