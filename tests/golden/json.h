// JSON values of scenarios and recordings, and Python's way of writing them, which the recordings were made
// with.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace perdure::golden {

using Json = nlohmann::json;  // object keys in byte order, as Python's sort_keys has them

// json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False): what a $json payload holds.
std::string compact_json(const Json& value);
// json.dumps(value, sort_keys=True): the key by which unordered lists are sorted.
std::string sort_key(const Json& value);
// json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False).
std::string pretty_json(const Json& value);
// repr() of a float: shortest digits, exponent from 1e16 on.
std::string python_float(double value);

// Decoded bytes; nothing when `text` is not canonical base64 with padding.
std::optional<std::string> decode_base64(std::string_view text);
std::string encode_base64(std::string_view bytes);

// The member of an object; nullptr when `node` is no object or has no such key.
const Json* member(const Json& node, std::string_view key);

}  // namespace perdure::golden
