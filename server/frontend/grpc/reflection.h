// gRPC server reflection (v1alpha and v1, which are the same on the wire), answered from the descriptors in
// the process.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace perdure::frontend {

inline constexpr std::string_view kReflectionService = "grpc.reflection.v1alpha.ServerReflection";

// True for the path of the one method of the service.
bool is_reflection(std::string_view path);

// The answer to one serialized ServerReflectionRequest. `sent`: names of the files that the stream has got
// already; they are not sent again. A request that cannot be read gets an error answer, as everything unknown
// does.
std::string answer_reflection(std::string_view request, const std::vector<std::string>& services,
                              std::set<std::string>& sent);

}  // namespace perdure::frontend
