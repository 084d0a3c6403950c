#include "tests/sim/program.h"

#include <algorithm>
#include <charconv>

namespace perdure::sim {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t at = text.find('/'); at != std::string::npos; at = text.find('/', begin)) {
    parts.push_back(text.substr(begin, at - begin));
    begin = at + 1;
  }
  parts.push_back(text.substr(begin));
  return parts;
}

std::uint64_t number_of(const std::string& text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

void set(google::protobuf::Duration* duration, std::uint64_t milliseconds) {
  duration->set_seconds(static_cast<std::int64_t>(milliseconds / 1000));
  duration->set_nanos(static_cast<std::int32_t>(milliseconds % 1000) * 1'000'000);
}

// What a command is known by in the history: the type of the event it becomes, and a name.
std::string trace_of(const Command& command) {
  switch (command.command_type()) {
    case enums::COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK:
      return "activity " + command.schedule_activity_task_command_attributes().activity_id();
    case enums::COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK:
      return "cancel activity " +
             std::to_string(command.request_cancel_activity_task_command_attributes().scheduled_event_id());
    case enums::COMMAND_TYPE_START_TIMER:
      return "timer " + command.start_timer_command_attributes().timer_id();
    case enums::COMMAND_TYPE_CANCEL_TIMER:
      return "cancel timer " + command.cancel_timer_command_attributes().timer_id();
    case enums::COMMAND_TYPE_RECORD_MARKER:
      return "marker " + command.record_marker_command_attributes().marker_name();
    case enums::COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: return "upsert";
    case enums::COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES: return "modify";
    case enums::COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION:
      return "signal " + text_of(command.signal_external_workflow_execution_command_attributes().input());
    case enums::COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION:
      return "cancel " + command.request_cancel_external_workflow_execution_command_attributes().reason();
    case enums::COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION: return "complete";
    case enums::COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION: return "fail";
    case enums::COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION: return "canceled";
    case enums::COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION: return "continue";
    default: return "?";
  }
}

// The same of an event that a command of the completed task `completed` became; empty: another event.
std::string trace_of(const HistoryEvent& event, std::int64_t completed) {
  const auto of = [&](const auto& attributes, std::string name) {
    return attributes.workflow_task_completed_event_id() == completed ? name : std::string();
  };
  if (event.has_activity_task_scheduled_event_attributes()) {
    const auto& a = event.activity_task_scheduled_event_attributes();
    return of(a, "activity " + a.activity_id());
  }
  if (event.has_activity_task_cancel_requested_event_attributes()) {
    const auto& a = event.activity_task_cancel_requested_event_attributes();
    return of(a, "cancel activity " + std::to_string(a.scheduled_event_id()));
  }
  if (event.has_timer_started_event_attributes()) {
    const auto& a = event.timer_started_event_attributes();
    return of(a, "timer " + a.timer_id());
  }
  if (event.has_timer_canceled_event_attributes()) {
    const auto& a = event.timer_canceled_event_attributes();
    return of(a, "cancel timer " + a.timer_id());
  }
  if (event.has_marker_recorded_event_attributes()) {
    const auto& a = event.marker_recorded_event_attributes();
    return of(a, "marker " + a.marker_name());
  }
  if (event.has_upsert_workflow_search_attributes_event_attributes())
    return of(event.upsert_workflow_search_attributes_event_attributes(), "upsert");
  if (event.has_workflow_properties_modified_event_attributes())
    return of(event.workflow_properties_modified_event_attributes(), "modify");
  if (event.has_signal_external_workflow_execution_initiated_event_attributes()) {
    const auto& a = event.signal_external_workflow_execution_initiated_event_attributes();
    return of(a, "signal " + text_of(a.input()));
  }
  if (event.has_request_cancel_external_workflow_execution_initiated_event_attributes()) {
    const auto& a = event.request_cancel_external_workflow_execution_initiated_event_attributes();
    return of(a, "cancel " + a.reason());
  }
  if (event.has_workflow_execution_completed_event_attributes())
    return of(event.workflow_execution_completed_event_attributes(), "complete");
  if (event.has_workflow_execution_failed_event_attributes())
    return of(event.workflow_execution_failed_event_attributes(), "fail");
  if (event.has_workflow_execution_canceled_event_attributes())
    return of(event.workflow_execution_canceled_event_attributes(), "canceled");
  if (event.has_workflow_execution_continued_as_new_event_attributes())
    return of(event.workflow_execution_continued_as_new_event_attributes(), "continue");
  return {};
}

}  // namespace

temporal::api::common::v1::Payloads text_payloads(const std::string& text) {
  temporal::api::common::v1::Payloads payloads;
  auto& payload = *payloads.add_payloads();
  (*payload.mutable_metadata())["encoding"] = "json/plain";
  payload.set_data("\"" + text + "\"");
  return payloads;
}

std::string text_of(const temporal::api::common::v1::Payloads& payloads) {
  if (payloads.payloads_size() == 0) return {};
  const std::string& data = payloads.payloads(0).data();
  return data.size() < 2 ? data : data.substr(1, data.size() - 2);
}

std::string workflow_id(std::uint64_t number) {
  return "wf-" + std::to_string(number);
}

std::string Input::text() const {
  return std::to_string(seed) + "/" + std::to_string(rest) + "/" + std::to_string(features) + "/" +
         std::to_string(ids) + "/" + label;
}

Input Input::parse(const std::string& text) {
  const std::vector<std::string> parts = split(text);
  if (parts.size() != 5) return {};
  return {number_of(parts[0]), static_cast<int>(number_of(parts[1])), number_of(parts[2]),
          static_cast<int>(number_of(parts[3])), parts[4]};
}

std::string ActivityInput::text() const {
  return std::to_string(static_cast<int>(how)) + "/" + std::to_string(number) + "/" + label;
}

ActivityInput ActivityInput::parse(const std::string& text) {
  const std::vector<std::string> parts = split(text);
  if (parts.size() != 3) return {};
  return {static_cast<How>(number_of(parts[0])), static_cast<int>(number_of(parts[1])), parts[2]};
}

Program::Program(const std::string& input) : input_(Input::parse(input)), random_(input_.seed) {
  stages_ = 1 + static_cast<int>(draw(4));
  heeds_cancel_ = draw(3) != 0;
}

std::string Program::status() const {
  return std::to_string(signals_);
}

std::string Program::next_name() {
  return "p" + std::to_string(++names_);
}

Program::Part* Program::part(PartKind kind, const std::string& id) {
  const auto found =
      std::ranges::find_if(parts_, [&](const Part& p) { return p.kind == kind && p.id == id; });
  return found == parts_.end() ? nullptr : &*found;
}

void Program::told(std::int64_t initiated) {
  const auto found = externals_.find(initiated);
  if (found == externals_.end()) return;
  if (Part* effect = part(PartKind::kExternal, found->second)) effect->done = true;
}

void Program::feed(const HistoryEvent& event) {
  const auto activity_ended = [&](std::int64_t scheduled) {
    const auto found = activity_ids_.find(scheduled);
    if (found == activity_ids_.end()) return;
    if (Part* ended = part(PartKind::kActivity, found->second)) ended->done = true;
  };
  switch (event.event_type()) {
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
      run_id_ = event.workflow_execution_started_event_attributes().original_execution_run_id();
      return;
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: ++signals_; return;
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED: cancel_requested_ = true; return;
    case enums::EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
      activity_ids_[event.event_id()] = event.activity_task_scheduled_event_attributes().activity_id();
      return;
    case enums::EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
      return activity_ended(event.activity_task_completed_event_attributes().scheduled_event_id());
    case enums::EVENT_TYPE_ACTIVITY_TASK_FAILED:
      return activity_ended(event.activity_task_failed_event_attributes().scheduled_event_id());
    case enums::EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
      return activity_ended(event.activity_task_timed_out_event_attributes().scheduled_event_id());
    case enums::EVENT_TYPE_ACTIVITY_TASK_CANCELED:
      return activity_ended(event.activity_task_canceled_event_attributes().scheduled_event_id());
    case enums::EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED:
      externals_[event.event_id()] =
          text_of(event.signal_external_workflow_execution_initiated_event_attributes().input());
      return;
    case enums::EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED:
      externals_[event.event_id()] =
          event.request_cancel_external_workflow_execution_initiated_event_attributes().reason();
      return;
    case enums::EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED:
      return told(event.external_workflow_execution_signaled_event_attributes().initiated_event_id());
    case enums::EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED:
      return told(event.signal_external_workflow_execution_failed_event_attributes().initiated_event_id());
    case enums::EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
      return told(event.external_workflow_execution_cancel_requested_event_attributes().initiated_event_id());
    case enums::EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED:
      return told(
          event.request_cancel_external_workflow_execution_failed_event_attributes().initiated_event_id());
    case enums::EVENT_TYPE_TIMER_FIRED:
      if (Part* timer = part(PartKind::kTimer, event.timer_fired_event_attributes().timer_id()))
        timer->done = true;
      return;
    default: return;
  }
}

std::vector<Command> Program::go_on() {
  std::vector<Command> commands;
  while (!done_) {
    if (cancel_requested_ && heeds_cancel_) {
      leave_stage(commands);
      commands.emplace_back().set_command_type(enums::COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION);
      commands.back().mutable_cancel_workflow_execution_command_attributes();
      done_ = true;
      break;
    }
    if (!in_stage_) {
      if (stage_++ == stages_) {
        close(commands);
        break;
      }
      in_stage_ = true;
      begin_stage(commands);
    }
    for (Part& part : parts_) {
      if (part.kind != PartKind::kSignal || part.done || signals_ <= signals_taken_) continue;
      ++signals_taken_;
      part.done = true;
    }
    const auto over = [](const Part& part) { return part.done; };
    const bool left =
        first_wins_ ? std::ranges::any_of(parts_, over) || parts_.empty() : std::ranges::all_of(parts_, over);
    if (!left) break;
    leave_stage(commands);
  }
  return commands;
}

void Program::begin_stage(std::vector<Command>& commands) {
  first_wins_ = false;
  switch (draw(7)) {
    case 0:
      if (input_.has(Feature::kTimer)) start_timer(commands, draw(4) == 0 ? 0 : draw(6000));
      return;
    case 1:  // all of several
      for (std::uint64_t n = 1 + draw(3); n > 0 && input_.has(Feature::kActivity); --n)
        start_activity(commands);
      if (input_.has(Feature::kTimer) && draw(2) == 0) start_timer(commands, draw(9000));
      return;
    case 2:  // an activity, or a timer that ends it
      if (!input_.has(Feature::kActivityCancel)) return;
      start_activity(commands);
      start_timer(commands, draw(3000));
      first_wins_ = true;
      return;
    case 3:  // a signal, but not for ever
      if (input_.has(Feature::kSignal)) {
        parts_.push_back({PartKind::kSignal, "", false, true});
        start_timer(commands, 1000 + draw(20'000));
        first_wins_ = true;
      } else if (input_.has(Feature::kTimerCancel)) {
        start_timer(commands, draw(2000));
        start_timer(commands, 4000 + draw(20'000));
        first_wins_ = true;
      }
      return;
    case 4: return external(commands);
    case 5: return note(commands);
    default:
      if (input_.has(Feature::kActivity)) start_activity(commands);
      return;
  }
}

void Program::start_activity(std::vector<Command>& commands) {
  using How = ActivityInput::How;
  ActivityInput input{.label = next_name()};
  input.number = 1 + static_cast<int>(draw(3));
  switch (draw(8)) {
    case 0:
      if (input_.has(Feature::kActivityRetry)) input.how = How::kFailsFirst;
      break;
    case 1:
      if (input_.has(Feature::kActivityRetry)) input.how = How::kFailsForGood;
      break;
    case 2:
      if (input_.has(Feature::kActivityTimeout)) input.how = How::kHangsFirst;
      break;
    case 3:
      if (input_.has(Feature::kActivityTimeout)) input.how = How::kHangs;
      break;
    case 4:
    case 5:
      if (input_.has(Feature::kHeartbeat)) input.how = How::kBeats;
      break;
    case 6:
      if (input_.has(Feature::kHeartbeat)) input.how = How::kStopsBeating;
      break;
    default: break;
  }
  Command& command = commands.emplace_back();
  command.set_command_type(enums::COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK);
  auto& a = *command.mutable_schedule_activity_task_command_attributes();
  a.set_activity_id(input.label);
  a.mutable_activity_type()->set_name("A");
  a.mutable_task_queue()->set_name("tq");
  *a.mutable_input() = text_payloads(input.text());
  set(a.mutable_start_to_close_timeout(), 2000 + draw(3000));
  if (input.how == How::kBeats || input.how == How::kStopsBeating) set(a.mutable_heartbeat_timeout(), 1000);
  if (draw(4) == 0) set(a.mutable_schedule_to_start_timeout(), 1000 + draw(20'000));
  if (draw(4) == 0) set(a.mutable_schedule_to_close_timeout(), 5000 + draw(20'000));
  set(a.mutable_retry_policy()->mutable_initial_interval(), 100 + draw(1500));
  a.mutable_retry_policy()->set_backoff_coefficient(draw(2) == 0 ? 1.0 : 2.0);
  set(a.mutable_retry_policy()->mutable_maximum_interval(), 3000);
  a.mutable_retry_policy()->set_maximum_attempts(
      input.how == How::kFailsForGood || input.how == How::kHangs ? 2 : 5);
  parts_.push_back({PartKind::kActivity, input.label, false, true});
}

void Program::start_timer(std::vector<Command>& commands, std::uint64_t milliseconds) {
  const std::string id = next_name();
  Command& command = commands.emplace_back();
  command.set_command_type(enums::COMMAND_TYPE_START_TIMER);
  command.mutable_start_timer_command_attributes()->set_timer_id(id);
  set(command.mutable_start_timer_command_attributes()->mutable_start_to_fire_timeout(),
      std::max<std::uint64_t>(1, milliseconds));
  parts_.push_back({PartKind::kTimer, id, false, true});
}

// Effects on other ids; what became of them is waited for, or not.
void Program::external(std::vector<Command>& commands) {
  const bool waits = draw(3) != 0;
  for (std::uint64_t n = 1 + draw(2); n > 0; --n) {
    const std::string target = workflow_id(draw(static_cast<std::uint64_t>(input_.ids)));
    const bool cancel = draw(4) == 0;
    if (cancel && input_.has(Feature::kExternalCancel)) {
      Command& command = commands.emplace_back();
      command.set_command_type(enums::COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION);
      auto& a = *command.mutable_request_cancel_external_workflow_execution_command_attributes();
      a.set_workflow_id(target);
      a.set_reason(run_id_ + "." + next_name());
      if (waits) parts_.push_back({PartKind::kExternal, a.reason(), false, true});
    } else if (!cancel && input_.has(Feature::kExternalSignal)) {
      Command& command = commands.emplace_back();
      command.set_command_type(enums::COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION);
      auto& a = *command.mutable_signal_external_workflow_execution_command_attributes();
      a.mutable_execution()->set_workflow_id(target);
      a.set_signal_name("external");
      const std::string label = run_id_ + "." + next_name();
      *a.mutable_input() = text_payloads(label);
      if (waits) parts_.push_back({PartKind::kExternal, label, false, true});
    }
  }
}

void Program::note(std::vector<Command>& commands) {
  if (input_.has(Feature::kMarker)) {
    Command& command = commands.emplace_back();
    command.set_command_type(enums::COMMAND_TYPE_RECORD_MARKER);
    auto& a = *command.mutable_record_marker_command_attributes();
    a.set_marker_name(next_name());
    (*a.mutable_details())["one"] = text_payloads("1");
    (*a.mutable_details())["two"] = text_payloads("2");
  }
  if (input_.has(Feature::kUpsert)) {
    Command& command = commands.emplace_back();
    command.set_command_type(enums::COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES);
    auto& fields = *command.mutable_modify_workflow_properties_command_attributes()
                        ->mutable_upserted_memo()
                        ->mutable_fields();
    fields["stage"] = text_payloads(next_name()).payloads(0);
    fields["of"] = text_payloads(std::to_string(stages_)).payloads(0);
  }
}

// What is still under way is ended; nobody waits for it.
void Program::leave_stage(std::vector<Command>& commands) {
  in_stage_ = false;
  for (const Part& part : parts_) {
    if (part.done) continue;
    if (part.kind == PartKind::kTimer) {
      Command& command = commands.emplace_back();
      command.set_command_type(enums::COMMAND_TYPE_CANCEL_TIMER);
      command.mutable_cancel_timer_command_attributes()->set_timer_id(part.id);
    }
    if (part.kind == PartKind::kActivity) {
      const auto found =
          std::ranges::find_if(activity_ids_, [&](const auto& each) { return each.second == part.id; });
      if (found == activity_ids_.end()) continue;  // scheduled by this very task
      Command& command = commands.emplace_back();
      command.set_command_type(enums::COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK);
      command.mutable_request_cancel_activity_task_command_attributes()->set_scheduled_event_id(found->first);
    }
  }
  parts_.clear();
}

void Program::close(std::vector<Command>& commands) {
  done_ = true;
  Command& command = commands.emplace_back();
  if (input_.has(Feature::kContinueAsNew) && input_.rest > 0 && draw(3) != 0) {
    command.set_command_type(enums::COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION);
    auto& a = *command.mutable_continue_as_new_workflow_execution_command_attributes();
    a.mutable_workflow_type()->set_name("T");
    a.mutable_task_queue()->set_name("tq");
    Input next = input_;
    --next.rest;
    next.seed = random_.next() >> 8;
    *a.mutable_input() = text_payloads(next.text());
    return;
  }
  if (draw(5) == 0 && input_.has(Feature::kWorkflowRetry)) {
    command.set_command_type(enums::COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION);
    auto& failure = *command.mutable_fail_workflow_execution_command_attributes()->mutable_failure();
    failure.set_message("as planned");
    failure.mutable_application_failure_info()->set_type("Planned");
    return;
  }
  command.set_command_type(enums::COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION);
  *command.mutable_complete_workflow_execution_command_attributes()->mutable_result() = text_payloads("done");
}

std::string Execution::check_commands(const std::vector<HistoryEvent>& events, std::size_t completed) {
  std::vector<std::string> made, found;
  for (const Command& command : commands_) made.push_back(trace_of(command));
  const std::int64_t id = events[completed].event_id();
  for (std::size_t i = completed + 1; i < events.size(); ++i) {
    std::string trace = trace_of(events[i], id);
    if (!trace.empty()) found.push_back(std::move(trace));
  }
  commands_.clear();
  if (made == found) return {};
  std::string text = "the program did {";
  for (const std::string& each : made) text += " " + each + ";";
  text += " }, the history after event " + std::to_string(id) + " has {";
  for (const std::string& each : found) text += " " + each + ";";
  return text + " }";
}

std::optional<std::vector<Command>> Execution::replay(const std::vector<HistoryEvent>& events,
                                                      std::string& wrong) {
  for (std::size_t i = 0; i < events.size(); ++i) {
    const HistoryEvent& event = events[i];
    if (event.event_id() != next_event_id_) {
      wrong = "event " + std::to_string(event.event_id()) + " where " + std::to_string(next_event_id_) +
              " was due";
      return std::nullopt;
    }
    ++next_event_id_;
    if (event.event_id() == 1) {
      if (!event.has_workflow_execution_started_event_attributes()) {
        wrong = "the first event is not WorkflowExecutionStarted";
        return std::nullopt;
      }
      program_.emplace(text_of(event.workflow_execution_started_event_attributes().input()));
    }
    if (!program_) {
      wrong = "the history does not begin at its beginning";
      return std::nullopt;
    }
    program_->feed(event);
    if (event.event_type() == enums::EVENT_TYPE_WORKFLOW_TASK_COMPLETED) {
      wrong = check_commands(events, i);
      if (!wrong.empty()) return std::nullopt;
    }
    if (event.event_type() != enums::EVENT_TYPE_WORKFLOW_TASK_STARTED) continue;
    const bool last = i + 1 == events.size();
    if (!last && events[i + 1].event_type() != enums::EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
      continue;  // it failed, or timed out
    commands_ = program_->go_on();
    started_id_ = event.event_id();
    if (last) return commands_;
  }
  return std::vector<Command>();  // a history that ends elsewhere: of a query
}

}  // namespace perdure::sim
