// Local activities: no command asks for one, a marker says how it ended.
//
// The worker runs what the code asked for inside the workflow task and brings the results here one by one.
// Each result is a marker and then whatever the code does next, so that history has both in this order;
// replay takes the results from the markers, after everything else that the workflow task was told.
#include <algorithm>

#include "sdk/src/payload/convert.h"
#include "sdk/src/runtime/run.h"
#include "sdk/src/runtime/workflow_code.h"

namespace perdure {
inline namespace v1 {
namespace detail {

namespace enums = temporal::api::enums::v1;
using replay::CommandKind;

namespace {

// What the marker tells besides the result.
struct MarkerData {
  std::uint64_t seq = 0;
  int attempt = 1;
  std::string activity_id, activity_type;
  std::int64_t backoff_ms = 0, scheduled_ms = 0;
  int retry_state = 0;
};

Payloads detail_of(const replay::Event& event, const char* name) {
  const auto& details = event.marker_recorded_event_attributes().details();
  const auto found = details.find(name);
  return found == details.end() ? Payloads() : convert::from_wire(found->second);
}

}  // namespace

void Run::schedule_local(StateBase& state, std::string_view name, const LocalActivityOptions& options,
                         Payloads arguments) {
  if (options.start_to_close_timeout <= Duration::zero() &&
      options.schedule_to_close_timeout <= Duration::zero()) {
    throw std::invalid_argument("local activity '" + std::string(name) +
                                "' needs start_to_close_timeout or schedule_to_close_timeout (" +
                                std::string(options.where.file_name()) + ":" +
                                std::to_string(options.where.line()) + ")");
  }
  auto local = std::make_shared<LocalActivity>();
  local->headers = outgoing(OutgoingKind::kLocalActivity, name, arguments);
  local->type = name;
  local->id = options.activity_id.str();
  local->summary = options.summary.str();
  local->arguments = std::move(arguments);
  local->start_to_close_timeout = options.start_to_close_timeout;
  local->schedule_to_close_timeout = options.schedule_to_close_timeout;
  local->local_retry_threshold = options.local_retry_threshold;
  local->retry = options.retry;
  local->retry.non_retryable_error_types = {};
  for (const Text& type : options.retry.non_retryable_error_types)
    local->non_retryable_error_types.push_back(type.str());
  track_local(state, std::move(local), options.cancellation, options.where);
}

void Run::track_local(StateBase& state, std::shared_ptr<LocalActivity> local, CancellationType cancellation,
                      std::source_location where) {
  local->sequence = next_sequence();
  if (local->id.empty()) local->id = std::to_string(local->sequence);
  Pending pending;
  pending.state = Ref<StateBase>(&state);
  pending.kind = CommandKind::kMarker;
  pending.cancellation = cancellation;
  pending.type = local->type;
  pending.id = local->id;
  pending.where = where;
  const std::uint64_t sequence = local->sequence;
  pending.local = std::move(local);
  track(sequence, std::move(pending));
}

std::vector<std::shared_ptr<const LocalActivity>> Run::new_local_activities() {
  std::vector<std::shared_ptr<const LocalActivity>> fresh;
  if (closed_) return fresh;
  for (auto& [sequence, pending] : pending_) {
    if (!pending.local || pending.kind != CommandKind::kMarker || pending.handed_out) continue;
    pending.handed_out = true;
    fresh.push_back(pending.local);
  }
  return fresh;
}

bool Run::waits_for_local_activities() const {
  return !closed_ && std::any_of(pending_.begin(), pending_.end(), [](const auto& one) {
    return one.second.local && one.second.kind == CommandKind::kMarker;
  });
}

std::vector<replay::Command> Run::resolve_local(std::uint64_t sequence, const LocalResult& result) {
  const WorkflowCode here;
  apply_local(sequence, result);
  if (task_error_) std::rethrow_exception(task_error_);
  return std::exchange(commands_, {});
}

void Run::apply_local(std::uint64_t sequence, const LocalResult& result) {
  const auto found = pending_.find(sequence);
  if (closed_ || task_error_ || found == pending_.end() || !found->second.local) return;
  Pending pending = std::move(found->second);
  pending_.erase(found);
  replay::Command& command = record(CommandKind::kMarker, 0, pending.where);
  command.wire.set_command_type(enums::COMMAND_TYPE_RECORD_MARKER);
  auto* wire = command.wire.mutable_record_marker_command_attributes();
  wire->set_marker_name(replay::kLocalActivityMarker);
  const MarkerData data{sequence,          result.attempt,         pending.id,
                        pending.type,      result.backoff.count(), result.scheduled_millis,
                        result.retry_state};
  convert::to_wire(Payloads{encode(data)}, &(*wire->mutable_details())["data"]);
  if (!pending.local->summary.empty())
    convert::to_wire(encode(pending.local->summary), command.wire.mutable_user_metadata()->mutable_summary());
  if (result.failure) {
    convert::to_wire(result.failure, wire->mutable_failure());
  } else {
    convert::to_wire(result.result, &(*wire->mutable_details())["result"]);
  }
  const temporal::api::failure::v1::Failure marker_failure = wire->failure();
  pending.state->command = 0;
  if (result.backoff > Duration::zero()) {
    wait_for_attempt(std::move(pending), result);
  } else if (result.failure) {
    pending.state->fail(std::make_exception_ptr(ActivityFailure(
        "local activity failed", pending.type, pending.id, result.retry_state, read(marker_failure))));
  } else {
    pending.state->resolve(result.result);
  }
  drain();
  close_if_asked();
}

// The next attempt is far away: a timer of the workflow, then asked for again.
void Run::wait_for_attempt(Pending pending, const LocalResult& result) {
  pending.local = std::make_shared<LocalActivity>(*pending.local);
  pending.local->attempt = result.attempt + 1;
  pending.local->scheduled_millis = result.scheduled_millis;
  const Ref<StateBase> state = pending.state;
  start_timer(*state, result.backoff, TimerOptions{.where = pending.where});
  Pending& timer = pending_.at(state->command);
  timer.local = std::move(pending.local);
  timer.type = pending.type;
  timer.cancellation = pending.cancellation;
  timer.where = pending.where;
}

void Run::replay_local(const replay::Event& event) {
  const MarkerData data = decode_result<MarkerData>(detail_of(event, "data"));
  LocalResult result;
  result.result = detail_of(event, "result");
  const auto& marker = event.marker_recorded_event_attributes();
  if (marker.has_failure()) result.failure = convert::from_wire(marker.failure());
  result.backoff = Duration(data.backoff_ms);
  result.attempt = data.attempt;
  result.retry_state = data.retry_state;
  result.scheduled_millis = data.scheduled_ms;
  apply_local(data.seq, result);
}

}  // namespace detail
}  // namespace v1
}  // namespace perdure
