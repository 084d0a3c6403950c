#include "sdk/src/worker/activity_task.h"

#include <algorithm>
#include <future>

#include "base/clock.h"
#include "sdk/src/payload/convert.h"

namespace perdure {
inline namespace v1 {
namespace detail {

namespace service = temporal::api::workflowservice::v1;

namespace {

// Thrown by complete_async().
struct LeftToOthers {};

// What an attempt is said to have failed with that ended because it was asked to, though nobody has cancelled it: it is to
// be tried again, which a cancellation never is.
std::exception_ptr as_interrupted(CancelReason reason, const std::exception_ptr& error) {
  const char* type = reason == CancelReason::kPaused           ? "ActivityPause"
                     : reason == CancelReason::kReset          ? "ActivityReset"
                     : reason == CancelReason::kWorkerShutdown ? "WorkerShutdown"
                                                               : nullptr;
  if (type == nullptr) return error;
  try {
    std::rethrow_exception(error);
  } catch (const CancelledFailure&) {
    return std::make_exception_ptr(ApplicationFailure("the attempt was asked to end, and did", type));
  } catch (...) {
    return error;
  }
}

}  // namespace

ActivityTask::ActivityTask(const Settings& settings, const service::PollActivityTaskQueueResponse& task)
    : connection_(*settings.connection),
      timers_(*settings.timers),
      identity_(settings.identity),
      max_heartbeat_pause_(settings.max_heartbeat_pause),
      default_heartbeat_pause_(settings.default_heartbeat_pause),
      log_(settings.log),
      meter_(settings.meter),
      interceptors_(settings.interceptors) {
  info_.activity_id = task.activity_id();
  info_.activity_type = task.activity_type().name();
  info_.task_token = task.task_token();
  info_.workflow_id = task.workflow_execution().workflow_id();
  info_.run_id = task.workflow_execution().run_id();
  info_.workflow_type = task.workflow_type().name();
  info_.ns = connection_.ns();
  info_.task_queue = settings.task_queue;
  info_.attempt = task.attempt();
  info_.scheduled_time = convert::from_wire(task.scheduled_time());
  info_.started_time = convert::from_wire(task.started_time());
  info_.start_to_close_timeout = convert::from_wire(task.start_to_close_timeout());
  info_.schedule_to_close_timeout = convert::from_wire(task.schedule_to_close_timeout());
  info_.heartbeat_timeout = convert::from_wire(task.heartbeat_timeout());
  info_.headers = convert::from_wire(task.header());
  wire_input_ = task.input();
  wire_heartbeat_ = task.heartbeat_details();
}

void ActivityTask::run(const ActivityBody* body, std::function<void()> done) {
  done_ = std::move(done);
  began_ = base::system_clock().now();
  try {
    if (body == nullptr) {
      meter_.count(observe::metric::kActivityUnregistered, {{"activity_type", info_.activity_type}});
      throw ApplicationFailure("no activity is registered as '" + info_.activity_type + "' on this worker",
                               "NotFoundError");
    }
    if (!local_) read();
    if (const std::optional<Payloads> result = call(*body)) succeed(*result);
  } catch (const LeftToOthers&) {
    leave();
  } catch (...) {
    fail(std::current_exception());
  }
}

void ActivityTask::read() {
  input_ = connection_.decode(wire_input_);
  last_heartbeat_ = connection_.decode(wire_heartbeat_);
}

// The body, inside the interceptors.
std::optional<Payloads> ActivityTask::call(const ActivityBody& body) {
  if (interceptors_.empty()) return body(*this, input_);
  ActivityContext context(*this);
  ActivityCall call{input_};
  bool answered = false;
  std::function<std::optional<Payload>(std::size_t)> enter =
      [&](std::size_t index) -> std::optional<Payload> {
    if (index < interceptors_.size()) {
      return interceptors_[index]->activity(context, call, [&] { return enter(index + 1); });
    }
    std::optional<Payloads> result = body(*this, call.arguments);
    answered = result.has_value();
    if (!result) return std::nullopt;
    return std::move(result->front());
  };
  std::optional<Payload> result = enter(0);
  if (!result && answered)
    throw ApplicationFailure("an interceptor kept back what the activity returned", "NoResult", true);
  if (!result) return std::nullopt;
  return Payloads{std::move(*result)};
}

void ActivityTask::run_locally(Payloads input, LocalReport report) {
  info_.is_local = true;
  input_ = std::move(input);
  local_ = std::move(report);
}

bool ActivityTask::end(std::optional<Payloads>* unheard) {
  return heartbeats_.with([&](Heartbeats& heartbeats) {
    std::optional<Payloads>& newest = heartbeats.unsent ? heartbeats.unsent : heartbeats.unanswered;
    if (unheard != nullptr) *unheard = std::exchange(newest, std::nullopt);
    return !std::exchange(heartbeats.ended, true);
  });
}

template <class Request>
Request ActivityTask::request() const {
  Request request;
  request.set_namespace_(connection_.ns());
  request.set_task_token(info_.task_token);
  request.set_identity(identity_);
  return request;
}

void ActivityTask::report(const char* method, const google::protobuf::Message& request) {
  connection_.call_async(method, request.SerializeAsString(), timers_,
                         [self = shared_from_this()](const client::Reply&) { self->when_idle(); });
}

void ActivityTask::succeed(const Payloads& result) {
  if (local_) {
    if (!end(nullptr)) return;
    local_(result, nullptr);
    return take_done()();
  }
  auto completed = request<service::RespondActivityTaskCompletedRequest>();
  try {
    connection_.encode(result, completed.mutable_result());
  } catch (...) {
    return fail(std::current_exception());  // the codec's
  }
  if (!end(nullptr)) return;
  count_execution(false);
  report("RespondActivityTaskCompleted", completed);
}

void ActivityTask::count_execution(bool failed) const {
  const base::Time now = base::system_clock().now();
  const auto labels = {MetricLabel{"activity_type", info_.activity_type},
                       MetricLabel{"workflow_type", info_.workflow_type}};
  meter_.took(observe::metric::kActivityExecution, now - began_, labels);
  if (failed) return meter_.count(observe::metric::kActivityFailed, labels);
  meter_.took(observe::metric::kActivitySucceedEndToEnd,
              now.time_since_epoch() - std::chrono::nanoseconds(info_.scheduled_time.time_since_epoch()),
              labels);
}

void ActivityTask::log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) const {
  if (!log_) return;
  LogRecord record{level, event, fields};
  record.fields.insert(record.fields.end(), {{"namespace", info_.ns},
                                             {"task_queue", info_.task_queue},
                                             {"workflow_id", info_.workflow_id},
                                             {"run_id", info_.run_id},
                                             {"workflow_type", info_.workflow_type},
                                             {"activity_id", info_.activity_id},
                                             {"activity_type", info_.activity_type},
                                             {"attempt", info_.attempt}});
  log_(record);
}

void ActivityTask::fail(const std::exception_ptr& error) {
  if (local_) {
    if (!end(nullptr)) return;
    local_({}, error);
    return take_done()();
  }
  std::optional<Payloads> unheard;
  if (!end(&unheard) || report_cancelled(error)) return;
  count_execution(true);
  auto failed = request<service::RespondActivityTaskFailedRequest>();
  try {
    convert::to_wire(as_interrupted(reason(), error), failed.mutable_failure(), connection_.failures().get());
    connection_.encode_all(*failed.mutable_failure());
    if (unheard) connection_.encode(*unheard, failed.mutable_last_heartbeat_details());
  } catch (...) {
    failed.clear_last_heartbeat_details();
    failed.clear_failure();
    convert::to_wire(std::current_exception(), failed.mutable_failure());
  }
  report("RespondActivityTaskFailed", failed);
}

// An attempt that was asked to end, and ends because of it, is cancelled and has not failed.
bool ActivityTask::report_cancelled(const std::exception_ptr& error) {
  if (reason() != CancelReason::kRequested) return false;
  try {
    std::rethrow_exception(error);
  } catch (const CancelledFailure& cancelled) {
    auto canceled = request<service::RespondActivityTaskCanceledRequest>();
    if (!cancelled.details().empty()) connection_.encode(cancelled.details(), canceled.mutable_details());
    report("RespondActivityTaskCanceled", canceled);
    return true;
  } catch (...) {
    return false;
  }
}

void ActivityTask::leave() {
  if (local_) {
    return fail(std::make_exception_ptr(
        ApplicationFailure("a local activity cannot be left for others to complete", "NotSupported", true)));
  }
  if (end(nullptr)) when_idle();
}

// A heartbeat that is under way uses the worker's executor: the activity has not ended before its answer is
// there.
void ActivityTask::when_idle() {
  std::function<void()> done = take_done();
  const bool sending = heartbeats_.with([&](Heartbeats& heartbeats) {
    if (heartbeats.sending) heartbeats.on_idle = std::move(done);
    return heartbeats.sending;
  });
  if (!sending) done();
}

// It may hold this attempt, which must not hold itself.
std::function<void()> ActivityTask::take_done() {
  return std::exchange(done_, nullptr);
}

void ActivityTask::stop(CancelReason reason) {
  CancelReason none = CancelReason::kNone;
  if (reason_.compare_exchange_strong(none, reason)) stop_.request_stop();
}

// ---- heartbeats: the first is sent at once, later ones after a pause, the newest wins

base::Duration ActivityTask::heartbeat_pause() const {
  if (simulation_) return {};
  if (info_.heartbeat_timeout <= Duration::zero()) return default_heartbeat_pause_;
  return std::min(info_.heartbeat_timeout * 8 / 10, max_heartbeat_pause_);
}

void ActivityTask::heartbeat(Payloads details) {
  if (local_) return;
  if (simulation_ && simulation_->heartbeat) return simulation_->heartbeat(details);
  const bool now = heartbeats_.with([&](Heartbeats& heartbeats) {
    if (heartbeats.ended) return false;
    if (heartbeats.waiting) {
      heartbeats.unsent = details;
      return false;
    }
    heartbeats.unanswered = details;
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
    if (reply) heartbeats.unanswered.reset();
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
    if (unsent) heartbeats.unanswered = unsent;
    return unsent;
  });
  if (next) send_heartbeat(std::move(*next));
}

// ---- the answer that comes later

std::shared_ptr<ActivityAnswer> answer_later(ActivityTask& task) {
  return std::make_shared<ActivityAnswer>(task.shared_from_this());
}

ActivityAnswer::~ActivityAnswer() {
  task_->fail(std::make_exception_ptr(
      ApplicationFailure("the activity was abandoned: every copy of its Completion is gone", "Abandoned")));
}
void ActivityAnswer::succeed(Payloads result) const {
  task_->succeed(result);
}
void ActivityAnswer::fail(std::exception_ptr error) const {
  task_->fail(error);
}

}  // namespace detail

void complete_async() {
  throw detail::LeftToOthers();
}

const ActivityInfo& ActivityContext::info() const {
  return task_->info();
}
std::stop_token ActivityContext::stop_token() const {
  return task_->stop_token();
}
CancelReason ActivityContext::reason() const {
  return task_->reason();
}
Log ActivityContext::log() const {
  return Log(*task_);
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
