// The receiver's side of external effects.
#include "base/planted.h"
#include "server/core/external/external.h"
#include "server/core/workflow/request_cancel.h"
#include "server/core/workflow/signal_workflow.h"
#include "server/core/workflow/workflow_task.h"

namespace perdure::core {
namespace {

// What the effect comes to; 0: it took place. Causes of both kinds have the same numbers for these.
int take_effect(UnitDraft& unit, RunDraft* run, const DeliverExternal& command) {
  constexpr int kNotFound =
      enums::SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND;
  static_assert(kNotFound ==
                enums::CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND);
  if (!run || command.child_workflow_only || run->run_id() == command.sender_run_id) return kNotFound;
  if (command.kind == kExternalCancel) {
    if (!run->running()) return 0;  // already closed counts as delivered (TS-06)
    temporal::api::common::v1::WorkflowExecution sender;
    sender.set_workflow_id(command.sender_workflow_id);
    sender.set_run_id(command.sender_run_id);
    request_cancel(*run, {.reason = command.reason,
                          .identity = "history-service",
                          .external = &sender,
                          .external_initiated_id = command.initiated_id});
    wake_workflow(*run, unit.env());
    return 0;
  }
  if (!run->running()) return kNotFound;
  temporal::api::common::v1::WorkflowExecution sender;
  sender.set_workflow_id(command.sender_workflow_id);
  sender.set_run_id(command.sender_run_id);
  Signal signal{.name = command.signal_name, .identity = "history-service", .request_id = command.request_id};
  if (command.has_input) signal.input = &command.input;
  if (command.has_header) signal.header = &command.header;
  signal.external = &sender;
  if (deliver_signal(*run, signal, unit.env())) {
    return enums::SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_SIGNAL_COUNT_LIMIT_EXCEEDED;
  }
  wake_workflow(*run, unit.env());
  return 0;
}

}  // namespace

std::string received_key(const std::string& sender_run_id, std::int64_t initiated_id) {
  return sender_run_id + "/" + std::to_string(initiated_id);
}

Decision deliver_external(UnitDraft& unit, DeliverExternal command) {
  const std::string key = received_key(command.sender_run_id, command.initiated_id);
  const auto* known = unit.head_now().received.find(key);
  if (known != nullptr && !base::planted(base::Bug::kDeliverTwice)) {
    return unit.finish(ExternalOutcome{(*known)->failed_cause(), (*known)->run_id()});
  }
  RunDraft* run = unit.find_run(command.run_id);
  const int failed_cause = take_effect(unit, run, command);
  pb::Received received;
  received.set_key(key);
  received.set_failed_cause(failed_cause);
  if (run) received.set_run_id(run->run_id());
  unit.add_received(std::move(received));
  return unit.finish(ExternalOutcome{failed_cause, run ? run->run_id() : std::string()});
}

Decision forget_received(UnitDraft& unit, ForgetReceived command) {
  unit.forget_received(command.key);
  return unit.finish(Nothing{});
}

}  // namespace perdure::core
