// The file system as an argument, so that tests can lose, tear and refuse writes.
//
// Production: posix_disk(). Tests: SimDisk (base/sim_disk.h), which keeps apart what was written and what was synced. Blocking
// calls; they belong on an executor made for I/O. Paths are absolute or relative to the disk's root.
//
// Failures: NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED (no space left), otherwise UNAVAILABLE; the message
// names the path.
//
// Thread rule: Disk from any thread; one File from one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace perdure::base {

class File {
 public:
  virtual ~File() = default;  // closes; what was not synced may be lost by a crash
  // Reads up to out.size() bytes at offset and says how many; fewer means the end of the file.
  virtual Result<std::size_t> read_into(std::uint64_t offset, std::span<char> out) = 0;
  // The same as a string of its own.
  Result<std::string> read(std::uint64_t offset, std::size_t size);
  // Writes all of `bytes` at offset (extending the file if needed), or fails; on failure what was written is unknown.
  virtual Status write(std::uint64_t offset, std::string_view bytes) = 0;
  // Makes everything written durable (fdatasync). After a failure the durable content is unknown: the caller must not go on.
  virtual Status sync() = 0;
  // The same, with the answer by callback: before sync_then returns (production), or later or never (a test's stuck disk).
  virtual void sync_then(std::move_only_function<void(Status)> done) { done(sync()); }
  virtual Result<std::uint64_t> size() = 0;
  virtual Status truncate(std::uint64_t size) = 0;
  // Reserves space, zero-filled and counted in size(), so that later writes neither extend the file nor run out of space.
  virtual Status allocate(std::uint64_t size) = 0;
};

enum class OpenMode : std::uint8_t {
  kRead,       // must exist
  kReadWrite,  // must exist
  kCreate,     // created if missing
  kCreateNew,  // must not exist: ALREADY_EXISTS
};

class Disk {
 public:
  virtual ~Disk() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;  // names, sorted
  virtual bool exists(const std::string& path) = 0;
  virtual Status make_directory(const std::string& path) = 0;  // mode 0700; existing is fine
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  virtual Status remove(const std::string& path) = 0;  // NOT_FOUND when missing
  virtual Status sync_directory(const std::string& path) = 0;
  // Locks a file of the directory for this process for the life of the result; FAILED_PRECONDITION names the owner's pid.
  virtual Result<std::unique_ptr<File>> lock(const std::string& path) = 0;
  virtual Result<std::uint64_t> free_bytes(const std::string& path) = 0;
  // The name of the file system when it is a network one ("nfs", "cifs", ...), otherwise empty.
  virtual std::string network_file_system(const std::string& path) = 0;
  // Lets other threads that use the disk go on, for about `how_long`; nothing where there are none (a simulated disk).
  virtual void pause(Duration how_long) = 0;
};

Disk& posix_disk();

// Writes a small file whole: a temporary file beside it, synced, renamed over it, the directory synced. After a crash the old or
// the new content is there, never a part.
Status replace_file(Disk& disk, const std::string& directory, const std::string& name,
                    std::string_view bytes);
// The whole content of a file.
Result<std::string> read_file(Disk& disk, const std::string& path);

}  // namespace perdure::base
