// Commands that look at a run, hand its workflow task to a poller, or take it back.
#pragma once

#include "server/core/draft.h"

namespace perdure::core {

Decision wake(UnitDraft& unit);
Decision start_workflow_task(UnitDraft& unit, StartWorkflowTask command);
Decision undo_start(UnitDraft& unit, UndoStart command);
Decision sticky_unavailable(UnitDraft& unit, StickyUnavailable command);
Decision read_history(UnitDraft& unit, ReadHistory command);
Decision route_query(UnitDraft& unit, RouteQuery command, const Volatile& now);
Decision describe_workflow(UnitDraft& unit, DescribeWorkflow command);

}  // namespace perdure::core
