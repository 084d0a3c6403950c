// One attempt of an activity: what ActivityContext shows, its heartbeats, and how its end is reported.
//
// The activity's thread uses it through ActivityContext; heartbeats are sent from the worker's own executor,
// throttled.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>

#include "base/executor.h"
#include "base/guarded.h"
#include "sdk/src/client/connection.h"

#include <perdure/activity.h>
#include <perdure/worker.h>
#include <temporal/api/workflowservice/v1/request_response.pb.h>

namespace perdure {
inline namespace v1 {
namespace detail {

// What takes the place of time and server for activities in a test.
struct Simulation {
  std::function<bool(Duration, std::stop_token)> sleep;  // false: it was asked to stop
  std::function<void(const Payloads&)> heartbeat;        // empty: the server hears them, none is held back
};

class ActivityTask : public std::enable_shared_from_this<ActivityTask> {
 public:
  // `connection` and `timers` outlive it.
  ActivityTask(Connection& connection, base::Executor& timers, std::string identity,
               const temporal::api::workflowservice::v1::PollActivityTaskQueueResponse& task);

  // Runs the body and reports its end; `done` is called when the server has it. The activity's thread.
  void run(const ActivityBody* body, std::function<void()> done);

  // Asks the code to end. Any thread.
  void stop(CancelReason reason);

  // Before run(); it outlives this.
  void simulate(const Simulation* simulation) { simulation_ = simulation; }
  const Simulation* simulation() const { return simulation_; }

  const ActivityInfo& info() const { return info_; }
  const Payloads& last_heartbeat() const { return last_heartbeat_; }
  std::stop_token stop_token() const { return stop_.get_token(); }
  CancelReason reason() const { return reason_.load(); }
  void heartbeat(Payloads details);  // any thread

 private:
  struct Heartbeats {
    std::optional<Payloads> unsent;
    bool waiting = false;  // one is under way, or the pause after one
    bool sending = false;
    bool ended = false;
    std::function<void()> on_idle;  // called when nothing is under way any more
  };
  void when_idle(const std::function<void()>& done);
  void send_heartbeat(Payloads details);
  void heartbeat_answered(const client::Reply& reply);
  void pause_over();
  base::Duration heartbeat_pause() const;
  void report_failure(std::exception_ptr error, std::function<void(client::Reply)> done);

  Connection& connection_;
  base::Executor& timers_;
  const std::string identity_;
  const Simulation* simulation_ = nullptr;
  ActivityInfo info_;
  Payloads input_, last_heartbeat_;
  std::stop_source stop_;
  std::atomic<CancelReason> reason_{CancelReason::kNone};
  base::Guarded<Heartbeats> heartbeats_;
};

}  // namespace detail
}  // namespace v1
}  // namespace perdure
