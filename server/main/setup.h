// What the command line asks to be there before the first call: namespaces and search attributes.
#pragma once

#include "base/result.h"
#include "server/main/options.h"
#include "server/main/wiring.h"

namespace perdure::server {

// Registers "default" and the namespaces of the options, and in each the search attributes. Blocking; what is
// there already stays. INVALID_ARGUMENT for a search attribute of an unknown type, or more of them than a
// namespace holds.
base::Status set_up(Wiring& wiring, const ServerOptions& options);

}  // namespace perdure::server
