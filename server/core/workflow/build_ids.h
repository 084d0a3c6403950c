// Which builds worked on a run: reset points and the BuildIds and BinaryChecksums search attributes (WT-31).
#pragma once

#include "server/core/draft.h"

namespace perdure::core {

// Notes the build that completed a workflow task.
void note_build_ids(RunDraft& run, const wfs::RespondWorkflowTaskCompletedRequest& request,
                    std::int64_t completed_id, const Env& env);
// The reset points that a continuing run inherits: those of the old one, with their expiry.
temporal::api::workflow::v1::ResetPoints inherited_reset_points(const RunDraft& old_run, const Env& env);

}  // namespace perdure::core
