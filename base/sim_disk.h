// SimDisk: a disk in memory that forgets what was not synced, for tests.
//
// What was written (and is read back) is kept apart from what is durable: a file's bytes become durable by its sync, the entries
// of a directory (creation, rename, removal) by sync_directory. crash() throws the rest away, whole or in part; open files of
// the life before it then fail for ever. Faults are set by the test.
//
// The model of a failed sync is the unkind one: what it should have written stays readable until a crash, counts as clean, and no
// later sync writes it.
//
// Thread rule: any thread; the faults and crash() only while nothing else is under way. Held callbacks run on the thread that
// releases them.
#pragma once

#include <memory>
#include <string>

#include "base/disk.h"

namespace perdure::base {

enum class Crash : std::uint8_t {
  kKeepAll,       // only the process died: the page cache survives
  kDropUnsynced,  // power loss, nothing unsynced got out
  kRandom,        // power loss: each unsynced write and entry got out or not, or torn at a sector
};

class SimDisk : public Disk {
 public:
  explicit SimDisk(std::uint64_t seed = 1);
  ~SimDisk() override;

  // The same content, durable and not, without faults; the copy has a life of its own. `seed`: of its crashes.
  std::unique_ptr<SimDisk> copy(std::uint64_t seed) const;

  // ---- faults ----
  void crash(Crash kind);
  // Operations that change something are counted (writes, truncations, allocations, syncs, directory changes). From number `n` on
  // (the first is 1) everything fails UNAVAILABLE until crash(); if `tear`, a write that is number n gets half through.
  void stop_at(std::uint64_t n, bool tear = false);
  void fail_next_sync();                   // of a file: EIO once
  void hold_syncs();                       // sync_then keeps its callback; sync() is not held
  void release_syncs();                    // runs the held callbacks, in order
  void set_capacity(std::uint64_t bytes);  // RESOURCE_EXHAUSTED beyond; free_bytes() tells it
  // in what is read and what is durable
  void flip(const std::string& path, std::uint64_t offset, std::uint8_t mask = 0x01);
  void set_network_file_system(std::string name);

  // ---- counters, since construction ----
  std::uint64_t operations() const;  // those of stop_at
  std::uint64_t writes() const;
  std::uint64_t bytes_written() const;
  std::uint64_t syncs() const;                           // of files
  std::uint64_t size_of(const std::string& path) const;  // 0 when missing
  std::uint64_t used() const;                            // bytes of all files

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  bool exists(const std::string& path) override;
  Status make_directory(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  Result<std::unique_ptr<File>> lock(const std::string& path) override;
  Result<std::uint64_t> free_bytes(const std::string& path) override;
  std::string network_file_system(const std::string& path) override;
  void pause(Duration) override {}

 private:
  friend class SimFile;
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace perdure::base
