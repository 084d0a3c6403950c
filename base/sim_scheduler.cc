#include "base/sim_scheduler.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <unordered_map>
#include <utility>

namespace perdure::base {

class SimExecutor : public Executor {
 public:
  SimExecutor(SimScheduler& scheduler, std::string name, ExecutorLimits limits)
      : scheduler_(scheduler), name_(std::move(name)), limits_(limits) {
    scheduler_.executors_.push_back(this);
  }
  ~SimExecutor() override { std::erase(scheduler_.executors_, this); }

  bool post(Lane lane, std::size_t bytes, Task task) override {
    const int index = static_cast<int>(lane);
    const std::size_t limit = lane == Lane::kInternal ? limits_.internal_bytes : limits_.new_work_bytes;
    if (lane != Lane::kCompletion && held_bytes_[index] > 0 && held_bytes_[index] + bytes > limit)
      return false;
    held_bytes_[index] += bytes;
    if (lanes_[0].empty() && lanes_[1].empty() && lanes_[2].empty()) ++wakes_;
    lanes_[index].emplace_back(std::move(task), bytes);
    return true;
  }

  bool is_current() const override { return scheduler_.current_ == this; }

  TimerId call_at(Time when, Task task) override {
    const TimerId id = ++last_timer_;
    timers_.emplace(std::pair(when, id), std::move(task));
    times_.emplace(id, when);
    return id;
  }

  void cancel(TimerId timer) override {
    auto found = times_.find(timer);
    if (found == times_.end()) return;
    timers_.erase({found->second, timer});
    times_.erase(found);
  }

  void run_and_wait(Task task) override {
    const SimExecutor* outer = std::exchange(scheduler_.current_, this);
    task();
    scheduler_.current_ = outer;
  }

  void set_end_of_turn(std::function<void()> hook) override { end_of_turn_ = std::move(hook); }
  const Clock& clock() const override { return scheduler_.clock_; }
  std::uint64_t wakes() const override { return wakes_; }

  // Runs one turn of at most `most` tasks, and the timers that are due; how many. With `random`, the turn finds only a part of
  // what waits.
  std::size_t turn(Random* random = nullptr, std::size_t most = SIZE_MAX) {
    scheduler_.current_ = this;
    const std::size_t worked = run_tasks_and_timers(random, most);
    if (worked > 0 && end_of_turn_) end_of_turn_();
    scheduler_.current_ = nullptr;
    return worked;
  }

  Time next_timer() const { return timers_.empty() ? kNever : timers_.begin()->first.first; }
  // When it has something to do: now, or at its next timer; not before held_until.
  Time next_turn() const {
    const bool waits = !lanes_[0].empty() || !lanes_[1].empty() || !lanes_[2].empty();
    return std::max(held_until, waits ? scheduler_.clock_.now() : next_timer());
  }
  const std::string& name() const { return name_; }
  Time held_until{};

 private:
  std::size_t run_tasks_and_timers(Random* random, std::size_t most) {
    std::size_t worked = 0;
    for (int lane = 0; lane < kLanes; ++lane) {
      std::size_t n = lanes_[lane].size();
      if (random != nullptr && n > 1 && random->below(2) == 0) n = 1 + random->below(n);
      for (; n > 0 && worked < most; --n) {
        auto [task, bytes] = std::move(lanes_[lane].front());
        lanes_[lane].pop_front();
        held_bytes_[lane] -= bytes;
        task();
        ++worked;
      }
    }
    while (!timers_.empty() && timers_.begin()->first.first <= scheduler_.clock_.now()) {
      auto node = timers_.extract(timers_.begin());
      times_.erase(node.key().second);
      node.mapped()();
      ++worked;
    }
    return worked;
  }

  SimScheduler& scheduler_;
  const std::string name_;
  const ExecutorLimits limits_;
  std::function<void()> end_of_turn_;
  std::array<std::deque<std::pair<Task, std::size_t>>, kLanes> lanes_;
  std::array<std::size_t, kLanes> held_bytes_{};
  std::map<std::pair<Time, TimerId>, Task> timers_;
  std::unordered_map<TimerId, Time> times_;
  TimerId last_timer_ = 0;
  std::uint64_t wakes_ = 0;
};

SimScheduler::SimScheduler(ManualClock& clock) : clock_(clock) {}
SimScheduler::~SimScheduler() = default;

std::unique_ptr<Executor> SimScheduler::make_executor(std::string name, ExecutorLimits limits) {
  return std::make_unique<SimExecutor>(*this, std::move(name), limits);
}

bool SimScheduler::run_until_idle(std::size_t max_turns) {
  for (std::size_t turns = 0; turns < max_turns;) {
    bool worked = false;
    for (std::size_t i = 0; i < executors_.size(); ++i) {
      worked |= executors_[i]->turn() > 0;
      ++turns;
    }
    if (!worked) return true;
  }
  return false;
}

bool SimScheduler::step(Random& random) {
  std::vector<SimExecutor*> able;
  for (SimExecutor* executor : executors_) {
    if (executor->next_turn() <= clock_.now()) able.push_back(executor);
  }
  if (able.empty()) return false;
  SimExecutor& next = *able[random.below(able.size())];
  if (!cost_) {
    next.turn(&random);
    return true;
  }
  const Cost cost = cost_(next.name());
  const std::size_t tasks = next.turn(&random, cost.batch);
  next.held_until = clock_.now() + cost.task * static_cast<std::int64_t>(tasks);
  return true;
}

void SimScheduler::set_cost(std::function<Cost(const std::string& executor)> cost) {
  cost_ = std::move(cost);
}

void SimScheduler::hold(const std::string& name, Time until) {
  for (SimExecutor* executor : executors_) {
    if (executor->name() == name) executor->held_until = until;
  }
}

Time SimScheduler::next_step() const {
  Time next = kNever;
  for (const SimExecutor* executor : executors_) next = std::min(next, executor->next_turn());
  return next;
}

Time SimScheduler::next_timer() const {
  Time next = kNever;
  for (const SimExecutor* executor : executors_) next = std::min(next, executor->next_timer());
  return next;
}

void SimScheduler::advance_to(Time when) {
  run_until_idle();
  for (Time next = next_timer(); next <= when && next != kNever; next = next_timer()) {
    clock_.set(next);
    run_until_idle();
  }
  clock_.set(when);
  run_until_idle();
}

}  // namespace perdure::base
