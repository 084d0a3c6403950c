// Executor: where a user wants code of his to run, a pool, a strand or the thread of a window.
//
// Any thread calls post(); the work runs later, once, and may throw nothing.
#pragma once

#include <functional>

namespace perdure {
inline namespace v1 {

class Executor {
 public:
  virtual ~Executor() = default;
  virtual void post(std::function<void()> work) = 0;
};

}  // namespace v1
}  // namespace perdure
