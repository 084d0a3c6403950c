// State: what one run is, as a value. Made only by apply(), record by record.
//
//   State == fold(apply, records)      in memory, after recovery, and when read from the store: one code for all three
//
// Everything here is pure: no clock, lock, thread, I/O or log. Copying a RunState is cheap (containers share their entries).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/cow_map.h"
#include "base/result.h"
#include "base/time.h"
#include "proto/internal/record.pb.h"
#include "temporal/api/history/v1/message.pb.h"

namespace perdure::core {

namespace pb = ::perdure::internal::v1;
using base::Code;
using base::Duration;
using base::Error;
using base::Result;
using base::Time;
using temporal::api::history::v1::HistoryEvent;

// Nanoseconds in records; 0 stands for "none".
inline std::int64_t nanos(Time time) {
  return time.time_since_epoch().count();
}
inline Time time_of(std::int64_t nanoseconds) {
  return Time(Duration(nanoseconds));
}

struct RunState {
  // Immutable after creation; shared by all copies.
  std::shared_ptr<const pb::RunStart> start;
  pb::RunProgress progress;
  std::shared_ptr<const pb::RunAttributes> attributes;
  base::CowMap<std::int64_t, std::shared_ptr<const pb::Activity>> activities;  // by scheduled event id
  base::CowMap<std::string, std::shared_ptr<const pb::Timer>> timers;          // by timer id
  base::CowMap<std::int64_t, std::shared_ptr<const pb::External>> externals;   // by initiated event id
  // start, signals: a repeat is known by it
  base::CowMap<std::string, std::shared_ptr<const pb::RequestIdInfo>> request_ids;
  // serialized HistoryEvents, in order of arrival
  std::vector<std::shared_ptr<const std::string>> buffered;

  bool exists() const { return start != nullptr; }
  bool running() const { return progress.status() == 1; }  // WORKFLOW_EXECUTION_STATUS_RUNNING
  bool has_pending_task() const { return progress.task().scheduled_id() != 0; }
  bool has_started_task() const { return progress.task().started_id() != 0; }
  // True while an effect on another id is owed, or its forgetting (rule E7): such a run is not deleted.
  bool owes() const { return !externals.empty(); }
};

struct HeadState {
  pb::Head head;
  base::CowMap<std::string, std::shared_ptr<const pb::Received>> received;
  bool exists() const { return !head.current_run_id().empty() || !received.empty(); }
};

// Assigns one record of this run, or of the head. DATA_LOSS when the record cannot belong to the state (Corrupt, rule E12); the
// state is then not to be used. Event records change nothing here: the caller keeps the history.
base::Status apply(RunState& state, const pb::Record& record);
base::Status apply(HeadState& state, const pb::Record& record);

// The state as a list of assignments (without events): apply() of them to an empty state gives the state back.
pb::Records snapshot(const RunState& state);
pb::Records snapshot(const HeadState& state);

// ---- what a state asks for -----------------------------------------------------------------------------------------------------

enum class TaskKind : std::uint8_t { kWorkflow = 1, kActivity = 2 };

// A task that must be dispatched now, or at ready_time.
struct Task {
  TaskKind kind{};
  std::string queue;
  bool sticky = false;  // the queue is a sticky one
  int priority = 3;
  Time ready_time{};
  std::int64_t scheduled_id = 0;
  int attempt = 1;
  friend bool operator==(const Task&, const Task&) = default;
};

// Derived, never stored as truth (DESIGN: tasks are derived).
std::vector<Task> tasks_of(const RunState& state);
// The task of one activity; empty when it waits for nothing.
std::vector<Task> task_of(const RunState& state, const pb::Activity& activity);
std::vector<Task> workflow_task_of(const RunState& state);

// When the run must be looked at next: a timer, a timeout, a backoff that ends. kNever when nothing will happen by itself.
Time next_wake(const RunState& state);
// The deadlines of one activity, earliest first to pass; kNever when none runs.
Time activity_deadline(const pb::Activity& activity);

}  // namespace perdure::core
