// Times that come from elsewhere may lie beyond what a TimePoint (nanoseconds) or a Duration (milliseconds) can tell: they are
// read as the first or the last one then. Any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace perdure::convert {

// seconds * units + more, or the nearest that there is.
inline std::int64_t nearest(std::int64_t seconds, std::int64_t units, std::int64_t more) {
  const __int128 exact = static_cast<__int128>(seconds) * units + more;
  using Limits = std::numeric_limits<std::int64_t>;
  return static_cast<std::int64_t>(std::clamp<__int128>(exact, Limits::min(), Limits::max()));
}

// Since the epoch, in nanoseconds; `time` has seconds() and nanos().
template <class Wire>
std::int64_t nanoseconds(const Wire& time) {
  return nearest(time.seconds(), 1'000'000'000, time.nanos());
}
template <class Wire>
std::int64_t milliseconds(const Wire& duration) {
  return nearest(duration.seconds(), 1000, duration.nanos() / 1'000'000);
}

}  // namespace perdure::convert
