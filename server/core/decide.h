// decide: the rules of durable execution as one function of values.
//
//   needs(command)                       which run and which events must be loaded first
//   decide(loaded, volatile, command)    what changes, and the answer
//
// decide has no effect: it works on copies, and its caller installs `after` and appends `records`. Installing and applying the
// records to the state before give the same state (a property test shows it).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "server/core/catalog.h"
#include "server/core/command.h"
#include "server/core/limits/limits.h"
#include "server/core/state.h"

namespace perdure::core {

// What a decision may look at beside its arguments: the outside world as values.
struct Env {
  Time now{};  // never goes back for one id
  const Limits& limits;
  const Catalog& catalog;
  const Namespace& ns;   // of the id
  base::Random& random;  // ids and nonces
};

// What must be in memory before decide. The head always is.
struct Needs {
  std::optional<std::string> run_id;  // a run by id; "" = the current run; absent: the head is enough
  bool current_run = false;           // the current run too
  bool owing_runs = false;            // and the closed runs that still owe
  std::vector<std::int64_t> events;   // of that run
};
Needs needs(const Command& command);

// State that must not survive a crash (rule E5): changed by the same decision, never in a record.
struct Volatile {
  int buffered_queries = 0;  // attached to the next workflow task, not yet sent
  bool task_just_failed = false;
};

using FindEvent =
    std::function<std::shared_ptr<const HistoryEvent>(const std::string& run_id, std::int64_t event_id)>;

struct Loaded {
  const std::string& namespace_id;
  const std::string& workflow_id;
  const HeadState& head;
  // nullptr: no such run (or not asked for by needs()).
  std::function<const RunState*(const std::string& run_id)> run;
  FindEvent event;  // nullptr result: not loaded or no such event
};

struct RunChange {
  std::string run_id;
  RunState after;
  std::vector<HistoryEvent> events;  // appended to the history, ids dense from where it ended
  std::vector<std::string> encoded;  // the same, serialized
  std::vector<std::int64_t> touched_activities;
  bool created = false, deleted = false;
  bool task_changed = false;  // the workflow task may need a dispatch
  bool visibility_changed = false;
};

struct Decision {
  std::vector<pb::Record> records;  // of the head and all runs, in order; empty: nothing changed
  std::optional<HeadState> head_after;
  std::vector<RunChange> runs;
  Result<Reply> reply = Nothing{};  // an error may come with changes (WT-22)
};

// DATA_LOSS in the reply, and no records: the execution breaks a rule; its id is to be quarantined (rule E12).
Decision decide(const Loaded& loaded, const Volatile& now, Command command, const Env& env);

}  // namespace perdure::core
