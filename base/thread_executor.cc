#include <pthread.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <semaphore>
#include <thread>
#include <utility>
#include <unordered_map>
#include <vector>

#include "base/executor.h"

namespace perdure::base {
namespace {

constexpr std::size_t kTurnTasks = 256;  // tasks run before the end of a turn, so that a flood cannot hold back the log

class ThreadExecutor : public Executor {
 public:
  ThreadExecutor(std::string name, const Clock& clock, ExecutorLimits limits)
      : name_(std::move(name)), clock_(clock), limits_(limits), thread_([this] { run(); }) {}

  ~ThreadExecutor() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  bool post(Lane lane, std::size_t bytes, Task task) override {
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
    if (sleeper) wake_.notify_one();  // only a sleeper is woken: a busy loop looks again anyway
    return true;
  }

  // Only this loop's thread can find its own id there, and it wrote it itself.
  bool is_current() const override {
    return loop_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }

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
    if (is_current()) return task();
    std::binary_semaphore done(0);
    const bool posted = post(Lane::kCompletion, 0, [&] {
      task();
      done.release();
    });
    posted ? done.acquire() : task();
  }

  void set_end_of_turn(std::function<void()> hook) override { end_of_turn_ = std::move(hook); }
  const Clock& clock() const override { return clock_; }

 private:
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
      for (Queued& queued : batch) queued.task();
      const bool worked = !batch.empty();
      batch.clear();
      const bool fired = fire_timers();
      if ((worked || fired) && end_of_turn_) end_of_turn_();
      if (last) return;
    }
  }

  // Waits for work, fills `batch`; false when stopping and nothing is left.
  bool take(std::vector<Queued>& batch) {
    std::unique_lock lock(mutex_);
    while (empty() && !stopping_) {
      const Time next = timers_.empty() ? kNever : timers_.begin()->first.first;
      const Time now = clock_.now();
      if (next <= now) return true;
      sleeping_ = true;
      if (next == kNever) {
        wake_.wait(lock);
      } else {
        wake_.wait_for(lock, next - now);
      }
      sleeping_ = false;
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
    if (timers_.empty() || timers_.begin()->first.first > clock_.now()) return false;
    const Time now = clock_.now();
    while (!timers_.empty() && timers_.begin()->first.first <= now) {
      auto node = timers_.extract(timers_.begin());
      times_.erase(node.key().second);
      node.mapped()();
    }
    return true;
  }

  const std::string name_;
  const Clock& clock_;
  const ExecutorLimits limits_;
  std::function<void()> end_of_turn_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::array<std::deque<Queued>, kLanes> lanes_;
  std::array<std::size_t, kLanes> held_bytes_{};
  bool sleeping_ = false, stopping_ = false, stopped_ = false;

  // Loop thread only.
  std::map<std::pair<Time, TimerId>, Task> timers_;
  std::unordered_map<TimerId, Time> times_;
  TimerId last_timer_ = 0;

  std::atomic<std::thread::id> loop_{};
  std::thread thread_;  // last: the loop uses everything above
};

}  // namespace

std::unique_ptr<Executor> make_thread_executor(std::string name, const Clock& clock, ExecutorLimits limits) {
  return std::make_unique<ThreadExecutor>(std::move(name), clock, limits);
}

}  // namespace perdure::base
