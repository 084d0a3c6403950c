// LocalStore: the durable store of one process in one directory: a log, and SQLite as its projection (docs/reference/format.md).
//
// Lifecycle: open() → replay() → everything else → close() (the destructor closes, too). The executors outlive the store; they may
// be one and the same (tests). In production each is a thread: the log's is held up by every sync.
//
// Thread rule: as Store. Callbacks of appends run on the log executor, of projections on the projection executor, of list and
// count on the lists executor, of other reads on the reads executor.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/disk.h"
#include "base/executor.h"
#include "server/store/local/directory.h"
#include "server/store/store.h"

namespace perdure::store {

struct LocalStoreOptions {
  base::Disk* disk = nullptr;
  std::string directory;
  base::Executor* log = nullptr;
  base::Executor* projection = nullptr;
  base::Executor* reads = nullptr;
  base::Executor* lists = nullptr;  // of list and count, which may be slow; absent: reads
  const base::Clock* clock = nullptr;
  std::uint64_t seed = 0;  // of the store's id and of salts; different in every life
  std::size_t segment_bytes = 16 << 20;
  std::size_t spare_segments = 2;
  base::Duration idle_mark = std::chrono::milliseconds(100);
  std::uint64_t checkpoint_bytes = 16 << 20;  // of SQLite's WAL; the log is trimmed after a checkpoint
  base::Duration checkpoint_interval = std::chrono::seconds(30);
  std::size_t writer_cache_bytes = 16 << 20;
  std::size_t reader_cache_bytes = 8 << 20;
  base::Duration read_limit = std::chrono::seconds(10);
  local::SpaceLimits space;
  std::string marks_file;  // base/crash_marks.h; empty: none
};

class LocalStore : public Store {
 public:
  // Blocking. FAILED_PRECONDITION: the directory is another process's, or not ours. DATA_LOSS: damage, with file and offset.
  static base::Result<std::unique_ptr<LocalStore>> open(LocalStoreOptions options);
  ~LocalStore() override;

  // Tells the marks file that everything up to `number` was answered. Any thread.
  void mark_answered(GroupNumber number) override;

  Result<GroupNumber> replay(const std::function<void(GroupNumber, std::string_view)>& group) override;
  void append(GroupNumber number, std::string bytes, Done<void> done) override;
  void check_open(Done<void> done) override;
  void project(Projection projection, Done<void> done) override;
  void project_visibility(VisibilityFlush flush, Done<void> done) override;
  GroupNumber cursor() const override;
  GroupNumber visibility_cursor() const override;
  void read_head(UnitKey key, Done<std::optional<StoredHead>> done) override;
  void read_run(UnitKey key, std::string run_id, Done<std::optional<StoredRun>> done) override;
  void read_events(UnitKey key, std::string run_id, std::int64_t first, std::int64_t last,
                   std::size_t max_bytes, Done<std::vector<StoredEvent>> done) override;
  Result<std::map<std::string, std::string>> read_catalog() override;
  Result<std::uint64_t> count_quarantined() override;
  void scan_wake(Time until, std::optional<WakeEntry> after, std::size_t limit,
                 Done<std::vector<WakeEntry>> done) override;
  void scan_ready(std::string queue, std::optional<ReadyEntry> after, std::size_t limit,
                  Done<std::vector<ReadyEntry>> done) override;
  void list(VisibilityQuery query, Done<std::vector<VisibilityRow>> done) override;
  void count(VisibilityFilter filter, Done<std::int64_t> done) override;
  void list_closed_before(std::string namespace_id, Time time, std::size_t limit,
                          Done<std::vector<ClosedRun>> done) override;
  Statistics statistics() const override;
  void close() override;

 private:
  struct Parts;

  explicit LocalStore(LocalStoreOptions options);
  base::Status start();
  template <class T, class F>
  void read(Done<T> done, F operation);
  template <class T, class F>
  void read_list(Done<T> done, F operation);
  template <class F>
  void write(Done<void> done, F operation);

  std::shared_ptr<Parts> parts_;
};

}  // namespace perdure::store
