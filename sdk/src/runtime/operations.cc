// The verbs of a run: what they record, how history answers them, how they are cancelled.
#include <algorithm>

#include "sdk/src/payload/convert.h"
#include "sdk/src/runtime/run.h"

namespace perdure {
inline namespace v1 {
namespace detail {

namespace enums = temporal::api::enums::v1;
using replay::CommandKind;

namespace {

void set_if(Duration duration, google::protobuf::Duration* (*field)(void*), void* message) {
  if (duration > Duration::zero()) convert::to_wire(duration, field(message));
}

template <class Fields>
void to_fields(const std::map<std::string, Payload>& values, Fields* out) {
  for (const auto& [name, value] : values) convert::to_wire(value, &(*out)[name]);
}

std::string place(const std::source_location& where) {
  return std::string(where.file_name()) + ":" + std::to_string(where.line());
}

void summarise(Text summary, temporal::api::command::v1::Command& command, Text details = {}) {
  if (!summary.empty())
    convert::to_wire(encode<std::string>(summary.str()), command.mutable_user_metadata()->mutable_summary());
  if (!details.empty())
    convert::to_wire(encode<std::string>(details.str()), command.mutable_user_metadata()->mutable_details());
}

}  // namespace

replay::Command& Run::record(CommandKind kind, std::uint64_t sequence, std::source_location where) {
  if (settings_.place != nullptr) settings_.place->at(where);
  replay::Command& command = commands_.emplace_back();
  command.kind = kind;
  command.sequence = sequence;
  command.where = where;
  return command;
}

bool Run::enter(bool shielded, StateBase& state) {
  check_not_reading();
  state.run = this;
  if (over() || closing_) return false;
  state.scope = scope(shielded);
  if (!state.scope) return true;
  if (state.scope->cancelled) {
    state.fail(std::make_exception_ptr(CancelledFailure()));
    return false;
  }
  state.scope->operations.push_back(&state);
  return true;
}

void Run::track(std::uint64_t sequence, Pending pending) {
  pending.state->command = sequence;
  pending_.emplace(sequence, std::move(pending));
}

Headers Run::outgoing(OutgoingKind kind, std::string_view name, Payloads& arguments) {
  OutgoingCall call{kind, std::string(name), &arguments, {}};
  for (const auto& interceptor : interceptors_) interceptor->outgoing(context(), call);
  return std::move(call.headers);
}

void Run::schedule_activity(StateBase& state, std::string_view name, const ActivityOptions& options,
                            Payloads arguments) {
  if (options.start_to_close_timeout <= Duration::zero() &&
      options.schedule_to_close_timeout <= Duration::zero()) {
    throw std::invalid_argument("activity '" + std::string(name) +
                                "' needs start_to_close_timeout or schedule_to_close_timeout (" +
                                place(options.where) + ")");
  }
  const Headers headers = outgoing(OutgoingKind::kActivity, name, arguments);
  const std::uint64_t sequence = next_sequence();
  replay::Command& command = record(CommandKind::kScheduleActivity, sequence, options.where);
  command.wire.set_command_type(enums::COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK);
  auto* wire = command.wire.mutable_schedule_activity_task_command_attributes();
  wire->set_activity_id(options.activity_id.empty() ? std::to_string(sequence) : options.activity_id.str());
  wire->mutable_activity_type()->set_name(std::string(name));
  wire->mutable_task_queue()->set_name(options.task_queue.empty() ? info().task_queue
                                                                  : options.task_queue.str());
  convert::to_wire(arguments, wire->mutable_input());
  using Wire = temporal::api::command::v1::ScheduleActivityTaskCommandAttributes;
  set_if(
      options.start_to_close_timeout,
      [](void* m) { return static_cast<Wire*>(m)->mutable_start_to_close_timeout(); }, wire);
  set_if(
      options.schedule_to_close_timeout,
      [](void* m) { return static_cast<Wire*>(m)->mutable_schedule_to_close_timeout(); }, wire);
  set_if(
      options.schedule_to_start_timeout,
      [](void* m) { return static_cast<Wire*>(m)->mutable_schedule_to_start_timeout(); }, wire);
  set_if(
      options.heartbeat_timeout, [](void* m) { return static_cast<Wire*>(m)->mutable_heartbeat_timeout(); },
      wire);
  convert::to_wire(options.retry, wire->mutable_retry_policy());
  if (!headers.empty()) convert::to_wire(headers, wire->mutable_header());
  convert::put_priority(options.priority, wire);
  summarise(options.summary, command.wire);
  Pending pending;
  pending.state = Ref<StateBase>(&state);
  pending.kind = CommandKind::kScheduleActivity;
  pending.cancellation = options.cancellation;
  pending.type = name;
  pending.id = wire->activity_id();
  track(sequence, std::move(pending));
}

void Run::start_timer(StateBase& state, Duration delay, const TimerOptions& options) {
  const std::uint64_t sequence = next_sequence();
  replay::Command& command = record(CommandKind::kStartTimer, sequence, options.where);
  command.wire.set_command_type(enums::COMMAND_TYPE_START_TIMER);
  auto* wire = command.wire.mutable_start_timer_command_attributes();
  wire->set_timer_id(std::to_string(sequence));
  convert::to_wire(std::max(delay, Duration::zero()), wire->mutable_start_to_fire_timeout());
  summarise(options.summary, command.wire);
  Pending pending;
  pending.state = Ref<StateBase>(&state);
  pending.kind = CommandKind::kStartTimer;
  pending.id = wire->timer_id();
  track(sequence, std::move(pending));
}

void Run::start_child(StateBase& started, StateBase& result, std::string_view name,
                      const ChildOptions& options, Payloads arguments) {
  started.run = this;
  const Headers headers = outgoing(OutgoingKind::kChild, name, arguments);
  const std::uint64_t sequence = next_sequence();
  replay::Command& command = record(CommandKind::kStartChild, sequence, options.where);
  command.wire.set_command_type(enums::COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION);
  auto* wire = command.wire.mutable_start_child_workflow_execution_command_attributes();
  wire->set_namespace_(info().ns);
  wire->set_workflow_id(options.id.empty() ? info().run_id + "_" + std::to_string(sequence)
                                           : options.id.str());
  wire->mutable_workflow_type()->set_name(std::string(name));
  wire->mutable_task_queue()->set_name(options.task_queue.empty() ? info().task_queue
                                                                  : options.task_queue.str());
  convert::to_wire(arguments, wire->mutable_input());
  using Wire = temporal::api::command::v1::StartChildWorkflowExecutionCommandAttributes;
  set_if(
      options.execution_timeout,
      [](void* m) { return static_cast<Wire*>(m)->mutable_workflow_execution_timeout(); }, wire);
  set_if(
      options.run_timeout, [](void* m) { return static_cast<Wire*>(m)->mutable_workflow_run_timeout(); },
      wire);
  set_if(
      options.task_timeout, [](void* m) { return static_cast<Wire*>(m)->mutable_workflow_task_timeout(); },
      wire);
  wire->set_parent_close_policy(static_cast<enums::ParentClosePolicy>(options.parent_close));
  wire->set_workflow_id_reuse_policy(static_cast<enums::WorkflowIdReusePolicy>(options.id_reuse));
  if (options.retry) convert::to_wire(*options.retry, wire->mutable_retry_policy());
  if (!headers.empty()) convert::to_wire(headers, wire->mutable_header());
  if (options.memo != nullptr) to_fields(options.memo->fields(), wire->mutable_memo()->mutable_fields());
  if (options.search_attributes != nullptr) {
    to_fields(options.search_attributes->fields(),
              wire->mutable_search_attributes()->mutable_indexed_fields());
  }
  convert::put_priority(options.priority, wire);
  summarise(options.summary, command.wire, options.details);
  Pending pending;
  pending.state = Ref<StateBase>(&result);
  pending.started = Ref<StateBase>(&started);
  pending.kind = CommandKind::kStartChild;
  pending.cancellation = options.cancellation;
  pending.type = name;
  pending.id = wire->workflow_id();
  track(sequence, std::move(pending));
}

void Run::signal_external(StateBase& state, ExternalTarget target, std::string_view name, Payloads arguments,
                          std::source_location where) {
  const Headers headers = outgoing(OutgoingKind::kSignal, name, arguments);
  const std::uint64_t sequence = next_sequence();
  replay::Command& command = record(CommandKind::kSignalExternal, sequence, where);
  command.wire.set_command_type(enums::COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION);
  auto* wire = command.wire.mutable_signal_external_workflow_execution_command_attributes();
  wire->set_namespace_(info().ns);
  wire->mutable_execution()->set_workflow_id(target.workflow_id);
  wire->mutable_execution()->set_run_id(target.run_id);
  wire->set_child_workflow_only(target.child_only);
  wire->set_signal_name(std::string(name));
  convert::to_wire(arguments, wire->mutable_input());
  if (!headers.empty()) convert::to_wire(headers, wire->mutable_header());
  Pending pending;
  pending.state = Ref<StateBase>(&state);
  pending.kind = CommandKind::kSignalExternal;
  track(sequence, std::move(pending));
}

void Run::cancel_external(StateBase& state, ExternalTarget target, std::source_location where) {
  check_not_reading();
  state.run = this;
  if (over()) return;
  const std::uint64_t sequence = next_sequence();
  replay::Command& command = record(CommandKind::kCancelExternal, sequence, where);
  command.wire.set_command_type(enums::COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION);
  auto* wire = command.wire.mutable_request_cancel_external_workflow_execution_command_attributes();
  wire->set_namespace_(info().ns);
  wire->set_workflow_id(target.workflow_id);
  wire->set_run_id(target.run_id);
  wire->set_child_workflow_only(target.child_only);
  Pending pending;
  pending.state = Ref<StateBase>(&state);
  pending.kind = CommandKind::kCancelExternal;
  track(sequence, std::move(pending));
}

void Run::add_condition(State<void>& state, Function<bool()> predicate) {
  state.condition = true;
  conditions_.push_back({&state, std::move(predicate)});
}

// ---- cancellation

bool Run::unsent(std::uint64_t sequence) const {
  return std::any_of(commands_.begin(), commands_.end(),
                     [&](const auto& command) { return command.sequence == sequence; });
}

// What the server has not been told it need not be told.
void Run::withdraw(std::uint64_t sequence) {
  std::erase_if(commands_, [&](const replay::Command& command) { return command.sequence == sequence; });
}

// The future ends with a failure now; what history says about the operation later is of no interest.
void Run::end_cancelled(std::uint64_t sequence, const std::string& message) {
  const auto found = pending_.find(sequence);
  const Pending pending = std::move(found->second);
  pending_.erase(found);
  pending.state->command = 0;
  const auto cancelled = std::make_exception_ptr(CancelledFailure(message));
  if (pending.kind == CommandKind::kScheduleActivity || pending.local) {
    pending.state->fail(std::make_exception_ptr(ActivityFailure(
        "activity cancelled", pending.type, pending.id, enums::RETRY_STATE_CANCEL_REQUESTED, cancelled)));
  } else if (pending.kind == CommandKind::kStartChild) {
    const auto failure =
        std::make_exception_ptr(ChildFailure("child workflow cancelled", pending.id, {}, pending.type,
                                             enums::RETRY_STATE_CANCEL_REQUESTED, cancelled));
    if (pending.started) pending.started->fail(failure);
    pending.state->fail(failure);
  } else {
    pending.state->fail(cancelled);
  }
}

void Run::cancel_operation(StateBase& state) {
  if (state.ready() || over()) return;
  if (state.command == 0) return state.fail(std::make_exception_ptr(CancelledFailure()));  // a condition
  const std::uint64_t sequence = state.command;
  Pending& pending = pending_.at(sequence);
  if (pending.cancel_asked) return;
  if (unsent(sequence)) {
    withdraw(sequence);
    return end_cancelled(sequence, "cancelled before it was sent");
  }
  const std::source_location here;
  const bool asks = pending.cancellation != CancellationType::kAbandon && !ending_.contains(sequence);
  switch (pending.kind) {
    case CommandKind::kStartTimer: {
      if (ending_.contains(sequence)) return end_cancelled(sequence, "timer cancelled");
      auto& command = record(CommandKind::kCancelTimer, 0, here);
      command.wire.set_command_type(enums::COMMAND_TYPE_CANCEL_TIMER);
      command.wire.mutable_cancel_timer_command_attributes()->set_timer_id(pending.id);
      return end_cancelled(sequence, "timer cancelled");
    }
    case CommandKind::kScheduleActivity:
      if (asks) {
        auto& command = record(CommandKind::kCancelActivity, sequence, here);
        command.wire.set_command_type(enums::COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK);
      }
      break;
    case CommandKind::kMarker:  // a local activity
      if (asks) cancelled_locals_.push_back(sequence);
      break;
    case CommandKind::kStartChild:
      if (asks) {
        Ref<State<void>> nobody = new_state<void>();
        cancel_external(*nobody, ExternalTarget{pending.id, {}, true}, here);
      }
      break;
    default: return;  // a signal or a cancel that is under way cannot be called back
  }
  pending.cancel_asked = true;
  if (pending.cancellation != CancellationType::kWaitCompleted) end_cancelled(sequence, "cancelled");
}

void Run::forget(StateBase& state) {
  if (state.condition)
    std::erase_if(conditions_, [&](const Condition& condition) { return condition.state == &state; });
}

// ---- what history answers

void Run::activity_ended(Pending& pending, const replay::Event& event) {
  const auto failed = [&](const temporal::api::failure::v1::Failure& failure, int retry_state,
                          const char* message) {
    pending.state->fail(std::make_exception_ptr(
        ActivityFailure(message, pending.type, pending.id, retry_state, read(failure))));
  };
  switch (event.event_type()) {
    case enums::EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
      return pending.state->resolve(
          convert::from_wire(event.activity_task_completed_event_attributes().result()));
    case enums::EVENT_TYPE_ACTIVITY_TASK_FAILED: {
      const auto& attributes = event.activity_task_failed_event_attributes();
      return failed(attributes.failure(), attributes.retry_state(), "activity failed");
    }
    case enums::EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: {
      const auto& attributes = event.activity_task_timed_out_event_attributes();
      return failed(attributes.failure(), attributes.retry_state(), "activity timed out");
    }
    default: {
      temporal::api::failure::v1::Failure cancelled;
      cancelled.set_message("activity cancelled");
      *cancelled.mutable_canceled_failure_info()->mutable_details() =
          event.activity_task_canceled_event_attributes().details();
      return failed(cancelled, enums::RETRY_STATE_CANCEL_REQUESTED, "activity cancelled");
    }
  }
}

void Run::child_started(std::uint64_t sequence, const replay::Event& event) {
  Pending& pending = pending_.at(sequence);
  if (event.has_child_workflow_execution_started_event_attributes()) {
    const auto& run_id =
        event.child_workflow_execution_started_event_attributes().workflow_execution().run_id();
    pending.started->resolve({encode<std::string>(run_id)});
    return;
  }
  const Pending ended = std::move(pending);
  pending_.erase(sequence);
  ended.state->command = 0;
  const auto cause = std::make_exception_ptr(ApplicationFailure("a workflow with this id is running already",
                                                                "WorkflowExecutionAlreadyStarted", true));
  const auto failure =
      std::make_exception_ptr(ChildFailure("child workflow was not started", ended.id, {}, ended.type,
                                           enums::RETRY_STATE_NON_RETRYABLE_FAILURE, cause));
  ended.started->fail(failure);
  ended.state->fail(failure);
}

void Run::child_ended(Pending& pending, const replay::Event& event) {
  const auto fail = [&](const char* message, int retry_state, std::exception_ptr cause) {
    pending.state->fail(std::make_exception_ptr(
        ChildFailure(message, pending.id, {}, pending.type, retry_state, std::move(cause))));
  };
  switch (event.event_type()) {
    case enums::EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED:
      return pending.state->resolve(
          convert::from_wire(event.child_workflow_execution_completed_event_attributes().result()));
    case enums::EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED: {
      const auto& attributes = event.child_workflow_execution_failed_event_attributes();
      return fail("child workflow failed", attributes.retry_state(), read(attributes.failure()));
    }
    case enums::EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED:
      return fail(
          "child workflow cancelled", enums::RETRY_STATE_NON_RETRYABLE_FAILURE,
          std::make_exception_ptr(CancelledFailure(
              "child workflow cancelled",
              convert::from_wire(event.child_workflow_execution_canceled_event_attributes().details()))));
    case enums::EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED:
      return fail("child workflow terminated", enums::RETRY_STATE_NON_RETRYABLE_FAILURE,
                  std::make_exception_ptr(TerminatedFailure("child workflow terminated")));
    default:
      return fail(
          "child workflow timed out",
          event.child_workflow_execution_timed_out_event_attributes().retry_state(),
          std::make_exception_ptr(TimeoutFailure("child workflow timed out", TimeoutType::kStartToClose)));
  }
}

void Run::external_answered(Pending& pending, const replay::Event& event) {
  const bool failed = event.has_signal_external_workflow_execution_failed_event_attributes() ||
                      event.has_request_cancel_external_workflow_execution_failed_event_attributes();
  if (!failed) return pending.state->resolve({});
  pending.state->fail(std::make_exception_ptr(ApplicationFailure("the workflow to be reached is not there",
                                                                 "ExternalWorkflowExecutionNotFound", true)));
}

// ---- ends

void Run::complete(Payload result) {
  replay::Command& command = closing_.emplace();
  command.kind = CommandKind::kComplete;
  command.wire.set_command_type(enums::COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION);
  convert::to_wire(Payloads{std::move(result)},
                   command.wire.mutable_complete_workflow_execution_command_attributes()->mutable_result());
}

bool Run::is_failure(const std::exception_ptr& error) const {
  try {
    std::rethrow_exception(error);
  } catch (const Failure&) {
    return true;
  } catch (...) {
    return instance_->fails_workflow(error);
  }
}

void Run::thrown(std::exception_ptr error) {
  if (closing_ || task_error_) return;
  if (!is_failure(error)) {
    task_error_ = error;
    return;
  }
  bool cancelled = false;
  try {
    std::rethrow_exception(error);
  } catch (const Failure& failure) {
    cancelled = cancel_requested_ && failure.is_cancelled();
  } catch (...) {
  }
  replay::Command& command = closing_.emplace();
  if (cancelled) {
    command.kind = CommandKind::kCancel;
    command.wire.set_command_type(enums::COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION);
    command.wire.mutable_cancel_workflow_execution_command_attributes();
  } else {
    command.kind = CommandKind::kFail;
    command.wire.set_command_type(enums::COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION);
    write(error, command.wire.mutable_fail_workflow_execution_command_attributes()->mutable_failure());
  }
}

void Run::unobserved(StateBase& state) {
  if (over()) return;
  try {
    std::rethrow_exception(state.error);
  } catch (const Failure& failure) {
    if (failure.is_cancelled()) return;
  } catch (...) {
  }
  thrown(state.error);
}

void Run::continue_as_new(std::string_view name, Payloads arguments, std::source_location where) {
  check_not_reading();
  if (over() || closing_) return;
  const Headers headers = outgoing(OutgoingKind::kContinueAsNew, name, arguments);
  replay::Command& command = closing_.emplace();
  command.kind = CommandKind::kContinueAsNew;
  command.where = where;
  command.wire.set_command_type(enums::COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION);
  auto* wire = command.wire.mutable_continue_as_new_workflow_execution_command_attributes();
  wire->mutable_workflow_type()->set_name(std::string(name));
  wire->mutable_task_queue()->set_name(info().task_queue);
  convert::to_wire(arguments, wire->mutable_input());
  if (!headers.empty()) convert::to_wire(headers, wire->mutable_header());
  if (retry_) *wire->mutable_retry_policy() = *retry_;
  if (!info().memo.fields().empty()) to_fields(info().memo.fields(), wire->mutable_memo()->mutable_fields());
  if (!info().search_attributes.fields().empty()) {
    to_fields(info().search_attributes.fields(), wire->mutable_search_attributes()->mutable_indexed_fields());
  }
}

// ---- what people see and find

void Run::upsert(std::vector<SearchAttributeUpdate> updates, std::source_location where) {
  check_not_reading();
  if (over() || closing_) return;
  replay::Command& command = record(CommandKind::kUpsertSearchAttributes, 0, where);
  command.wire.set_command_type(enums::COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES);
  auto* fields = command.wire.mutable_upsert_workflow_search_attributes_command_attributes()
                     ->mutable_search_attributes()
                     ->mutable_indexed_fields();
  for (const SearchAttributeUpdate& update : updates) {
    (*fields)[update.name].Clear();
    convert::to_wire(update.value, &(*fields)[update.name]);
    settings_.info.search_attributes.apply(update);
  }
}

void Run::upsert_memo(const std::string& name, Payload value, std::source_location where) {
  check_not_reading();
  if (over() || closing_) return;
  replay::Command& command = record(CommandKind::kModifyProperties, 0, where);
  command.wire.set_command_type(enums::COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES);
  convert::to_wire(value, &(*command.wire.mutable_modify_workflow_properties_command_attributes()
                                 ->mutable_upserted_memo()
                                 ->mutable_fields())[name]);
  auto& memo = settings_.info.memo.fields();
  if (encoding_of(value) == "binary/null") {
    memo.erase(name);
  } else {
    memo[name] = std::move(value);
  }
}

// ---- markers

Payload Run::side_effect(const Function<Payload()>& draw, std::source_location where) {
  check_not_reading();
  if (over() || closing_) return draw();
  Payload value;
  if (replaying_ && !side_effects_.empty()) {
    value = std::move(side_effects_.front());
    side_effects_.pop_front();
  } else {
    value = draw();
  }
  replay::Command& command = record(CommandKind::kMarker, 0, where);
  command.wire.set_command_type(enums::COMMAND_TYPE_RECORD_MARKER);
  auto* wire = command.wire.mutable_record_marker_command_attributes();
  wire->set_marker_name(replay::kSideEffectMarker);
  convert::to_wire(Payloads{value}, &(*wire->mutable_details())["data"]);
  return value;
}

bool Run::patched(std::string id, bool deprecated, std::source_location where) {
  if (id.empty() || id.find_first_of("\"\\") != id.npos)
    throw std::invalid_argument("a patch id is plain text without quotes");
  check_not_reading();
  if (over() || closing_) return false;
  const auto known = patches_.find(id);
  const bool answer = known != patches_.end() ? known->second : !replaying_;
  patches_[id] = answer;
  if ((answer || deprecated) && patches_recorded_.insert(id).second) {
    replay::Command& command = record(CommandKind::kPatch, 0, where);
    command.deprecated_patch = deprecated;
    command.wire.set_command_type(enums::COMMAND_TYPE_RECORD_MARKER);
    auto* wire = command.wire.mutable_record_marker_command_attributes();
    wire->set_marker_name(replay::kPatchMarker);
    const std::string json = R"({"id":")" + id + R"(","deprecated":)" + (deprecated ? "true}" : "false}");
    convert::to_wire(Payloads{make_payload("json/plain", json)}, &(*wire->mutable_details())["patch-data"]);
  }
  return answer;
}

}  // namespace detail
}  // namespace v1
}  // namespace perdure
