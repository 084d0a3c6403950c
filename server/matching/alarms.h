// Many deadlines behind one timer: a heap of alarms that know their place in it (rule E15: timers must cost next to nothing).
//
// Owned and used by one executor. An alarm must be cancelled, or have fired, before it dies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace perdure::matching {

class Alarm {
 public:
  virtual ~Alarm() = default;
  virtual void fire(base::Time now) = 0;
  bool set() const { return place_ != kUnset; }
  base::Time when() const { return when_; }

 private:
  friend class Alarms;
  static constexpr std::size_t kUnset = static_cast<std::size_t>(-1);
  base::Time when_{};
  std::uint64_t serial_ = 0;  // alarms of one time fire in the order they were set
  std::size_t place_ = kUnset;
};

class Alarms {
 public:
  // Moves it when it is set already.
  void set(Alarm& alarm, base::Time when);
  void cancel(Alarm& alarm);
  base::Time next() const { return heap_.empty() ? base::kNever : heap_.front()->when_; }
  // Takes the first that is due; nullptr when none is.
  Alarm* pop_due(base::Time now);

 private:
  static bool before(const Alarm* a, const Alarm* b) {
    return a->when_ != b->when_ ? a->when_ < b->when_ : a->serial_ < b->serial_;
  }
  void put(std::size_t place, Alarm* alarm);
  void up(std::size_t place);
  void down(std::size_t place);

  std::vector<Alarm*> heap_;
  std::uint64_t last_serial_ = 0;
};

}  // namespace perdure::matching
