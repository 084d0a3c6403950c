// Where workflow code runs: on a thread that it must give back, and again whenever its run is replayed.
#pragma once

#include <stdexcept>
#include <string>

namespace perdure {
inline namespace v1 {
namespace detail {

// While it stands, this thread is in workflow code.
class WorkflowCode {
 public:
  WorkflowCode() { ++depth_; }
  WorkflowCode(const WorkflowCode&) = delete;
  ~WorkflowCode() { --depth_; }

  // Throws std::logic_error there. `what` is about to block, or to happen once more in every replay.
  static void must_not_be_here(const char* what) {
    if (depth_ == 0) return;
    throw std::logic_error(
        std::string("perdure: workflow code calls ") + what +
        ": it would hold the workflow's thread, and happen again in every replay; an activity may");
  }

 private:
  static inline thread_local int depth_ = 0;
};

}  // namespace detail
}  // namespace v1
}  // namespace perdure
