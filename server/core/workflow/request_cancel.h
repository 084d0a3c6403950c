// Cancel requests, termination and deletion of a run from outside.
#pragma once

#include "server/core/draft.h"

namespace perdure::core {

struct CancelRequest {
  std::string reason, identity;
  // the sender, when it is a workflow
  const temporal::api::common::v1::WorkflowExecution* external = nullptr;
  std::int64_t external_initiated_id = 0;
  const google::protobuf::RepeatedPtrField<temporal::api::common::v1::Link>* links = nullptr;
};
// Writes event 20, once per run (CT-01). False: it was asked before. Waking the workflow is up to the caller.
bool request_cancel(RunDraft& run, const CancelRequest& request);

Decision request_cancel_workflow(UnitDraft& unit, RequestCancelWorkflow command);
Decision terminate_workflow(UnitDraft& unit, TerminateWorkflow command);
Decision delete_workflow(UnitDraft& unit, DeleteWorkflow command);
Decision reset_sticky(UnitDraft& unit, ResetSticky command);

}  // namespace perdure::core
