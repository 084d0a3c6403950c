#include "sdk/src/replay/replay.h"

#include <set>
#include <string_view>
#include <utility>

#include "sdk/src/payload/times.h"

namespace perdure::replay {

namespace enums = temporal::api::enums::v1;

namespace {

bool is_command_event(const Event& event) {
  switch (event.event_type()) {
    case enums::EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
    case enums::EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED:
    case enums::EVENT_TYPE_TIMER_STARTED:
    case enums::EVENT_TYPE_TIMER_CANCELED:
    case enums::EVENT_TYPE_MARKER_RECORDED:
    case enums::EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
    case enums::EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED:
    case enums::EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED:
    case enums::EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
    case enums::EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED:
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED:
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: return true;
    default: return false;
  }
}

// "Activity" + "TaskScheduled" as people know the event, from the enum's name on the wire.
std::string event_name(const Event& event) {
  const std::string& upper = enums::EventType_Name(event.event_type());
  std::string name;
  bool start = true;
  for (const char c : std::string_view(upper).substr(sizeof "EVENT_TYPE_" - 1)) {
    if (c == '_') {
      start = true;
    } else {
      name += start ? c : static_cast<char>(c - 'A' + 'a');
      start = false;
    }
  }
  return name;
}

std::string with_subject(std::string name, const std::string& subject) {
  return subject.empty() ? name : name + "(" + subject + ")";
}

// "a, b": the keys of memo or search attributes.
template <class Fields>
std::string names(const Fields& fields) {
  std::set<std::string> sorted;
  for (const auto& [name, value] : fields) sorted.insert(name);
  std::string all;
  for (const std::string& name : sorted) all.append(all.empty() ? "" : ", ").append(name);
  return all;
}

// What a local activity's marker says it is of, as text.
template <class Details>
std::string local_activity_of(const Details& details) {
  const auto found = details.find("data");
  return found == details.end() || found->second.payloads().empty() ? "" : found->second.payloads(0).data();
}

std::string text_in(const std::string& json, std::string_view key) {
  const std::size_t begin = json.find(key);
  if (begin == json.npos) return {};
  return json.substr(begin + key.size(), json.find('"', begin + key.size()) - begin - key.size());
}

std::string subject_of_marker(const Event& event) {
  const auto& marker = event.marker_recorded_event_attributes();
  if (marker.marker_name() == kLocalActivityMarker) {
    const std::string type = text_in(local_activity_of(marker.details()), "\"activity_type\":\"");
    return with_subject(marker.marker_name(), type);
  }
  return patch_of(event).value_or(marker.marker_name());
}

std::string subject_of(const Event& event) {
  switch (event.event_type()) {
    case enums::EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
      return event.activity_task_scheduled_event_attributes().activity_type().name();
    case enums::EVENT_TYPE_TIMER_STARTED: return event.timer_started_event_attributes().timer_id();
    case enums::EVENT_TYPE_TIMER_CANCELED: return event.timer_canceled_event_attributes().timer_id();
    case enums::EVENT_TYPE_MARKER_RECORDED: return subject_of_marker(event);
    case enums::EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
      return names(
          event.upsert_workflow_search_attributes_event_attributes().search_attributes().indexed_fields());
    case enums::EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED:
      return names(event.workflow_properties_modified_event_attributes().upserted_memo().fields());
    case enums::EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
      return event.start_child_workflow_execution_initiated_event_attributes().workflow_type().name();
    case enums::EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED:
      return event.signal_external_workflow_execution_initiated_event_attributes().signal_name();
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
      return event.workflow_execution_update_accepted_event_attributes().protocol_instance_id();
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED:
      return event.workflow_execution_update_completed_event_attributes().meta().update_id();
    default: return {};
  }
}

std::string place(const std::source_location& where) {
  std::string_view file = where.file_name();
  if (const auto slash = file.rfind('/'); slash != file.npos) file.remove_prefix(slash + 1);
  return file.empty() ? std::string("the code") : std::string(file) + ":" + std::to_string(where.line());
}

// Of memo, search attributes and updates.
bool answers_change(const Command& command, const Event& event) {
  const auto& wire = command.wire;
  switch (command.kind) {
    case CommandKind::kUpsertSearchAttributes:
      return event.has_upsert_workflow_search_attributes_event_attributes() &&
             names(event.upsert_workflow_search_attributes_event_attributes()
                       .search_attributes()
                       .indexed_fields()) == names(wire.upsert_workflow_search_attributes_command_attributes()
                                                       .search_attributes()
                                                       .indexed_fields());
    case CommandKind::kModifyProperties:
      return event.has_workflow_properties_modified_event_attributes() &&
             names(event.workflow_properties_modified_event_attributes().upserted_memo().fields()) ==
                 names(wire.modify_workflow_properties_command_attributes().upserted_memo().fields());
    case CommandKind::kAcceptUpdate:
      return event.has_workflow_execution_update_accepted_event_attributes() &&
             event.workflow_execution_update_accepted_event_attributes().protocol_instance_id() ==
                 command.message->protocol_instance_id();
    case CommandKind::kCompleteUpdate:
      return event.has_workflow_execution_update_completed_event_attributes() &&
             event.workflow_execution_update_completed_event_attributes().meta().update_id() ==
                 command.message->protocol_instance_id();
    default: return false;
  }
}

// The event's type is the command's, and names the same thing.
bool answers(const Command& command, const Event& event, std::int64_t activity_event) {
  const auto& wire = command.wire;
  switch (command.kind) {
    case CommandKind::kScheduleActivity: {
      const auto& had = event.activity_task_scheduled_event_attributes();
      const auto& asked = wire.schedule_activity_task_command_attributes();
      return event.has_activity_task_scheduled_event_attributes() &&
             had.activity_id() == asked.activity_id() &&
             had.activity_type().name() == asked.activity_type().name();
    }
    case CommandKind::kCancelActivity:
      return event.activity_task_cancel_requested_event_attributes().scheduled_event_id() == activity_event &&
             event.has_activity_task_cancel_requested_event_attributes();
    case CommandKind::kStartTimer:
      return event.has_timer_started_event_attributes() &&
             event.timer_started_event_attributes().timer_id() ==
                 wire.start_timer_command_attributes().timer_id();
    case CommandKind::kCancelTimer:
      return event.has_timer_canceled_event_attributes() &&
             event.timer_canceled_event_attributes().timer_id() ==
                 wire.cancel_timer_command_attributes().timer_id();
    case CommandKind::kStartChild: {
      const auto& had = event.start_child_workflow_execution_initiated_event_attributes();
      const auto& asked = wire.start_child_workflow_execution_command_attributes();
      return event.has_start_child_workflow_execution_initiated_event_attributes() &&
             had.workflow_id() == asked.workflow_id() &&
             had.workflow_type().name() == asked.workflow_type().name();
    }
    case CommandKind::kSignalExternal:
      return event.has_signal_external_workflow_execution_initiated_event_attributes() &&
             event.signal_external_workflow_execution_initiated_event_attributes().signal_name() ==
                 wire.signal_external_workflow_execution_command_attributes().signal_name();
    case CommandKind::kCancelExternal:
      return event.has_request_cancel_external_workflow_execution_initiated_event_attributes();
    case CommandKind::kMarker: {
      const auto& had = event.marker_recorded_event_attributes();
      const auto& asked = wire.record_marker_command_attributes();
      if (!event.has_marker_recorded_event_attributes() || had.marker_name() != asked.marker_name())
        return false;
      return had.marker_name() != kLocalActivityMarker ||
             local_activity_of(had.details()) == local_activity_of(asked.details());
    }
    case CommandKind::kPatch: {
      Event asked;
      asked.mutable_marker_recorded_event_attributes()->set_marker_name(kPatchMarker);
      *asked.mutable_marker_recorded_event_attributes()->mutable_details() =
          wire.record_marker_command_attributes().details();
      return patch_of(event).has_value() && patch_of(event) == patch_of(asked);
    }
    case CommandKind::kUpsertSearchAttributes:
    case CommandKind::kModifyProperties:
    case CommandKind::kAcceptUpdate:
    case CommandKind::kCompleteUpdate: return answers_change(command, event);
    case CommandKind::kRejectUpdate: return false;
    case CommandKind::kComplete: return event.has_workflow_execution_completed_event_attributes();
    case CommandKind::kFail: return event.has_workflow_execution_failed_event_attributes();
    case CommandKind::kCancel: return event.has_workflow_execution_canceled_event_attributes();
    case CommandKind::kContinueAsNew: return event.has_workflow_execution_continued_as_new_event_attributes();
  }
  return false;
}

}  // namespace

std::optional<std::string> patch_of(const Event& event, bool* deprecated) {
  if (event.marker_recorded_event_attributes().marker_name() != kPatchMarker) return std::nullopt;
  const auto& details = event.marker_recorded_event_attributes().details();
  const auto found = details.find("patch-data");
  if (found == details.end() || found->second.payloads().empty()) return std::nullopt;
  const std::string& json = found->second.payloads(0).data();  // {"id":"…","deprecated":false}
  static constexpr std::string_view kId = "\"id\":\"";
  const std::size_t begin = json.find(kId);
  if (begin == json.npos) return std::nullopt;
  const std::size_t end = json.find('"', begin + kId.size());
  if (deprecated != nullptr) *deprecated = json.find("\"deprecated\":true") != json.npos;
  return json.substr(begin + kId.size(), end - begin - kId.size());
}

std::string describe(const Event& event) {
  return with_subject(event_name(event), subject_of(event));
}

std::string describe(const Command& command) {
  const auto& wire = command.wire;
  switch (command.kind) {
    case CommandKind::kScheduleActivity:
      return with_subject("ScheduleActivity",
                          wire.schedule_activity_task_command_attributes().activity_type().name());
    case CommandKind::kCancelActivity: return "RequestCancelActivity";
    case CommandKind::kStartTimer: {
      const auto& delay = wire.start_timer_command_attributes().start_to_fire_timeout();
      const std::int64_t millis = convert::milliseconds(delay);
      const bool whole = millis % 1000 == 0;
      return with_subject("StartTimer",
                          std::to_string(whole ? millis / 1000 : millis) + (whole ? "s" : "ms"));
    }
    case CommandKind::kCancelTimer:
      return with_subject("CancelTimer", wire.cancel_timer_command_attributes().timer_id());
    case CommandKind::kStartChild:
      return with_subject("StartChildWorkflow",
                          wire.start_child_workflow_execution_command_attributes().workflow_type().name());
    case CommandKind::kSignalExternal:
      return with_subject("SignalExternalWorkflow",
                          wire.signal_external_workflow_execution_command_attributes().signal_name());
    case CommandKind::kCancelExternal: return "RequestCancelExternalWorkflow";
    case CommandKind::kMarker:
    case CommandKind::kPatch: {
      Event marker;
      marker.set_event_type(enums::EVENT_TYPE_MARKER_RECORDED);
      marker.mutable_marker_recorded_event_attributes()->set_marker_name(
          wire.record_marker_command_attributes().marker_name());
      *marker.mutable_marker_recorded_event_attributes()->mutable_details() =
          wire.record_marker_command_attributes().details();
      return with_subject(command.kind == CommandKind::kPatch ? "patched" : "RecordMarker",
                          subject_of(marker));
    }
    case CommandKind::kUpsertSearchAttributes:
      return with_subject("UpsertSearchAttributes",
                          names(wire.upsert_workflow_search_attributes_command_attributes()
                                    .search_attributes()
                                    .indexed_fields()));
    case CommandKind::kModifyProperties:
      return with_subject(
          "ModifyProperties",
          names(wire.modify_workflow_properties_command_attributes().upserted_memo().fields()));
    case CommandKind::kAcceptUpdate:
      return with_subject("AcceptUpdate", command.message->protocol_instance_id());
    case CommandKind::kCompleteUpdate:
      return with_subject("CompleteUpdate", command.message->protocol_instance_id());
    case CommandKind::kRejectUpdate:
      return with_subject("RejectUpdate", command.message->protocol_instance_id());
    case CommandKind::kComplete: return "CompleteWorkflow";
    case CommandKind::kFail: return "FailWorkflow";
    case CommandKind::kCancel: return "CancelWorkflow";
    case CommandKind::kContinueAsNew: return "ContinueAsNew";
  }
  return "?";
}

bool Replay::append(google::protobuf::RepeatedPtrField<Event> events) {
  if (events.empty()) return true;
  if (first_event_id_ == 0) {
    first_event_id_ = events.begin()->event_id();
    last_event_id_ = first_event_id_ - 1;
  }
  if (events.begin()->event_id() > last_event_id_ + 1) return false;
  for (Event& event : events) {
    if (event.event_id() <= last_event_id_)
      continue;  // a query's history reached further than the last task's
    last_event_id_ = event.event_id();
    events_.push_back(std::move(event));
  }
  return true;
}

void Replay::record(std::vector<Command> commands) {
  recorded_.clear();
  rejections_.clear();
  record_more(std::move(commands));
  activated_ = true;
}

void Replay::record_more(std::vector<Command> commands) {
  for (Command& command : commands) {
    auto& list = command.kind == CommandKind::kRejectUpdate ? rejections_ : recorded_;
    list.push_back(std::move(command));
  }
}

void Replay::take_back() {
  events_.clear();
  consumed_ = 0;
  recorded_.clear();
  rejections_.clear();
  activated_ = false;
  last_event_id_ = matched_event_id_;
}

std::vector<temporal::api::command::v1::Command> Replay::commands() const {
  std::vector<temporal::api::command::v1::Command> out;
  out.reserve(recorded_.size());
  for (const Command& command : recorded_) {
    auto& wire = out.emplace_back(command.wire);
    if (command.kind == CommandKind::kCancelActivity) {
      const auto found = event_of_sequence_.find(command.sequence);
      if (found == event_of_sequence_.end()) continue;
      wire.mutable_request_cancel_activity_task_command_attributes()->set_scheduled_event_id(found->second);
    }
  }
  return out;
}

std::vector<Message> Replay::messages() const {
  std::vector<Message> out;
  for (const auto* list : {&recorded_, &rejections_}) {
    for (const Command& command : *list) {
      if (command.message) out.push_back(*command.message);
    }
  }
  return out;
}

// The workflow task that began at events_[started] was failed or timed out: what it was told is told again.
bool Replay::in_vain(std::size_t started) const {
  if (started + 1 >= events_.size()) return false;
  const auto type = events_[started + 1].event_type();
  return type == enums::EVENT_TYPE_WORKFLOW_TASK_FAILED || type == enums::EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT;
}

std::expected<std::optional<Activation>, NonDeterminism> Replay::next() {
  events_.erase(events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(consumed_));
  consumed_ = 0;
  if (auto matched = match_commands(); !matched) return std::unexpected(matched.error());
  Activation activation;
  for (std::size_t i = consumed_; i < events_.size(); ++i) {
    const Event& event = events_[i];
    if (event.event_type() != enums::EVENT_TYPE_WORKFLOW_TASK_STARTED || in_vain(i)) {
      add_jobs(event, activation);
      continue;
    }
    const auto& started = event.workflow_task_started_event_attributes();
    activation.now_nanos = convert::nanoseconds(event.event_time());
    activation.started_event_id = event.event_id();
    activation.history_bytes = started.history_size_bytes();
    activation.continue_as_new_suggested = started.suggest_continue_as_new();
    activation.replaying = i + 1 < events_.size();
    consumed_ = i + 1;
    if (activation.replaying) {
      look_ahead(i + 1, activation);
    } else {
      add_offered(activation);
    }
    return activation;
  }
  return std::nullopt;
}

// What the task's commands recorded, which its code needs while it runs.
void Replay::look_ahead(std::size_t from, Activation& activation) const {
  if (from >= events_.size()) return;
  const auto& completed = events_[from].workflow_task_completed_event_attributes();
  activation.build_id = completed.deployment_version().build_id();
  for (std::size_t i = from + 1; i < events_.size() && is_command_event(events_[i]); ++i) {
    const Event& event = events_[i];
    if (auto patch = patch_of(event)) {
      activation.patches.push_back(std::move(*patch));
    } else if (event.marker_recorded_event_attributes().marker_name() == kSideEffectMarker) {
      activation.side_effects.push_back(&event);
    } else if (event.marker_recorded_event_attributes().marker_name() == kLocalActivityMarker) {
      activation.local_activities.push_back(&event);
    } else if (event.has_workflow_execution_update_accepted_event_attributes()) {
      activation.jobs.push_back(accepted_update(event));
    }
  }
}

Job Replay::accepted_update(const Event& event) const {
  const auto& accepted = event.workflow_execution_update_accepted_event_attributes();
  auto update = std::make_shared<Update>();
  update->instance_id = accepted.protocol_instance_id();
  update->message_id = accepted.accepted_request_message_id();
  update->sequencing_event_id = accepted.accepted_request_sequencing_event_id();
  update->accepted = true;
  update->request = accepted.accepted_request();
  const auto admitted = admitted_.find(update->instance_id);
  if (!accepted.has_accepted_request() && admitted != admitted_.end()) update->request = admitted->second;
  return {JobKind::kUpdate, 0, nullptr, std::move(update)};
}

void Replay::add_offered(Activation& activation) {
  for (const Message& message : std::exchange(offered_, {})) {
    auto update = std::make_shared<Update>();
    update->instance_id = message.protocol_instance_id();
    update->message_id = message.id();
    update->sequencing_event_id = message.event_id();
    const auto admitted = admitted_.find(update->instance_id);
    if (!message.body().UnpackTo(&update->request)) {
      if (admitted == admitted_.end()) continue;  // a message of a protocol that is not known
      update->request = admitted->second;
    }
    activation.jobs.push_back({JobKind::kUpdate, 0, nullptr, std::move(update)});
  }
}

// Consumes the completion of the last activation and the events that its commands became.
std::expected<void, NonDeterminism> Replay::match_commands() {
  if (!activated_ || events_.empty()) return {};
  if (events_.front().event_type() != enums::EVENT_TYPE_WORKFLOW_TASK_COMPLETED) return {};
  activated_ = false;
  std::size_t at = 1;
  std::size_t command = 0;
  while (at < events_.size() && is_command_event(events_[at])) {
    const Event& event = events_[at];
    bool deprecated = false;
    const bool patch = patch_of(event, &deprecated).has_value();
    if (command < recorded_.size()) {
      auto matched = match(recorded_[command], event);
      if (matched && *matched) {
        ++command;
        ++at;
        continue;
      }
      if (recorded_[command].deprecated_patch) {  // may be missing in history
        ++command;
        continue;
      }
      if (!(patch && deprecated)) return std::unexpected(matched.error());
    } else if (!(patch && deprecated)) {
      return std::unexpected(NonDeterminism{event.event_id(), "event " + std::to_string(event.event_id()) +
                                                                  " " + describe(event) +
                                                                  ", but the code asked for nothing more"});
    }
    ++at;  // code that no longer mentions a deprecated patch
  }
  while (command < recorded_.size() && recorded_[command].deprecated_patch) ++command;
  if (command < recorded_.size()) {
    const std::int64_t completed = events_.front().event_id();
    return std::unexpected(
        NonDeterminism{completed, "the workflow task completed by event " + std::to_string(completed) +
                                      " has nothing more, but " + place(recorded_[command].where) +
                                      " asked " + describe(recorded_[command])});
  }
  recorded_.clear();
  matched_event_id_ = events_[at - 1].event_id();
  consumed_ = at;
  return {};
}

std::expected<bool, NonDeterminism> Replay::match(const Command& command, const Event& event) {
  std::int64_t activity = 0;
  if (const auto found = event_of_sequence_.find(command.sequence); found != event_of_sequence_.end())
    activity = found->second;
  if (!answers(command, event, activity)) {
    return std::unexpected(NonDeterminism{
        event.event_id(), "event " + std::to_string(event.event_id()) + " " + describe(event) + ", but " +
                              place(command.where) + " asked " + describe(command)});
  }
  if (command.kind == CommandKind::kScheduleActivity || command.kind == CommandKind::kStartChild ||
      command.kind == CommandKind::kSignalExternal || command.kind == CommandKind::kCancelExternal) {
    sequence_of_event_[event.event_id()] = command.sequence;
    event_of_sequence_[command.sequence] = event.event_id();
  }
  return true;
}

// The number of the command whose event an event refers to.
std::uint64_t Replay::answered(const Event& event) const {
  std::int64_t id = 0;
  switch (event.event_type()) {
#define PERDURE_ANSWERS(TYPE, field, member) \
  case enums::EVENT_TYPE_##TYPE: id = event.field##_event_attributes().member(); break;
    PERDURE_ANSWERS(ACTIVITY_TASK_COMPLETED, activity_task_completed, scheduled_event_id)
    PERDURE_ANSWERS(ACTIVITY_TASK_FAILED, activity_task_failed, scheduled_event_id)
    PERDURE_ANSWERS(ACTIVITY_TASK_TIMED_OUT, activity_task_timed_out, scheduled_event_id)
    PERDURE_ANSWERS(ACTIVITY_TASK_CANCELED, activity_task_canceled, scheduled_event_id)
    PERDURE_ANSWERS(CHILD_WORKFLOW_EXECUTION_STARTED, child_workflow_execution_started, initiated_event_id)
    PERDURE_ANSWERS(START_CHILD_WORKFLOW_EXECUTION_FAILED, start_child_workflow_execution_failed,
                    initiated_event_id)
    PERDURE_ANSWERS(CHILD_WORKFLOW_EXECUTION_COMPLETED, child_workflow_execution_completed,
                    initiated_event_id)
    PERDURE_ANSWERS(CHILD_WORKFLOW_EXECUTION_FAILED, child_workflow_execution_failed, initiated_event_id)
    PERDURE_ANSWERS(CHILD_WORKFLOW_EXECUTION_CANCELED, child_workflow_execution_canceled, initiated_event_id)
    PERDURE_ANSWERS(CHILD_WORKFLOW_EXECUTION_TIMED_OUT, child_workflow_execution_timed_out,
                    initiated_event_id)
    PERDURE_ANSWERS(CHILD_WORKFLOW_EXECUTION_TERMINATED, child_workflow_execution_terminated,
                    initiated_event_id)
    PERDURE_ANSWERS(EXTERNAL_WORKFLOW_EXECUTION_SIGNALED, external_workflow_execution_signaled,
                    initiated_event_id)
    PERDURE_ANSWERS(SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED, signal_external_workflow_execution_failed,
                    initiated_event_id)
    PERDURE_ANSWERS(EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
                    external_workflow_execution_cancel_requested, initiated_event_id)
    PERDURE_ANSWERS(REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
                    request_cancel_external_workflow_execution_failed, initiated_event_id)
#undef PERDURE_ANSWERS
    default: return 0;
  }
  const auto found = sequence_of_event_.find(id);
  return found == sequence_of_event_.end() ? 0 : found->second;
}

void Replay::add_jobs(const Event& event, Activation& activation) {
  const auto add = [&](JobKind kind, std::uint64_t sequence = 0) {
    activation.jobs.push_back({kind, sequence, &event, nullptr});
  };
  switch (event.event_type()) {
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: return add(JobKind::kStart);
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: return add(JobKind::kSignal);
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED: return add(JobKind::kCancelRequested);
    case enums::EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
    case enums::EVENT_TYPE_ACTIVITY_TASK_FAILED:
    case enums::EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
    case enums::EVENT_TYPE_ACTIVITY_TASK_CANCELED: return add(JobKind::kActivity, answered(event));
    case enums::EVENT_TYPE_TIMER_FIRED:
      return add(JobKind::kTimer,
                 std::strtoull(event.timer_fired_event_attributes().timer_id().c_str(), nullptr, 10));
    case enums::EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
    case enums::EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED:
      return add(JobKind::kChildStarted, answered(event));
    case enums::EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED:
    case enums::EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED:
    case enums::EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED:
    case enums::EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT:
    case enums::EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED: return add(JobKind::kChild, answered(event));
    case enums::EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED:
    case enums::EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED:
      return add(JobKind::kExternalSignal, answered(event));
    case enums::EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
    case enums::EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED:
      return add(JobKind::kExternalCancel, answered(event));
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED: {
      const auto& request = event.workflow_execution_update_admitted_event_attributes().request();
      admitted_[request.meta().update_id()] = request;
      return;
    }
    default: return;
  }
}

}  // namespace perdure::replay
