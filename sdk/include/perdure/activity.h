// What activity code sees: ActivityContext, or Completion. An activity is a plain function, or a member of an
// object that the worker is given, with an optional first parameter ActivityContext&; it may block, throw and
// be repeated. One whose first parameter is a Completion<R> returns at once and answers later.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include <perdure/failure.h>
#include <perdure/log.h>
#include <perdure/payload.h>

namespace perdure {
inline namespace v1 {

struct ActivityInfo {
  std::string activity_id, activity_type, task_queue, task_token, workflow_id, run_id, workflow_type, ns;
  int attempt = 1;
  TimePoint scheduled_time{}, started_time{};
  Duration start_to_close_timeout{}, schedule_to_close_timeout{}, heartbeat_timeout{};
  bool is_local = false;
  std::map<std::string, Payload> headers{};
};

enum class CancelReason { kNone, kRequested, kGone, kPaused, kReset, kWorkerShutdown };

namespace detail {

class ActivityTask;  // one attempt, in the worker

// The right to answer an attempt, shared by the copies of a Completion. The last one to go answers
// "abandoned" if nobody has.
class ActivityAnswer {
 public:
  explicit ActivityAnswer(std::shared_ptr<ActivityTask> task) : task_(std::move(task)) {}
  ActivityAnswer(const ActivityAnswer&) = delete;
  ~ActivityAnswer();
  // The first answer counts, later ones do nothing.
  void succeed(Payloads result) const;
  void fail(std::exception_ptr error) const;
  ActivityTask& task() const { return *task_; }

 private:
  std::shared_ptr<ActivityTask> task_;
};
std::shared_ptr<ActivityAnswer> answer_later(ActivityTask& task);

}  // namespace detail

// One attempt. Any thread, for as long as the activity runs.
class ActivityContext {
 public:
  explicit ActivityContext(detail::ActivityTask& task) : task_(&task) {}

  const ActivityInfo& info() const;
  // Says that the attempt is alive and how far it got; throttled: many calls cost little. Cancellation comes
  // back this way.
  template <class... T>
  void heartbeat(const T&... details) {
    record_heartbeat(detail::ArgumentList<std::tuple<std::decay_t<T>...>>::encode_all(details...));
  }
  // What the last attempt said in its last heartbeat.
  template <class T>
  std::optional<T> last_heartbeat() const {
    if (heartbeat_details().empty()) return std::nullopt;
    return detail::decode<T>(heartbeat_details().front());
  }
  // Stop is requested when the activity is cancelled, has lost its attempt, or the worker is about to end.
  std::stop_token stop_token() const;
  CancelReason reason() const;
  Log log() const;
  void throw_if_cancelled() const;          // CancelledFailure
  void sleep_for(Duration duration) const;  // throws CancelledFailure as soon as it is cancelled

 private:
  void record_heartbeat(Payloads details);
  const Payloads& heartbeat_details() const;
  detail::ActivityTask* task_;
};

// Answers an attempt after its code has returned, from any thread, without holding one meanwhile:
//   void resize(Completion<int> done, std::string url) { pool.submit([done, url] { done.succeed(work(url));
//   }); }
// Copies answer the same attempt, once: what comes second is ignored. When the last copy goes without an
// answer, the attempt fails as "abandoned". The attempt takes one of the worker's slots until it is answered,
// and a worker that stops waits for it.
template <class R>
class Completion {
 public:
  explicit Completion(std::shared_ptr<detail::ActivityAnswer> answer) : answer_(std::move(answer)) {}

  void succeed(const detail::Slot<R>& result) const
    requires(!std::is_void_v<R>)
  {
    answer_->succeed({detail::encode<R>(result)});
  }
  void succeed() const
    requires std::is_void_v<R>
  {
    answer_->succeed({detail::encode_nothing()});
  }
  void fail(std::exception_ptr error) const { answer_->fail(std::move(error)); }
  template <class E>
    requires std::is_base_of_v<std::exception, E>
  void fail(const E& error) const {
    fail(std::make_exception_ptr(error));
  }
  template <class... T>
  void heartbeat(const T&... details) const {
    context().heartbeat(details...);
  }
  const ActivityInfo& info() const { return context().info(); }
  Log log() const { return context().log(); }
  std::stop_token stop_token() const { return context().stop_token(); }
  CancelReason reason() const { return context().reason(); }
  ActivityContext context() const { return ActivityContext(answer_->task()); }

 private:
  std::shared_ptr<detail::ActivityAnswer> answer_;
};

// Leaves this activity without an answer: another process gives it, by Client::activity(info().task_token).
// Throws; let it pass.
[[noreturn]] void complete_async();

}  // namespace v1
}  // namespace perdure
