#include "server/history/wire.h"

#include <cstdint>

namespace perdure::history {
namespace {

void append_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

std::size_t varint_size(std::uint64_t value) {
  std::size_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++size;
  }
  return size;
}

}  // namespace

void append_field(std::string& out, int number, std::string_view bytes) {
  append_varint(out, static_cast<std::uint64_t>(number) << 3 | 2);
  append_varint(out, bytes.size());
  out.append(bytes);
}

std::size_t field_size(int number, std::size_t bytes) {
  return varint_size(static_cast<std::uint64_t>(number) << 3) + varint_size(bytes) + bytes;
}

}  // namespace perdure::history
