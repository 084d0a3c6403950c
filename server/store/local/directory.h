// The data directory of a local store: whose it is, which format it has, and the room kept for a full disk (rule E10).
//
// Thread rule: open from the owner's thread; the rest from the projection executor, low_space() from any thread.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/disk.h"

namespace perdure::store::local {

struct SpaceLimits {
  std::uint64_t ballast_bytes = 64 << 20;
  std::uint64_t low_mark = 128 << 20;      // less free: new work is refused
  std::uint64_t critical_mark = 32 << 20;  // less free: the ballast is given up
};

class Directory {
 public:
  // Makes it (mode 0700) or takes it over. FAILED_PRECONDITION: another process has it (its pid), a network file system, a newer
  // format, something else's directory. DATA_LOSS: a damaged or missing manifest.
  static base::Result<std::unique_ptr<Directory>> open(base::Disk& disk, const std::string& path,
                                                       std::uint64_t new_store_id, SpaceLimits limits);

  const std::string& path() const { return path_; }
  std::uint64_t store_id() const { return store_id_; }
  const std::string& projection_name() const { return projection_name_; }
  bool is_new() const { return is_new_; }
  // The projection is there: from now on the directory counts as a store.
  base::Status write_manifest();

  // Looks at the free space (at most once a second of `clock`), gives up the ballast or takes it back.
  void look_at_space(const base::Clock& clock);
  // The disk is full: gives up the ballast. Any thread.
  void make_room();
  bool low_space() const { return low_space_; }

 private:
  Directory(base::Disk& disk, std::string path, SpaceLimits limits)
      : disk_(disk), path_(std::move(path)), limits_(limits) {}
  base::Status read_manifest();
  base::Status begin_new(std::uint64_t store_id);
  void measure();
  bool ballast_is_whole();
  base::Status make_ballast();

  base::Disk& disk_;
  const std::string path_;
  const SpaceLimits limits_;
  std::unique_ptr<base::File> lock_;
  std::uint64_t store_id_ = 0;
  std::string projection_name_ = "projection-0.db";
  bool is_new_ = false;
  base::Time looked_{};
  std::atomic<bool> low_space_ = false;
};

}  // namespace perdure::store::local
