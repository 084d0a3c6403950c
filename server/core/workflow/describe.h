// What a run looks like from outside.
#pragma once

#include "server/core/draft.h"

namespace perdure::core {

// The answer of DescribeWorkflowExecution.
Decision describe_workflow(UnitDraft& unit, DescribeWorkflow command);

// A run's entry in lists (VI-11).
temporal::api::workflow::v1::WorkflowExecutionInfo visibility_info(const RunState& run);

// Says in the info's search attribute TemporalReportedProblems that the id is quarantined, and why (rule E12).
void report_quarantine(temporal::api::workflow::v1::WorkflowExecutionInfo& info, const std::string& why);

}  // namespace perdure::core
