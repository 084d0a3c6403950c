// SQLite on our Disk: page checksums, and a write-ahead log whose needed frames are proven (rule E10, docs/reference/format.md).
//
// One Vfs per store, registered with SQLite under its name() for its life. It serves one database file and its "-wal", opened by
// several connections of this process only (the data directory is locked), so file locks are no-ops and the WAL index is on the
// heap. Temporary files are refused: connections keep those in memory.
//
// A damaged page is SQLITE_IOERR_DATA and is described by take_damage().
//
// Thread rule: SQLite calls in from the threads of the connections; the rest from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/disk.h"

namespace perdure::store::local {

inline constexpr std::size_t kPageBytes = 4096;
inline constexpr std::size_t kReservedBytes = 8;

class Vfs {
 public:
  // `directory`/`database` is the file; the mark is beside it. Reads and checks the mark against the WAL that is there:
  // DATA_LOSS when frames it claims are damaged or missing.
  static base::Result<std::unique_ptr<Vfs>> open(base::Disk& disk, std::string directory,
                                                 std::string database);
  ~Vfs();
  Vfs(const Vfs&) = delete;
  Vfs& operator=(const Vfs&) = delete;

  const std::string& name() const;
  std::string path() const;

  // Before a checkpoint: syncs the WAL and claims its frames. After one that emptied the WAL: the claim is void.
  base::Status begin_checkpoint();
  base::Status end_checkpoint();

  std::uint64_t wal_bytes() const;
  // What was found damaged since the last call, as a sentence with file and offset.
  std::optional<std::string> take_damage();
  // The last failure of the disk, for the message of an SQLite error.
  std::optional<base::Error> take_error();

  struct Shared;  // of all files of this Vfs

 private:
  explicit Vfs(std::shared_ptr<Shared> shared);
  std::shared_ptr<Shared> shared_;
  struct Registration;
  std::unique_ptr<Registration> registration_;
};

}  // namespace perdure::store::local
