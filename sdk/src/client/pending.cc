#include "sdk/src/client/pending.h"

#include <deque>

#include "base/clock.h"
#include "base/executor.h"

namespace perdure {
inline namespace v1 {
namespace detail {

// ---- the answer

void PendingState::end(std::shared_ptr<void> value, std::exception_ptr error) {
  bool first = false;
  const std::function<void()> call = state_.with([&](State& state) -> std::function<void()> {
    if (state.ended) return {};
    first = state.ended = true;
    state.value = std::move(value);
    state.error = std::move(error);
    state.under_way.reset();
    return std::exchange(state.call, {});
  });
  if (first) end_.set_value();
  if (call) call();
}

std::shared_ptr<void> PendingState::take() {
  if (!ready()) WorkflowCode::must_not_be_here("Pending::get()");
  if (!ready()) client::BringsReplies::must_not_be_here("Pending::get()");
  ended_.wait();
  return state_.with([](State& state) {
    if (state.error) std::rethrow_exception(state.error);
    return std::exchange(state.value, nullptr);
  });
}

void PendingState::when_ready(std::function<void()> call) {
  const bool now = state_.with([&](State& state) {
    if (!state.ended) state.call = call;
    return state.ended;
  });
  if (now) call();
}

bool PendingState::under_way(std::shared_ptr<client::Transport::Call> call) {
  const bool goes_on = state_.with([&](State& state) {
    if (!state.ended) state.under_way = call;
    return !state.cancelled;
  });
  if (!goes_on && call) call->cancel();
  return goes_on;
}

void PendingState::cancel() {
  const auto call = state_.with([](State& state) {
    state.cancelled = true;
    return std::exchange(state.under_way, nullptr);
  });
  if (call) call->cancel();
  fail(std::make_exception_ptr(RpcError(static_cast<int>(base::Code::kCancelled), "the caller gave it up")));
}

namespace {

// ---- threads

class Threads {
 public:
  static Threads& of_process() {
    static auto* threads = new Threads;
    return *threads;
  }
  void post(std::function<void()> work) {
    const int chosen = state_.with([&](State& state) {
      state.waiting.push_back(std::move(work));
      if (!state.idle.empty()) {
        const int idle = state.idle.back();
        state.idle.pop_back();
        return idle;
      }
      if (state.threads.size() == kMost) return -1;  // one of them will find it
      const std::size_t count = state.threads.size();
      state.threads.push_back(
          base::make_thread_executor("perdure-call-" + std::to_string(count), base::system_clock()));
      return static_cast<int>(count);
    });
    if (chosen < 0) return;
    base::Executor* executor =
        state_.with([&](State& state) { return state.threads[static_cast<std::size_t>(chosen)].get(); });
    executor->post(base::Lane::kCompletion, 0, [this, chosen] { run(chosen); });
  }
  base::Executor& timers() { return *timers_; }

 private:
  static constexpr std::size_t kMost = 16;
  struct State {
    std::deque<std::function<void()>> waiting;
    std::vector<std::unique_ptr<base::Executor>> threads;
    std::vector<int> idle;
  };
  void run(int self) {
    for (;;) {
      const std::function<void()> work = state_.with([&](State& state) -> std::function<void()> {
        if (state.waiting.empty()) {
          state.idle.push_back(self);
          return {};
        }
        auto next = std::move(state.waiting.front());
        state.waiting.pop_front();
        return next;
      });
      if (!work) return;
      work();
    }
  }
  base::Guarded<State> state_;
  std::unique_ptr<base::Executor> timers_ =
      base::make_thread_executor("perdure-retries", base::system_clock());
};

}  // namespace

void run_on_own_thread(std::function<void()> work) {
  Threads::of_process().post(std::move(work));
}
base::Executor& retry_timers() {
  return Threads::of_process().timers();
}

bool is_ready(const PendingState& state) {
  return state.ready();
}
bool wait_for(PendingState& state, Duration most) {
  return state.wait_for(most);
}
std::shared_ptr<void> take(PendingState& state) {
  return state.take();
}
void when_ready(PendingState& state, std::function<void()> call) {
  state.when_ready(std::move(call));
}
void cancel(PendingState& state) {
  state.cancel();
}

}  // namespace detail
}  // namespace v1
}  // namespace perdure
