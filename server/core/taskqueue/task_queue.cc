#include "server/core/taskqueue/task_queue.h"

#include <algorithm>

namespace perdure::core {
namespace {

using namespace std::chrono_literals;

// MA-11.
constexpr Duration kIdlePoll = 1s;       // a poll that waited so long was not needed
constexpr Duration kOldBacklog = 200ms;  // a backlog so old needs more polls
constexpr double kGrowing = 1.2;         // so does this ratio of tasks added to tasks dispatched
constexpr double kAdvicesPerSecond = 10;

Duration age(Time oldest, Time now) {
  return oldest < now ? now - oldest : Duration::zero();
}

}  // namespace

int TaskQueue::level(int priority) {
  return std::clamp(priority, kHighest, kLowest);
}

void TaskQueue::offer(TaskReference task, Time now) {
  const int at = level(task.priority);
  if (window_.add(std::move(task), now) == TaskWindow::Added::kRepeated) return;
  added_.count(now);
  rates_[at].added.count(now);
}

PollPlace TaskQueue::park(const IdlePoll& poll) {
  idle_.emplace(++last_, poll);
  return last_;
}

PollPlace TaskQueue::park_first(const IdlePoll& poll) {
  idle_.emplace(first_, poll);
  return first_--;
}

void TaskQueue::leave(PollPlace place) {
  idle_.erase(place);
}

std::optional<IdlePoll> TaskQueue::take_poll(Time now) {
  const auto found = std::ranges::find_if(idle_, [&](const auto& entry) { return now <= entry.second.end; });
  if (found == idle_.end()) return std::nullopt;
  const IdlePoll poll = found->second;
  idle_.erase(found);
  return poll;
}

std::optional<TaskQueue::Match> TaskQueue::match(Time now) {
  const auto found = std::ranges::find_if(idle_, [&](const auto& entry) { return now <= entry.second.end; });
  if (found == idle_.end() || window_.next(now) == nullptr) return std::nullopt;
  throttled_ = !bucket_.take(now);
  if (throttled_) return std::nullopt;
  Match match{found->second, &window_.take()};
  idle_.erase(found);
  return match;
}

ReplyHints TaskQueue::started(const TaskIdentity& task, const IdlePoll& poll, Time now) {
  dispatched_.count(now);
  if (const TaskReference* found = window_.find_under_way(task))
    rates_[level(found->priority)].dispatched.count(now);
  window_.finished(task, false, now);
  return {window_.backlog_count(), advice(poll, now)};
}

void TaskQueue::undone(const TaskIdentity& task, Time now) {
  bucket_.give_back();
  window_.finished(task, false, now);
}

void TaskQueue::obsolete(const TaskIdentity& task, Time now) {
  bucket_.give_back();
  window_.finished(task, true, now);
}

void TaskQueue::failed(const TaskIdentity& task, Time now) {
  bucket_.give_back();
  window_.failed(task, now);
}

std::optional<int> TaskQueue::advice(const IdlePoll& poll, Time now) {
  const std::int64_t backlog = window_.backlog_count();
  int delta = 0;
  if (backlog == 0 && now - poll.since >= kIdlePoll) {
    delta = -1;
  } else if (!throttled_) {
    const bool old = backlog > 0 && age(window_.oldest(), now) > kOldBacklog;
    const bool growing = added_.per_second(now) > kGrowing * dispatched_.per_second(now);
    if (old || growing) delta = 1;
  }
  if (delta == 0) return std::nullopt;
  advices_.set_rate(kAdvicesPerSecond, now);
  if (!advices_.take(now)) return std::nullopt;
  return delta;
}

Time TaskQueue::next_look(Time now) const {
  Time next = window_.next_look();
  if (throttled_ && window_.backlog_count() > 0) next = std::min(next, bucket_.next(now));
  return next;
}

void TaskQueue::saw_poller(PollerSeen poller) {
  last_poll_ = std::max(last_poll_.value_or(poller.last_access), poller.last_access);
  if (poller.max_tasks_per_second) {
    rate_ = poller.max_tasks_per_second;
    bucket_.set_rate(*rate_, poller.last_access);
  }
  history_.seen(std::move(poller));
}

void TaskQueue::poll_ended(const std::string& identity, Time now) {
  last_poll_ = now;
  history_.touch(identity, now);
}

bool TaskQueue::polled_within(Duration period, std::size_t live_polls, Time now) const {
  return live_polls > 0 || (last_poll_ && base::add(*last_poll_, period) >= now);
}

QueueFigures TaskQueue::figures(Time now) const {
  std::map<int, PriorityFigures> levels;
  levels[kDefault];
  for (const auto& [at, rates] : rates_) {
    levels[at].add_rate = rates.added.per_second(now);
    levels[at].dispatch_rate = rates.dispatched.per_second(now);
  }
  QueueFigures figures;
  for (const auto& [priority, backlog] : window_.backlog()) {
    PriorityFigures& to = levels[level(priority)];
    to.backlog += backlog.count;
    to.backlog_age = std::max(to.backlog_age, age(backlog.oldest, now));
    figures.backlog += backlog.count;
    figures.backlog_age = std::max(figures.backlog_age, to.backlog_age);
  }
  for (auto& [at, to] : levels) {
    to.priority = at;
    figures.priorities.push_back(to);
  }
  figures.add_rate = added_.per_second(now);
  figures.dispatch_rate = dispatched_.per_second(now);
  return figures;
}

}  // namespace perdure::core
