#include "server/store/local/sqlite_vfs.h"

#include <sqlite3.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <utility>
#include <vector>

#include "base/planted.h"
#include "server/store/local/wal_mark.h"

namespace perdure::store::local {

using base::Code;
using base::Error;
using base::Result;
using base::Status;

namespace {

constexpr std::size_t kFrameBytes = kFrameHeaderBytes + kPageBytes;
constexpr std::size_t kWalBuffer = std::size_t{1} << 20;  // frames of one commit that go out in one write

// SQLite's own mutex: it calls from the threads of its connections.
class Lock {
 public:
  explicit Lock(sqlite3_mutex* mutex) : mutex_(mutex) { sqlite3_mutex_enter(mutex_); }
  ~Lock() { sqlite3_mutex_leave(mutex_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  sqlite3_mutex* const mutex_;
};

enum class Role : std::uint8_t { kDatabase, kWal, kJournal };

}  // namespace

struct Vfs::Shared {
  Shared(base::Disk& d, std::string dir, std::string db)
      : disk(d), directory(std::move(dir)), database(std::move(db)) {
    sqlite3_initialize();
    mutex = sqlite3_mutex_alloc(SQLITE_MUTEX_FAST);
  }
  ~Shared() { sqlite3_mutex_free(mutex); }

  std::string path() const { return directory + "/" + database; }
  std::string mark_name() const { return database + ".mark"; }

  int failed(const Error& failure, int code) {
    Lock lock(mutex);
    if (!error) error = failure;
    return failure.code == Code::kResourceExhausted ? SQLITE_FULL : code;
  }
  int damaged(const std::string& where) {
    Lock lock(mutex);
    if (!damage) damage = where;
    return SQLITE_IOERR_DATA;
  }
  // A failed sync leaves unknown what is durable: nothing may go on as if it had worked.
  int failed_sync(const Error& failure) {
    broken = true;
    return failed(failure, SQLITE_IOERR_FSYNC);
  }
  Status write_mark(WalMark::State state) {
    mark.state = state;
    mark.header = wal_header;
    mark.frames.clear();
    if (state == WalMark::State::kCopying) {
      Lock lock(mutex);
      for (const Frame& frame : frames) mark.frames.push_back(frame.whole);
    }
    return put_mark();
  }
  Status put_mark() {
    Status status = base::replace_file(disk, directory, mark_name(), mark.encode());
    if (!status) broken = true;
    return status;
  }

  base::Disk& disk;
  const std::string directory, database;
  sqlite3_mutex* mutex = nullptr;

  // Under the mutex.
  std::vector<Frame> frames;
  std::optional<std::string> damage;
  std::optional<Error> error;
  std::vector<std::unique_ptr<char[]>> regions;  // of the WAL index
  struct ShmLock {
    int shared = 0;
    bool exclusive = false;
  };
  std::array<ShmLock, SQLITE_SHM_NLOCK> locks;

  // Writer's thread only.
  WalMark mark;
  std::string wal_header;
  bool wal_created = false;

  std::atomic<std::uint64_t> wal_size = 0;
  std::atomic<bool> broken = false;
};

namespace {

using Shared = Vfs::Shared;

// ---- one open file --------------------------------------------------------------------------------------------------------------

class OpenFile {
 public:
  OpenFile(Shared& shared, std::unique_ptr<base::File> file, Role role, std::string path)
      : shared_(shared), file_(std::move(file)), role_(role), path_(std::move(path)) {}

  int read(char* out, std::size_t size, std::uint64_t offset) {
    if (const int code = flush(); code != SQLITE_OK) return code;
    const auto got = file_->read_into(offset, {out, size});
    if (!got) return shared_.failed(got.error(), SQLITE_IOERR_READ);
    if (*got < size) {
      std::memset(out + *got, 0, size - *got);
      return SQLITE_IOERR_SHORT_READ;
    }
    if (size != kPageBytes) return SQLITE_OK;
    return role_ == Role::kDatabase ? check_page(out, offset)
           : role_ == Role::kWal    ? check_frame(out, offset)
                                    : SQLITE_OK;
  }

  int write(const char* bytes, std::size_t size, std::uint64_t offset) {
    if (shared_.broken) return SQLITE_IOERR_WRITE;
    if (role_ == Role::kWal) return write_wal(bytes, size, offset);
    if (role_ == Role::kDatabase && size == kPageBytes) {
      char page[kPageBytes];
      std::memcpy(page, bytes, kPageBytes - kReservedBytes);
      const std::uint64_t sum = page_checksum(page, offset);
      std::memcpy(page + kPageBytes - kReservedBytes, &sum, sizeof sum);
      return put({page, kPageBytes}, offset);
    }
    return put({bytes, size}, offset);
  }

  int truncate(std::uint64_t size) {
    buffer_.clear();
    if (const Status status = file_->truncate(size); !status)
      return shared_.failed(status.error(), SQLITE_IOERR_TRUNCATE);
    if (role_ == Role::kWal) {
      shared_.wal_size = size;
      if (size == 0) {
        Lock lock(shared_.mutex);
        shared_.frames.clear();
      }
    }
    return SQLITE_OK;
  }

  int sync() {
    if (shared_.broken) return SQLITE_IOERR_FSYNC;
    if (const int code = flush(); code != SQLITE_OK) return code;
    if (base::planted(base::Bug::kCheckpointNotSynced)) return SQLITE_OK;
    if (const Status status = file_->sync(); !status) return shared_.failed_sync(status.error());
    return SQLITE_OK;
  }

  int size(sqlite3_int64* out) {
    if (const int code = flush(); code != SQLITE_OK) return code;
    const auto size = file_->size();
    if (!size) return shared_.failed(size.error(), SQLITE_IOERR_FSTAT);
    *out = static_cast<sqlite3_int64>(*size);
    return SQLITE_OK;
  }

  int shm_lock(int first, int count, int flags) {
    Lock lock(shared_.mutex);
    const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
    for (int i = first; i < first + count; ++i) {
      Shared::ShmLock& slot = shared_.locks[static_cast<std::size_t>(i)];
      if ((flags & SQLITE_SHM_UNLOCK) == 0 && (slot.exclusive || (exclusive && slot.shared > 0)))
        return SQLITE_BUSY;
    }
    for (int i = first; i < first + count; ++i) {
      Shared::ShmLock& slot = shared_.locks[static_cast<std::size_t>(i)];
      if ((flags & SQLITE_SHM_LOCK) != 0) {
        exclusive ? void(slot.exclusive = true) : void(++slot.shared);
      } else {
        exclusive ? void(slot.exclusive = false) : void(--slot.shared);
      }
    }
    return SQLITE_OK;
  }

  int shm_map(int region, int size, bool extend, void volatile** out) {
    Lock lock(shared_.mutex);
    const auto index = static_cast<std::size_t>(region);
    *out = nullptr;
    if (index >= shared_.regions.size() && !extend) return SQLITE_OK;
    while (shared_.regions.size() <= index) {
      shared_.regions.push_back(std::make_unique<char[]>(static_cast<std::size_t>(size)));
    }
    *out = shared_.regions[index].get();
    return SQLITE_OK;
  }

  void barrier() { Lock lock(shared_.mutex); }

 private:
  static std::uint64_t page_checksum(const char* page, std::uint64_t offset) {
    return XXH3_64bits_withSeed(page, kPageBytes - kReservedBytes, offset / kPageBytes + 1);
  }

  int check_page(const char* page, std::uint64_t offset) {
    std::uint64_t sum;
    std::memcpy(&sum, page + kPageBytes - kReservedBytes, sizeof sum);
    if (sum == page_checksum(page, offset)) return SQLITE_OK;
    return shared_.damaged(path_ + ": damaged page " + std::to_string(offset / kPageBytes + 1) +
                           " at offset " + std::to_string(offset));
  }

  int check_frame(const char* page, std::uint64_t offset) {
    const std::uint64_t number = (offset - kWalHeaderBytes) / kFrameBytes;
    {
      Lock lock(shared_.mutex);
      if (number < shared_.frames.size() &&
          shared_.frames[number].page == checksum_frame_page({page, kPageBytes}, number)) {
        return SQLITE_OK;
      }
    }
    return shared_.damaged(path_ + ": damaged page in frame " + std::to_string(number + 1) + " at offset " +
                           std::to_string(offset));
  }

  int put(std::string_view bytes, std::uint64_t offset) {
    const Status status = file_->write(offset, bytes);
    return status ? SQLITE_OK : shared_.failed(status.error(), SQLITE_IOERR_WRITE);
  }

  // SQLite writes each frame as header and page; the frames of a commit go out together, its last one at the latest.
  int write_wal(const char* bytes, std::size_t size, std::uint64_t offset) {
    if (offset == 0) return write_wal_header({bytes, size});
    if (buffer_offset_ + buffer_.size() != offset) {
      if (const int code = flush(); code != SQLITE_OK) return code;
      buffer_offset_ = offset;
    }
    buffer_.append(bytes, size);
    if (size == kFrameHeaderBytes) {
      frame_header_.assign(bytes, size);
      return SQLITE_OK;
    }
    if (size != kPageBytes || (offset - kWalHeaderBytes) % kFrameBytes != kFrameHeaderBytes)
      return SQLITE_IOERR_WRITE;
    const std::uint64_t number = (offset - kWalHeaderBytes) / kFrameBytes;
    const Frame frame = checksum_frame(frame_header_, {bytes, size}, number);
    {
      Lock lock(shared_.mutex);
      if (shared_.frames.size() <= number) shared_.frames.resize(number + 1);
      shared_.frames[number] = frame;
    }
    const bool commit = std::string_view(frame_header_).substr(4, 4) != std::string_view("\0\0\0\0", 4);
    return commit || buffer_.size() >= kWalBuffer ? flush() : SQLITE_OK;
  }

  // The WAL begins anew: everything in it is in the database, which is synced.
  int write_wal_header(std::string_view bytes) {
    if (const int code = flush(); code != SQLITE_OK) return code;
    if (shared_.mark.state == WalMark::State::kCopying) {
      shared_.mark.state = WalMark::State::kReuse;  // of the frames claimed
      if (const Status status = shared_.put_mark(); !status)
        return shared_.failed(status.error(), SQLITE_IOERR_WRITE);
    }
    shared_.wal_header = bytes;
    {
      Lock lock(shared_.mutex);
      shared_.frames.clear();
    }
    return put(bytes, 0);
  }

  int flush() {
    if (buffer_.empty()) return SQLITE_OK;
    const int code = put(buffer_, buffer_offset_);
    if (code == SQLITE_OK) {
      shared_.wal_size = std::max<std::uint64_t>(shared_.wal_size, buffer_offset_ + buffer_.size());
    } else {  // no room: a checkpoint must not claim frames that are not there
      Lock lock(shared_.mutex);
      const std::uint64_t first =
          (buffer_offset_ - std::min<std::uint64_t>(buffer_offset_, kWalHeaderBytes)) / kFrameBytes;
      if (shared_.frames.size() > first) shared_.frames.resize(first);
    }
    buffer_.clear();
    return code;
  }

  Shared& shared_;
  const std::unique_ptr<base::File> file_;
  const Role role_;
  const std::string path_;
  std::string buffer_, frame_header_;
  std::uint64_t buffer_offset_ = 0;
};

// ---- the tables of functions that SQLite calls --------------------------------------------------------------------------------

struct FileSlot {
  sqlite3_file base;
  OpenFile* file;
};

OpenFile& file_of(sqlite3_file* slot) {
  return *reinterpret_cast<FileSlot*>(slot)->file;
}
Shared& shared_of(sqlite3_vfs* vfs) {
  return *static_cast<Shared*>(vfs->pAppData);
}

const sqlite3_io_methods kMethods = {
    .iVersion = 2,
    .xClose =
        [](sqlite3_file* slot) {
          delete reinterpret_cast<FileSlot*>(slot)->file;
          return SQLITE_OK;
        },
    .xRead =
        [](sqlite3_file* slot, void* out, int size, sqlite3_int64 offset) {
          return file_of(slot).read(static_cast<char*>(out), static_cast<std::size_t>(size),
                                    static_cast<std::uint64_t>(offset));
        },
    .xWrite =
        [](sqlite3_file* slot, const void* bytes, int size, sqlite3_int64 offset) {
          return file_of(slot).write(static_cast<const char*>(bytes), static_cast<std::size_t>(size),
                                     static_cast<std::uint64_t>(offset));
        },
    .xTruncate = [](sqlite3_file* slot,
                    sqlite3_int64 size) { return file_of(slot).truncate(static_cast<std::uint64_t>(size)); },
    .xSync = [](sqlite3_file* slot, int) { return file_of(slot).sync(); },
    .xFileSize = [](sqlite3_file* slot, sqlite3_int64* size) { return file_of(slot).size(size); },
    .xLock = [](sqlite3_file*, int) { return SQLITE_OK; },
    .xUnlock = [](sqlite3_file*, int) { return SQLITE_OK; },
    .xCheckReservedLock =
        [](sqlite3_file*, int* reserved) {
          *reserved = 0;
          return SQLITE_OK;
        },
    .xFileControl = [](sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; },
    .xSectorSize = [](sqlite3_file*) { return static_cast<int>(kPageBytes); },
    .xDeviceCharacteristics = [](sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; },
    .xShmMap = [](sqlite3_file* slot, int region, int size, int extend,
                  void volatile** out) { return file_of(slot).shm_map(region, size, extend != 0, out); },
    .xShmLock = [](sqlite3_file* slot, int first, int count,
                   int flags) { return file_of(slot).shm_lock(first, count, flags); },
    .xShmBarrier = [](sqlite3_file* slot) { file_of(slot).barrier(); },
    .xShmUnmap = [](sqlite3_file*, int) { return SQLITE_OK; },
};

int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* slot, int flags, int* out_flags) {
  slot->pMethods = nullptr;
  Role role = Role::kJournal;
  if ((flags & SQLITE_OPEN_MAIN_DB) != 0) role = Role::kDatabase;
  if ((flags & SQLITE_OPEN_WAL) != 0) role = Role::kWal;
  if (name == nullptr || (role == Role::kJournal && (flags & SQLITE_OPEN_MAIN_JOURNAL) == 0))
    return SQLITE_CANTOPEN;
  Shared& shared = shared_of(vfs);
  if (role == Role::kWal && !shared.disk.exists(name)) shared.wal_created = true;
  auto file = shared.disk.open(
      name, (flags & SQLITE_OPEN_CREATE) != 0 ? base::OpenMode::kCreate : base::OpenMode::kReadWrite);
  if (!file) return shared.failed(file.error(), SQLITE_CANTOPEN);
  reinterpret_cast<FileSlot*>(slot)->file = new OpenFile(shared, std::move(*file), role, name);
  slot->pMethods = &kMethods;
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

int delete_file(sqlite3_vfs* vfs, const char* name, int sync_directory) {
  Shared& shared = shared_of(vfs);
  const Status removed = shared.disk.remove(name);
  if (!removed && removed.error().code == Code::kNotFound) return SQLITE_IOERR_DELETE_NOENT;
  if (!removed) return shared.failed(removed.error(), SQLITE_IOERR_DELETE);
  if (sync_directory != 0) {
    if (const Status synced = shared.disk.sync_directory(shared.directory); !synced)
      return shared.failed_sync(synced.error());
  }
  return SQLITE_OK;
}

int access_file(sqlite3_vfs* vfs, const char* name, int, int* out) {
  *out = shared_of(vfs).disk.exists(name) ? 1 : 0;
  return SQLITE_OK;
}

int full_path(sqlite3_vfs*, const char* name, int size, char* out) {
  if (std::strlen(name) >= static_cast<std::size_t>(size)) return SQLITE_CANTOPEN;
  std::strcpy(out, name);
  return SQLITE_OK;
}

}  // namespace

// ---- registration ---------------------------------------------------------------------------------------------------------------

struct Vfs::Registration {
  explicit Registration(Shared& shared) {
    static std::atomic<int> count = 0;
    name = "perdure-" + std::to_string(++count);
    vfs.iVersion = 1;
    vfs.szOsFile = sizeof(FileSlot);
    vfs.mxPathname = 4096;
    vfs.zName = name.c_str();
    vfs.pAppData = &shared;
    vfs.xOpen = open_file;
    vfs.xDelete = delete_file;
    vfs.xAccess = access_file;
    vfs.xFullPathname = full_path;
    vfs.xRandomness = [](sqlite3_vfs*, int size, char* out) {
      std::memset(out, 0, static_cast<std::size_t>(size));
      return size;
    };
    // A reader that meets a commit half done looks again a hundred times: without a pause that is over before a preempted
    // committer runs again, and the read fails with "locking protocol".
    vfs.xSleep = [](sqlite3_vfs* self, int microseconds) {
      shared_of(self).disk.pause(std::chrono::microseconds(microseconds));
      return microseconds;
    };
    vfs.xCurrentTime = [](sqlite3_vfs*, double* out) {
      *out = 2440587.5;  // 1970: no statement of the store asks for the time
      return SQLITE_OK;
    };
    vfs.xGetLastError = [](sqlite3_vfs*, int, char*) { return 0; };
    sqlite3_vfs_register(&vfs, 0);
  }
  ~Registration() { sqlite3_vfs_unregister(&vfs); }

  std::string name;
  sqlite3_vfs vfs{};
};

Result<std::unique_ptr<Vfs>> Vfs::open(base::Disk& disk, std::string directory, std::string database) {
  auto shared = std::make_shared<Shared>(disk, std::move(directory), std::move(database));
  TRY(shared->mark, read_mark(disk, shared->directory + "/" + shared->mark_name()));
  TRY(WalContent wal, recover_wal(disk, shared->path() + "-wal", shared->mark, kPageBytes));
  if (!wal.header.empty()) {
    TRY_VOID(disk.sync_directory(shared->directory));
    shared->wal_size = kWalHeaderBytes + wal.frames.size() * kFrameBytes;
  }
  shared->wal_header = std::move(wal.header);
  shared->frames = std::move(wal.frames);
  return std::unique_ptr<Vfs>(new Vfs(std::move(shared)));
}

Vfs::Vfs(std::shared_ptr<Shared> shared)
    : shared_(std::move(shared)), registration_(std::make_unique<Registration>(*shared_)) {}
Vfs::~Vfs() = default;

const std::string& Vfs::name() const {
  return registration_->name;
}
std::string Vfs::path() const {
  return shared_->path();
}
std::uint64_t Vfs::wal_bytes() const {
  return shared_->wal_size;
}

Status Vfs::begin_checkpoint() {
  if (shared_->broken) return base::fail(Code::kUnavailable, "a sync of the projection has failed");
  const std::string wal = shared_->path() + "-wal";
  if (shared_->wal_size == 0) return {};
  TRY(auto file, shared_->disk.open(wal, base::OpenMode::kReadWrite));
  if (Status synced = file->sync(); !synced) {
    shared_->broken = true;
    return synced;
  }
  if (std::exchange(shared_->wal_created, false)) TRY_VOID(shared_->disk.sync_directory(shared_->directory));
  return shared_->write_mark(WalMark::State::kCopying);
}

Status Vfs::end_checkpoint() {
  if (shared_->mark.state == WalMark::State::kNone) return {};
  TRY(auto file, shared_->disk.open(shared_->path() + "-wal", base::OpenMode::kReadWrite));
  if (Status synced = file->sync(); !synced) {
    shared_->broken = true;
    return synced;
  }
  return shared_->write_mark(WalMark::State::kNone);
}

std::optional<std::string> Vfs::take_damage() {
  Lock lock(shared_->mutex);
  return std::exchange(shared_->damage, std::nullopt);
}

std::optional<Error> Vfs::take_error() {
  Lock lock(shared_->mutex);
  return std::exchange(shared_->error, std::nullopt);
}

}  // namespace perdure::store::local
