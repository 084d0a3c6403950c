// The answer behind a Pending: a value or an error, once, and who waits for it.
//
// Any thread.
#pragma once

#include <future>

#include "base/executor.h"
#include "base/guarded.h"
#include "sdk/src/client/transport.h"
#include "sdk/src/runtime/workflow_code.h"

#include <perdure/async.h>

namespace perdure {
inline namespace v1 {
namespace detail {

class PendingState {
 public:
  void set(std::shared_ptr<void> value) { end(std::move(value), nullptr); }
  void fail(std::exception_ptr error) { end(nullptr, std::move(error)); }

  bool ready() const {
    return state_.with([](const State& state) { return state.ended; });
  }
  bool wait_for(Duration most) const {
    WorkflowCode::must_not_be_here("Pending::wait_for()");
    return ended_.wait_for(most) == std::future_status::ready;
  }
  std::shared_ptr<void> take();
  void when_ready(std::function<void()> call);

  // The call that brings the answer nearer: cancel() cancels it. False: cancelled already.
  bool under_way(std::shared_ptr<client::Transport::Call> call);
  bool cancelled() const {
    return state_.with([](const State& state) { return state.cancelled; });
  }
  void cancel();

 private:
  struct State {
    bool ended = false, cancelled = false;
    std::shared_ptr<void> value;
    std::exception_ptr error;
    std::function<void()> call;
    std::shared_ptr<client::Transport::Call> under_way;
  };
  void end(std::shared_ptr<void> value, std::exception_ptr error);

  base::Guarded<State> state_;
  std::promise<void> end_;
  std::shared_future<void> ended_ = end_.get_future().share();
};

// Threads of the SDK for what blocks: as many as are asked for at a time, up to a bound; they live as long as the process.
void run_on_own_thread(std::function<void()> work);
// For retries of calls that hold no thread.
base::Executor& retry_timers();

}  // namespace detail
}  // namespace v1
}  // namespace perdure
