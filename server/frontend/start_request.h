// StartWorkflowExecution and its like: checked, and filled with defaults, before they reach core.
#pragma once

#include "server/frontend/services.h"

namespace perdure::frontend {

// Checks the request and makes it complete: request id, timeouts (TM-01, WT-02), retry policy, kind of the task queue, types of
// the search attributes. INVALID_ARGUMENT names what is wrong; the request is then half done.
Status prepare(wfs::StartWorkflowExecutionRequest& request, const core::Namespace& ns, Services& services);
Status prepare(wfs::SignalWithStartWorkflowExecutionRequest& request, const core::Namespace& ns,
               Services& services);

}  // namespace perdure::frontend
