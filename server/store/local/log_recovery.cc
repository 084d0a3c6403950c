#include "server/store/local/log_recovery.h"

#include <algorithm>

namespace perdure::store::local {
namespace {

using base::Code;
using base::Disk;
using base::Result;
using base::Status;

// Where reading a segment stopped.
struct End {
  GroupNumber last = 0;     // last group read
  GroupNumber durable = 0;  // largest position a block calls durable
  std::size_t offset = 0;   // of the first block that is not good
  bool good_one_behind = false;
};

// A good block somewhere behind `offset`: proof that what stands at `offset` was synced once.
bool finds_block_behind(std::string_view bytes, std::size_t offset, const SegmentHeader& header) {
  for (std::size_t at = bytes.find(kBlockMagic, offset + 1); at != bytes.npos;
       at = bytes.find(kBlockMagic, at + 1)) {
    if (at % kBlockAlign == 0 && decode_block(bytes, at, header)) return true;
  }
  return false;
}

// Reads blocks while they are good and the positions follow each other, up to and including `end`. The block in which `end` is
// passed may be longer: what lies beyond is void.
End read_segment(std::string_view bytes, const SegmentHeader& header, GroupNumber end,
                 const GroupVisitor& visit) {
  End found{.last = header.first - 1, .durable = header.durable, .offset = kFirstBlock};
  while (found.last < end) {
    const auto block = decode_block(bytes, found.offset, header);
    if (!block || block->first != found.last + 1) break;
    const auto groups = block->split();
    if (!groups) break;
    found.durable = std::max(found.durable, block->durable);
    for (const std::string_view group : *groups) {
      if (found.last == end) break;
      ++found.last;
      if (visit) visit(found.last, group);
    }
    found.offset += block->bytes;
  }
  if (found.last < end) found.good_one_behind = finds_block_behind(bytes, found.offset, header);
  return found;
}

std::unexpected<base::Error> damaged(const Segment& segment, std::size_t offset, GroupNumber position,
                                     const std::string& why) {
  return base::fail(Code::kDataLoss, segment.path + ": damaged block at offset " + std::to_string(offset) +
                                         ", position " + std::to_string(position) + ": " + why);
}

Result<Segment> open_segment(Disk& disk, const std::string& path, std::uint64_t number,
                             std::uint64_t store_id) {
  TRY(auto file, disk.open(path, base::OpenMode::kRead));
  TRY(const std::string bytes, file->read(0, kSegmentHeaderBytes));
  auto header = decode_segment_header(bytes);
  if (!header) return base::fail(header.error().code, path + ": " + header.error().message);
  if (header->number != number || header->first == 0) {
    return base::fail(Code::kDataLoss, path + ": segment header at offset 0 does not belong to this name");
  }
  if (header->store_id != store_id)
    return base::fail(Code::kFailedPrecondition, path + ": belongs to another store");
  TRY(const std::uint64_t size, file->size());
  if (size < header->file_bytes) {
    return base::fail(Code::kDataLoss, path + ": cut short at offset " + std::to_string(size) +
                                           ", should be " + std::to_string(header->file_bytes));
  }
  return Segment{path, *header};
}

Result<std::string> read_bytes(Disk& disk, const Segment& segment) {
  TRY(auto file, disk.open(segment.path, base::OpenMode::kRead));
  return file->read(0, segment.header.file_bytes);
}

Result<std::vector<Segment>> list_segments(Disk& disk, const std::string& directory, std::uint64_t store_id,
                                           FoundLog& found) {
  std::vector<Segment> segments;
  TRY(const auto names, disk.list(directory));
  for (const std::string& name : names) {
    if (const auto number = parse_segment_name(name)) {
      TRY(Segment segment, open_segment(disk, directory + "/" + name, *number, store_id));
      segments.push_back(std::move(segment));
      found.next_segment = std::max(found.next_segment, *number + 1);
    } else if (const auto spare = parse_spare_name(name)) {
      found.spares.push_back(directory + "/" + name);
      found.next_segment = std::max(found.next_segment, *spare + 1);
    }
  }
  std::ranges::sort(segments, {}, [](const Segment& segment) { return segment.header.number; });
  return segments;
}

}  // namespace

Result<FoundLog> find_log(Disk& disk, const std::string& directory, std::uint64_t store_id,
                          GroupNumber cursor, GroupNumber known_durable) {
  FoundLog found;
  TRY(auto segments, list_segments(disk, directory, store_id, found));
  found.durable = known_durable;
  if (segments.empty()) {
    if (known_durable > 0) {
      return base::fail(Code::kDataLoss, directory + ": no log, but the projection holds groups up to " +
                                             std::to_string(known_durable));
    }
    return found;
  }
  std::size_t start = 0;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    found.durable = std::max(found.durable, segments[i].header.durable);
    if (segments[i].header.first <= cursor + 1) start = i;
  }
  if (segments[start].header.first > cursor + 1) {
    return base::fail(Code::kDataLoss, segments[start].path + ": the log begins at " +
                                           std::to_string(segments[start].header.first) +
                                           ", but the projection ends at " + std::to_string(cursor));
  }
  found.obsolete.assign(segments.begin(), segments.begin() + static_cast<std::ptrdiff_t>(start));
  found.segments.assign(segments.begin() + static_cast<std::ptrdiff_t>(start), segments.end());

  for (std::size_t i = 0; i < found.segments.size(); ++i) {
    const Segment& segment = found.segments[i];
    const bool is_last = i + 1 == found.segments.size();
    const GroupNumber end = is_last ? UINT64_MAX : found.segments[i + 1].header.first - 1;
    TRY(const std::string bytes, read_bytes(disk, segment));
    const End stopped = read_segment(bytes, segment.header, end, nullptr);
    found.durable = std::max(found.durable, stopped.durable);
    found.last = stopped.last;
    if (stopped.last == end) continue;
    const GroupNumber position = stopped.last + 1;
    if (!is_last) return damaged(segment, stopped.offset, position, "a later segment follows");
    if (stopped.good_one_behind) return damaged(segment, stopped.offset, position, "a good block follows");
    if (found.durable > stopped.last) {
      return damaged(segment, stopped.offset, position, "durable up to " + std::to_string(found.durable));
    }
  }
  return found;
}

Status read_groups(Disk& disk, const FoundLog& found, GroupNumber after, const GroupVisitor& visit) {
  for (std::size_t i = 0; i < found.segments.size(); ++i) {
    const Segment& segment = found.segments[i];
    const bool is_last = i + 1 == found.segments.size();
    const GroupNumber end = is_last ? found.last : found.segments[i + 1].header.first - 1;
    if (end <= after) continue;
    TRY(const std::string bytes, read_bytes(disk, segment));
    const End stopped =
        read_segment(bytes, segment.header, end, [&](GroupNumber number, std::string_view group) {
          if (number > after) visit(number, group);
        });
    if (stopped.last < end)
      return damaged(segment, stopped.offset, stopped.last + 1, "it was good a moment ago");
  }
  return {};
}

}  // namespace perdure::store::local
