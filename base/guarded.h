// Guarded<T>: a value that several threads may use, only ever touched inside with(). For small things held for an instant (a
// pointer swapped, a queue appended to): what needs more than that belongs to an Executor.
#pragma once

#include <mutex>
#include <utility>

namespace perdure::base {

template <class T>
class Guarded {
 public:
  Guarded() = default;
  explicit Guarded(T value) : value_(std::move(value)) {}

  // use(value) with every other user kept out; its result. `use` must not call with() of the same Guarded, nor callbacks of others.
  template <class Use>
  decltype(auto) with(Use use) {
    const std::lock_guard lock(mutex_);
    return use(value_);
  }
  template <class Use>
  decltype(auto) with(Use use) const {
    const std::lock_guard lock(mutex_);
    return use(std::as_const(value_));
  }

 private:
  mutable std::mutex mutex_;
  T value_{};
};

}  // namespace perdure::base
