// RespondWorkflowTaskCompleted: the heart of the server. Event 7, the commands in order, then what comes next (WT-20…33).
#include "server/core/workflow/complete_workflow_task.h"

#include <algorithm>

#include "server/core/activity/activity.h"
#include "server/core/errors.h"
#include "server/core/workflow/completion.h"
#include "server/core/workflow/lifecycle.h"
#include "server/core/workflow/workflow_task.h"

namespace perdure::core {
namespace {

constexpr char kInlineRequestId[] = "request-from-RespondWorkflowTaskCompleted";

using CommandFunction = CommandResult (*)(Completion&, command::Command&);

struct CommandRow {
  enums::CommandType type;
  CommandFunction carry_out;
  bool closes;
};

constexpr CommandRow kCommands[] = {
    {enums::COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK, schedule_activity, false},
    {enums::COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK, request_cancel_activity, false},
    {enums::COMMAND_TYPE_START_TIMER, start_timer, false},
    {enums::COMMAND_TYPE_CANCEL_TIMER, cancel_timer, false},
    {enums::COMMAND_TYPE_RECORD_MARKER, record_marker, false},
    {enums::COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES, upsert_search_attributes, false},
    {enums::COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES, modify_properties, false},
    {enums::COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION, signal_external, false},
    {enums::COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION, request_cancel_external, false},
    {enums::COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION, complete_workflow, true},
    {enums::COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION, fail_workflow, true},
    {enums::COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION, cancel_workflow, true},
    {enums::COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION, continue_as_new, true},
};

const CommandRow* row_of(enums::CommandType type) {
  for (const CommandRow& row : kCommands)
    if (row.type == type) return &row;
  return nullptr;
}

// "COMMAND_TYPE_START_TIMER" as people read it: "StartTimer".
std::string readable(enums::CommandType type) {
  std::string name;
  bool upper = true;
  for (const char c : enums::CommandType_Name(type).substr(std::string_view("COMMAND_TYPE_").size())) {
    if (c != '_') name += upper ? c : static_cast<char>(c - 'A' + 'a');
    upper = c == '_';
  }
  return name;
}

Error refuse_after(const command::Command& closing, const wfs::RespondWorkflowTaskCompletedRequest& request) {
  constexpr int kMostNamed = 20;
  std::string names;
  for (int i = 0; i < std::min(request.commands_size(), kMostNamed); ++i)
    names += (i == 0 ? "" : ", ") + readable(request.commands(i).command_type());
  if (request.commands_size() > kMostNamed) names += ", …";
  return Error{Code::kInvalidArgument,
               "invalid command sequence: [" + names + "], command " + readable(closing.command_type()) +
                   " must be the last command.",
               {}};
}

// What no worker may send, whatever its commands say: refused, nothing is written, the task stays started.
std::optional<Error> refuse_sequence(const wfs::RespondWorkflowTaskCompletedRequest& request) {
  const command::Command* closing = nullptr;
  for (const command::Command& command : request.commands()) {
    const CommandRow* row = row_of(command.command_type());
    if (!row) {
      return Error{Code::kInvalidArgument,
                   "Command type " + enums::CommandType_Name(command.command_type()) + " is not supported.",
                   {}};
    }
    if (closing) return refuse_after(*closing, request);
    if (row->closes) closing = &command;
  }
  if (request.messages_size() > 0)
    return Error{Code::kInvalidArgument, "messages: protocol messages are not supported.", {}};
  return std::nullopt;
}

// A cancelled timer's fire that still waits in the buffer does not count (WT-23).
bool closes_over_buffered(const RunDraft& run, const wfs::RespondWorkflowTaskCompletedRequest& request) {
  if (!run.has_buffered()) return false;
  if (request.commands().empty() || !row_of(request.commands().rbegin()->command_type())->closes)
    return false;
  return run.has_buffered([&](const HistoryEvent& event) {
    if (event.event_type() != enums::EVENT_TYPE_TIMER_FIRED) return true;
    const std::string& timer = event.timer_fired_event_attributes().timer_id();
    return std::none_of(request.commands().begin(), request.commands().end(),
                        [&](const command::Command& command) {
                          return command.command_type() == enums::COMMAND_TYPE_CANCEL_TIMER &&
                                 command.cancel_timer_command_attributes().timer_id() == timer;
                        });
  });
}

std::string cause_name(enums::WorkflowTaskFailedCause cause) {
  static const std::string kPrefix = "WORKFLOW_TASK_FAILED_CAUSE_";
  std::string name;
  bool upper = true;
  for (const char c : enums::WorkflowTaskFailedCause_Name(cause).substr(kPrefix.size())) {
    if (c == '_') {
      upper = true;
      continue;
    }
    name += upper ? c : static_cast<char>(c - 'A' + 'a');
    upper = false;
  }
  return name;
}

// The completion is void: everything it drafted is dropped, the task failed, the next attempt scheduled (WT-22).
Decision fail_completion(const UnitDraft& dropped, const CompleteWorkflowTask& command,
                         const CommandError& error) {
  UnitDraft unit(dropped.loaded(), dropped.env());
  RunDraft& run = *unit.find_run(command.task.run_id);
  const bool unhandled = error.cause == enums::WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND;
  std::string text = cause_name(error.cause);
  if (!error.message.empty()) text += ": " + error.message;
  Error answer{Code::kInvalidArgument, text, {}};
  if (run.task_now().attempt() > 1 && !unhandled && !error.terminates)
    return UnitDraft::refuse(std::move(answer));
  temporal::api::failure::v1::Failure failure;
  failure.set_message(text);
  failure.mutable_server_failure_info();
  const TaskFailure failed{.cause = error.cause,
                           .failure = &failure,
                           .identity = command.request.identity(),
                           .binary_checksum = command.request.binary_checksum()};
  if (error.terminates) {
    fail_last_workflow_task(run, failed);
    terminate_run(unit, run, text, "history-service", nullptr);
  } else {
    fail_workflow_task(run, failed, unit.env());
    if (unhandled) run.progress().set_closing(true);
  }
  return unit.finish(std::unexpected(std::move(answer)));
}

void bind_sticky(RunDraft& run, const wfs::RespondWorkflowTaskCompletedRequest& request) {
  pb::RunProgress& progress = run.progress();
  if (request.has_sticky_attributes() && !request.sticky_attributes().worker_task_queue().name().empty()) {
    progress.set_sticky_queue(request.sticky_attributes().worker_task_queue().name());
    progress.set_sticky_timeout(nanos(request.sticky_attributes().schedule_to_start_timeout()));
  } else {
    progress.clear_sticky_queue();
    progress.clear_sticky_timeout();
  }
}

// A heartbeat of a workflow task that goes on for too long is cut (WT-25).
bool heartbeat_too_long(const pb::WorkflowTask& task, const wfs::RespondWorkflowTaskCompletedRequest& request,
                        const Env& env) {
  return request.force_create_new_workflow_task() && request.commands().empty() &&
         env.now - time_of(task.original_scheduled_time()) > env.limits.max_task_heartbeat;
}

Decision end_heartbeats(UnitDraft& unit, RunDraft& run) {
  auto& attributes = *run.append(enums::EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT)
                          .mutable_workflow_task_timed_out_event_attributes();
  attributes.set_scheduled_event_id(run.task_now().scheduled_id());
  attributes.set_started_event_id(run.task_now().started_id());
  attributes.set_timeout_type(enums::TIMEOUT_TYPE_START_TO_CLOSE);
  run.progress().clear_sticky_queue();
  run.progress().clear_sticky_timeout();
  run.progress().clear_task();
  run.progress().set_task_attempt(1);
  run.flush_buffered();
  schedule_workflow_task(run, unit.env());
  return unit.finish(std::unexpected(not_found("workflow task heartbeat timeout")));
}

CommandResult carry_out_commands(Completion& completion, wfs::RespondWorkflowTaskCompletedRequest& request) {
  for (command::Command& command : *request.mutable_commands()) {
    const std::int64_t before = completion.run.next_event_id();
    if (auto result = row_of(command.command_type())->carry_out(completion, command); !result) return result;
    if (command.has_user_metadata()) completion.run.set_user_metadata(before, command.user_metadata());
  }
  return {};
}

// Whether the workflow must look again at once, and who gets that task (WT-26, WT-33).
std::optional<WorkflowTaskStarted> next_task(Completion& completion, const pb::WorkflowTask& done,
                                             bool flushed) {
  RunDraft& run = completion.run;
  const auto& request = completion.request;
  if (!run.running()) return std::nullopt;
  const bool heartbeat = request.force_create_new_workflow_task() && !flushed;
  if (!heartbeat && !flushed && !completion.wake_needed && !request.force_create_new_workflow_task())
    return std::nullopt;
  const bool only_heartbeat = heartbeat && request.commands().empty();
  schedule_workflow_task(run, completion.env, only_heartbeat ? done.original_scheduled_time() : 0);
  if (!request.return_new_workflow_task()) return std::nullopt;
  const TaskStart start{.identity = request.identity(),
                        .request_id = kInlineRequestId,
                        .build_id = request.worker_version_stamp().build_id(),
                        .sticky = run.task_now().on_sticky_queue()};
  WorkflowTaskStarted started = start_workflow_task_now(run, start, completion.env);
  started.first_event_id = started.previous_started_id + 1;  // the worker has what came before
  return started;
}

bool too_long(const RunDraft& run, const Env& env) {
  return run.next_event_id() - 1 > env.limits.history_events || run.history_size() > env.limits.history_size;
}

}  // namespace

Decision complete_workflow_task(UnitDraft& unit, CompleteWorkflowTask command) {
  RunDraft* found = unit.find_run(command.task.run_id);
  if (!found) return UnitDraft::refuse(workflow_not_found(unit.loaded().workflow_id, command.task.run_id));
  RunDraft& run = *found;
  const pb::WorkflowTask task = run.task_now();
  if (!run.running() || task.started_id() == 0 || task.nonce() != command.task.nonce ||
      task.scheduled_id() != command.task.scheduled_id) {
    return UnitDraft::refuse(run.running() ? workflow_task_not_found() : workflow_completed());
  }
  if (auto refused = refuse_sequence(command.request)) return UnitDraft::refuse(std::move(*refused));
  if (heartbeat_too_long(task, command.request, unit.env())) return end_heartbeats(unit, run);
  if (closes_over_buffered(run, command.request)) {
    return fail_completion(unit, command, {enums::WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND, ""});
  }
  const bool flush = run.has_buffered();
  Completion completion{.unit = unit, .run = run, .env = unit.env(), .request = command.request};
  completion.has_buffered_at_start = flush;
  completion.completed_id = write_task_completed(run, command.request, unit.env());
  bind_sticky(run, command.request);
  if (auto result = carry_out_commands(completion, command.request); !result) {
    if (result.error().refuses) return UnitDraft::refuse(std::move(*result.error().refuses));
    return fail_completion(unit, command, result.error());
  }
  const bool flushed = run.running() && run.flush_buffered();
  WorkflowTaskCompleted answer;
  if (run.running() && too_long(run, unit.env())) {
    terminate_run(unit, run,
                  run.next_event_id() - 1 > unit.env().limits.history_events
                      ? "Workflow history count exceeds limit."
                      : "Workflow history size exceeds limit.",
                  "history-service", nullptr);
    return unit.finish(std::move(answer));
  }
  for (const std::int64_t id : completion.eager_activities) {
    if (!run.running() || !run.state().activities.contains(id)) continue;
    answer.eager_activities.push_back(
        start_activity_now(run, id, command.request.identity(), unit.env().random.uuid(),
                           command.request.worker_version_stamp().build_id(), unit.env()));
  }
  answer.new_task = next_task(completion, task, flushed);
  return unit.finish(std::move(answer));
}

Decision fail_workflow_task(UnitDraft& unit, FailWorkflowTask command) {
  RunDraft* run = unit.find_run(command.task.run_id);
  if (!run) return UnitDraft::refuse(workflow_not_found(unit.loaded().workflow_id, command.task.run_id));
  const pb::WorkflowTask& task = run->task_now();
  if (!run->running()) return UnitDraft::refuse(workflow_completed());
  if (task.started_id() == 0 || task.nonce() != command.task.nonce ||
      task.scheduled_id() != command.task.scheduled_id) {
    return UnitDraft::refuse(workflow_task_not_found());
  }
  const auto& request = command.request;
  const TaskFailure failure{.cause = request.cause(),
                            .failure = request.has_failure() ? &request.failure() : nullptr,
                            .identity = request.identity(),
                            .binary_checksum = request.binary_checksum()};
  if (request.cause() == enums::WORKFLOW_TASK_FAILED_CAUSE_GRPC_MESSAGE_TOO_LARGE) {
    // no attempt would fare better
    terminate_run(unit, *run, cause_name(request.cause()), "history-service", nullptr);
  } else {
    fail_workflow_task(*run, failure, unit.env());
  }
  return unit.finish(Nothing{});
}

}  // namespace perdure::core
