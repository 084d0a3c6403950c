// The sender's side of external effects: the commands, and what comes of them.
#include "server/core/errors.h"
#include "server/core/external/external.h"
#include "server/core/workflow/completion.h"
#include "server/core/workflow/request_cancel.h"
#include "server/core/workflow/workflow_task.h"

namespace perdure::core {
namespace {

// The namespace a command names; empty means the workflow's own. nullptr: unknown.
const Namespace* target_namespace(const Completion& completion, const std::string& name) {
  if (name.empty()) return &completion.env.ns;
  return completion.env.catalog.find_by_name(name);
}

CommandResult check_target(const Completion& completion, enums::WorkflowTaskFailedCause cause,
                           const std::string& ns, const std::string& workflow_id, const std::string& what) {
  if (workflow_id.empty()) return bad_command(cause, "WorkflowId is not set on " + what + ".");
  if (workflow_id.size() > completion.env.limits.id_length)
    return bad_command(cause, "WorkflowId length exceeds limit.");
  const Namespace* target = target_namespace(completion, ns);
  if (!target) return std::unexpected(CommandError{cause, {}, false, namespace_not_found(ns)});
  if (target->id() != completion.env.ns.id()) {
    return bad_command(cause, "commands that target another namespace are not allowed: " + ns);
  }
  return {};
}

// How the texts of the API name the target of a command.
std::string target_text(const Completion& completion,
                        const temporal::api::common::v1::WorkflowExecution& target) {
  return " WorkflowId=" + target.workflow_id() + " Namespace=" + completion.env.ns.name() +
         " RunId=" + target.run_id();
}

std::size_t pending(const RunDraft& run, int kind) {
  std::size_t count = 0;
  run.state().externals.each(
      [&](std::int64_t, const auto& e) { count += e->kind() == kind && !e->outcome_recorded(); });
  return count;
}

pb::External& owe(Completion& completion, int kind, std::int64_t initiated_id, const std::string& workflow_id,
                  const std::string& run_id, pb::External& external) {
  external.set_initiated_id(initiated_id);
  external.set_kind(kind);
  external.set_namespace_id(completion.env.ns.id());
  external.set_namespace_name(completion.env.ns.name());
  external.set_workflow_id(workflow_id);
  external.set_run_id(run_id);
  external.set_request_id(completion.env.random.uuid());
  return external;
}

template <class Attributes>
void describe_target(const pb::External& external, Attributes& attributes) {
  attributes.set_initiated_event_id(external.initiated_id());
  attributes.set_namespace_(external.namespace_name());
  attributes.set_namespace_id(external.namespace_id());
  attributes.mutable_workflow_execution()->set_workflow_id(external.workflow_id());
  attributes.mutable_workflow_execution()->set_run_id(external.run_id());
}

void write_outcome(RunDraft& run, const pb::External& external, int failed_cause) {
  if (external.kind() == kExternalSignal && failed_cause == 0) {
    auto& attributes = *run.append_or_buffer(enums::EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED)
                            .mutable_external_workflow_execution_signaled_event_attributes();
    describe_target(external, attributes);
    attributes.set_control(external.control());
  } else if (external.kind() == kExternalSignal) {
    auto& attributes = *run.append_or_buffer(enums::EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED)
                            .mutable_signal_external_workflow_execution_failed_event_attributes();
    describe_target(external, attributes);
    attributes.set_control(external.control());
    attributes.set_cause(static_cast<enums::SignalExternalWorkflowExecutionFailedCause>(failed_cause));
  } else if (failed_cause == 0) {
    auto& attributes = *run.append_or_buffer(enums::EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED)
                            .mutable_external_workflow_execution_cancel_requested_event_attributes();
    describe_target(external, attributes);
  } else {
    auto& attributes =
        *run.append_or_buffer(enums::EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED)
             .mutable_request_cancel_external_workflow_execution_failed_event_attributes();
    describe_target(external, attributes);
    attributes.set_cause(static_cast<enums::CancelExternalWorkflowExecutionFailedCause>(failed_cause));
  }
}

}  // namespace

CommandResult signal_external(Completion& completion, command::Command& command) {
  constexpr auto kCause = enums::WORKFLOW_TASK_FAILED_CAUSE_BAD_SIGNAL_WORKFLOW_EXECUTION_ATTRIBUTES;
  auto& attributes = *command.mutable_signal_external_workflow_execution_command_attributes();
  const std::string what = "SignalExternalWorkflowExecutionCommand";
  if (!command.has_signal_external_workflow_execution_command_attributes()) {
    return bad_command(kCause, what + "Attributes is not set on command.");
  }
  if (!attributes.has_execution()) return bad_command(kCause, "Execution is not set on " + what + ".");
  const auto& target = attributes.execution();
  if (auto ok = check_target(completion, kCause, attributes.namespace_(), target.workflow_id(), what); !ok)
    return ok;
  if (attributes.signal_name().empty())
    return bad_command(kCause, "SignalName is not set on " + what + "." + target_text(completion, target));
  if (attributes.signal_name().size() > completion.env.limits.id_length) {
    return bad_command(kCause, "SignalName length exceeds limit.");
  }
  if (attributes.input().ByteSizeLong() > completion.env.limits.blob_size) {
    return std::unexpected(CommandError{enums::WORKFLOW_TASK_FAILED_CAUSE_BAD_SIGNAL_INPUT_SIZE,
                                        what + "Attributes.Input exceeds size limit.", true, std::nullopt});
  }
  RunDraft& run = completion.run;
  if (pending(run, kExternalSignal) >= completion.env.limits.pending_signals) {
    return bad_command(enums::WORKFLOW_TASK_FAILED_CAUSE_PENDING_SIGNALS_LIMIT_EXCEEDED,
                       "the number of pending signals to external workflows has reached its limit");
  }
  pb::External external;
  owe(completion, kExternalSignal, run.next_event_id(), target.workflow_id(), target.run_id(), external);
  external.set_control(attributes.control());
  external.set_child_workflow_only(attributes.child_workflow_only());
  auto& event = *run.append(enums::EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED)
                     .mutable_signal_external_workflow_execution_initiated_event_attributes();
  event.set_workflow_task_completed_event_id(completion.completed_id);
  event.set_namespace_(completion.env.ns.name());
  event.set_namespace_id(completion.env.ns.id());
  *event.mutable_workflow_execution() = target;
  event.set_signal_name(attributes.signal_name());
  if (attributes.has_input()) event.mutable_input()->Swap(attributes.mutable_input());
  if (attributes.has_header()) event.mutable_header()->Swap(attributes.mutable_header());
  event.set_control(attributes.control());
  event.set_child_workflow_only(attributes.child_workflow_only());
  run.add_external(std::move(external));
  return {};
}

CommandResult request_cancel_external(Completion& completion, command::Command& command) {
  constexpr auto kCause =
      enums::WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_ATTRIBUTES;
  const auto& attributes = command.request_cancel_external_workflow_execution_command_attributes();
  const std::string what = "RequestCancelExternalWorkflowExecutionCommand";
  if (!command.has_request_cancel_external_workflow_execution_command_attributes()) {
    return bad_command(kCause, what + "Attributes is not set on command.");
  }
  if (auto ok = check_target(completion, kCause, attributes.namespace_(), attributes.workflow_id(), what);
      !ok)
    return ok;
  RunDraft& run = completion.run;
  if (pending(run, kExternalCancel) >= completion.env.limits.pending_cancels) {
    return bad_command(enums::WORKFLOW_TASK_FAILED_CAUSE_PENDING_REQUEST_CANCEL_LIMIT_EXCEEDED,
                       "the number of pending requests to cancel external workflows has reached its limit");
  }
  pb::External external;
  owe(completion, kExternalCancel, run.next_event_id(), attributes.workflow_id(), attributes.run_id(),
      external);
  external.set_control(attributes.control());
  external.set_child_workflow_only(attributes.child_workflow_only());
  auto& event = *run.append(enums::EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED)
                     .mutable_request_cancel_external_workflow_execution_initiated_event_attributes();
  event.set_workflow_task_completed_event_id(completion.completed_id);
  event.set_namespace_(completion.env.ns.name());
  event.set_namespace_id(completion.env.ns.id());
  event.mutable_workflow_execution()->set_workflow_id(attributes.workflow_id());
  event.mutable_workflow_execution()->set_run_id(attributes.run_id());
  event.set_control(attributes.control());
  event.set_child_workflow_only(attributes.child_workflow_only());
  event.set_reason(attributes.reason());
  run.add_external(std::move(external));
  return {};
}

Decision record_external(UnitDraft& unit, RecordExternal command) {
  RunDraft* run = unit.find_run(command.run_id);
  const auto* owed = run ? run->state().externals.find(command.initiated_id) : nullptr;
  if (!owed || (*owed)->outcome_recorded()) return unit.finish(Nothing{});  // a repeat
  if (run->running()) {
    write_outcome(*run, **owed, command.outcome.failed_cause);
    wake_workflow(*run, unit.env());
  }
  pb::External& external = run->external(command.initiated_id);
  external.set_outcome_recorded(true);
  external.set_received_by_run_id(command.outcome.run_id);
  return unit.finish(Nothing{});
}

Decision forgotten_external(UnitDraft& unit, ForgottenExternal command) {
  RunDraft* run = unit.find_run(command.run_id);
  if (!run || !run->state().externals.contains(command.initiated_id)) return unit.finish(Nothing{});
  run->remove_external(command.initiated_id);
  if (!run->running() && !run->state().owes()) {
    auto& owing = *unit.head().mutable_owing_run_ids();
    for (int i = 0; i < owing.size(); ++i) {
      if (owing[i] != command.run_id) continue;
      owing.DeleteSubrange(i, 1);
      break;
    }
    // It was to be deleted and waited for this (rule E7).
    if (run->state().progress.deleted()) return delete_workflow(unit, {.run_id = command.run_id});
  }
  return unit.finish(Nothing{});
}

}  // namespace perdure::core
