#include "sdk/src/worker/activity_task.h"

#include <algorithm>
#include <future>

#include "sdk/src/payload/convert.h"

namespace perdure {
inline namespace v1 {
namespace detail {

namespace service = temporal::api::workflowservice::v1;

ActivityTask::ActivityTask(Connection& connection, base::Executor& timers, std::string identity,
                           const service::PollActivityTaskQueueResponse& task)
    : connection_(connection), timers_(timers), identity_(std::move(identity)) {
  info_.activity_id = task.activity_id();
  info_.activity_type = task.activity_type().name();
  info_.task_token = task.task_token();
  info_.workflow_id = task.workflow_execution().workflow_id();
  info_.run_id = task.workflow_execution().run_id();
  info_.workflow_type = task.workflow_type().name();
  info_.ns = connection.ns();
  info_.attempt = task.attempt();
  info_.scheduled_time = convert::from_wire(task.scheduled_time());
  info_.started_time = convert::from_wire(task.started_time());
  info_.start_to_close_timeout = convert::from_wire(task.start_to_close_timeout());
  info_.schedule_to_close_timeout = convert::from_wire(task.schedule_to_close_timeout());
  info_.heartbeat_timeout = convert::from_wire(task.heartbeat_timeout());
  input_ = connection.decode(task.input());
  last_heartbeat_ = connection.decode(task.heartbeat_details());
}

void ActivityTask::run(const ActivityBody* body, std::function<void()> done) {
  const auto answered = [self = shared_from_this(), done = std::move(done)](const client::Reply&) {
    self->when_idle(done);
  };
  std::exception_ptr error;
  Payloads result;
  try {
    if (body == nullptr) {
      throw ApplicationFailure("no activity is registered as '" + info_.activity_type + "' on this worker",
                               "NotFoundError");
    }
    ActivityContext context(*this);
    result = (*body)(context, input_);
  } catch (...) {
    error = std::current_exception();
  }
  if (error) return report_failure(error, answered);
  heartbeats_.with([](Heartbeats& heartbeats) { heartbeats.ended = true; });
  service::RespondActivityTaskCompletedRequest request;
  request.set_namespace_(connection_.ns());
  request.set_task_token(info_.task_token);
  request.set_identity(identity_);
  connection_.encode(result, request.mutable_result());
  connection_.call_async("RespondActivityTaskCompleted", request.SerializeAsString(), timers_, answered);
}

void ActivityTask::report_failure(std::exception_ptr error, std::function<void(client::Reply)> done) {
  std::optional<Payloads> unsent = heartbeats_.with([](Heartbeats& heartbeats) {
    heartbeats.ended = true;
    return std::exchange(heartbeats.unsent, std::nullopt);
  });
  if (reason() == CancelReason::kRequested) {
    try {
      std::rethrow_exception(error);
    } catch (const CancelledFailure& cancelled) {
      service::RespondActivityTaskCanceledRequest request;
      request.set_namespace_(connection_.ns());
      request.set_task_token(info_.task_token);
      request.set_identity(identity_);
      if (!cancelled.details().empty()) connection_.encode(cancelled.details(), request.mutable_details());
      return connection_.call_async("RespondActivityTaskCanceled", request.SerializeAsString(), timers_,
                                    std::move(done));
    } catch (...) {
    }
  }
  service::RespondActivityTaskFailedRequest request;
  request.set_namespace_(connection_.ns());
  request.set_task_token(info_.task_token);
  request.set_identity(identity_);
  convert::to_wire(error, request.mutable_failure());
  connection_.encode_all(*request.mutable_failure());
  if (unsent) connection_.encode(*unsent, request.mutable_last_heartbeat_details());
  connection_.call_async("RespondActivityTaskFailed", request.SerializeAsString(), timers_, std::move(done));
}

// A heartbeat that is under way uses the worker's executor: the activity has not ended before its answer is
// there.
void ActivityTask::when_idle(const std::function<void()>& done) {
  const bool sending = heartbeats_.with([&](Heartbeats& heartbeats) {
    if (heartbeats.sending) heartbeats.on_idle = done;
    return heartbeats.sending;
  });
  if (!sending) done();
}

void ActivityTask::stop(CancelReason reason) {
  CancelReason none = CancelReason::kNone;
  if (reason_.compare_exchange_strong(none, reason)) stop_.request_stop();
}

// ---- heartbeats: the first is sent at once, later ones after a pause, the newest wins

base::Duration ActivityTask::heartbeat_pause() const {
  static constexpr Duration kMost = 60s, kWithoutTimeout = 30s;
  if (simulation_) return {};
  if (info_.heartbeat_timeout <= Duration::zero()) return kWithoutTimeout;
  return std::min(info_.heartbeat_timeout * 8 / 10, kMost);
}

void ActivityTask::heartbeat(Payloads details) {
  if (simulation_ && simulation_->heartbeat) return simulation_->heartbeat(details);
  const bool now = heartbeats_.with([&](Heartbeats& heartbeats) {
    if (heartbeats.ended) return false;
    if (heartbeats.waiting) {
      heartbeats.unsent = details;
      return false;
    }
    return heartbeats.sending = heartbeats.waiting = true;
  });
  if (now) send_heartbeat(std::move(details));
}

void ActivityTask::send_heartbeat(Payloads details) {
  service::RecordActivityTaskHeartbeatRequest request;
  request.set_namespace_(connection_.ns());
  request.set_task_token(info_.task_token);
  request.set_identity(identity_);
  connection_.encode(details, request.mutable_details());
  connection_.call_async(
      "RecordActivityTaskHeartbeat", request.SerializeAsString(), timers_,
      [self = shared_from_this()](const client::Reply& reply) { self->heartbeat_answered(reply); });
}

void ActivityTask::heartbeat_answered(const client::Reply& reply) {
  service::RecordActivityTaskHeartbeatResponse response;
  if (!reply && reply.error().code == base::Code::kNotFound) {
    stop(CancelReason::kGone);
  } else if (reply && response.ParseFromString(*reply)) {
    if (response.cancel_requested()) {
      stop(CancelReason::kRequested);
    } else if (response.activity_paused()) {
      stop(CancelReason::kPaused);
    } else if (response.activity_reset()) {
      stop(CancelReason::kReset);
    }
  }
  bool ended = false;
  const std::function<void()> done = heartbeats_.with([&](Heartbeats& heartbeats) {
    heartbeats.sending = false;
    ended = heartbeats.ended;
    return std::exchange(heartbeats.on_idle, nullptr);
  });
  if (!ended) {
    timers_.post(base::Lane::kCompletion, 0, [self = shared_from_this()] {
      self->timers_.call_at(base::add(self->timers_.clock().now(), self->heartbeat_pause()),
                            [self] { self->pause_over(); });
    });
  }
  if (done) done();
}

void ActivityTask::pause_over() {
  std::optional<Payloads> next = heartbeats_.with([](Heartbeats& heartbeats) {
    std::optional<Payloads> unsent =
        heartbeats.ended ? std::nullopt : std::exchange(heartbeats.unsent, std::nullopt);
    heartbeats.waiting = heartbeats.sending = unsent.has_value();
    return unsent;
  });
  if (next) send_heartbeat(std::move(*next));
}

}  // namespace detail

const ActivityInfo& ActivityContext::info() const {
  return task_->info();
}
std::stop_token ActivityContext::stop_token() const {
  return task_->stop_token();
}
CancelReason ActivityContext::reason() const {
  return task_->reason();
}
void ActivityContext::record_heartbeat(Payloads details) {
  task_->heartbeat(std::move(details));
}
const Payloads& ActivityContext::heartbeat_details() const {
  return task_->last_heartbeat();
}

void ActivityContext::throw_if_cancelled() const {
  if (stop_token().stop_requested()) throw CancelledFailure("activity cancelled");
}

void ActivityContext::sleep_for(Duration duration) const {
  if (const detail::Simulation* simulation = task_->simulation()) {
    (void)simulation->sleep(duration, stop_token());
    return throw_if_cancelled();
  }
  std::promise<void> stopped;
  const auto woken = stopped.get_future();
  {
    const std::stop_callback on_stop(stop_token(), [&] { stopped.set_value(); });
    (void)woken.wait_for(duration);
  }
  throw_if_cancelled();
}

}  // namespace v1
}  // namespace perdure
