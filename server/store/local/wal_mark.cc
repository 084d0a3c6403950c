#include "server/store/local/wal_mark.h"

#include <xxhash.h>

#include <cstring>

namespace perdure::store::local {
namespace {

constexpr std::string_view kMagic = "PERDMARK";

void put(std::string& bytes, std::uint64_t value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::uint64_t get(std::string_view bytes, std::size_t offset) {
  std::uint64_t value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::unexpected<base::Error> damaged(const std::string& path, std::uint64_t offset, const std::string& what) {
  return base::fail(base::Code::kDataLoss, path + ": " + what + " at offset " + std::to_string(offset));
}

}  // namespace

std::uint64_t checksum_frame_page(std::string_view page, std::uint64_t number) {
  return XXH3_64bits_withSeed(page.data(), page.size(), number);
}

Frame checksum_frame(std::string_view header, std::string_view page, std::uint64_t number) {
  Frame frame;
  frame.page = checksum_frame_page(page, number);
  char both[kFrameHeaderBytes + sizeof frame.page];
  std::memcpy(both, header.data(), kFrameHeaderBytes);
  std::memcpy(both + kFrameHeaderBytes, &frame.page, sizeof frame.page);
  frame.whole = XXH3_64bits(both, sizeof both);
  return frame;
}

std::string WalMark::encode() const {
  std::string bytes(kMagic);
  put(bytes, static_cast<std::uint64_t>(state));
  bytes += header;
  put(bytes, frames.size());
  for (const std::uint64_t frame : frames) put(bytes, frame);
  put(bytes, XXH3_64bits(bytes.data(), bytes.size()));
  return bytes;
}

base::Result<WalMark> read_mark(base::Disk& disk, const std::string& path) {
  if (!disk.exists(path)) return WalMark{};
  TRY(const std::string bytes, base::read_file(disk, path));
  constexpr std::size_t kFixed = 8 + 8 + kWalHeaderBytes + 8;
  if (bytes.size() < kFixed + 8 || !bytes.starts_with(kMagic)) return damaged(path, 0, "damaged mark");
  const std::size_t count = (bytes.size() - kFixed - 8) / 8;
  if (get(bytes, bytes.size() - 8) != XXH3_64bits(bytes.data(), bytes.size() - 8) ||
      get(bytes, kFixed - 8) != count) {
    return damaged(path, bytes.size() - 8, "damaged mark, checksum");
  }
  WalMark mark;
  mark.state = static_cast<WalMark::State>(get(bytes, 8));
  mark.header = bytes.substr(16, kWalHeaderBytes);
  for (std::size_t i = 0; i < count; ++i) mark.frames.push_back(get(bytes, kFixed + i * 8));
  return mark;
}

base::Result<WalContent> recover_wal(base::Disk& disk, const std::string& path, const WalMark& mark,
                                     std::size_t page_bytes) {
  WalContent content;
  const std::size_t frame_bytes = kFrameHeaderBytes + page_bytes;
  if (!disk.exists(path)) return content;
  TRY(auto file, disk.open(path, base::OpenMode::kReadWrite));
  TRY(const std::uint64_t size, file->size());
  if (size == 0) return content;
  TRY(content.header, file->read(0, kWalHeaderBytes));
  content.header.resize(kWalHeaderBytes);
  TRY_VOID(file->write(
      0, std::string_view(content.header).substr(0, std::min<std::uint64_t>(size, kWalHeaderBytes))));

  const bool must_match = mark.state == WalMark::State::kCopying ||
                          (mark.state == WalMark::State::kReuse && content.header == mark.header);
  if (must_match && content.header != mark.header)
    return damaged(path, 0, "damaged header of the write-ahead log");
  for (std::uint64_t offset = kWalHeaderBytes; offset + frame_bytes <= size; offset += frame_bytes) {
    TRY(const std::string bytes, file->read(offset, frame_bytes));
    TRY_VOID(file->write(offset, bytes));
    const std::uint64_t number = content.frames.size();
    const Frame frame = checksum_frame(bytes, std::string_view(bytes).substr(kFrameHeaderBytes), number);
    if (must_match && number < mark.frames.size() && mark.frames[number] != frame.whole) {
      return damaged(path, offset, "damaged frame of the write-ahead log");
    }
    content.frames.push_back(frame);
  }
  if (must_match && content.frames.size() < mark.frames.size())
    return damaged(path, size, "write-ahead log cut short");
  TRY_VOID(file->sync());
  return content;
}

}  // namespace perdure::store::local
