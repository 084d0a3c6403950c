// What a worker answers to a workflow task.
#pragma once

#include "server/core/draft.h"

namespace perdure::core {

Decision complete_workflow_task(UnitDraft& unit, CompleteWorkflowTask command);
Decision fail_workflow_task(UnitDraft& unit, FailWorkflowTask command);

}  // namespace perdure::core
