// Commands that change what a run carries beside its history: search attributes (SA-01) and memo (SA-03).
#include "server/core/limits/search_attributes.h"
#include "server/core/workflow/completion.h"

namespace perdure::core {

CommandResult upsert_search_attributes(Completion& completion, command::Command& command) {
  constexpr auto kBad = enums::WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES;
  if (!command.has_upsert_workflow_search_attributes_command_attributes()) {
    return bad_command(
        kBad,
        "UpsertWorkflowSearchAttributesCommandAttributes is not set on UpsertWorkflowSearchAttributesCommand.");
  }
  auto& from = *command.mutable_upsert_workflow_search_attributes_command_attributes();
  if (!from.has_search_attributes()) {
    return bad_command(kBad, "SearchAttributes is not set on UpsertWorkflowSearchAttributesCommand.");
  }
  if (from.search_attributes().indexed_fields().empty()) {
    return bad_command(kBad, "IndexedFields is not set on UpsertWorkflowSearchAttributesCommand.");
  }
  const base::Status checked =
      validate_search_attributes(*from.mutable_search_attributes(), completion.env.ns, completion.env.limits);
  if (!checked) return bad_command(kBad, checked.error().message);
  RunDraft& run = completion.run;
  merge(*run.attributes().mutable_search_attributes(), from.search_attributes());
  run.visibility_changed();
  auto& to = *run.append(enums::EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES)
                  .mutable_upsert_workflow_search_attributes_event_attributes();
  to.set_workflow_task_completed_event_id(completion.completed_id);
  *to.mutable_search_attributes() = std::move(*from.mutable_search_attributes());
  return {};
}

CommandResult modify_properties(Completion& completion, command::Command& command) {
  constexpr auto kBad = enums::WORKFLOW_TASK_FAILED_CAUSE_BAD_MODIFY_WORKFLOW_PROPERTIES_ATTRIBUTES;
  if (!command.has_modify_workflow_properties_command_attributes()) {
    return bad_command(
        kBad, "ModifyWorkflowPropertiesCommandAttributes is not set on ModifyWorkflowPropertiesCommand.");
  }
  auto& from = *command.mutable_modify_workflow_properties_command_attributes();
  RunDraft& run = completion.run;
  if (from.has_upserted_memo()) {
    temporal::api::common::v1::Memo memo = run.attributes_now().memo();
    merge(memo, from.upserted_memo());
    if (memo.ByteSizeLong() > completion.env.limits.memo_size) {
      return std::unexpected(CommandError{
          kBad, "ModifyWorkflowPropertiesCommandAttributes. Memo size exceeds limit.", /*terminates=*/true});
    }
    *run.attributes().mutable_memo() = std::move(memo);
    run.visibility_changed();
  }
  auto& to = *run.append(enums::EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED)
                  .mutable_workflow_properties_modified_event_attributes();
  to.set_workflow_task_completed_event_id(completion.completed_id);
  if (from.has_upserted_memo()) *to.mutable_upserted_memo() = std::move(*from.mutable_upserted_memo());
  return {};
}

}  // namespace perdure::core
