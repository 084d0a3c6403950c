// A task queue as a value: who waits for tasks, which tasks wait for somebody, and who gets which when (semantics sheet MA).
//
//   order     priority, then age (MA-13); a new task is handed out at once only when no older one waits (E16)
//   polls     first come, first served; one whose start came to nothing is the first again (E16)
//   rate      the wish of the last worker that named one (MA-08); 0 stops dispatch
//   figures   backlog and rates by priority (MA-12), pollers (MA-10), advice to pollers (MA-11)
//
// Pure: no clock, thread, lock or I/O. Times are arguments and do not go back. The owner keeps the polls' callbacks and deadlines,
// asks for starts, reads the pages.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server/core/taskqueue/poller_history.h"
#include "server/core/taskqueue/rates.h"
#include "server/core/taskqueue/task_window.h"

namespace perdure::core {

// A poll that waits.
struct IdlePoll {
  std::uint64_t id = 0;
  Time since{};  // when it came
  Time end{};    // it is not given anything after this
};
// Where it stands in the row; names it while it waits.
using PollPlace = std::int64_t;

// What a reply tells the poller beside the task.
struct ReplyHints {
  std::int64_t backlog = 0;
  std::optional<int> poll_delta;  // MA-11: +1 more polls, -1 fewer
};

struct PriorityFigures {
  int priority = 3;
  std::int64_t backlog = 0;
  Duration backlog_age{};
  double add_rate = 0, dispatch_rate = 0;
};
struct QueueFigures {
  std::int64_t backlog = 0;
  Duration backlog_age{};
  double add_rate = 0, dispatch_rate = 0;
  std::vector<PriorityFigures> priorities;  // the default, and those that hold or held tasks
};

class TaskQueue {
 public:
  static constexpr int kHighest = 1, kLowest = 5, kDefault = 3;

  explicit TaskQueue(TaskWindow::Bounds bounds, std::optional<Time> lost = std::nullopt)
      : window_(bounds, lost) {}

  // ---- tasks ----
  void offer(TaskReference task, Time now);
  TaskWindow& window() { return window_; }
  const TaskWindow& window() const { return window_; }

  // ---- polls ----
  PollPlace park(const IdlePoll& poll);        // last of the row
  PollPlace park_first(const IdlePoll& poll);  // its start came to nothing
  void leave(PollPlace place);
  std::size_t idle() const { return idle_.size(); }
  // The first poll that may still be given something, taken out of the row; for what is no task (queries).
  std::optional<IdlePoll> take_poll(Time now);

  // ---- matching ----
  struct Match {
    IdlePoll poll;
    const TaskReference* task = nullptr;  // under way; valid until its outcome is told
  };
  // The next poll and the next task, both taken; nothing when one is missing or the rate forbids. Tell the outcome by one of:
  std::optional<Match> match(Time now);
  ReplyHints started(const TaskIdentity& task, const IdlePoll& poll, Time now);  // delivered
  void undone(const TaskIdentity& task, Time now);  // started, but there was nobody to deliver it to
  void obsolete(const TaskIdentity& task, Time now);
  void failed(const TaskIdentity& task, Time now);

  // When match() or the window may give something without anything new, given that somebody waits; kNever: not by itself.
  Time next_look(Time now) const;

  // ---- pollers ----
  // A poll came. `max_tasks_per_second` becomes the rate when given.
  void saw_poller(PollerSeen poller);
  void poll_ended(const std::string& identity, Time now);
  std::optional<Time> last_poll() const { return last_poll_; }
  std::vector<PollerSeen> pollers(Time now) const { return history_.recent(now); }
  // A poll was there within `period`. Polls that wait or are served count as seen now: the owner says how many they are.
  bool polled_within(Duration period, std::size_t live_polls, Time now) const;
  std::optional<double> max_tasks_per_second() const { return rate_; }

  QueueFigures figures(Time now) const;

 private:
  struct Rates {
    RollingRate added, dispatched;
  };
  static int level(int priority);
  std::optional<int> advice(const IdlePoll& poll, Time now);

  TaskWindow window_;
  std::map<PollPlace, IdlePoll> idle_;
  PollPlace first_ = 0, last_ = 0;
  TokenBucket bucket_;
  std::optional<double> rate_;
  bool throttled_ = false;      // the last match was forbidden by the rate
  std::map<int, Rates> rates_;  // by level
  RollingRate added_, dispatched_;
  PollerHistory history_;
  std::optional<Time> last_poll_;
  TokenBucket advices_;
};

}  // namespace perdure::core
