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
#include "sdk/src/observe/meter.h"

#include <perdure/activity.h>
#include <perdure/interceptors.h>
#include <perdure/worker.h>
#include <temporal/api/workflowservice/v1/request_response.pb.h>

namespace perdure {
inline namespace v1 {
namespace detail {

// What takes the place of time and server in a test, and what a test asks of a worker.
struct Simulation {
  std::function<bool(Duration, std::stop_token)> sleep;  // false: it was asked to stop
  std::function<void(const Payloads&)> heartbeat;        // empty: the server hears them, none is held back
  int evict_after = 0;  // the task after which each run leaves the cache; 0: none
};

class ActivityTask final : public LogTarget, public std::enable_shared_from_this<ActivityTask> {
 public:
  struct Settings {
    Connection* connection = nullptr;  // outlives every attempt that has not ended
    base::Executor* timers = nullptr;  // likewise
    std::string identity, task_queue;
    LogSink log;
    observe::Meter meter;
    std::vector<std::shared_ptr<WorkerInterceptor>> interceptors;
    Duration max_heartbeat_pause = 60s, default_heartbeat_pause = 30s;
  };
  ActivityTask(const Settings& settings,
               const temporal::api::workflowservice::v1::PollActivityTaskQueueResponse& task);

  // Reads arguments and last heartbeat, through the codec, whose error it throws. run() does it first.
  void read();

  // Runs the body and reports its end, which may come later, from elsewhere; `done` is called when the server
  // has it. The activity's thread.
  void run(const ActivityBody* body, std::function<void()> done);

  // The first of these reports the end of the attempt, the others do nothing. Any thread, after run() began.
  void succeed(const Payloads& result);
  void fail(const std::exception_ptr& error);
  void leave();  // somebody else reports it

  // A local activity: nothing of it goes to the server, its end is reported here. Before run().
  using LocalReport = std::function<void(Payloads result, std::exception_ptr error)>;
  void run_locally(Payloads input, LocalReport report);

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
  void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) const override;

 private:
  struct Heartbeats {
    std::optional<Payloads> unsent, unanswered;  // the newest held back, and the one that is under way
    bool waiting = false;                        // one is under way, or the pause after one
    bool sending = false;
    bool ended = false;
    std::function<void()> on_idle;  // called when nothing is under way any more
  };
  // False: the attempt had ended already. `unheard` is the last heartbeat if the server may not have heard
  // it.
  bool end(std::optional<Payloads>* unheard);
  std::optional<Payloads> call(const ActivityBody& body);
  template <class Request>
  Request request() const;
  void report(const char* method, const google::protobuf::Message& request);
  bool report_cancelled(const std::exception_ptr& error);
  void when_idle();
  std::function<void()> take_done();
  void count_execution(bool failed) const;
  void send_heartbeat(Payloads details);
  void heartbeat_answered(const client::Reply& reply);
  void pause_over();
  base::Duration heartbeat_pause() const;

  Connection& connection_;
  base::Executor& timers_;
  const std::string identity_;
  const Duration max_heartbeat_pause_, default_heartbeat_pause_;
  const Simulation* simulation_ = nullptr;
  const LogSink log_;
  const observe::Meter meter_;
  const std::vector<std::shared_ptr<WorkerInterceptor>> interceptors_;
  LocalReport local_;
  ActivityInfo info_;
  base::Time began_{};
  temporal::api::common::v1::Payloads wire_input_, wire_heartbeat_;
  Payloads input_, last_heartbeat_;
  std::stop_source stop_;
  std::atomic<CancelReason> reason_{CancelReason::kNone};
  base::Guarded<Heartbeats> heartbeats_;
  std::function<void()> done_;  // set before the body runs
};

}  // namespace detail
}  // namespace v1
}  // namespace perdure
