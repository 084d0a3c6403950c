// Executors: single-threaded loops that own everything they touch (rule E15).
//
// An Executor runs tasks one after another, in three lanes (completions first, new work last), and timers. Production runs each
// on a thread of its own (ThreadExecutor); tests run many on one thread from a seed (SimScheduler). Code above never creates
// threads, locks or sleeps: it posts.
//
// Thread rule: post(), is_current() and run_and_wait() from any thread; everything else from the executor's own tasks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/time.h"

namespace perdure::base {

using Task = std::move_only_function<void()>;

enum class Lane : std::uint8_t {
  kCompletion,  // answers and completions: never refused, because refusing one would leave its asker hanging
  kInternal,    // requests between ids: refused when full; the sender keeps its obligation and tries again
  kNewWork,     // requests from outside: refused when full, answered RESOURCE_EXHAUSTED
};
inline constexpr int kLanes = 3;

struct ExecutorLimits {
  std::size_t internal_bytes = 64 << 20;
  std::size_t new_work_bytes = 64 << 20;
};

using TimerId = std::uint64_t;  // never 0

class Executor {
 public:
  virtual ~Executor() = default;

  // Queues `task`; `bytes` is what it holds on to (its share of the lane's bound). False: the lane is full, or the executor has
  // stopped; the task was destroyed without running. Tasks of one lane from one thread run in order.
  virtual bool post(Lane lane, std::size_t bytes, Task task) = 0;

  // True inside a task, timer or end of turn of this executor: what belongs here may then be done at once, without a post.
  virtual bool is_current() const = 0;

  // Runs `task` at the first loop turn at or after `when`. Own thread only.
  virtual TimerId call_at(Time when, Task task) = 0;
  // Forgets the timer; unknown or fired ids are ignored. Own thread only.
  virtual void cancel(TimerId timer) = 0;

  // Runs `task` as one of this executor's and returns when it is done: how something that is being closed waits for its parts. From
  // another thread, or from a task of this executor (then at once). Runs it on the caller's thread when the executor has stopped.
  virtual void run_and_wait(Task task) = 0;

  // Called after each turn (a batch of tasks) before the loop sleeps: where a turn's records are handed to the log. Own thread,
  // set once before the first task.
  virtual void set_end_of_turn(std::function<void()> hook) = 0;

  virtual const Clock& clock() const = 0;

  // How often a post found the loop asleep and had to wake it, which costs more than all else about a post. Any thread.
  virtual std::uint64_t wakes() const = 0;
};

// Starts a thread that runs the loop; the destructor finishes the queued tasks, drops the timers, and joins.
std::unique_ptr<Executor> make_thread_executor(std::string name, const Clock& clock,
                                               ExecutorLimits limits = {});

}  // namespace perdure::base
