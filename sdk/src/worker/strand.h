// An executor without a thread of its own: tasks run one after another on the threads that post them.
//
// Who posts while no task runs runs his own at once, before post() returns, and after it what others have posted meanwhile;
// a task that is posted while one runs is run by who runs that one. So a reply is dealt with on the thread that brings it,
// which wakes nobody. Hold nothing while you post that a task may want.
//
// Timers wake a thread, which sleeps until the earliest of them. As with every executor, call_at() and cancel() belong to
// its own tasks, and what is posted after its destructor began is an error.
#pragma once

#include <map>
#include <memory>

#include "base/executor.h"

namespace perdure::worker {

class Strand final : public base::Executor {
 public:
  Strand(std::string name, const base::Clock& clock);  // the name: of the thread that timers wake
  ~Strand() override;  // when what is queued has run; drops the timers. Not from a task

  bool post(base::Lane lane, std::size_t bytes,
            base::Task task) override;  // lanes are one here; never refuses
  bool is_current() const override;
  base::TimerId call_at(base::Time when, base::Task task) override;
  void cancel(base::TimerId timer) override;
  void run_and_wait(base::Task task) override;
  void set_end_of_turn(std::function<void()> hook) override;  // a turn: until nothing is queued
  const base::Clock& clock() const override { return clock_; }
  std::uint64_t wakes() const override { return sleeper_->wakes(); }

 private:
  class Tasks;  // what is queued; lives until nobody is inside any more

  void arm();
  void run_due();

  const base::Clock& clock_;
  const std::shared_ptr<Tasks> tasks_;

  // Of the tasks.
  std::map<std::pair<base::Time, base::TimerId>, base::Task> timers_;
  std::map<base::TimerId, base::Time> times_;
  base::TimerId last_timer_ = 0;
  base::Time armed_;  // the sleeper calls then, or before

  std::unique_ptr<base::Executor> sleeper_;
};

}  // namespace perdure::worker
