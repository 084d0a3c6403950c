// Starting an id, with and without a signal.
#pragma once

#include "server/core/draft.h"

namespace perdure::core {

Decision start_workflow(UnitDraft& unit, StartWorkflow command);
Decision signal_with_start(UnitDraft& unit, SignalWithStart command);

}  // namespace perdure::core
