// MeasuredStore: a store that counts what is asked of another one, for the metrics.
//
// Thread rule: as Store; the counters from any thread, nothing locks.
#pragma once

#include <array>
#include <atomic>

#include "base/clock.h"
#include "base/histogram.h"
#include "server/store/store.h"

namespace perdure::store {

class MeasuredStore : public Store {
 public:
  enum Operation : std::size_t {
    kAppend,
    kProject,
    kProjectVisibility,
    kReadHead,
    kReadRun,
    kReadEvents,
    kScanWake,
    kScanReady,
    kList,
    kCount,
    kListClosedBefore,
    kOperations
  };
  static constexpr std::array<const char*, kOperations> kNames = {
      "Append",   "Project",   "ProjectVisibility", "ReadHead",        "ReadRun",         "ReadEvents",
      "ScanWake", "ScanReady", "ListExecutions",    "CountExecutions", "ListClosedBefore"};
  struct Row {
    std::atomic<std::uint64_t> errors{0}, nanoseconds{0};
    // each operation in one bucket
    std::array<std::atomic<std::uint64_t>, base::Histogram::kBounds.size() + 1> latency{};
  };

  // Both outlive this store and the callbacks given to it.
  MeasuredStore(Store& store, const base::Clock& clock) : store_(store), clock_(clock) {}

  const Row& row(Operation operation) const { return rows_[operation]; }

  Result<GroupNumber> replay(const std::function<void(GroupNumber, std::string_view)>& group) override {
    return store_.replay(group);
  }
  void append(GroupNumber number, std::string bytes, Done<void> done) override {
    store_.append(number, std::move(bytes), measured(kAppend, std::move(done)));
  }
  void check_open(Done<void> done) override { store_.check_open(std::move(done)); }
  void project(Projection projection, Done<void> done) override {
    store_.project(std::move(projection), measured(kProject, std::move(done)));
  }
  void project_visibility(VisibilityFlush flush, Done<void> done) override {
    store_.project_visibility(std::move(flush), measured(kProjectVisibility, std::move(done)));
  }
  GroupNumber cursor() const override { return store_.cursor(); }
  GroupNumber visibility_cursor() const override { return store_.visibility_cursor(); }
  void read_head(UnitKey key, Done<std::optional<StoredHead>> done) override {
    store_.read_head(std::move(key), measured(kReadHead, std::move(done)));
  }
  void read_run(UnitKey key, std::string run_id, Done<std::optional<StoredRun>> done) override {
    store_.read_run(std::move(key), std::move(run_id), measured(kReadRun, std::move(done)));
  }
  void read_events(UnitKey key, std::string run_id, std::int64_t first, std::int64_t last,
                   std::size_t max_bytes, Done<std::vector<StoredEvent>> done) override {
    store_.read_events(std::move(key), std::move(run_id), first, last, max_bytes,
                       measured(kReadEvents, std::move(done)));
  }
  Result<std::map<std::string, std::string>> read_catalog() override { return store_.read_catalog(); }
  Result<std::uint64_t> count_quarantined() override { return store_.count_quarantined(); }
  void scan_wake(Time until, std::optional<WakeEntry> after, std::size_t limit,
                 Done<std::vector<WakeEntry>> done) override {
    store_.scan_wake(until, std::move(after), limit, measured(kScanWake, std::move(done)));
  }
  void scan_ready(std::string queue, std::optional<ReadyEntry> after, std::size_t limit,
                  Done<std::vector<ReadyEntry>> done) override {
    store_.scan_ready(std::move(queue), std::move(after), limit, measured(kScanReady, std::move(done)));
  }
  void list(VisibilityQuery query, Done<std::vector<VisibilityRow>> done) override {
    store_.list(std::move(query), measured(kList, std::move(done)));
  }
  void count(VisibilityFilter filter, Done<std::int64_t> done) override {
    store_.count(std::move(filter), measured(kCount, std::move(done)));
  }
  void list_closed_before(std::string namespace_id, Time time, std::size_t limit,
                          Done<std::vector<ClosedRun>> done) override {
    store_.list_closed_before(std::move(namespace_id), time, limit,
                              measured(kListClosedBefore, std::move(done)));
  }
  Statistics statistics() const override { return store_.statistics(); }
  void mark_answered(GroupNumber group) override { store_.mark_answered(group); }
  void close() override { store_.close(); }

 private:
  template <class T>
  Done<T> measured(Operation operation, Done<T> done) {
    return [this, operation, begun = clock_.now(), done = std::move(done)](Result<T> result) mutable {
      ended(operation, clock_.now() - begun, result.has_value());
      done(std::move(result));
    };
  }
  void ended(Operation operation, base::Duration took, bool well) {
    Row& row = rows_[operation];
    row.latency[base::Histogram::bucket_of(took)].fetch_add(1, std::memory_order_relaxed);
    row.nanoseconds.fetch_add(static_cast<std::uint64_t>(took.count()), std::memory_order_relaxed);
    if (!well) row.errors.fetch_add(1, std::memory_order_relaxed);
  }

  Store& store_;
  const base::Clock& clock_;
  std::array<Row, kOperations> rows_;
};

}  // namespace perdure::store
