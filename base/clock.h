// Where time comes from. Production: the wall clock made monotonic per process. Tests: a clock that is set by hand.
#pragma once

#include "base/time.h"

namespace perdure::base {

class Clock {
 public:
  virtual ~Clock() = default;
  // Any thread. Never goes back within one Clock.
  virtual Time now() const = 0;
};

// The wall clock; steps backwards of the machine's clock are swallowed. Lives for the whole process.
Clock& system_clock();

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
