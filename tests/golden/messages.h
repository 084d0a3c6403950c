// Requests and answers between JSON and protobuf, as Python's json_format has them: snake_case names, default
// values omitted.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "base/result.h"
#include "tests/golden/json.h"

namespace perdure::golden {

// The full name of a method of "workflow" or "operator" service, as the method table knows it.
std::string method_name(std::string_view service, std::string_view method);

// The serialized request of a method. Fails with a text when the method is unknown or the JSON is no such
// message.
std::expected<std::string, std::string> request_bytes(std::string_view service, std::string_view method,
                                                      const Json& request);

// {"response": …} or {"error": {code, message, details}}. An answer that is no such message gives {"broken":
// why}.
Json answer_json(std::string_view service, std::string_view method, const base::Result<std::string>& answer);

}  // namespace perdure::golden
