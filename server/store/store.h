// Store: everything the server keeps, behind one interface without a word of SQL (rules E2, E3, E6, E9, E10, E11).
//
// Log first. What must not be lost is appended to one ordered stream of groups; a group is durable only if its predecessor is.
// Everything else (executions, histories, the wake and ready indexes, visibility, the catalog) is a *projection* of durable
// groups, written behind, idempotent, and atomic with its cursor. After a crash the groups above the cursor are read again.
//
// Drivers: memory (tests), local (a directory: log segments + SQLite). One suite, store/conformance, runs against each.
//
// Thread rule: any thread, unless a method says otherwise. Callbacks (`done`) run on a thread of the driver, exactly once (never
// after close()), and must only hand the result on. Nothing here blocks its caller but open() and close().
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace perdure::store {

using base::Error;
using base::Result;
using base::Status;
using base::Time;

template <class T>
using Done = std::move_only_function<void(Result<T>)>;

// Position in the stream: 1, 2, 3 … without gaps. 0: before the first group.
using GroupNumber = std::uint64_t;

enum class Kind : std::uint8_t { kWorkflow = 1 };

// The unit of consistency (rule E4): all runs of one id. Shard is a function of it, never chosen by a user.
struct UnitKey {
  std::string namespace_id;
  Kind kind = Kind::kWorkflow;
  std::string id;
  friend auto operator<=>(const UnitKey&, const UnitKey&) = default;
};

// One event as it travels everywhere: the serialized temporal.api.history.v1.HistoryEvent, never parsed by a store.
struct StoredEvent {
  std::int64_t event_id = 0;
  std::shared_ptr<const std::string> bytes;
};

// ---- what a projection writes -------------------------------------------------------------------------------------------------

struct RunUpdate {
  std::string run_id;
  bool deleted = false;                 // the run, its events and its visibility row go
  std::optional<std::string> snapshot;  // replaces the stored snapshot and all stored records of the run
  std::vector<std::string> records;     // appended after the snapshot; applied in order when the run is read
  // history beyond what is stored; an event that is stored already is left alone
  std::vector<StoredEvent> events;
};

// A task that waits for a poller. A superset of the truth is allowed; the state is asked before anything is dispatched.
struct ReadyTask {
  std::string queue;  // opaque: namespace, type and name of the task queue
  int priority = 3;   // 1 first
  Time time{};        // since when it waits (orders within a priority)
  std::string run_id;
  std::int64_t task_id = 0;  // scheduled event id
  friend auto operator<=>(const ReadyTask&, const ReadyTask&) = default;
};

struct UnitUpdate {
  UnitKey key;
  std::uint32_t shard = 0;
  GroupNumber position = 0;  // newest group whose records of this unit are included
  // first everything that is stored of the unit goes: the runs, their rows, the head
  bool wiped = false;
  std::optional<std::string> head;  // absent: unchanged. Empty string: the head is deleted
  // why nobody may touch the unit (rule E12), opaque; absent: unchanged
  std::optional<std::string> quarantine;
  std::vector<RunUpdate> runs;
  // replaces: when this unit must be looked at next; kNever: not at all
  Time wake = base::kNever;
  std::vector<ReadyTask> ready;  // replaces all ready rows of the unit
};

struct CatalogEntry {
  std::string key;
  std::string value;  // empty: deleted
};

struct Projection {
  // everything up to here is included once this is written; becomes the cursor
  GroupNumber position = 0;
  std::vector<UnitUpdate> units;
  std::vector<CatalogEntry> catalog;
};

// ---- visibility ---------------------------------------------------------------------------------------------------------------

struct VisibilityRow {
  std::string namespace_id, workflow_id, run_id, workflow_type;
  int status = 0;  // temporal.api.enums.v1.WorkflowExecutionStatus
  Time start_time{};
  std::optional<Time> close_time;
  // serialized temporal.api.workflow.v1.WorkflowExecutionInfo, as List answers it
  std::string info;
  bool deleted = false;  // with an empty run id: all rows of the workflow id
};

struct VisibilityFlush {
  GroupNumber position = 0;         // becomes the visibility cursor
  std::vector<VisibilityRow> rows;  // by (namespace, run id), last wins
};

// Where a page ended: the sort key of its last row (rule: a row may repeat when it closes between pages, it is never missed).
struct VisibilityMark {
  std::optional<Time> close_time;  // absent: the row was open
  Time start_time{};
  std::string run_id;
};

struct VisibilityFilter {
  std::string namespace_id;
  std::optional<std::string> workflow_id, workflow_type;
  std::optional<int> status;
};

struct VisibilityQuery {
  VisibilityFilter filter;
  int page_size = 1000;
  // open runs first, then close time, start time descending, then run id
  std::optional<VisibilityMark> after;
};

struct ClosedRun {
  UnitKey key;
  std::string run_id;
};

// ---- what is read back ----------------------------------------------------------------------------------------------------------

struct StoredHead {
  std::string head;          // empty: there is none, only a quarantine
  std::string quarantine;    // empty: the unit is not quarantined
  GroupNumber position = 0;  // groups up to here are included in what is stored of this unit
};

struct StoredRun {
  std::string snapshot;
  std::vector<std::string> records;
};

struct WakeEntry {
  Time time;
  UnitKey key;
};

struct ReadyEntry {
  UnitKey key;
  ReadyTask task;
};

struct Statistics {
  std::uint64_t log_fsyncs = 0, log_bytes = 0, log_groups = 0;  // since open
  std::uint64_t unprojected_bytes = 0;                          // durable or appended, above the cursor
  // below the low mark (rule E10): refuse new work
  bool low_space = false;
};

// ---- the interface --------------------------------------------------------------------------------------------------------------

class Store {
 public:
  virtual ~Store() = default;

  // The groups above the cursor, oldest first, each made durable again before this is called (rule E9). Before the first append,
  // on the caller's thread. Returns the number of the last group of the stream.
  virtual Result<GroupNumber> replay(const std::function<void(GroupNumber, std::string_view)>& group) = 0;

  // Appends group `number` (the last one plus 1). Several may be in flight; they become durable in order. `done` with an error
  // means the stream has ended: every later append fails too, and nothing more may be answered from memory.
  virtual void append(GroupNumber number, std::string bytes, Done<void> done) = 0;

  // UNAVAILABLE once the stream has ended or is sealed by another owner (rule E8). Free in local drivers.
  virtual void check_open(Done<void> done) = 0;

  // Writes behind. Only durable positions may be given; calls take effect in order. Repeating one changes nothing: a unit that is
  // stored with a newer position is left alone, and with the same position its records are not appended again.
  // Visibility first (rule E11): rows of the groups that a projection's position covers are flushed by a call before it; a replay
  // from the cursor does not bring them back.
  virtual void project(Projection projection, Done<void> done) = 0;
  virtual void project_visibility(VisibilityFlush flush, Done<void> done) = 0;

  virtual GroupNumber cursor() const = 0;  // of project
  virtual GroupNumber visibility_cursor() const = 0;

  // Reads see every projection whose `done` was called before.
  virtual void read_head(UnitKey key, Done<std::optional<StoredHead>> done) = 0;
  virtual void read_run(UnitKey key, std::string run_id, Done<std::optional<StoredRun>> done) = 0;
  // Events [first, last], whole and without a gap, cut after `max_bytes` (at least one event); empty when `first` is not stored.
  virtual void read_events(UnitKey key, std::string run_id, std::int64_t first, std::int64_t last,
                           std::size_t max_bytes, Done<std::vector<StoredEvent>> done) = 0;
  virtual Result<std::map<std::string, std::string>> read_catalog() = 0;  // blocking; at start-up
  virtual Result<std::uint64_t> count_quarantined() = 0;                  // blocking; at start-up

  // Units whose stored wake time is at or before `until`, earliest first, beyond `after` (its time and key) when given.
  virtual void scan_wake(Time until, std::optional<WakeEntry> after, std::size_t limit,
                         Done<std::vector<WakeEntry>> done) = 0;
  // Waiting tasks of a queue by (priority, time, key), beyond `after` when given.
  virtual void scan_ready(std::string queue, std::optional<ReadyEntry> after, std::size_t limit,
                          Done<std::vector<ReadyEntry>> done) = 0;
  virtual void list(VisibilityQuery query, Done<std::vector<VisibilityRow>> done) = 0;
  virtual void count(VisibilityFilter filter, Done<std::int64_t> done) = 0;
  // Runs of the namespace closed before `time`, oldest first (retention).
  virtual void list_closed_before(std::string namespace_id, Time time, std::size_t limit,
                                  Done<std::vector<ClosedRun>> done) = 0;

  virtual Statistics statistics() const = 0;

  // Everything that waited for this group was let go. Only told to observers of a crash test; any thread.
  virtual void mark_answered(GroupNumber) {}

  // Finishes what is under way, syncs, writes the closing mark. Blocking; the last call.
  virtual void close() = 0;
};

}  // namespace perdure::store
