// Where time comes from. Production: the wall clock made monotonic per process. Tests: a clock that is set by hand.
#pragma once

#include <cstdint>
#include <memory>

#include "base/time.h"

namespace perdure::base {

class Clock {
 public:
  virtual ~Clock() = default;
  // Any thread. Never goes back within one Clock.
  virtual Time now() const = 0;
};

// The wall clock, as make_steady_clock() makes it. Lives for the whole process.
Clock& system_clock();

// A clock that follows `wall` (nanoseconds since the epoch, may be set to anything at any time) but moves with `steady`
// (nanoseconds since whenever, never goes back). A step forward is taken over at once; after a step back time goes on,
// slower by a tenth at most, until the two meet again: timers and deadlines neither stand still nor run backwards because
// somebody set the machine's clock.
using ReadNanoseconds = std::int64_t (*)();
std::unique_ptr<Clock> make_steady_clock(ReadNanoseconds wall, ReadNanoseconds steady);

class ManualClock : public Clock {
 public:
  explicit ManualClock(Time start = Time(std::chrono::seconds(1'700'000'000))) : now_(start) {}
  Time now() const override { return now_; }
  void set(Time now) {
    if (now > now_) now_ = now;
  }
  void advance(Duration by) { now_ += by; }

 private:
  Time now_;
};

}  // namespace perdure::base
