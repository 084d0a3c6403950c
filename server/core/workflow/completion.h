// The commands of a workflow task completion: one function each, called in order; the first error fails the workflow task (WT-22).
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "server/core/draft.h"
#include "temporal/api/command/v1/message.pb.h"
#include "temporal/api/enums/v1/failed_cause.pb.h"

namespace perdure::core {

namespace command = ::temporal::api::command::v1;

struct CommandError {
  enums::WorkflowTaskFailedCause cause{};
  std::string message;      // the worker gets "<CauseName>: <message>"
  bool terminates = false;  // too large: the workflow is terminated as well (WT-24)
  // instead of all that: nothing is written, the task stays started, this is the answer
  std::optional<Error> refuses;
};
using CommandResult = std::expected<void, CommandError>;

inline std::unexpected<CommandError> bad_command(enums::WorkflowTaskFailedCause cause, std::string message) {
  return std::unexpected(CommandError{cause, std::move(message), false, std::nullopt});
}

struct Completion {
  UnitDraft& unit;
  RunDraft& run;
  const Env& env;
  const wfs::RespondWorkflowTaskCompletedRequest& request;
  std::int64_t completed_id = 0;  // of the WorkflowTaskCompleted event: every command event names it
  bool has_buffered_at_start = false;
  // a not-started activity was cancelled: the workflow must see it (WT-32)
  bool wake_needed = false;
  std::vector<std::int64_t> eager_activities;  // scheduled ids granted to this worker (AC-50)
};

// Each may move from `command`. user_metadata is copied to the event by the caller (the last event appended).
CommandResult schedule_activity(Completion& completion, command::Command& command);         // activity/
CommandResult request_cancel_activity(Completion& completion, command::Command& command);   // activity/
CommandResult start_timer(Completion& completion, command::Command& command);               // timer/
CommandResult cancel_timer(Completion& completion, command::Command& command);              // timer/
CommandResult record_marker(Completion& completion, command::Command& command);             // workflow/
CommandResult upsert_search_attributes(Completion& completion, command::Command& command);  // workflow/
CommandResult modify_properties(Completion& completion, command::Command& command);         // workflow/
CommandResult signal_external(Completion& completion, command::Command& command);           // external/
CommandResult request_cancel_external(Completion& completion, command::Command& command);   // external/
CommandResult complete_workflow(Completion& completion, command::Command& command);         // workflow/
CommandResult fail_workflow(Completion& completion, command::Command& command);             // workflow/
CommandResult cancel_workflow(Completion& completion, command::Command& command);           // workflow/
CommandResult continue_as_new(Completion& completion, command::Command& command);           // workflow/

}  // namespace perdure::core
