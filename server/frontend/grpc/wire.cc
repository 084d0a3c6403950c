#include "server/frontend/grpc/wire.h"

#include <zlib.h>

#include <array>
#include <charconv>
#include <cstdint>

#include "base/check.h"

namespace perdure::frontend {
namespace {

constexpr std::string_view kHex = "0123456789ABCDEF";
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Nanoseconds of a unit letter; 0 for another letter.
std::int64_t unit_of(char letter) {
  switch (letter) {
    case 'H': return 3'600'000'000'000;
    case 'M': return 60'000'000'000;
    case 'S': return 1'000'000'000;
    case 'm': return 1'000'000;
    case 'u': return 1'000;
    case 'n': return 1;
    default: return 0;
  }
}

}  // namespace

base::Result<base::Duration> parse_timeout(std::string_view text) {
  constexpr std::size_t kMostDigits = 8;
  constexpr std::int64_t kMost = std::int64_t{100} * 365 * 24 * 3'600'000'000'000;  // longer ones never pass
  const std::string_view digits = text.substr(0, text.empty() ? 0 : text.size() - 1);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const std::int64_t unit = text.empty() ? 0 : unit_of(text.back());
  if (unit == 0 || digits.empty() || digits.size() > kMostDigits || error != std::errc() || number < 0 ||
      end != digits.data() + digits.size()) {
    return base::invalid_argument(
        "header grpc-timeout is malformed: give up to eight digits and a unit, as in 500m");
  }
  return base::Duration(number > kMost / unit ? kMost : number * unit);
}

std::size_t travels_as(char c) {
  return c >= ' ' && c <= '~' && c != '%' ? 1 : 3;
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (travels_as(c) == 1) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out.push_back('%');
    out.push_back(kHex[byte >> 4]);
    out.push_back(kHex[byte & 15]);
  }
  return out;
}

std::string base64(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 4 / 3 + 3);
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (held += 8; held >= 6; held -= 6) out.push_back(kBase64[bits >> (held - 6) & 63]);
  }
  if (held > 0) out.push_back(kBase64[bits << (6 - held) & 63]);
  return out;
}

base::Result<std::string> decompressed(std::string_view encoding, std::string_view bytes, std::size_t most) {
  if (encoding.empty() || encoding == "identity") return std::string(bytes);
  if (encoding != "gzip" && encoding != "deflate") {
    return base::fail(base::Code::kUnimplemented, "message encoding " + std::string(encoding) +
                                                      " is not supported: use identity, gzip or deflate");
  }
  constexpr int kEitherHeader = 32;  // zlib finds out whether it is gzip or zlib
  z_stream stream{};
  CHECK(inflateInit2(&stream, MAX_WBITS + kEitherHeader) == Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  std::array<char, 32 << 10> piece;
  int result = Z_OK;
  while (result == Z_OK && out.size() <= most) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = piece.size();
    result = inflate(&stream, Z_NO_FLUSH);
    out.append(piece.data(), piece.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  if (out.size() > most) return std::unexpected(too_large(out.size(), most));
  if (result != Z_STREAM_END) {
    return base::invalid_argument("the request message is not valid " + std::string(encoding));
  }
  return out;
}

base::Error too_large(std::size_t size, std::size_t most) {
  return {base::Code::kResourceExhausted,
          "grpc: received message larger than max (" + std::to_string(size) + " vs. " + std::to_string(most) +
              ")",
          {}};
}

}  // namespace perdure::frontend
