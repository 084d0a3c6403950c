#include "base/clock.h"

#include <atomic>

namespace perdure::base {
namespace {

class SystemClock : public Clock {
 public:
  Time now() const override {
    const std::int64_t read =
        std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()).time_since_epoch().count();
    std::int64_t last = last_.load(std::memory_order_relaxed);
    while (read > last && !last_.compare_exchange_weak(last, read, std::memory_order_relaxed)) {
    }
    return Time(Duration(read > last ? read : last));
  }

 private:
  mutable std::atomic<std::int64_t> last_{0};
};

}  // namespace

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

}  // namespace perdure::base
