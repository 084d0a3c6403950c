// The part of the list language that is served: WorkflowId, WorkflowType and ExecutionStatus compared with =, joined by AND.
#pragma once

#include <string_view>

#include "base/result.h"
#include "server/store/store.h"

namespace perdure::visibility {

// The filter, without its namespace. INVALID_ARGUMENT `invalid query: …` for a text that is wrong, or right but not served yet.
base::Result<store::VisibilityFilter> parse_filter(std::string_view query);

}  // namespace perdure::visibility
