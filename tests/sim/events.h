// Events: what happens outside the server, in order of simulated time, and among equals in order of arrival.
#pragma once

#include <functional>
#include <map>
#include <utility>

#include "base/time.h"

namespace perdure::sim {

class Events {
 public:
  using Action = std::move_only_function<void()>;

  base::Time now() const { return now_; }
  void advance_to(base::Time now) { now_ = now; }
  void after(base::Duration delay, Action action) {
    queue_.emplace(std::pair(now_ + delay, ++last_), std::move(action));
  }
  // When the next one is due; kNever.
  base::Time next() const { return queue_.empty() ? base::kNever : queue_.begin()->first.first; }
  void run_next() {
    auto node = queue_.extract(queue_.begin());
    node.mapped()();
  }

 private:
  base::Time now_ = base::Time(std::chrono::seconds(1'700'000'000));
  std::uint64_t last_ = 0;
  std::map<std::pair<base::Time, std::uint64_t>, Action> queue_;
};

}  // namespace perdure::sim
