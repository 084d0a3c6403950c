// What activity code sees: ActivityContext. An activity is a plain function, or a member of an object that
// the worker is given, with an optional first parameter ActivityContext&; it may block, throw and be
// repeated.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include <perdure/failure.h>
#include <perdure/payload.h>

namespace perdure {
inline namespace v1 {

struct ActivityInfo {
  std::string activity_id, activity_type, task_queue, task_token, workflow_id, run_id, workflow_type, ns;
  int attempt = 1;
  TimePoint scheduled_time{}, started_time{};
  Duration start_to_close_timeout{}, schedule_to_close_timeout{}, heartbeat_timeout{};
};

enum class CancelReason { kNone, kRequested, kGone, kPaused, kReset, kWorkerShutdown };

namespace detail {
class ActivityTask;  // one attempt, in the worker
}

// One attempt. Any thread, for as long as the activity runs.
class ActivityContext {
 public:
  explicit ActivityContext(detail::ActivityTask& task) : task_(&task) {}

  const ActivityInfo& info() const;
  // Says that the attempt is alive and how far it got; throttled: many calls cost little. Cancellation comes
  // back this way.
  template <class... T>
  void heartbeat(const T&... details) {
    record_heartbeat(detail::ArgumentList<std::tuple<T...>>::encode_all(details...));
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
  void throw_if_cancelled() const;          // CancelledFailure
  void sleep_for(Duration duration) const;  // throws CancelledFailure as soon as it is cancelled

 private:
  void record_heartbeat(Payloads details);
  const Payloads& heartbeat_details() const;
  detail::ActivityTask* task_;
};

}  // namespace v1
}  // namespace perdure
