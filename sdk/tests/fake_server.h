// One workflow run against a server of a few lines: it keeps a history, turns commands into events, and
// answers when told to.
//
// After every workflow task the whole history is also replayed into a fresh run, which must record the same
// commands: eviction at every point, and non-determinism, are tested along with everything else.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "sdk/src/payload/convert.h"
#include "sdk/src/replay/replay.h"
#include "sdk/src/runtime/run.h"

namespace perdure::test {

namespace enums = temporal::api::enums::v1;
using replay::Event;

class FakeServer {
 public:
  template <class... A>
  FakeServer(detail::WorkflowDefinition definition, A... arguments) {
    const std::string name = definition.name;
    definitions_.emplace(name, std::move(definition));
    auto* started = add(enums::EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
                        .mutable_workflow_execution_started_event_attributes();
    started->mutable_workflow_type()->set_name(name);
    started->mutable_task_queue()->set_name("queue");
    started->set_original_execution_run_id("run");
    started->set_attempt(1);
    convert::to_wire(detail::ArgumentList<std::tuple<A...>>::encode_all(arguments...),
                     started->mutable_input());
  }

  // One workflow task. The commands, in order, as "StartTimer(1s) RequestCancelActivity …".
  std::string task() {
    add(enums::EVENT_TYPE_WORKFLOW_TASK_SCHEDULED);
    const std::int64_t scheduled = last_id_;
    auto* started =
        add(enums::EVENT_TYPE_WORKFLOW_TASK_STARTED).mutable_workflow_task_started_event_attributes();
    started->set_scheduled_event_id(scheduled);
    started->set_suggest_continue_as_new(suggest_continue_as_new);
    live_.replay.offer(std::exchange(messages_, {}));
    std::vector<replay::Command> commands = feed(live_);
    run_locals(commands);
    add(enums::EVENT_TYPE_WORKFLOW_TASK_COMPLETED);
    std::string names;
    commands_ = commands;
    for (const replay::Command& command : commands) {
      names += (names.empty() ? "" : " ") + replay::describe(command);
      answer(command);
    }
    check_replay();
    return names;
  }

  void fire_timer(int number) {
    auto* fired = add(enums::EVENT_TYPE_TIMER_FIRED).mutable_timer_fired_event_attributes();
    fired->set_timer_id(timers_.at(static_cast<std::size_t>(number)));
  }
  template <class T>
  void complete_activity(int number, T result) {
    auto* done =
        add(enums::EVENT_TYPE_ACTIVITY_TASK_COMPLETED).mutable_activity_task_completed_event_attributes();
    done->set_scheduled_event_id(activities_.at(static_cast<std::size_t>(number)));
    convert::to_wire(Payloads{detail::encode<T>(result)}, done->mutable_result());
  }
  void fail_activity(int number, const std::string& message) {
    auto* failed =
        add(enums::EVENT_TYPE_ACTIVITY_TASK_FAILED).mutable_activity_task_failed_event_attributes();
    failed->set_scheduled_event_id(activities_.at(static_cast<std::size_t>(number)));
    convert::to_wire(std::make_exception_ptr(ApplicationFailure(message)), failed->mutable_failure());
  }
  void cancel_activity(int number) {
    auto* cancelled =
        add(enums::EVENT_TYPE_ACTIVITY_TASK_CANCELED).mutable_activity_task_canceled_event_attributes();
    cancelled->set_scheduled_event_id(activities_.at(static_cast<std::size_t>(number)));
  }
  void start_child(int number) {
    auto* started = add(enums::EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED)
                        .mutable_child_workflow_execution_started_event_attributes();
    started->set_initiated_event_id(initiated_.at(static_cast<std::size_t>(number)));
    started->mutable_workflow_execution()->set_run_id("child-run");
  }
  void refuse_child(int number) {
    add(enums::EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED)
        .mutable_start_child_workflow_execution_failed_event_attributes()
        ->set_initiated_event_id(initiated_.at(static_cast<std::size_t>(number)));
  }
  template <class T>
  void complete_child(int number, T result) {
    auto* done = add(enums::EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED)
                     .mutable_child_workflow_execution_completed_event_attributes();
    done->set_initiated_event_id(initiated_.at(static_cast<std::size_t>(number)));
    convert::to_wire(Payloads{detail::encode<T>(result)}, done->mutable_result());
  }
  void cancel_child(int number) {
    add(enums::EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED)
        .mutable_child_workflow_execution_canceled_event_attributes()
        ->set_initiated_event_id(initiated_.at(static_cast<std::size_t>(number)));
  }
  void deliver_signal(int number) {
    add(enums::EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED)
        .mutable_external_workflow_execution_signaled_event_attributes()
        ->set_initiated_event_id(initiated_.at(static_cast<std::size_t>(number)));
  }
  void refuse_cancel(int number) {
    add(enums::EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED)
        .mutable_request_cancel_external_workflow_execution_failed_event_attributes()
        ->set_initiated_event_id(initiated_.at(static_cast<std::size_t>(number)));
  }
  void deliver_cancel(int number) {
    add(enums::EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED)
        .mutable_external_workflow_execution_cancel_requested_event_attributes()
        ->set_initiated_event_id(initiated_.at(static_cast<std::size_t>(number)));
  }
  // Of the event that starts the workflow; before the first task.
  temporal::api::history::v1::WorkflowExecutionStartedEventAttributes& started() {
    return *history_.front().mutable_workflow_execution_started_event_attributes();
  }
  template <class... A>
  void signal(const std::string& name, A... arguments) {
    auto* signaled = add(enums::EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
                         .mutable_workflow_execution_signaled_event_attributes();
    signaled->set_signal_name(name);
    convert::to_wire(detail::ArgumentList<std::tuple<A...>>::encode_all(arguments...),
                     signaled->mutable_input());
  }
  // Comes with the next task.
  template <class... A>
  void update(const std::string& id, const std::string& name, A... arguments) {
    temporal::api::update::v1::Request request;
    request.mutable_meta()->set_update_id(id);
    request.mutable_input()->set_name(name);
    convert::to_wire(detail::ArgumentList<std::tuple<A...>>::encode_all(arguments...),
                     request.mutable_input()->mutable_args());
    replay::Message* message = messages_.Add();
    message->set_id(id + "/request");
    message->set_protocol_instance_id(id);
    message->set_event_id(last_id_ + 1);
    message->mutable_body()->PackFrom(request);
  }
  // Known from history before it is accepted, as after a reset; the message of the next task has no request.
  template <class... A>
  void admit(const std::string& id, const std::string& name, A... arguments) {
    update(id, name, arguments...);
    replay::Message* message = messages_.Mutable(messages_.size() - 1);
    message->mutable_body()->UnpackTo(add(enums::EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED)
                                          .mutable_workflow_execution_update_admitted_event_attributes()
                                          ->mutable_request());
    message->clear_body();
  }
  // A task that did nothing but reject: the server forgets it, with its events.
  std::string dropped_task() {
    const std::size_t kept = history_.size();
    const std::int64_t last = last_id_;
    const std::string commands = task();
    history_.resize(kept);
    last_id_ = last;
    live_.fed = kept;
    live_.replay.take_back();
    return commands;
  }
  // "= VALUE as JSON", "failed: …", "rejected: …", "accepted", or nothing.
  std::string outcome(const std::string& id) const {
    const auto found = outcomes_.find(id);
    return found == outcomes_.end() ? "" : found->second;
  }
  void cancel() { add(enums::EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED); }

  bool closed() const { return closed_; }
  template <class T>
  T result() const {
    return detail::decode<T>(result_);
  }
  const std::string& failure() const { return failure_; }
  // Of the last task, as it went out.
  const temporal::api::command::v1::Command& command(std::size_t index) const {
    return commands_.at(index).wire;
  }
  const std::vector<std::string>& logged() const { return logged_; }  // "level event", not of replays
  detail::Run& run() { return *live_.run; }
  std::vector<Event>& history() { return history_; }

  // Replays the history into fresh code. Returns what is wrong, or nothing.
  std::string replay_into(detail::WorkflowDefinition definition) {
    std::map<std::string, detail::WorkflowDefinition, std::less<>> definitions;
    definitions.emplace(definition.name, std::move(definition));
    Copy copy;
    for (;;) {
      auto next = step(copy, definitions);
      if (!next.error.empty() || !next.more) return next.error;
    }
  }

  bool suggest_continue_as_new = false;
  std::vector<std::shared_ptr<WorkerInterceptor>> interceptors;  // before the first task
  std::shared_ptr<FailureConverter> failures;                    // likewise
  // How local activities end: while it is null, tasks end as heartbeats and leave them running.
  std::function<detail::LocalResult(const detail::LocalActivity&)> local;
  bool newest_local_first = false;
  template <class T>
  static detail::LocalResult local_value(T value) {
    detail::LocalResult result;
    result.result = {detail::encode<T>(value)};
    return result;
  }

 private:
  struct Copy {
    replay::Replay replay;
    std::unique_ptr<detail::Run> run;
    std::size_t fed = 0;
    std::string last;  // commands
  };
  struct Step {
    bool more = false;
    std::string error;
    std::vector<replay::Command> commands;
  };

  Event& add(enums::EventType type) {
    Event& event = history_.emplace_back();
    event.set_event_id(++last_id_);
    event.set_event_type(type);
    event.mutable_event_time()->set_seconds(1'000'000 + last_id_);
    return event;
  }

  Step step(Copy& copy, const std::map<std::string, detail::WorkflowDefinition, std::less<>>& definitions) {
    if (!copy.run) {
      detail::RunSettings settings;
      settings.definitions = &definitions;
      settings.info.run_id = "run";
      if (&copy == &live_) {
        settings.log = [this](const LogRecord& record) {
          logged_.push_back(std::string(level_name(record.level)) + " " + std::string(record.event));
        };
      }
      settings.interceptors = interceptors;
      settings.failures = failures;
      copy.run = std::make_unique<detail::Run>(std::move(settings));
    }
    google::protobuf::RepeatedPtrField<Event> events;
    for (; copy.fed < history_.size(); ++copy.fed) *events.Add() = history_[copy.fed];
    EXPECT_TRUE(copy.replay.append(std::move(events)));
    auto activation = copy.replay.next();
    if (!activation) return {false, activation.error().message, {}};
    if (!*activation) return {};
    Step step;
    step.more = true;
    step.commands = copy.run->activate(**activation);
    copy.replay.record(step.commands);
    return step;
  }

  std::vector<replay::Command> feed(Copy& copy) {
    for (std::vector<replay::Command> last;;) {
      Step next = step(copy, definitions_);
      EXPECT_EQ(next.error, "");
      if (!next.more) return last;
      last = std::move(next.commands);
    }
  }

  void run_locals(std::vector<replay::Command>& commands) {
    while (live_.run->waits_for_local_activities()) {
      for (const auto& fresh : live_.run->new_local_activities()) locals_.push_back(fresh);
      if (!local || locals_.empty()) break;
      const auto at = newest_local_first ? std::prev(locals_.end()) : locals_.begin();
      const auto one = *at;
      locals_.erase(at);
      for (auto& command : live_.run->resolve_local(one->sequence, local(*one)))
        commands.push_back(std::move(command));
    }
    live_.replay.record(commands);
  }

  void check_replay() {
    Copy copy;
    for (;;) {
      const Step next = step(copy, definitions_);
      EXPECT_EQ(next.error, "");
      if (!next.more) return;
    }
  }

  void answer(const replay::Command& command) {
    const auto& wire = command.wire;
    switch (command.kind) {
      case replay::CommandKind::kScheduleActivity: {
        const auto& asked = wire.schedule_activity_task_command_attributes();
        auto* event =
            add(enums::EVENT_TYPE_ACTIVITY_TASK_SCHEDULED).mutable_activity_task_scheduled_event_attributes();
        event->set_activity_id(asked.activity_id());
        *event->mutable_activity_type() = asked.activity_type();
        scheduled_by_sequence_[command.sequence] = last_id_;
        activities_.push_back(last_id_);
        return;
      }
      case replay::CommandKind::kCancelActivity:
        add(enums::EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED)
            .mutable_activity_task_cancel_requested_event_attributes()
            ->set_scheduled_event_id(scheduled_by_sequence_[command.sequence]);
        return;
      case replay::CommandKind::kStartTimer:
        timers_.push_back(wire.start_timer_command_attributes().timer_id());
        add(enums::EVENT_TYPE_TIMER_STARTED)
            .mutable_timer_started_event_attributes()
            ->set_timer_id(timers_.back());
        return;
      case replay::CommandKind::kCancelTimer:
        add(enums::EVENT_TYPE_TIMER_CANCELED)
            .mutable_timer_canceled_event_attributes()
            ->set_timer_id(wire.cancel_timer_command_attributes().timer_id());
        return;
      case replay::CommandKind::kMarker:
      case replay::CommandKind::kPatch: {
        auto* event = add(enums::EVENT_TYPE_MARKER_RECORDED).mutable_marker_recorded_event_attributes();
        event->set_marker_name(wire.record_marker_command_attributes().marker_name());
        *event->mutable_details() = wire.record_marker_command_attributes().details();
        if (wire.record_marker_command_attributes().has_failure())
          *event->mutable_failure() = wire.record_marker_command_attributes().failure();
        return;
      }
      case replay::CommandKind::kStartChild: {
        const auto& asked = wire.start_child_workflow_execution_command_attributes();
        auto* event = add(enums::EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED)
                          .mutable_start_child_workflow_execution_initiated_event_attributes();
        event->set_workflow_id(asked.workflow_id());
        *event->mutable_workflow_type() = asked.workflow_type();
        initiated_.push_back(last_id_);
        return;
      }
      case replay::CommandKind::kSignalExternal:
        add(enums::EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED)
            .mutable_signal_external_workflow_execution_initiated_event_attributes()
            ->set_signal_name(wire.signal_external_workflow_execution_command_attributes().signal_name());
        initiated_.push_back(last_id_);
        return;
      case replay::CommandKind::kCancelExternal:
        add(enums::EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED)
            .mutable_request_cancel_external_workflow_execution_initiated_event_attributes();
        initiated_.push_back(last_id_);
        return;
      case replay::CommandKind::kUpsertSearchAttributes:
      case replay::CommandKind::kModifyProperties: return answer_attributes(command);
      case replay::CommandKind::kAcceptUpdate:
      case replay::CommandKind::kCompleteUpdate:
      case replay::CommandKind::kRejectUpdate: return answer_update(command);
      default: return close(command);
    }
  }

  void answer_attributes(const replay::Command& command) {
    const auto& wire = command.wire;
    if (command.kind == replay::CommandKind::kUpsertSearchAttributes) {
      *add(enums::EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES)
           .mutable_upsert_workflow_search_attributes_event_attributes()
           ->mutable_search_attributes() =
          wire.upsert_workflow_search_attributes_command_attributes().search_attributes();
    } else {
      *add(enums::EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED)
           .mutable_workflow_properties_modified_event_attributes()
           ->mutable_upserted_memo() = wire.modify_workflow_properties_command_attributes().upserted_memo();
    }
  }

  void answer_update(const replay::Command& command) {
    namespace api = temporal::api::update::v1;
    api::Acceptance acceptance;
    api::Response response;
    api::Rejection rejection;
    const std::string& id = command.message->protocol_instance_id();
    const auto text = [](const temporal::api::failure::v1::Failure& failure) {
      return describe(convert::from_wire(failure));
    };
    if (command.message->body().UnpackTo(&rejection)) {
      outcomes_[id] = "rejected: " + text(rejection.failure());
    } else if (command.message->body().UnpackTo(&acceptance)) {
      auto* event = add(enums::EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED)
                        .mutable_workflow_execution_update_accepted_event_attributes();
      event->set_protocol_instance_id(id);
      event->set_accepted_request_message_id(acceptance.accepted_request_message_id());
      event->set_accepted_request_sequencing_event_id(acceptance.accepted_request_sequencing_event_id());
      *event->mutable_accepted_request() = acceptance.accepted_request();
      outcomes_[id] = "accepted";
    } else if (command.message->body().UnpackTo(&response)) {
      auto* event = add(enums::EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED)
                        .mutable_workflow_execution_update_completed_event_attributes();
      *event->mutable_meta() = response.meta();
      *event->mutable_outcome() = response.outcome();
      outcomes_[id] = response.outcome().has_failure()
                          ? "failed: " + text(response.outcome().failure())
                          : "= " + response.outcome().success().payloads(0).data();
    }
  }

  void close(const replay::Command& command) {
    closed_ = true;
    switch (command.kind) {
      case replay::CommandKind::kComplete:
        result_ = convert::from_wire(
            command.wire.complete_workflow_execution_command_attributes().result().payloads(0));
        add(enums::EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED)
            .mutable_workflow_execution_completed_event_attributes();
        return;
      case replay::CommandKind::kFail:
        failure_ =
            describe(convert::from_wire(command.wire.fail_workflow_execution_command_attributes().failure()));
        add(enums::EVENT_TYPE_WORKFLOW_EXECUTION_FAILED).mutable_workflow_execution_failed_event_attributes();
        return;
      case replay::CommandKind::kCancel:
        add(enums::EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED)
            .mutable_workflow_execution_canceled_event_attributes();
        return;
      case replay::CommandKind::kContinueAsNew:
        add(enums::EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW)
            .mutable_workflow_execution_continued_as_new_event_attributes();
        return;
      default: FAIL() << "a command that this server does not know";
    }
  }

  std::map<std::string, detail::WorkflowDefinition, std::less<>> definitions_;
  std::vector<Event> history_;
  std::int64_t last_id_ = 0;
  Copy live_;
  std::vector<std::int64_t> activities_, initiated_;
  std::map<std::uint64_t, std::int64_t> scheduled_by_sequence_;
  std::vector<std::string> timers_;
  google::protobuf::RepeatedPtrField<replay::Message> messages_;
  std::map<std::string, std::string> outcomes_;
  std::vector<std::shared_ptr<const detail::LocalActivity>> locals_;
  bool closed_ = false;
  Payload result_;
  std::string failure_;
  std::vector<std::string> logged_;
  std::vector<replay::Command> commands_;
};

}  // namespace perdure::test
