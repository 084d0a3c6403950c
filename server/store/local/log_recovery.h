// What is found of the log at start: which segments, where it ends, what is proven durable; damage is refused (rule E9).
//
// Reads only. Making the unproven tail durable again is the Log's (log.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/disk.h"
#include "server/store/local/log_format.h"

namespace perdure::store::local {

struct Segment {
  std::string path;
  SegmentHeader header;
};

struct FoundLog {
  std::vector<Segment> segments;    // oldest first, from the one that holds the group after the cursor
  std::vector<Segment> obsolete;    // wholly at or below the cursor: to be trimmed
  std::vector<std::string> spares;  // paths
  GroupNumber last = 0;             // the last group that can be read; 0: none ever
  GroupNumber durable = 0;          // up to here a sync is proven
  std::uint64_t next_segment = 1;   // a number never used
};

using GroupVisitor = std::function<void(GroupNumber, std::string_view)>;

// `cursor`: groups up to here are not needed any more. `known_durable`: what else proves durable (the projection's cursors).
// FAILED_PRECONDITION: another store's or format's file. DATA_LOSS: damage, with file, offset and position.
base::Result<FoundLog> find_log(base::Disk& disk, const std::string& directory, std::uint64_t store_id,
                                GroupNumber cursor, GroupNumber known_durable);

// Calls `visit` for every group above `after`, in order, up to found.last. Reads the files again; fails as find_log does.
base::Status read_groups(base::Disk& disk, const FoundLog& found, GroupNumber after,
                         const GroupVisitor& visit);

}  // namespace perdure::store::local
