// MemoryStore: the store of unit tests. Everything is kept in maps; a group is durable as soon as its turn comes.
//
// What would be on disk is in a MemoryContent that outlives the store: a second MemoryStore on the same content is the process
// after a crash, and replays the groups above the cursor. A test may hold appends back (a sync that never returns, rule E1) or
// end the stream.
//
// Thread rule: as Store (everything runs on the executor given, which must outlive the work queued there).
#pragma once

#include <memory>

#include "base/executor.h"
#include "server/store/store.h"

namespace perdure::store {

struct MemoryContent;  // what survives a crash
std::shared_ptr<MemoryContent> make_memory_content();

class MemoryStore : public Store {
 public:
  // Operations and callbacks run on `executor`, each as a task of its own.
  explicit MemoryStore(base::Executor& executor,
                       std::shared_ptr<MemoryContent> content = make_memory_content());
  ~MemoryStore() override;

  // What a test reopens from. Only while nothing is queued.
  std::shared_ptr<MemoryContent> content() const;

  // Appends from now on stay undurable and unanswered until release_appends(); a store reopened meanwhile has never seen them.
  void hold_appends();
  void release_appends();
  // The stream ends: held and later appends fail with `error`, as after a failed sync.
  void end_stream(Error error);

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
  struct Open;
  template <class T, class F>
  void run(Done<T> done, F operation);

  base::Executor& executor_;
  std::shared_ptr<Open> open_;
};

}  // namespace perdure::store
