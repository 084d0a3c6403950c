// The bytes of a log segment (docs/reference/format.md). Pure functions of bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "server/store/store.h"

namespace perdure::store::local {

inline constexpr std::uint32_t kFormat = 1;
inline constexpr std::string_view kBlockMagic = "PBLK";
inline constexpr std::size_t kSegmentHeaderBytes = 72;
inline constexpr std::size_t kFirstBlock = 4096;
inline constexpr std::size_t kBlockHeaderBytes = 48;
inline constexpr std::size_t kGroupHeaderBytes = 4;
inline constexpr std::size_t kBlockAlign = 8;
inline constexpr std::size_t kMaxGroupBytes = std::size_t{1} << 30;

struct SegmentHeader {
  std::uint64_t store_id = 0;
  std::uint64_t number = 0;
  std::uint64_t salt = 0;
  GroupNumber first = 0;
  GroupNumber durable = 0;
  std::uint64_t file_bytes = 0;
};

std::string encode(const SegmentHeader& header);
// FAILED_PRECONDITION: another format; DATA_LOSS: damaged. The message says what, not where.
base::Result<SegmentHeader> decode_segment_header(std::string_view bytes);

std::string segment_name(std::uint64_t number);  // log-0000000001
std::string spare_name(std::uint64_t number);
std::optional<std::uint64_t> parse_segment_name(std::string_view name);
std::optional<std::uint64_t> parse_spare_name(std::string_view name);

constexpr std::size_t align_block(std::size_t bytes) {
  return (bytes + kBlockAlign - 1) / kBlockAlign * kBlockAlign;
}

// Builds a block: begin, add each group, finish. The buffer is reused.
class BlockWriter {
 public:
  void begin();
  void add(std::string_view group);
  std::size_t bytes() const { return align_block(buffer_.size()); }  // so far, padded
  std::uint32_t groups() const { return groups_; }
  // The finished block; valid until begin().
  std::string_view finish(const SegmentHeader& segment, std::uint64_t offset, GroupNumber first,
                          GroupNumber durable);

 private:
  std::string buffer_;
  std::uint32_t groups_ = 0;
};

struct Block {
  std::uint32_t groups = 0;
  GroupNumber first = 0;
  GroupNumber durable = 0;
  std::string_view payload;
  std::size_t bytes = 0;  // with header and padding

  // The groups of the payload; nullopt when the lengths do not fit.
  std::optional<std::vector<std::string_view>> split() const;
};

// The block at `offset` of a segment's bytes, nullopt when there is none that is good in itself (positions are not looked at).
std::optional<Block> decode_block(std::string_view segment, std::size_t offset, const SegmentHeader& header);

}  // namespace perdure::store::local
