// The commands that close a run: complete, fail, cancel, continue as new. Each must be the last of its completion.
#include <algorithm>

#include "server/core/activity/activity.h"
#include "server/core/cron/cron.h"
#include "server/core/limits/search_attributes.h"
#include "server/core/workflow/build_ids.h"
#include "server/core/workflow/completion.h"
#include "server/core/workflow/lifecycle.h"

namespace perdure::core {
namespace {

using temporal::api::common::v1::Payloads;
using temporal::api::failure::v1::Failure;

CommandError lost_history() {
  return {enums::WORKFLOW_TASK_FAILED_CAUSE_UNSPECIFIED, "the first event of the run is not loaded"};
}

// New runs of a chain keep at least a second between their starts (TM-06).
Duration floor_backoff(const RunDraft& run, const Env& env) {
  const Duration lived = env.now - time_of(run.start().start_time());
  return std::max(Duration::zero(), env.limits.continue_as_new_floor - lived);
}

CommandResult check_size(std::size_t size, const Env& env, enums::WorkflowTaskFailedCause cause,
                         const char* what) {
  if (size <= env.limits.blob_size) return {};
  return std::unexpected(CommandError{cause, std::string(what) + " exceeds size limit.", true});
}

// A task queue as the texts of the API show one.
std::string queue_text(const temporal::api::taskqueue::v1::TaskQueue& queue) {
  std::string text = "name:\"" + queue.name() + "\"";
  const enums::TaskQueueKind kind =
      queue.kind() == enums::TASK_QUEUE_KIND_UNSPECIFIED ? enums::TASK_QUEUE_KIND_NORMAL : queue.kind();
  text += " kind:" + enums::TaskQueueKind_Name(kind);
  return text;
}

using ContinueAttributes = command::ContinueAsNewWorkflowExecutionCommandAttributes;

CommandResult check_continue(Completion& completion, ContinueAttributes& attributes) {
  constexpr auto kCause = enums::WORKFLOW_TASK_FAILED_CAUSE_BAD_CONTINUE_AS_NEW_ATTRIBUTES;
  const Env& env = completion.env;
  const auto refuse = [&](const std::string& what) {
    return bad_command(kCause, what + " on ContinueAsNewWorkflowExecutionCommand. WorkflowType=" +
                                   attributes.workflow_type().name() +
                                   " TaskQueue=" + attributes.task_queue().name());
  };
  if (attributes.workflow_type().name().size() > env.limits.id_length)
    return refuse("WorkflowType exceeds length limit");
  if (attributes.task_queue().name().size() > env.limits.id_length)
    return refuse("TaskQueue exceeds length limit");
  const auto negative = [](const google::protobuf::Duration& d) { return d.seconds() < 0 || d.nanos() < 0; };
  const std::pair<const char*, const google::protobuf::Duration*> durations[] = {
      {"WorkflowRunTimeout", &attributes.workflow_run_timeout()},
      {"WorkflowTaskTimeout", &attributes.workflow_task_timeout()},
      {"BackoffStartInterval", &attributes.backoff_start_interval()}};
  for (const auto& [name, duration] : durations) {
    if (!negative(*duration)) continue;
    return bad_command(
        kCause, std::string("Invalid ") + name +
                    " on ContinueAsNewWorkflowExecutionCommand: negative duration. WorkflowType=" +
                    attributes.workflow_type().name() + " TaskQueue=" + queue_text(attributes.task_queue()));
  }
  if (attributes.has_retry_policy()) {
    if (std::string wrong = normalise_retry_policy(*attributes.mutable_retry_policy()); !wrong.empty()) {
      return bad_command(kCause, std::move(wrong));
    }
  }
  if (!attributes.cron_schedule().empty() && !next_cron_time(attributes.cron_schedule(), env.now)) {
    return bad_command(kCause, "Invalid CronSchedule.");
  }
  if (attributes.has_search_attributes()) {
    const base::Status valid =
        validate_search_attributes(*attributes.mutable_search_attributes(), env.ns, env.limits);
    if (!valid) return bad_command(kCause, valid.error().message);
  }
  if (auto size = check_size(attributes.input().ByteSizeLong(), env, kCause,
                             "ContinueAsNewWorkflowExecutionCommandAttributes.Input");
      !size) {
    return size;
  }
  return check_size(attributes.memo().ByteSizeLong(), env, kCause,
                    "ContinueAsNewWorkflowExecutionCommandAttributes.Memo");
}

// The run that continues: what the command leaves unset comes from the old run (TM-05).
NewRun continuing_run(Completion& completion, const ContinueAttributes& attributes,
                      const StartedAttributes& old_started, std::string run_id) {
  const RunDraft& old_run = completion.run;
  const pb::RunStart& old = old_run.start();
  NewRun run;
  run.run_id = std::move(run_id);
  run.request_id = completion.env.random.uuid();
  run.workflow_type =
      attributes.workflow_type().name().empty() ? old.workflow_type() : attributes.workflow_type().name();
  run.task_queue = attributes.task_queue().name().empty() ? old.task_queue() : attributes.task_queue().name();
  const std::int64_t run_timeout = nanos(attributes.workflow_run_timeout());
  const std::int64_t task_timeout = nanos(attributes.workflow_task_timeout());
  run.run_timeout = run_timeout != 0 ? run_timeout : old.run_timeout();
  run.task_timeout = task_timeout != 0
                         ? std::min(task_timeout, completion.env.limits.max_task_timeout.count())
                         : old.task_timeout();
  run.execution_timeout = old.execution_timeout();
  run.execution_expiration = old.execution_expiration();
  run.first_run_id = old.first_run_id();
  run.continued_run_id = old.run_id();
  run.chain_start_time = old.chain_start_time();
  run.backoff =
      std::max(Duration(nanos(attributes.backoff_start_interval())), floor_backoff(old_run, completion.env));
  StartedAttributes& started = run.attributes;
  if (attributes.has_input()) *started.mutable_input() = attributes.input();
  if (attributes.has_header()) *started.mutable_header() = attributes.header();
  if (attributes.has_memo()) *started.mutable_memo() = attributes.memo();
  if (attributes.has_search_attributes())
    *started.mutable_search_attributes() = attributes.search_attributes();
  if (attributes.has_retry_policy()) *started.mutable_retry_policy() = attributes.retry_policy();
  if (attributes.has_failure()) *started.mutable_continued_failure() = attributes.failure();
  if (attributes.has_last_completion_result())
    *started.mutable_last_completion_result() = attributes.last_completion_result();
  if (old_started.has_priority()) *started.mutable_priority() = old_started.priority();
  started.set_cron_schedule(attributes.cron_schedule());
  started.set_initiator(attributes.initiator() == enums::CONTINUE_AS_NEW_INITIATOR_UNSPECIFIED
                            ? enums::CONTINUE_AS_NEW_INITIATOR_WORKFLOW
                            : attributes.initiator());
  assign(started.mutable_workflow_run_timeout(), run.run_timeout);
  run.shows_no_backoff = false;
  run.reset_points = inherited_reset_points(old_run, completion.env);
  run.has_reset_points = true;
  run.has_user_metadata = old.has_user_metadata();
  run.user_metadata = old.user_metadata();
  return run;
}

}  // namespace

CommandResult complete_workflow(Completion& completion, command::Command& command) {
  auto& attributes = *command.mutable_complete_workflow_execution_command_attributes();
  RunDraft& run = completion.run;
  if (auto size = check_size(attributes.result().ByteSizeLong(), completion.env,
                             enums::WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES,
                             "CompleteWorkflowExecutionCommandAttributes.Result");
      !size) {
    return size;
  }
  const Follow follow = after_completion(run, completion.env);
  const std::string new_run_id = follow.follows ? completion.env.random.uuid() : std::string();
  const std::shared_ptr<const HistoryEvent> started =
      follow.follows ? first_event(completion.unit, run) : nullptr;
  if (follow.follows && !started) return std::unexpected(lost_history());
  auto& event = *run.append(enums::EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED)
                     .mutable_workflow_execution_completed_event_attributes();
  if (attributes.has_result()) *event.mutable_result() = attributes.result();
  event.set_workflow_task_completed_event_id(completion.completed_id);
  event.set_new_execution_run_id(new_run_id);
  close_run(completion.unit, run, enums::WORKFLOW_EXECUTION_STATUS_COMPLETED, new_run_id);
  if (follow.follows) {
    follow_run(completion.unit, run, follow, new_run_id,
               attributes.has_result() ? &attributes.result() : nullptr, nullptr);
  }
  return {};
}

CommandResult fail_workflow(Completion& completion, command::Command& command) {
  auto& attributes = *command.mutable_fail_workflow_execution_command_attributes();
  constexpr auto kCause = enums::WORKFLOW_TASK_FAILED_CAUSE_BAD_FAIL_WORKFLOW_EXECUTION_ATTRIBUTES;
  RunDraft& run = completion.run;
  if (!attributes.has_failure())
    return bad_command(kCause, "Failure is not set on FailWorkflowExecutionCommand.");
  if (auto size = check_size(attributes.failure().ByteSizeLong(), completion.env, kCause,
                             "FailWorkflowExecutionCommandAttributes.Failure");
      !size) {
    return size;
  }
  const Follow follow = after_failure(run, attributes.failure(), completion.env);
  const std::string new_run_id = follow.follows ? completion.env.random.uuid() : std::string();
  const std::shared_ptr<const HistoryEvent> started = first_event(completion.unit, run);
  if (follow.follows && !started) return std::unexpected(lost_history());
  auto& event = *run.append(enums::EVENT_TYPE_WORKFLOW_EXECUTION_FAILED)
                     .mutable_workflow_execution_failed_event_attributes();
  *event.mutable_failure() = attributes.failure();
  event.set_retry_state(follow.retry_state);
  event.set_workflow_task_completed_event_id(completion.completed_id);
  event.set_new_execution_run_id(new_run_id);
  close_run(completion.unit, run, enums::WORKFLOW_EXECUTION_STATUS_FAILED, new_run_id);
  if (follow.follows) {
    const StartedAttributes& old = started->workflow_execution_started_event_attributes();
    const Payloads* last = old.has_last_completion_result() ? &old.last_completion_result() : nullptr;
    follow_run(completion.unit, run, follow, new_run_id, last, &attributes.failure());
  }
  return {};
}

CommandResult cancel_workflow(Completion& completion, command::Command& command) {
  const auto& attributes = command.cancel_workflow_execution_command_attributes();
  RunDraft& run = completion.run;
  auto& event = *run.append(enums::EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED)
                     .mutable_workflow_execution_canceled_event_attributes();
  if (attributes.has_details()) *event.mutable_details() = attributes.details();
  event.set_workflow_task_completed_event_id(completion.completed_id);
  close_run(completion.unit, run, enums::WORKFLOW_EXECUTION_STATUS_CANCELED);
  return {};
}

CommandResult continue_as_new(Completion& completion, command::Command& command) {
  ContinueAttributes& attributes = *command.mutable_continue_as_new_workflow_execution_command_attributes();
  if (auto checked = check_continue(completion, attributes); !checked) return checked;
  RunDraft& run = completion.run;
  const std::shared_ptr<const HistoryEvent> started = first_event(completion.unit, run);
  if (!started) return std::unexpected(lost_history());
  const std::string new_run_id = completion.env.random.uuid();
  NewRun next = continuing_run(completion, attributes, started->workflow_execution_started_event_attributes(),
                               new_run_id);
  auto& event = *run.append(enums::EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW)
                     .mutable_workflow_execution_continued_as_new_event_attributes();
  event.set_new_execution_run_id(new_run_id);
  event.mutable_workflow_type()->set_name(next.workflow_type);
  event.mutable_task_queue()->set_name(next.task_queue);
  event.mutable_task_queue()->set_kind(enums::TASK_QUEUE_KIND_NORMAL);
  if (attributes.has_input()) *event.mutable_input() = attributes.input();
  if (attributes.has_header()) *event.mutable_header() = attributes.header();
  if (attributes.has_memo()) *event.mutable_memo() = attributes.memo();
  if (attributes.has_search_attributes()) *event.mutable_search_attributes() = attributes.search_attributes();
  if (attributes.has_failure()) *event.mutable_failure() = attributes.failure();
  if (attributes.has_last_completion_result())
    *event.mutable_last_completion_result() = attributes.last_completion_result();
  assign(event.mutable_workflow_run_timeout(), next.run_timeout);
  assign(event.mutable_workflow_task_timeout(), next.task_timeout);
  if (attributes.has_backoff_start_interval() || next.backoff > Duration::zero()) {
    assign(event.mutable_backoff_start_interval(), next.backoff.count());
  }
  event.set_initiator(attributes.initiator());
  event.set_workflow_task_completed_event_id(completion.completed_id);
  close_run(completion.unit, run, enums::WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW, new_run_id);
  schedule_first_task(begin_run(completion.unit, std::move(next)), completion.env);
  return {};
}

}  // namespace perdure::core
