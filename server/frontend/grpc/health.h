// gRPC health checking (grpc.health.v1), answered from the names of the services served.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace perdure::frontend {

inline constexpr std::string_view kHealthService = "grpc.health.v1.Health";
inline constexpr std::string_view kHealthCheck = "/grpc.health.v1.Health/Check";
inline constexpr std::string_view kHealthWatch = "/grpc.health.v1.Health/Watch";

// Serialized HealthCheckResponse for a serialized HealthCheckRequest; "" is the server as a whole. NOT_FOUND
// for a service that is not served, INVALID_ARGUMENT for bytes that are no request.
base::Result<std::string> check_health(std::string_view request, const std::vector<std::string>& services);
// The same for Watch, which says "service unknown" where Check fails.
base::Result<std::string> watch_health(std::string_view request, const std::vector<std::string>& services);

}  // namespace perdure::frontend
