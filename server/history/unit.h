// What one executor holds in memory of one id: the head, the runs that are loaded, and what is volatile about them.
//
// Owned and touched by one Loop only.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/core/decide.h"
#include "server/history/history.h"
#include "server/store/store.h"

namespace perdure::history {

// A turn of an executor that wrote records; durable in order. 0: nothing was ever written.
using Sequence = std::uint64_t;

// The part of a run's history that is in memory: always the newest events, possibly all.
class EventCache {
 public:
  std::int64_t first() const { return first_; }  // id of the oldest event held
  std::int64_t next() const { return first_ + static_cast<std::int64_t>(events_.size()); }
  bool holds(std::int64_t first) const { return first >= first_; }
  std::size_t bytes() const { return bytes_; }

  void start_at(std::int64_t first) { first_ = first; }
  void append(std::shared_ptr<const std::string> event) {
    bytes_ += event->size();
    events_.push_back(std::move(event));
  }
  // Older events, read from the store. What the cache got meanwhile from another read is left out; events that do not reach up to
  // where it begins are ignored.
  void prepend(const std::vector<store::StoredEvent>& older);
  const std::shared_ptr<const std::string>& at(std::int64_t event_id) const {
    return events_[static_cast<std::size_t>(event_id - first_)];
  }

 private:
  std::int64_t first_ = 1;
  std::size_t bytes_ = 0;
  std::deque<std::shared_ptr<const std::string>> events_;
};

// One more in a number for as long as it lives.
class Counted {
 public:
  explicit Counted(std::int64_t& number) : number_(&number) { ++number; }
  Counted(Counted&& other) noexcept : number_(std::exchange(other.number_, nullptr)) {}
  Counted& operator=(Counted&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Counted() {
    if (number_ != nullptr) --*number_;
  }

 private:
  std::int64_t* number_;
};

// A GetWorkflowExecutionHistory that waits for something new.
struct HistoryWaiter {
  HistoryRequest request;
  Done<HistoryPage> done;
  base::TimerId timer = 0;  // of its end
  Counted counted;
};

// A query that waits for a workflow task to ride on (WT-51).
struct AttachedQuery {
  std::string id;
  QueryRequest request;
  bool sent = false;
};

struct Run {
  core::RunState state;
  EventCache events;
  // state is what the store and the log say (it may be that there is no such run)
  bool loaded = false;
  bool unreadable = false;  // it is stored, but its state cannot be made of what is stored
  std::list<HistoryWaiter> waiters;
  std::list<AttachedQuery> queries;
  std::set<std::int64_t> externals_in_flight;

  // The workflow task that was offered last: offering the same again is left out.
  std::int64_t offered_scheduled_id = 0;
  int offered_attempt = 0;
  bool offered_sticky = false;

  // For the projection.
  bool dirty = false, deleted = false, visibility_dirty = false;
  std::int64_t stored_events = 0;    // events up to here are in the store
  std::size_t snapshot_bytes = 0;    // of the last snapshot that was stored; 0: none is
  std::size_t record_bytes = 0;      // stored since
  std::vector<std::string> records;  // not stored yet; kept only for runs with large states

  bool projecting = false;  // its deletion is being written

  bool pinned() const { return !waiters.empty() || !queries.empty() || !externals_in_flight.empty(); }
};

struct PendingCommand {
  core::Command command;
  std::move_only_function<void(Result<core::Reply>)> done;  // called when decided; gating is up to it
};

struct Unit {
  UnitKey key;
  std::uint32_t shard = 0;
  core::HeadState head;
  std::map<std::string, Run> runs;  // loaded ones, by run id
  bool head_loaded = false;
  bool head_unreadable = false;
  bool stored = false;  // a head was found in the store when this was loaded
  int loads = 0;        // reads of the store under way
  // projections under way that hold it: until they are done the store is behind
  int writing = 0;
  int pins = 0;                        // others that need the runs when they come back
  std::deque<PendingCommand> waiting;  // behind a load, in order
  // of the recovered log, until the head is loaded
  std::vector<std::pair<store::GroupNumber, core::pb::UnitRecords>> tail;
  bool tail_loading = false;  // counted among those that are loaded at a time

  Sequence sequence = 0;  // newest turn whose records changed this unit
  store::GroupNumber stored_position = 0;
  bool dirty = false, head_dirty = false;
  std::optional<core::pb::Quarantine> quarantine;  // a rule of this id is broken, and why (rule E12)
  bool quarantine_dirty = false;
  bool wiped = false;  // deleted whole, and the store does not say so yet
  bool wipe_dirty = false, visibility_wiped = false;

  base::TimerId timer = 0;
  Time timer_at = base::kNever;
  std::list<Unit*>::iterator age;  // place in the loop's least-recently-used list
  std::size_t counted_bytes = 0;   // in the loop's sum

  Run* find(const std::string& run_id) {
    const auto found = runs.find(run_id);
    return found == runs.end() ? nullptr : &found->second;
  }
  std::size_t bytes() const;
  bool evictable() const;
};

}  // namespace perdure::history
