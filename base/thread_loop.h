// The loop that an executor with a thread of its own runs: lanes, timers, turns. What it sleeps on is left to
// those who derive from it (a condition variable, epoll). Private to base/.
#pragma once

#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/executor.h"

namespace perdure::base {

// Whoever derives calls begin() when it is complete, and end() first thing in its destructor.
template <class Interface>
class ThreadLoop : public Interface {
 public:
  bool post(Lane lane, std::size_t bytes, Task task) final {
    bool sleeper = false;
    {
      std::lock_guard lock(mutex_);
      if (stopped_ || (stopping_ && lane != Lane::kCompletion)) return false;
      std::size_t& held = held_bytes_[static_cast<int>(lane)];
      if (lane != Lane::kCompletion && held > 0 && held + bytes > limit(lane)) return false;
      held += bytes;
      lanes_[static_cast<int>(lane)].push_back({std::move(task), bytes});
      sleeper = std::exchange(sleeping_, false);
    }
    if (sleeper) {  // only a sleeper is woken: a busy loop looks again anyway
      wakes_.fetch_add(1, std::memory_order_relaxed);
      wake();
    }
    return true;
  }

  // Only this loop's thread can find its own id there, and it wrote it itself.
  bool is_current() const final {
    return loop_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }

  TimerId call_at(Time when, Task task) final {
    const TimerId id = ++last_timer_;
    timers_.emplace(std::pair(when, id), std::move(task));
    times_.emplace(id, when);
    return id;
  }

  void cancel(TimerId timer) final {
    auto found = times_.find(timer);
    if (found == times_.end()) return;
    timers_.erase({found->second, timer});
    times_.erase(found);
  }

  void run_and_wait(Task task) final {
    if (is_current()) return task();
    std::binary_semaphore done(0);
    const bool posted = post(Lane::kCompletion, 0, [&] {
      task();
      done.release();
    });
    posted ? done.acquire() : task();
  }

  void set_end_of_turn(std::function<void()> hook) final { end_of_turn_ = std::move(hook); }
  const Clock& clock() const final { return clock_; }
  std::uint64_t wakes() const final { return wakes_.load(std::memory_order_relaxed); }

 protected:
  ThreadLoop(std::string name, const Clock& clock, ExecutorLimits limits)
      : name_(std::move(name)), clock_(clock), limits_(limits) {}

  void begin() {
    thread_ = std::thread([this] { run(); });
  }
  // Runs what is queued, then joins.
  void end() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake();
    thread_.join();
  }

  // Waits for wake(), at most for `most` (kForever: no limit), with the lock released meanwhile.
  virtual void sleep(std::unique_lock<std::mutex>& lock, Duration most) = 0;
  // Ends a sleep that has begun or is about to begin. Any thread.
  virtual void wake() = 0;
  // Runs what came from outside and not by post(); false when there was nothing. Never waits.
  virtual bool run_outside() { return false; }

  static constexpr Duration kForever = Duration::max();

 private:
  // With timers set: a machine that was asleep, or whose clock was set forward, is noticed after this.
  static constexpr Duration kLongestSleep = std::chrono::seconds(5);
  static constexpr std::size_t kTurnTasks =
      256;  // before the end of a turn, so that a flood cannot hold back the log

  struct Queued {
    Task task;
    std::size_t bytes;
  };

  std::size_t limit(Lane lane) const {
    return lane == Lane::kInternal ? limits_.internal_bytes : limits_.new_work_bytes;
  }

  void run() {
    loop_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
    std::vector<Queued> batch;
    for (;;) {
      const bool last = !take(batch);
      bool worked = run_outside() || !batch.empty();
      for (Queued& queued : batch) queued.task();
      batch.clear();
      worked |= fire_timers();
      if (worked && end_of_turn_) end_of_turn_();
      if (last) return;
    }
  }

  // Sleeps until there may be work, fills `batch`; false when stopping and nothing is left.
  bool take(std::vector<Queued>& batch) {
    std::unique_lock lock(mutex_);
    if (empty() && !stopping_) {
      const Time next = timers_.empty() ? kNever : timers_.begin()->first.first;
      const Duration most =
          next == kNever ? kForever : std::min<Duration>(next - clock_.now(), kLongestSleep);
      if (most > Duration::zero()) {
        sleeping_ = true;
        sleep(lock, most);
        sleeping_ = false;
      }
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      while (!lanes_[lane].empty() && batch.size() < kTurnTasks) {
        held_bytes_[lane] -= lanes_[lane].front().bytes;
        batch.push_back(std::move(lanes_[lane].front()));
        lanes_[lane].pop_front();
      }
    }
    if (!batch.empty() || !stopping_) return true;
    stopped_ = true;
    return false;
  }

  bool empty() const { return lanes_[0].empty() && lanes_[1].empty() && lanes_[2].empty(); }

  bool fire_timers() {
    if (timers_.empty()) return false;
    const Time now = clock_.now();
    bool fired = false;
    while (!timers_.empty() && timers_.begin()->first.first <= now) {
      auto node = timers_.extract(timers_.begin());
      times_.erase(node.key().second);
      node.mapped()();
      fired = true;
    }
    return fired;
  }

  const std::string name_;
  const Clock& clock_;
  const ExecutorLimits limits_;
  std::function<void()> end_of_turn_;

  std::mutex mutex_;
  std::array<std::deque<Queued>, kLanes> lanes_;
  std::array<std::size_t, kLanes> held_bytes_{};
  bool sleeping_ = false, stopping_ = false, stopped_ = false;
  std::atomic<std::uint64_t> wakes_{0};

  // Loop thread only.
  std::map<std::pair<Time, TimerId>, Task> timers_;
  std::unordered_map<TimerId, Time> times_;
  TimerId last_timer_ = 0;

  std::atomic<std::thread::id> loop_{};
  std::thread thread_;
};

}  // namespace perdure::base
