// Timers of a run: started by a command, then fired by the clock or canceled by a command (TS-01, EV-13).
#pragma once

#include "server/core/draft.h"

namespace perdure::core {

// Every timer that is due at env.now fires, in order of expiry (WT-44). True: the workflow must wake.
bool timers_fired(RunDraft& run, const Env& env);

}  // namespace perdure::core
