// The workflow task of a run: none → scheduled → started → (completed | failed | timed out) → …   (semantics sheet, section 3)
//
//   state        event                         next
//   none         wake_workflow                 scheduled
//   scheduled    start (a poll took it)        started
//   scheduled    sticky timeout, unavailable   scheduled (normal queue)
//   started      completed                     none, or scheduled when something waits
//   started      failed, timed out             scheduled (attempt + 1 unless sticky)
//
// An attempt above 1 is transient: none of its events is written until it completes (WT-04).
#pragma once

#include "server/core/draft.h"

namespace perdure::core {

// Something happened that the workflow must see: schedules a workflow task, unless one is pending or the first backoff runs.
void wake_workflow(RunDraft& run, const Env& env);

}  // namespace perdure::core
