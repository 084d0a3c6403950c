// The signals that end a server, as something to wait for.
#pragma once

#include <functional>
#include <optional>

#include "base/time.h"

namespace perdure::base {

// Blocks SIGINT and SIGTERM in this thread and all that it starts; must come before the first thread. SIGPIPE is ignored.
void block_stop_signals();
// Waits for one of them, or until `timeout` is over (no result). Any thread.
std::optional<int> wait_for_stop_signal(Duration timeout);
// Ends the waiting as a signal would.
void raise_stop();

}  // namespace perdure::base
