#include "server/store/local/directory.h"

#include <xxhash.h>

#include <cinttypes>
#include <cstdio>
#include <sstream>

#include "base/log.h"
#include "server/store/local/log_format.h"

namespace perdure::store::local {

using base::Code;
using base::Result;
using base::Status;

namespace {

constexpr const char* kManifest = "manifest";
constexpr const char* kBallast = "ballast";
constexpr std::uint32_t kLastShard = UINT32_MAX;
constexpr base::Duration kBetweenLooks = std::chrono::seconds(1);

std::string hex(std::uint64_t number) {
  char text[20];
  std::snprintf(text, sizeof text, "%016" PRIx64, number);
  return text;
}

bool ends_with_any(const std::string& name) {
  return name.ends_with(".new") || name.starts_with("projection-") || name == kBallast || name == "lock";
}

}  // namespace

Result<std::unique_ptr<Directory>> Directory::open(base::Disk& disk, const std::string& path,
                                                   std::uint64_t new_store_id, SpaceLimits limits) {
  TRY_VOID(disk.make_directory(path));
  if (const std::string name = disk.network_file_system(path); !name.empty()) {
    return base::fail(Code::kFailedPrecondition, path + " is on a network file system (" + name +
                                                     "), where a lock and a sync do not hold");
  }
  std::unique_ptr<Directory> directory(new Directory(disk, path, limits));
  TRY(directory->lock_, disk.lock(path + "/lock"));
  if (disk.exists(path + "/" + kManifest)) {
    TRY_VOID(directory->read_manifest());
  } else {
    TRY_VOID(directory->begin_new(new_store_id));
  }
  directory->measure();
  return directory;
}

// Nothing was ever acknowledged before the manifest is there: leftovers of a start that did not get so far
// go.
Status Directory::begin_new(std::uint64_t store_id) {
  TRY(const auto names, disk_.list(path_));
  for (const std::string& name : names) {
    if (parse_segment_name(name))
      return base::fail(Code::kDataLoss, path_ + "/" + kManifest + " is missing, but there is a log");
    if (!ends_with_any(name)) {
      return base::fail(Code::kFailedPrecondition, path_ + " is not a data directory: it holds " + name);
    }
  }
  for (const std::string& name : names) {
    if (name != "lock") TRY_VOID(disk_.remove(path_ + "/" + name));
  }
  store_id_ = store_id;
  is_new_ = true;
  return {};
}

Status Directory::write_manifest() {
  std::string text = "perdure-data " + std::to_string(kFormat) + "\nstore " + hex(store_id_) +
                     "\nprojection " + projection_name_ + " 0 " + std::to_string(kLastShard) + "\n";
  text += "checksum " + hex(XXH3_64bits(text.data(), text.size())) + "\n";
  return base::replace_file(disk_, path_, kManifest, text);
}

Status Directory::read_manifest() {
  const std::string path = path_ + "/" + kManifest;
  TRY(const std::string text, base::read_file(disk_, path));
  const auto damaged = [&] {
    return base::fail(Code::kDataLoss, path + ": damaged at offset 0 to " + std::to_string(text.size()));
  };
  const std::size_t check = text.rfind("checksum ");
  if (check == text.npos) return damaged();
  if (text.substr(check) != "checksum " + hex(XXH3_64bits(text.data(), check)) + "\n") return damaged();
  std::istringstream words(text.substr(0, check));
  std::string magic, key, store, file;
  std::uint64_t format = 0, first = 0, last = 0;
  if (!(words >> magic >> format) || magic != "perdure-data") return damaged();
  if (format > kFormat) {
    return base::fail(Code::kFailedPrecondition, path_ + " has format " + std::to_string(format) +
                                                     ", this program knows up to " + std::to_string(kFormat));
  }
  if (!(words >> key >> store) || key != "store" || !(words >> key >> file >> first >> last) ||
      key != "projection") {
    return damaged();
  }
  store_id_ = std::stoull(store, nullptr, 16);
  projection_name_ = file;
  TRY(const auto names, disk_.list(path_));
  for (const std::string& name : names) {
    if (name.ends_with(".new")) TRY_VOID(disk_.remove(path_ + "/" + name));
  }
  return {};
}

// ---- space
// ----------------------------------------------------------------------------------------------------------------------

void Directory::look_at_space(const base::Clock& clock) {
  const base::Time now = clock.now();
  if (now - looked_ < kBetweenLooks) return;
  looked_ = now;
  measure();
}

void Directory::measure() {
  const auto free = disk_.free_bytes(path_);
  if (!free) return;
  bool has_ballast = limits_.ballast_bytes == 0 || ballast_is_whole();
  if (!has_ballast && *free >= limits_.low_mark + limits_.ballast_bytes) {
    has_ballast = make_ballast().has_value();
    if (!has_ballast) make_room();
  } else if (has_ballast && *free < limits_.critical_mark) {
    make_room();
    has_ballast = limits_.ballast_bytes == 0;
  }
  const bool low = *free < limits_.low_mark || !has_ballast;
  if (low_space_.exchange(low) == low) return;
  if (low) {
    LOG(kWarn, "low_space", {{"data", path_}, {"free_bytes", *free}, {"low_mark", limits_.low_mark}});
  } else {
    LOG(kInfo, "space_again", {{"data", path_}, {"free_bytes", *free}});
  }
}

// A crash may have left a file whose reservation was not synced.
bool Directory::ballast_is_whole() {
  auto file = disk_.open(path_ + "/" + kBallast, base::OpenMode::kRead);
  if (!file) return false;
  const auto size = (*file)->size();
  return size && *size >= limits_.ballast_bytes;
}

Status Directory::make_ballast() {
  TRY(auto file, disk_.open(path_ + "/" + kBallast, base::OpenMode::kCreate));
  TRY_VOID(file->allocate(limits_.ballast_bytes));
  return file->sync();
}

void Directory::make_room() {
  if (!low_space_.exchange(true)) LOG(kWarn, "disk_full", {{"data", path_}});
  static_cast<void>(disk_.remove(path_ + "/" + kBallast));
}

}  // namespace perdure::store::local
