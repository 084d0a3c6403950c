// The small formats of gRPC over HTTP/2: how a deadline, a status and a compressed message are written.
// Pure functions; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace perdure::frontend {

inline constexpr std::size_t kPrefix =
    5;  // of each message: one byte of flags, four of length, most significant first

// "90S", "1500m": the value of the header grpc-timeout. INVALID_ARGUMENT when it is malformed.
base::Result<base::Duration> parse_timeout(std::string_view text);

// Bytes that a character of a message takes in the header grpc-message.
std::size_t travels_as(char c);
// The header grpc-message: what is not printable ASCII, and '%', as %XX.
std::string percent_encoded(std::string_view text);

// The value of a header whose name ends in -bin: base64 without padding.
std::string base64(std::string_view bytes);

// Undoes a message encoding ("gzip" or "deflate"; "identity" gives the bytes). RESOURCE_EXHAUSTED when the
// result were longer than `most`, INVALID_ARGUMENT when the bytes are damaged, UNIMPLEMENTED for another
// encoding.
base::Result<std::string> decompressed(std::string_view encoding, std::string_view bytes, std::size_t most);

// The text that SDKs look for.
base::Error too_large(std::size_t size, std::size_t most);

}  // namespace perdure::frontend
