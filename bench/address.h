// Addresses as the command line names them: a numeric IPv4 address and a port, 127.0.0.1:7233.
#pragma once

#include <netinet/in.h>

#include <string>

#include "base/result.h"

namespace perdure::bench {

// INVALID_ARGUMENT for anything else; names are not resolved.
base::Result<sockaddr_in> numeric_address(const std::string& address);

}  // namespace perdure::bench
