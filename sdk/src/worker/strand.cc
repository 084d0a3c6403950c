#include "sdk/src/worker/strand.h"

#include <deque>
#include <future>

#include "base/guarded.h"

namespace perdure::worker {

class Strand::Tasks {
 public:
  void post(base::Task task) {
    const bool first = queue_.with([&](Queue& queue) {
      queue.tasks.push_back(std::move(task));
      return !std::exchange(queue.taken, true);
    });
    if (first) run_all();
  }
  bool is_current() const { return current_ == this; }

  std::function<void()> end_of_turn;  // of the tasks

 private:
  struct Queue {
    std::deque<base::Task> tasks;
    bool taken = false;  // somebody runs them
  };

  void run_all() {
    const Tasks* outer = std::exchange(current_, this);
    do {
      while (base::Task task = next()) task();
      if (end_of_turn) end_of_turn();
    } while (!leave());
    current_ = outer;
  }
  base::Task next() {
    return queue_.with([](Queue& queue) -> base::Task {
      if (queue.tasks.empty()) return {};
      base::Task task = std::move(queue.tasks.front());
      queue.tasks.pop_front();
      return task;
    });
  }
  // False: there is more.
  bool leave() {
    return queue_.with([](Queue& queue) {
      queue.taken = !queue.tasks.empty();
      return !queue.taken;
    });
  }

  base::Guarded<Queue> queue_;
  static thread_local const Tasks* current_;
};

thread_local const Strand::Tasks* Strand::Tasks::current_ = nullptr;

Strand::Strand(std::string name, const base::Clock& clock)
    : clock_(clock),
      tasks_(std::make_shared<Tasks>()),
      armed_(base::kNever),
      sleeper_(base::make_thread_executor(std::move(name), clock)) {}

// The sleeper may be about to post: what it does then finds no timers.
Strand::~Strand() {
  run_and_wait([this] {
    timers_.clear();
    times_.clear();
  });
  sleeper_.reset();
}

bool Strand::post(base::Lane, std::size_t, base::Task task) {
  const std::shared_ptr<Tasks> tasks = tasks_;  // the task may be what somebody waits for who then ends this
  tasks->post(std::move(task));
  return true;
}

bool Strand::is_current() const {
  return tasks_->is_current();
}

void Strand::run_and_wait(base::Task task) {
  if (is_current()) return task();
  const auto done = std::make_shared<std::promise<void>>();
  auto ended = done->get_future();
  post(base::Lane::kCompletion, 0, [&task, done] {
    task();
    done->set_value();
  });
  ended.wait();
}

void Strand::set_end_of_turn(std::function<void()> hook) {
  tasks_->end_of_turn = std::move(hook);
}

base::TimerId Strand::call_at(base::Time when, base::Task task) {
  const base::TimerId id = ++last_timer_;
  timers_.emplace(std::pair(when, id), std::move(task));
  times_.emplace(id, when);
  arm();
  return id;
}

void Strand::cancel(base::TimerId timer) {
  const auto found = times_.find(timer);
  if (found == times_.end()) return;
  timers_.erase({found->second, timer});
  times_.erase(found);
}

// A timer that is cancelled leaves the sleeper's as it is, so that most timers, which are cancelled, wake nobody.
void Strand::arm() {
  if (timers_.empty() || timers_.begin()->first.first >= armed_) return;
  armed_ = timers_.begin()->first.first;
  sleeper_->post(base::Lane::kCompletion, 0, [this, at = armed_, sleeper = sleeper_.get()] {
    sleeper->call_at(at, [this] { post(base::Lane::kCompletion, 0, [this] { run_due(); }); });
  });
}

void Strand::run_due() {
  armed_ = base::kNever;
  const base::Time now = clock_.now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    auto due = timers_.extract(timers_.begin());
    times_.erase(due.key().second);
    due.mapped()();
  }
  arm();
}

}  // namespace perdure::worker
