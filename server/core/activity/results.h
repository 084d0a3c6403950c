// The last events of an activity, and its way back to the queue (EV-12, EV-20). Shared by answers and timeouts.
#pragma once

#include "server/core/activity/activity.h"
#include "server/core/activity/failures.h"

namespace perdure::core {

// Writes the Started that was kept back: with the time, attempt, worker and last failure of the attempt that ends. An activity
// that no worker holds has none: returns 0, as while the event waits in the buffer (the flush links it: WT-41).
std::int64_t write_activity_started(RunDraft& run, const pb::Activity& activity);

// Tries again if policy, time and a cancel request allow it: then the activity waits for its next attempt, and no event is
// written. Anything but IN_PROGRESS: nothing was changed.
enums::RetryState retry_activity(RunDraft& run, std::int64_t scheduled_id, const Failure& failure,
                                 const Env& env);

// Writes the failed event and removes the activity.
void write_activity_failed(RunDraft& run, std::int64_t scheduled_id, const Failure& failure,
                           const std::string& identity, enums::RetryState retry_state);

}  // namespace perdure::core
