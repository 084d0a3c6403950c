// The part of a queue's tasks that is held in memory: references in order of priority and age, never payloads (rule E6).
//
// The store keeps an index of all waiting tasks, written behind. The window holds
//   the head    every stored task up to the *mark*, and what was offered up to there: only this is dispatched, so the order is
//               kept although the window is small;
//   the tail    what was offered beyond the mark, as long as there is room: its rows may not be stored yet. What is dropped
//               from here comes back as a row when the mark gets there.
// When the index is known to hold nothing beyond, the window is *complete*: there is no mark, and everything is head.
//
// A task is known by (run, task id). Offering it again is harmless; a different attempt replaces the one that waits. A task under
// way (its start was asked for) is held apart until the answer is there; what is offered of it meanwhile waits for that.
//
// A value: no clock, no I/O. Whoever owns it reads the pages that wanted_page() asks for.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/time.h"

namespace perdure::core {

using base::Duration;
using base::Time;

struct TaskReference {
  int priority = 3;  // 1 first
  Time time{};       // since when it waits; in the future: not before
  std::uint8_t unit_kind = 1;
  std::string unit_id;
  std::string run_id;
  std::int64_t task_id = 0;  // scheduled event id
  int attempt = 0;           // 0: read from the index; whatever the state says
  int failures = 0;          // starts in a row that failed without fault of the task's

  friend bool operator==(const TaskReference&, const TaskReference&) = default;
};

struct TaskIdentity {
  std::string run_id;
  std::int64_t task_id = 0;
};

class TaskWindow {
 public:
  struct Bounds {
    std::size_t held = 10'000;                  // references, those under way not counted
    std::size_t page = 1'000;                   // rows read at once
    Duration settle = std::chrono::seconds(5);  // after which an offered task is surely in the index
    // how long the index is read again after a younger one was dropped
    Duration doubt = std::chrono::minutes(2);
  };
  // `lost`: when references of this queue may have been dropped before (unloaded for want of room).
  explicit TaskWindow(Bounds bounds, std::optional<Time> lost = std::nullopt);
  TaskWindow() : TaskWindow(Bounds{}) {}

  enum class Added : std::uint8_t { kNew, kReplaced, kRepeated };
  Added add(TaskReference task, Time now);

  // The task to dispatch now; nullptr when none may be. Valid until the window changes.
  const TaskReference* next(Time now);
  // Takes it: under way, and the reference valid, until finished() or failed().
  const TaskReference& take();
  // nullptr when it is not under way.
  const TaskReference* find_under_way(const TaskIdentity& task) const;
  // It was started, or is obsolete: gone. A different attempt offered meanwhile waits from now on; after `obsolete` also the same.
  void finished(const TaskIdentity& task, bool obsolete, Time now);
  // Its start failed for the time being: back to its place, after a pause that doubles.
  void failed(const TaskIdentity& task, Time now);
  // All that wait, in order, removed (not those under way).
  std::vector<TaskReference> take_waiting();
  // Drops what waits beyond `most`; it comes back from the index.
  void shrink(std::size_t most, Time now);
  // Drops all that waits; the index is read again from the start.
  void forget(Time now);

  struct Page {
    std::optional<TaskReference> after;  // absent: from the start
    std::size_t limit = 0;
  };
  // What should be read from the index, when somebody waits for tasks. Must be followed by loaded() or load_failed().
  std::optional<Page> wanted_page(Time now);
  void loaded(std::vector<TaskReference> rows, Time now);
  void load_failed(Time now);
  bool loading() const { return loading_.has_value(); }
  // The index was read since the queue is here.
  bool known() const { return complete_ || mark_.has_value(); }

  // When next() or wanted_page() may give something without anything new; kNever: not by itself. Of use while somebody waits.
  Time next_look() const;

  std::size_t size() const { return index_.size(); }  // references held
  std::size_t waiting() const { return ready_.size() + later_.size(); }
  std::size_t under_way() const { return under_way_.size(); }
  struct Backlog {
    std::int64_t count = 0;  // exact within the window, an estimate beyond
    Time oldest = base::kNever;
  };
  // By priority, those with tasks only.
  std::map<int, Backlog> backlog() const;
  std::int64_t backlog_count() const;
  Time oldest() const;

 private:
  struct Held {
    TaskReference task;
    Time due{};                                    // later_: when it may be dispatched
    Time offered{};                                // when it came
    mutable std::unique_ptr<TaskReference> again;  // under way: what was offered meanwhile
  };
  struct Order {
    bool by_due = false;
    bool operator()(const Held& a, const Held& b) const;
  };
  using Set = std::set<Held, Order>;
  struct Key {  // run_id points into the node that the entry is about
    std::string_view run_id;
    std::int64_t task_id;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };
  enum class Where : std::uint8_t { kReady, kLater, kUnderWay };
  struct Entry {
    Where where;
    Set::iterator at;
  };
  struct Count {
    std::int64_t ready = 0, beyond = 0;
  };
  struct Loading {
    bool again = false;  // a second look from the start: does not move the mark
    std::optional<TaskReference> after;
    std::size_t limit = 0;
    Time begun{};
  };

  static Key key_of(const TaskReference& task) { return {task.run_id, task.task_id}; }
  bool in_head(const TaskReference& task) const;
  void insert(Set::node_type node, Time now);
  Set::node_type remove(Entry entry);
  void wait_later(Set::node_type node, Time due);
  void promote(Time now);
  void bound(Time now);
  void drop_one(Time now);
  void doubt_since(Time now);
  void set_mark(std::optional<TaskReference> mark);
  void add_row(TaskReference row, Time now);
  void finish_again(const Loading& loading, std::size_t rows, const std::optional<TaskReference>& last);
  Set::node_type make(TaskReference task, Time now);

  Bounds bounds_;
  Set ready_{Order{false}}, later_{Order{true}}, under_way_{Order{false}};
  std::unordered_map<Key, Entry, KeyHash> index_;  // never iterated
  std::map<int, Count> counts_;

  bool complete_ = false;
  std::optional<TaskReference> mark_;  // meaningful while not complete
  std::size_t head_ = 0;               // how many of ready_ are head

  std::optional<Loading> loading_;
  bool from_start_ = false;  // the mark was set without reading: the next page begins at the start
  Time load_not_before_{};
  int load_failures_ = 0;
  std::optional<Time> lost_at_;  // a reference was dropped that may not have been in the index yet
  Time again_at_ = base::kNever;
  Duration again_pause_{};
};

}  // namespace perdure::core
