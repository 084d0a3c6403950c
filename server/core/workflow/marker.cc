// Markers: notes of a workflow to itself, opaque here (AC-17).
#include "server/core/workflow/completion.h"

namespace perdure::core {

CommandResult record_marker(Completion& completion, command::Command& command) {
  constexpr auto kBad = enums::WORKFLOW_TASK_FAILED_CAUSE_BAD_RECORD_MARKER_ATTRIBUTES;
  if (!command.has_record_marker_command_attributes()) {
    return bad_command(kBad, "RecordMarkerCommandAttributes is not set on RecordMarkerCommand.");
  }
  auto& from = *command.mutable_record_marker_command_attributes();
  const Limits& limits = completion.env.limits;
  if (from.marker_name().empty()) return bad_command(kBad, "MarkerName is not set on RecordMarkerCommand.");
  if (from.marker_name().size() > limits.id_length) {
    return bad_command(kBad, "MarkerName on RecordMarkerCommand exceeds length limit. MarkerName=" +
                                 from.marker_name() + " Length=" + std::to_string(from.marker_name().size()) +
                                 " Limit=" + std::to_string(limits.id_length));
  }
  std::size_t details_size = 0;
  for (const auto& [name, payloads] : from.details()) details_size += name.size() + payloads.ByteSizeLong();
  if (details_size > limits.blob_size) {
    return std::unexpected(
        CommandError{kBad, "RecordMarkerCommandAttributes.Details exceeds size limit.", /*terminates=*/true});
  }
  auto& to =
      *completion.run.append(enums::EVENT_TYPE_MARKER_RECORDED).mutable_marker_recorded_event_attributes();
  to.set_marker_name(from.marker_name());
  to.set_workflow_task_completed_event_id(completion.completed_id);
  to.mutable_details()->swap(*from.mutable_details());
  if (from.has_header()) *to.mutable_header() = std::move(*from.mutable_header());
  if (from.has_failure()) *to.mutable_failure() = std::move(*from.mutable_failure());
  return {};
}

}  // namespace perdure::core
