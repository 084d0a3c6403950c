// Many executors on the calling thread, with a clock that moves only when told: how tests run the whole server.
//
// Order is fixed: executors take turns in order of creation, each as a ThreadExecutor would (lanes, then timers, then the end of
// the turn). Or it is drawn, turn by turn: step(). Not thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/random.h"

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

  // One turn of an executor that has something to do at the present time, both the executor and how much of its work it finds
  // waiting drawn from `random`. False: nobody has anything to do.
  bool step(Random& random);
  // The executor of that name (of those that live) gets no turn from step() before `until`: its thread, or its disk, is slow.
  void hold(const std::string& name, Time until);
  // A model of CPU time for step(): a turn then runs at most `batch` tasks, and the executor gets no other before `task` has passed
  // for each of them. Executors do not take time from each other: each has a core of its own.
  struct Cost {
    Duration task{};
    std::size_t batch = 8;
  };
  void set_cost(std::function<Cost(const std::string& executor)> cost);
  // When step() has something to do next: now, or later; kNever.
  Time next_step() const;

  ManualClock& clock() { return clock_; }

 private:
  friend class SimExecutor;
  ManualClock& clock_;
  std::vector<SimExecutor*> executors_;
  const SimExecutor* current_ = nullptr;  // whose turn it is
  std::function<Cost(const std::string& executor)> cost_;
};

}  // namespace perdure::base
