#include "server/store/local/log_format.h"

#include <xxhash.h>

#include <bit>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "base/check.h"
#include "base/planted.h"

namespace perdure::store::local {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr std::string_view kSegmentMagic = "PERDULOG";

template <class T>
void put(char* place, T value) {
  std::memcpy(place, &value, sizeof value);
}

template <class T>
T get(const char* place) {
  T value;
  std::memcpy(&value, place, sizeof value);
  return value;
}

std::string numbered(const char* prefix, std::uint64_t number) {
  char name[40];
  std::snprintf(name, sizeof name, "%s%010llu", prefix, static_cast<unsigned long long>(number));
  return name;
}

std::optional<std::uint64_t> parse_numbered(std::string_view prefix, std::string_view name) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size() || name.size() < 10) return std::nullopt;
  return number;
}

std::uint64_t block_checksum(std::string_view block, std::size_t payload, std::uint64_t seed) {
  const std::uint64_t header = XXH3_64bits_withSeed(block.data(), 40, seed);
  return XXH3_64bits_withSeed(block.data() + kBlockHeaderBytes, payload, header);
}

}  // namespace

std::string encode(const SegmentHeader& header) {
  std::string bytes(kSegmentHeaderBytes, '\0');
  char* const place = bytes.data();
  std::memcpy(place, kSegmentMagic.data(), kSegmentMagic.size());
  put<std::uint32_t>(place + 8, kFormat);
  put<std::uint64_t>(place + 16, header.store_id);
  put<std::uint64_t>(place + 24, header.number);
  put<std::uint64_t>(place + 32, header.salt);
  put<std::uint64_t>(place + 40, header.first);
  put<std::uint64_t>(place + 48, header.durable);
  put<std::uint64_t>(place + 56, header.file_bytes);
  put<std::uint64_t>(place + 64, XXH3_64bits(place, 64));
  return bytes;
}

base::Result<SegmentHeader> decode_segment_header(std::string_view bytes) {
  if (bytes.size() < kSegmentHeaderBytes) return base::fail(base::Code::kDataLoss, "cut short");
  const char* const place = bytes.data();
  if (get<std::uint64_t>(place + 64) != XXH3_64bits(place, 64) || !bytes.starts_with(kSegmentMagic)) {
    return base::fail(base::Code::kDataLoss, "damaged segment header at offset 0");
  }
  const auto format = get<std::uint32_t>(place + 8);
  if (format != kFormat) {
    return base::fail(base::Code::kFailedPrecondition,
                      "log format " + std::to_string(format) + " is not known here");
  }
  return SegmentHeader{get<std::uint64_t>(place + 16), get<std::uint64_t>(place + 24),
                       get<std::uint64_t>(place + 32), get<std::uint64_t>(place + 40),
                       get<std::uint64_t>(place + 48), get<std::uint64_t>(place + 56)};
}

std::string segment_name(std::uint64_t number) {
  return numbered("log-", number);
}
std::string spare_name(std::uint64_t number) {
  return numbered("spare-", number);
}
std::optional<std::uint64_t> parse_segment_name(std::string_view name) {
  return parse_numbered("log-", name);
}
std::optional<std::uint64_t> parse_spare_name(std::string_view name) {
  return parse_numbered("spare-", name);
}

void BlockWriter::begin() {
  if (buffer_.capacity() > (std::size_t{4} << 20)) buffer_ = {};  // one huge group must not stay for ever
  buffer_.assign(kBlockHeaderBytes, '\0');
  groups_ = 0;
}

void BlockWriter::add(std::string_view group) {
  CHECK(group.size() <= kMaxGroupBytes);
  const auto length = static_cast<std::uint32_t>(group.size());
  buffer_.append(reinterpret_cast<const char*>(&length), sizeof length);
  buffer_.append(group);
  ++groups_;
}

std::string_view BlockWriter::finish(const SegmentHeader& segment, std::uint64_t offset, GroupNumber first,
                                     GroupNumber durable) {
  const std::size_t payload = buffer_.size() - kBlockHeaderBytes;
  buffer_.resize(align_block(buffer_.size()));
  char* const place = buffer_.data();
  std::memcpy(place, kBlockMagic.data(), kBlockMagic.size());
  put<std::uint32_t>(place + 4, groups_);
  put<std::uint64_t>(place + 8, payload);
  put<std::uint64_t>(place + 16, segment.number);
  put<std::uint64_t>(place + 24, first);
  put<std::uint64_t>(place + 32, durable);
  put<std::uint64_t>(place + 40, block_checksum(buffer_, payload, segment.salt ^ offset));
  return buffer_;
}

std::optional<std::vector<std::string_view>> Block::split() const {
  std::vector<std::string_view> found;
  std::string_view rest = payload;
  for (std::uint32_t n = 0; n < groups; ++n) {
    if (rest.size() < kGroupHeaderBytes) return std::nullopt;
    const auto length = get<std::uint32_t>(rest.data());
    rest.remove_prefix(kGroupHeaderBytes);
    if (rest.size() < length) return std::nullopt;
    found.push_back(rest.substr(0, length));
    rest.remove_prefix(length);
  }
  if (!rest.empty()) return std::nullopt;
  return found;
}

std::optional<Block> decode_block(std::string_view segment, std::size_t offset, const SegmentHeader& header) {
  if (offset + kBlockHeaderBytes > segment.size()) return std::nullopt;
  const std::string_view rest = segment.substr(offset);
  if (!rest.starts_with(kBlockMagic) || get<std::uint64_t>(rest.data() + 16) != header.number)
    return std::nullopt;
  const auto payload = get<std::uint64_t>(rest.data() + 8);
  if (payload > rest.size() - kBlockHeaderBytes) return std::nullopt;
  const bool good =
      get<std::uint64_t>(rest.data() + 40) == block_checksum(rest, payload, header.salt ^ offset);
  if (!good && !base::planted(base::Bug::kChecksumIgnored)) return std::nullopt;
  return Block{get<std::uint32_t>(rest.data() + 4), get<std::uint64_t>(rest.data() + 24),
               get<std::uint64_t>(rest.data() + 32), rest.substr(kBlockHeaderBytes, payload),
               align_block(kBlockHeaderBytes + payload)};
}

}  // namespace perdure::store::local
