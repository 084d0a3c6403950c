// Many executors on the calling thread, with a clock that moves only when told: how tests run the whole server.
//
// Order is fixed: executors take turns in order of creation, each as a ThreadExecutor would (lanes, then timers, then the end of
// the turn). Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"

namespace perdure::base {

class SimExecutor;

class SimScheduler {
 public:
  explicit SimScheduler(ManualClock& clock);
  ~SimScheduler();

  // Owned by the caller; must be destroyed before the scheduler.
  std::unique_ptr<Executor> make_executor(std::string name, ExecutorLimits limits = {});

  // Runs tasks and due timers until nothing is runnable at the present time. False: stopped after `max_turns` turns.
  bool run_until_idle(std::size_t max_turns = 1'000'000);
  // The nearest timer of any executor; kNever when there is none.
  Time next_timer() const;
  // Moves the clock to `when` step by step, running every timer at its own time on the way.
  void advance_to(Time when);

  ManualClock& clock() { return clock_; }

 private:
  friend class SimExecutor;
  ManualClock& clock_;
  std::vector<SimExecutor*> executors_;
  const SimExecutor* current_ = nullptr;  // whose turn it is
};

}  // namespace perdure::base
