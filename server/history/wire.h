// Protobuf messages put together from parts that are serialized already, so that event bytes are never parsed on their way out.
#pragma once

#include <string>
#include <string_view>

namespace perdure::history {

// Appends a length-delimited field (message, bytes, string) to the serialized message `out`.
void append_field(std::string& out, int number, std::string_view bytes);
// The size that append_field adds.
std::size_t field_size(int number, std::size_t bytes);

}  // namespace perdure::history
