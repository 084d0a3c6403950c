#include "base/clock.h"

#include <algorithm>
#include <atomic>

namespace perdure::base {
namespace {

constexpr std::int64_t kLook = 1'000'000;  // steady time between two looks at the wall clock
// by which the wall clock may be behind without being followed
constexpr std::int64_t kTolerance = 2'000'000;
// of time that passes, the part that is given up after a step back
constexpr std::int64_t kSlower = 10;
constexpr std::int64_t kMostAtOnce = 5'000'000;

template <class ClockType>
std::int64_t read() {
  return std::chrono::duration_cast<Duration>(ClockType::now().time_since_epoch()).count();
}

void raise(std::atomic<std::int64_t>& value, std::int64_t to) {
  std::int64_t seen = value.load(std::memory_order_relaxed);
  while (to > seen && !value.compare_exchange_weak(seen, to, std::memory_order_relaxed)) {
  }
}

// time = steady + offset_, and never less than what was told before.
class SteadyClock : public Clock {
 public:
  SteadyClock(ReadNanoseconds wall, ReadNanoseconds steady)
      : wall_(wall), steady_(steady), offset_(wall() - steady()), looked_(steady()) {}

  Time now() const override {
    const std::int64_t steady = steady_();
    std::int64_t looked = looked_.load(std::memory_order_relaxed);
    if (steady - looked >= kLook &&
        looked_.compare_exchange_strong(looked, steady, std::memory_order_relaxed)) {
      follow_wall(steady, steady - looked);
    }
    raise(last_, steady + offset_.load(std::memory_order_relaxed));
    return Time(Duration(last_.load(std::memory_order_relaxed)));
  }

 private:
  // The thread may lose its processor between two reads: the wall clock is only known to be read between `before` and `after`.
  void follow_wall(std::int64_t before, std::int64_t passed) const {
    const std::int64_t wall = wall_(), after = steady_();
    const std::int64_t offset = offset_.load(std::memory_order_relaxed);
    if (wall - after > offset) {
      raise(offset_, wall - after);
    } else if (wall - before < offset - kTolerance) {
      const std::int64_t ahead = offset - (wall - before);
      offset_.fetch_sub(std::min({ahead, passed / kSlower, kMostAtOnce}), std::memory_order_relaxed);
    }
  }

  const ReadNanoseconds wall_, steady_;
  mutable std::atomic<std::int64_t> offset_, looked_;
  mutable std::atomic<std::int64_t> last_{0};
};

}  // namespace

std::unique_ptr<Clock> make_steady_clock(ReadNanoseconds wall, ReadNanoseconds steady) {
  return std::make_unique<SteadyClock>(wall, steady);
}

Clock& system_clock() {
  static SteadyClock clock(read<std::chrono::system_clock>, read<std::chrono::steady_clock>);
  return clock;
}

}  // namespace perdure::base
