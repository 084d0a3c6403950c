#include "base/sim_disk.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "base/random.h"

namespace perdure::base {
namespace {

constexpr std::size_t kSector = 512;

// A change of a file that no sync has made durable yet.
struct Change {
  std::uint64_t offset = 0;
  std::string bytes;                    // written at offset
  std::optional<std::uint64_t> resize;  // or: the new size
};

void write_at(std::string& content, std::uint64_t offset, std::string_view bytes) {
  if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
  std::memcpy(content.data() + offset, bytes.data(), bytes.size());
}

void apply_change(std::string& content, const Change& change) {
  if (change.resize) {
    content.resize(*change.resize);
  } else {
    write_at(content, change.offset, change.bytes);
  }
}

struct Inode {
  std::string content;  // what is read
  std::string durable;
  std::vector<Change> unsynced;
};

using Entries = std::map<std::string, std::shared_ptr<Inode>>;  // by path

// A change of directory entries that no sync_directory has made durable: each path gets the inode, or goes (null).
struct EntryChange {
  std::string directory;
  std::vector<std::pair<std::string, std::shared_ptr<Inode>>> set;
};

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

void apply_change(Entries& entries, const EntryChange& change) {
  for (const auto& [path, inode] : change.set) {
    if (inode) {
      entries[path] = inode;
    } else {
      entries.erase(path);
    }
  }
}

}  // namespace

struct SimDisk::State {
  explicit State(std::uint64_t seed) : random(seed) {}

  // Counts an operation that changes something; an error when the disk has stopped. `torn`: it gets half through.
  Status change(bool* torn = nullptr) {
    ++operations;
    if (stop && operations >= *stop) {
      if (torn != nullptr && tear && operations == *stop) *torn = true;
      return fail(Code::kUnavailable, "the simulated disk has stopped");
    }
    return {};
  }
  bool stopped() const { return stop && operations >= *stop; }

  Status reserve(const Inode& inode, std::uint64_t size) const {
    if (size <= inode.content.size()) return {};
    if (used() + size - inode.content.size() > capacity) {
      return fail(Code::kResourceExhausted, "no space left on the simulated disk");
    }
    return {};
  }
  std::uint64_t used() const {
    std::uint64_t sum = 0;
    for (const auto& [path, inode] : entries) sum += inode->content.size();
    return sum;
  }

  void change_entries(EntryChange change) {
    apply_change(entries, change);
    unsynced_entries.push_back(std::move(change));
  }

  std::string crashed_content(const Inode& inode, Crash kind) {
    if (kind == Crash::kKeepAll) return inode.content;
    std::string content = inode.durable;
    if (kind == Crash::kDropUnsynced) return content;
    for (const Change& made : inode.unsynced) {
      const std::uint64_t fate = random.below(3);  // lost, kept, torn
      if (fate == 1 || (fate == 2 && made.resize)) apply_change(content, made);
      if (fate == 2 && !made.resize) tear_into(content, made);
    }
    return content;
  }

  // Sectors get out in any order, or not.
  void tear_into(std::string& content, const Change& change) {
    const std::string_view bytes = change.bytes;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t size = std::min(bytes.size() - at, kSector - (change.offset + at) % kSector);
      if (random.below(2) == 0) write_at(content, change.offset + at, bytes.substr(at, size));
      at += size;
    }
  }

  mutable std::mutex mutex;
  Random random;
  Entries entries, durable_entries;
  std::set<std::string> directories;
  std::vector<EntryChange> unsynced_entries;
  std::set<std::string> locked;
  std::uint64_t life = 0;
  std::uint64_t operations = 0, writes = 0, bytes = 0, syncs = 0;
  std::optional<std::uint64_t> stop;
  bool tear = false;
  bool fail_sync = false;
  bool holding = false;
  std::vector<std::pair<std::shared_ptr<Inode>, std::move_only_function<void(Status)>>> held;
  std::uint64_t capacity = UINT64_MAX / 2;
  std::string network;
};

class SimFile : public File {
 public:
  SimFile(std::shared_ptr<SimDisk::State> disk, std::shared_ptr<Inode> inode, std::string path, bool writable,
          bool lock)
      : disk_(std::move(disk)),
        inode_(std::move(inode)),
        path_(std::move(path)),
        writable_(writable),
        lock_(lock),
        life_(disk_->life) {}
  ~SimFile() override {
    std::lock_guard guard(disk_->mutex);
    if (lock_ && life_ == disk_->life) disk_->locked.erase(path_);
  }

  Result<std::size_t> read_into(std::uint64_t offset, std::span<char> out) override {
    std::lock_guard guard(disk_->mutex);
    TRY_VOID(usable());
    const std::string& content = inode_->content;
    if (offset >= content.size()) return 0;
    const std::size_t got = std::min<std::size_t>(out.size(), content.size() - offset);
    std::memcpy(out.data(), content.data() + offset, got);
    return got;
  }

  Status write(std::uint64_t offset, std::string_view bytes) override {
    std::lock_guard guard(disk_->mutex);
    TRY_VOID(usable_for_writing());
    bool torn = false;
    const Status status = disk_->change(&torn);
    if (torn) bytes = bytes.substr(0, bytes.size() / 2);
    if (!status && !torn) return status;
    TRY_VOID(disk_->reserve(*inode_, offset + bytes.size()));
    disk_->writes += 1;
    disk_->bytes += bytes.size();
    apply_unsynced({.offset = offset, .bytes = std::string(bytes)});
    return status;
  }

  Status sync() override {
    std::lock_guard guard(disk_->mutex);
    return sync_locked();
  }

  void sync_then(std::move_only_function<void(Status)> done) override {
    Status status;
    {
      std::lock_guard guard(disk_->mutex);
      if (disk_->holding && usable()) {
        disk_->held.emplace_back(inode_, std::move(done));
        return;
      }
      status = sync_locked();
    }
    done(std::move(status));
  }

  Result<std::uint64_t> size() override {
    std::lock_guard guard(disk_->mutex);
    TRY_VOID(usable());
    return inode_->content.size();
  }

  Status truncate(std::uint64_t size) override { return resize(size, false); }
  Status allocate(std::uint64_t size) override { return resize(size, true); }

 private:
  Status usable() const {
    if (life_ != disk_->life || disk_->stopped())
      return fail(Code::kUnavailable, path_ + ": the simulated disk has stopped");
    return {};
  }
  Status usable_for_writing() const {
    TRY_VOID(usable());
    if (!writable_) return fail(Code::kPermissionDenied, path_ + ": opened for reading");
    return {};
  }

  Status sync_locked() {
    TRY_VOID(usable());
    TRY_VOID(disk_->change());
    disk_->syncs += 1;
    if (std::exchange(disk_->fail_sync, false)) {
      inode_->unsynced.clear();  // clean for the kernel, never written
      return fail(Code::kUnavailable, "sync " + path_ + ": Input/output error");
    }
    for (const Change& made : inode_->unsynced) apply_change(inode_->durable, made);
    inode_->unsynced.clear();
    return {};
  }

  Status resize(std::uint64_t size, bool only_grow) {
    std::lock_guard guard(disk_->mutex);
    TRY_VOID(usable_for_writing());
    TRY_VOID(disk_->change());
    if (only_grow && size <= inode_->content.size()) return {};
    TRY_VOID(disk_->reserve(*inode_, size));
    apply_unsynced({.resize = size});
    return {};
  }

  void apply_unsynced(Change change) {
    apply_change(inode_->content, change);
    inode_->unsynced.push_back(std::move(change));
  }

  const std::shared_ptr<SimDisk::State> disk_;
  const std::shared_ptr<Inode> inode_;
  const std::string path_;
  const bool writable_, lock_;
  const std::uint64_t life_;
};

SimDisk::SimDisk(std::uint64_t seed) : state_(std::make_shared<State>(seed)) {}
SimDisk::~SimDisk() = default;

std::unique_ptr<SimDisk> SimDisk::copy(std::uint64_t seed) const {
  std::lock_guard guard(state_->mutex);
  auto made = std::make_unique<SimDisk>(seed);
  std::map<const Inode*, std::shared_ptr<Inode>> copies;
  auto copy_of = [&](const std::shared_ptr<Inode>& inode) {
    if (!inode) return inode;
    std::shared_ptr<Inode>& place = copies[inode.get()];
    if (!place) place = std::make_shared<Inode>(*inode);
    return place;
  };
  State& other = *made->state_;
  for (const auto& [path, inode] : state_->entries) other.entries[path] = copy_of(inode);
  for (const auto& [path, inode] : state_->durable_entries) other.durable_entries[path] = copy_of(inode);
  for (const EntryChange& change : state_->unsynced_entries) {
    EntryChange copied{change.directory, {}};
    for (const auto& [path, inode] : change.set) copied.set.emplace_back(path, copy_of(inode));
    other.unsynced_entries.push_back(std::move(copied));
  }
  other.directories = state_->directories;
  other.capacity = state_->capacity;
  return made;
}

void SimDisk::crash(Crash kind) {
  decltype(state_->held) held;  // destroyed last: a callback may own files
  std::lock_guard guard(state_->mutex);
  State& disk = *state_;
  ++disk.life;
  disk.stop.reset();
  disk.fail_sync = disk.holding = false;
  held.swap(disk.held);
  disk.locked.clear();
  if (kind == Crash::kKeepAll) return;  // still in the page cache: readable, not durable
  Entries entries = disk.durable_entries;
  for (const EntryChange& change : disk.unsynced_entries) {
    if (kind == Crash::kRandom && disk.random.below(2) == 0) apply_change(entries, change);
  }
  disk.entries = std::move(entries);
  disk.durable_entries = disk.entries;
  disk.unsynced_entries.clear();
  for (auto& [path, inode] : disk.entries) {
    inode->content = disk.crashed_content(*inode, kind);
    inode->durable = inode->content;
    inode->unsynced.clear();
  }
}

void SimDisk::stop_at(std::uint64_t n, bool tear) {
  std::lock_guard guard(state_->mutex);
  state_->stop = n;
  state_->tear = tear;
}

void SimDisk::fail_next_sync() {
  state_->fail_sync = true;
}
void SimDisk::hold_syncs() {
  state_->holding = true;
}

void SimDisk::release_syncs() {
  std::unique_lock guard(state_->mutex);
  state_->holding = false;
  auto held = std::exchange(state_->held, {});
  for (auto& [inode, done] : held) {
    for (const Change& made : inode->unsynced) apply_change(inode->durable, made);
    inode->unsynced.clear();
    state_->syncs += 1;
  }
  guard.unlock();
  for (auto& [inode, done] : held) done({});
}

void SimDisk::set_capacity(std::uint64_t bytes) {
  state_->capacity = bytes;
}

void SimDisk::flip(const std::string& path, std::uint64_t offset, std::uint8_t mask) {
  std::lock_guard guard(state_->mutex);
  auto found = state_->entries.find(path);
  if (found == state_->entries.end()) return;
  for (std::string* bytes : {&found->second->content, &found->second->durable}) {
    if (offset < bytes->size()) (*bytes)[offset] = static_cast<char>((*bytes)[offset] ^ mask);
  }
}

void SimDisk::set_network_file_system(std::string name) {
  state_->network = std::move(name);
}

std::uint64_t SimDisk::operations() const {
  return state_->operations;
}
std::uint64_t SimDisk::writes() const {
  return state_->writes;
}
std::uint64_t SimDisk::bytes_written() const {
  return state_->bytes;
}
std::uint64_t SimDisk::syncs() const {
  return state_->syncs;
}
std::uint64_t SimDisk::size_of(const std::string& path) const {
  std::lock_guard guard(state_->mutex);
  auto found = state_->entries.find(path);
  return found == state_->entries.end() ? 0 : found->second->content.size();
}
std::uint64_t SimDisk::used() const {
  std::lock_guard guard(state_->mutex);
  return state_->used();
}

Result<std::unique_ptr<File>> SimDisk::open(const std::string& path, OpenMode mode) {
  std::lock_guard guard(state_->mutex);
  auto found = state_->entries.find(path);
  const bool missing = found == state_->entries.end();
  if (missing && (mode == OpenMode::kRead || mode == OpenMode::kReadWrite)) {
    return fail(Code::kNotFound, "open " + path + ": No such file or directory");
  }
  if (!missing && mode == OpenMode::kCreateNew)
    return fail(Code::kAlreadyExists, "open " + path + ": File exists");
  if (missing) {
    TRY_VOID(state_->change());
    state_->change_entries({parent_of(path), {{path, std::make_shared<Inode>()}}});
  } else if (state_->stopped()) {
    return fail(Code::kUnavailable, "open " + path + ": the simulated disk has stopped");
  }
  return std::make_unique<SimFile>(state_, state_->entries[path], path, mode != OpenMode::kRead, false);
}

Result<std::vector<std::string>> SimDisk::list(const std::string& directory) {
  std::lock_guard guard(state_->mutex);
  if (!state_->directories.contains(directory)) {
    return fail(Code::kNotFound, "list " + directory + ": No such file or directory");
  }
  std::vector<std::string> names;
  for (const auto& [path, inode] : state_->entries) {
    if (parent_of(path) == directory) names.push_back(path.substr(directory.size() + 1));
  }
  return names;
}

bool SimDisk::exists(const std::string& path) {
  std::lock_guard guard(state_->mutex);
  return state_->entries.contains(path) || state_->directories.contains(path);
}

// Directories are durable at once: what a store does in them is what is tested.
Status SimDisk::make_directory(const std::string& path) {
  std::lock_guard guard(state_->mutex);
  if (state_->entries.contains(path))
    return fail(Code::kAlreadyExists, "make directory " + path + ": File exists");
  TRY_VOID(state_->change());
  state_->directories.insert(path);
  return {};
}

Status SimDisk::rename(const std::string& from, const std::string& to) {
  std::lock_guard guard(state_->mutex);
  auto found = state_->entries.find(from);
  if (found == state_->entries.end())
    return fail(Code::kNotFound, "rename " + from + ": No such file or directory");
  TRY_VOID(state_->change());
  state_->change_entries({parent_of(to), {{to, found->second}, {from, nullptr}}});
  return {};
}

Status SimDisk::remove(const std::string& path) {
  std::lock_guard guard(state_->mutex);
  if (!state_->entries.contains(path))
    return fail(Code::kNotFound, "remove " + path + ": No such file or directory");
  TRY_VOID(state_->change());
  state_->change_entries({parent_of(path), {{path, nullptr}}});
  return {};
}

Status SimDisk::sync_directory(const std::string& path) {
  std::lock_guard guard(state_->mutex);
  TRY_VOID(state_->change());
  std::erase_if(state_->unsynced_entries, [&](const EntryChange& change) {
    if (change.directory != path) return false;
    apply_change(state_->durable_entries, change);
    return true;
  });
  return {};
}

Result<std::unique_ptr<File>> SimDisk::lock(const std::string& path) {
  std::lock_guard guard(state_->mutex);
  if (state_->locked.contains(path)) return fail(Code::kFailedPrecondition, path + " is locked by process 1");
  if (!state_->entries.contains(path)) {
    TRY_VOID(state_->change());
    state_->change_entries({parent_of(path), {{path, std::make_shared<Inode>()}}});
  }
  state_->locked.insert(path);
  return std::make_unique<SimFile>(state_, state_->entries[path], path, true, true);
}

Result<std::uint64_t> SimDisk::free_bytes(const std::string&) {
  std::lock_guard guard(state_->mutex);
  const std::uint64_t used = state_->used();
  return used >= state_->capacity ? 0 : state_->capacity - used;
}

std::string SimDisk::network_file_system(const std::string&) {
  return state_->network;
}

}  // namespace perdure::base
