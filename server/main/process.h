// The life of the server process, from the data directory to the last flush.
#pragma once

#include "server/main/options.h"

namespace perdure::server {

// Runs until a signal or a lost log; the result is the exit code. SIGINT and SIGTERM drain and stop within two seconds, a second
// one ends at once.
int serve(const ServerOptions& options);

}  // namespace perdure::server
