// What is known of the frames of SQLite's write-ahead log, and the mark file that claims them while a checkpoint copies them into
// the database (docs/reference/format.md). Without the claim SQLite would take a damaged frame for the end of its log, and show
// pages of two times. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"

namespace perdure::store::local {

inline constexpr std::size_t kWalHeaderBytes = 32;
inline constexpr std::size_t kFrameHeaderBytes = 24;

struct Frame {
  std::uint64_t page = 0;   // checksum of the page
  std::uint64_t whole = 0;  // of frame header and page
};

Frame checksum_frame(std::string_view header, std::string_view page, std::uint64_t number);
std::uint64_t checksum_frame_page(std::string_view page, std::uint64_t number);

struct WalMark {
  enum class State : std::uint64_t { kNone = 0, kCopying = 1, kReuse = 2 };

  State state = State::kNone;
  std::string header = std::string(kWalHeaderBytes, '\0');  // of the WAL whose frames are claimed
  std::vector<std::uint64_t> frames;                        // Frame::whole of each

  std::string encode() const;
};

// The mark; none when the file is missing. DATA_LOSS when damaged.
base::Result<WalMark> read_mark(base::Disk& disk, const std::string& path);

struct WalContent {
  std::string header;         // empty: no WAL
  std::vector<Frame> frames;  // of every frame that is physically there
};

// Reads the WAL, makes what is there durable (rule E9: it may be only in the page cache), and checks it against the mark.
// DATA_LOSS names file and offset.
base::Result<WalContent> recover_wal(base::Disk& disk, const std::string& path, const WalMark& mark,
                                     std::size_t page_bytes);

}  // namespace perdure::store::local
