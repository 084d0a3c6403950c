// Runs local activities for the lanes of one worker: attempts on its activity threads, near retries after a
// pause, timeouts, cancellation.
//
// start(), cancel() and forget() from any thread; the rest on the worker's control executor, which outlives
// this.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/executor.h"
#include "sdk/src/runtime/run.h"
#include "sdk/src/worker/activity_task.h"

namespace perdure::worker {

// One local activity, until it has a result.
struct LocalCall {
  std::shared_ptr<const detail::LocalActivity> asked;
  std::string workflow_id, run_id, workflow_type;
  // Called once, on control: with the result, or nothing when the worker ends before there is one.
  std::function<void(std::optional<detail::LocalResult>)> done;

  // Control's.
  int attempt = 1;
  base::Time scheduled{}, began{};             // the second: of the attempt that runs
  std::shared_ptr<detail::ActivityTask> task;  // of the attempt that runs
  base::TimerId timer = 0;                     // its timeout, or the pause before the next
  bool cancelled = false, over = false;
};

class LocalActivities {
 public:
  struct Host {
    base::Executor* control = nullptr;
    std::function<std::shared_ptr<detail::ActivityTask>(
        const temporal::api::workflowservice::v1::PollActivityTaskQueueResponse&)>
        make_task;
    // Runs `work` where activities of this name run.
    std::function<void(const std::string& type, std::function<void(const detail::ActivityBody*)> work)> run;
    std::function<void()> changed;  // fewer are running
    int limit = 1;
    FailureConverter* failures = nullptr;
    observe::Meter meter;
  };
  explicit LocalActivities(Host host) : host_(std::move(host)) {}

  void start(std::shared_ptr<LocalCall> call);
  void cancel(const std::shared_ptr<LocalCall>& call);  // its code is asked to end
  void forget(const std::shared_ptr<LocalCall>& call);  // likewise, and nobody wants the result

  bool idle() const { return threads_ == 0; }
  // The worker ends: codes are asked to, and no attempt begins any more.
  void stop();

 private:
  using Call = std::shared_ptr<LocalCall>;
  void begin(const Call& call);
  void attempt(const Call& call);
  void ended(const Call& call, int attempt, Payloads result, std::exception_ptr error);
  void timed_out(const Call& call, TimeoutType type);
  void failed(const Call& call, const std::exception_ptr& error);
  void finish(const Call& call, std::optional<detail::LocalResult> result);
  void thread_ended();
  void count_attempt(const LocalCall& call, const std::exception_ptr& error) const;  // null: it succeeded
  void show_slots() const;
  void ask_to_end(const Call& call);
  std::optional<Duration> time_left(const LocalCall& call) const;

  Host host_;
  std::set<Call> calls_;
  std::deque<Call> waiting_;  // for a thread
  int threads_ = 0;
  bool stopping_ = false;
};

}  // namespace perdure::worker
