// What a MemoryStore keeps "on disk", and the rules of a projection on it. Not thread-safe: the executor's tasks touch it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>

#include "server/store/store.h"

namespace perdure::store {

struct MemoryContent {
  struct Run {
    std::string snapshot;
    std::vector<std::string> records;
    std::map<std::int64_t, StoredEvent> events;
  };
  struct Unit {
    std::string head;        // empty: none
    std::string quarantine;  // empty: not quarantined
    GroupNumber position = 0;
    Time wake = base::kNever;
    std::vector<ReadyTask> ready;
    std::map<std::string, Run> runs;
  };
  // The default order of List: open runs first, then the newest close, the newest start, the run id.
  struct ListOrder {
    Time close_time;  // kNever: open
    Time start_time;
    std::string run_id;
    friend bool operator<(const ListOrder& a, const ListOrder& b) {
      return std::tie(b.close_time, b.start_time, a.run_id) < std::tie(a.close_time, a.start_time, b.run_id);
    }
  };

  GroupNumber last = 0;                       // of the stream
  std::map<GroupNumber, std::string> groups;  // above the cursor
  GroupNumber cursor = 0, visibility_cursor = 0;
  std::map<UnitKey, Unit> units;
  std::set<std::pair<Time, UnitKey>> wakes;
  // by queue
  std::map<std::string, std::set<std::tuple<int, Time, UnitKey, std::string, std::int64_t>>> ready;
  std::map<std::string, std::string> catalog;
  std::map<std::pair<std::string, std::string>, VisibilityRow> visibility;  // by (namespace, run id)
  std::map<std::string, std::map<ListOrder, const VisibilityRow*>> listed;  // by namespace

  Status project(const Projection& projection);
  Status project_visibility(const VisibilityFlush& flush);

  std::vector<WakeEntry> scan_wake(Time until, const std::optional<WakeEntry>& after,
                                   std::size_t limit) const;
  std::vector<ReadyEntry> scan_ready(const std::string& queue, const std::optional<ReadyEntry>& after,
                                     std::size_t limit) const;
  std::vector<VisibilityRow> list(const VisibilityQuery& query) const;
  std::int64_t count(const VisibilityFilter& filter) const;
  std::vector<ClosedRun> list_closed_before(const std::string& namespace_id, Time time,
                                            std::size_t limit) const;
  std::vector<StoredEvent> read_events(const UnitKey& key, const std::string& run_id, std::int64_t first,
                                       std::int64_t last, std::size_t max_bytes) const;

 private:
  void update_unit(const UnitUpdate& update);
  void remove_visibility(const std::string& namespace_id, const std::string& run_id);
  void remove_visibility_of(const std::string& namespace_id, const std::string& workflow_id);
  void wipe(const UnitKey& key);
};

}  // namespace perdure::store
