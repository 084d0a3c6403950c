#include "server/core/decide.h"

#include "server/core/activity/activity.h"
#include "server/core/external/external.h"
#include "server/core/workflow/complete_workflow_task.h"
#include "server/core/workflow/request_cancel.h"
#include "server/core/workflow/run_commands.h"
#include "server/core/workflow/signal_workflow.h"
#include "server/core/workflow/start_workflow.h"

namespace perdure::core {
namespace {

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};

Needs of_run(std::string run_id, std::vector<std::int64_t> events = {}) {
  Needs needs;
  needs.run_id = std::move(run_id);
  needs.events = std::move(events);
  return needs;
}

// Commands that may end a run look at its first event: what follows it is made from that one.
bool may_close(const wfs::RespondWorkflowTaskCompletedRequest& request) {
  for (const auto& command : request.commands()) {
    switch (command.command_type()) {
      case enums::COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION:
      case enums::COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION:
      case enums::COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION: return true;
      default: break;
    }
  }
  return false;
}

std::vector<std::int64_t> scheduled_event(std::int64_t scheduled_id) {
  return {scheduled_id};
}

}  // namespace

Needs needs(const Command& command) {
  return std::visit(
      Overloaded{
          [](const StartWorkflow&) { return of_run(""); },
          [](const SignalWithStart&) { return of_run(""); },
          [](const SignalWorkflow& c) { return of_run(c.request.workflow_execution().run_id()); },
          [](const RequestCancelWorkflow& c) { return of_run(c.request.workflow_execution().run_id()); },
          [](const TerminateWorkflow& c) { return of_run(c.request.workflow_execution().run_id()); },
          [](const DeleteWorkflow& c) { return of_run(c.run_id); },
          [](const DescribeWorkflow& c) { return of_run(c.run_id); },
          [](const ResetSticky& c) { return of_run(c.run_id); },
          [](const ReadHistory& c) { return of_run(c.run_id); },
          [](const RouteQuery& c) { return of_run(c.run_id); },
          [](const StartWorkflowTask& c) { return of_run(c.run_id); },
          [](const StartActivityTask& c) { return of_run(c.run_id, scheduled_event(c.scheduled_id)); },
          [](const UndoStart& c) { return of_run(c.run_id); },
          [](const StickyUnavailable& c) { return of_run(c.run_id); },
          [](const CompleteWorkflowTask& c) {
            return may_close(c.request) ? of_run(c.task.run_id, {1}) : of_run(c.task.run_id);
          },
          [](const FailWorkflowTask& c) { return of_run(c.task.run_id); },
          [](const CompleteActivity& c) { return of_run(c.task.run_id); },
          [](const FailActivity& c) { return of_run(c.task.run_id); },
          [](const CancelActivity& c) { return of_run(c.task.run_id); },
          [](const HeartbeatActivity& c) { return of_run(c.task.run_id); },
          [](const Wake&) { return of_run("", {1}); },
          [](const DeliverExternal& c) { return of_run(c.run_id); },
          [](const RecordExternal& c) { return of_run(c.run_id); },
          [](const ForgetReceived&) { return Needs{}; },
          [](const ForgottenExternal& c) { return of_run(c.run_id); },
      },
      command);
}

Decision decide(const Loaded& loaded, const Volatile& now, Command command, const Env& env) {
  UnitDraft unit(loaded, env);
  return std::visit(Overloaded{
                        [&](StartWorkflow& c) { return start_workflow(unit, std::move(c)); },
                        [&](SignalWithStart& c) { return signal_with_start(unit, std::move(c)); },
                        [&](SignalWorkflow& c) { return signal_workflow(unit, std::move(c)); },
                        [&](RequestCancelWorkflow& c) { return request_cancel_workflow(unit, std::move(c)); },
                        [&](TerminateWorkflow& c) { return terminate_workflow(unit, std::move(c)); },
                        [&](DeleteWorkflow& c) { return delete_workflow(unit, std::move(c)); },
                        [&](DescribeWorkflow& c) { return describe_workflow(unit, std::move(c)); },
                        [&](ResetSticky& c) { return reset_sticky(unit, std::move(c)); },
                        [&](ReadHistory& c) { return read_history(unit, std::move(c)); },
                        [&](RouteQuery& c) { return route_query(unit, std::move(c), now); },
                        [&](StartWorkflowTask& c) { return start_workflow_task(unit, std::move(c)); },
                        [&](StartActivityTask& c) { return start_activity_task(unit, std::move(c)); },
                        [&](UndoStart& c) { return undo_start(unit, std::move(c)); },
                        [&](StickyUnavailable& c) { return sticky_unavailable(unit, std::move(c)); },
                        [&](CompleteWorkflowTask& c) { return complete_workflow_task(unit, std::move(c)); },
                        [&](FailWorkflowTask& c) { return fail_workflow_task(unit, std::move(c)); },
                        [&](CompleteActivity& c) { return complete_activity(unit, std::move(c)); },
                        [&](FailActivity& c) { return fail_activity(unit, std::move(c)); },
                        [&](CancelActivity& c) { return cancel_activity(unit, std::move(c)); },
                        [&](HeartbeatActivity& c) { return heartbeat_activity(unit, std::move(c)); },
                        [&](Wake&) { return wake(unit); },
                        [&](DeliverExternal& c) { return deliver_external(unit, std::move(c)); },
                        [&](RecordExternal& c) { return record_external(unit, std::move(c)); },
                        [&](ForgetReceived& c) { return forget_received(unit, std::move(c)); },
                        [&](ForgottenExternal& c) { return forgotten_external(unit, std::move(c)); },
                    },
                    command);
}

}  // namespace perdure::core
