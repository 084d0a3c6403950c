// How units come into memory: what a command needs is read first, without holding up other ids (rule E4); what the log holds
// beyond the projection is applied on top (rule E6).
#include "base/check.h"
#include "server/history/loop.h"

namespace perdure::history {
namespace {

constexpr std::size_t kReadBytes = 4 << 20;

}  // namespace

bool Loop::current_loaded(Unit& unit) {
  const std::string& current = unit.head.head.current_run_id();
  if (current.empty()) return true;
  const Run* run = unit.find(current);
  return run != nullptr && run->loaded;
}

bool Loop::ready(Unit& unit, const core::Command& command) {
  if (!unit.quarantine.empty()) return true;  // it is only refused
  if (!unit.head_loaded) {
    if (unit.loads == 0) load_head(unit);
    return false;
  }
  if (!unit.tail.empty()) return false;
  // The current run is always there: it says what the unit waits for (what is projected of it), and runs that close are compared
  // with it.
  const std::string& current = unit.head.head.current_run_id();
  if (!current_loaded(unit)) {
    if (unit.loads == 0) load_run(unit, current);
    return false;
  }
  const core::Needs needs = core::needs(command);
  if (!needs.run_id) return true;
  const std::string& run_id = needs.run_id->empty() ? current : *needs.run_id;
  if (run_id.empty()) return true;
  Run* run = unit.find(run_id);
  if (!run || !run->loaded) {
    if (unit.loads == 0) load_run(unit, run_id);
    return false;
  }
  for (const std::int64_t event_id : needs.events) {
    if (!run->state.exists() || run->events.holds(event_id)) continue;
    if (unit.loads == 0) load_events(unit, run_id, event_id);
    return false;
  }
  return true;
}

void Loop::load_head(Unit& unit) {
  ++unit.loads;
  store_.read_head(unit.key, [this, key = unit.key](Result<std::optional<store::StoredHead>> head) {
    executor_.post(base::Lane::kCompletion, 0, [this, key, head = std::move(head)]() mutable {
      Unit* unit = find_unit(key);
      CHECK(unit);
      --unit->loads;
      if (!head) return load_failed(key, head.error());
      if (*head) {
        unit->stored_position = (*head)->position;
        core::pb::Records records;
        if (!records.ParseFromString((*head)->head)) quarantine(*unit, "the stored head cannot be read");
        for (const auto& record : records.records()) {
          if (auto status = core::apply(unit->head, record); !status) quarantine(*unit, status.error().message);
        }
      }
      unit->head_loaded = true;
      loaded(key);
    });
  });
}

void Loop::load_run(Unit& unit, const std::string& run_id) {
  ++unit.loads;
  store_.read_run(unit.key, run_id, [this, key = unit.key, run_id](Result<std::optional<store::StoredRun>> stored) {
    executor_.post(base::Lane::kCompletion, 0, [this, key, run_id, stored = std::move(stored)]() mutable {
      Unit* unit = find_unit(key);
      CHECK(unit);
      --unit->loads;
      if (!stored) return load_failed(key, stored.error());
      install_run(*unit, run_id, *stored);
      loaded(key);
    });
  });
}

void Loop::install_run(Unit& unit, const std::string& run_id, const std::optional<store::StoredRun>& stored) {
  Run& run = unit.runs[run_id];
  if (run.loaded) return;
  run.loaded = true;
  if (!stored) return;
  core::pb::Records records;
  bool readable = records.ParseFromString(stored->snapshot);
  for (const std::string& bytes : stored->records) readable = readable && records.add_records()->ParseFromString(bytes);
  if (!readable) return quarantine(unit, "the stored state of run " + run_id + " cannot be read");
  for (const auto& record : records.records()) {
    if (auto status = core::apply(run.state, record); !status) return quarantine(unit, status.error().message);
  }
  if (!run.state.exists()) return;
  run.snapshot_bytes = stored->snapshot.size();
  for (const std::string& bytes : stored->records) run.record_bytes += bytes.size();
  run.events.start_at(run.state.progress.next_event_id());
  run.stored_events = run.state.progress.next_event_id() - 1;
}

void Loop::load_events(Unit& unit, const std::string& run_id, std::int64_t first) {
  Run& run = unit.runs[run_id];
  ++unit.loads;
  store_.read_events(unit.key, run_id, first, run.events.first() - 1, ~std::size_t{0},
                     [this, key = unit.key, run_id, first](Result<std::vector<store::StoredEvent>> events) {
                       executor_.post(base::Lane::kCompletion, 0, [this, key, run_id, first, events = std::move(events)] {
                         Unit* unit = find_unit(key);
                         CHECK(unit);
                         --unit->loads;
                         if (!events) return load_failed(key, events.error());
                         Run& run = unit->runs[run_id];
                         run.events.prepend(*events);
                         if (!run.events.holds(first) && run.state.exists()) {
                           quarantine(*unit, "events of the history are missing in the store");
                         }
                         loaded(key);
                       });
                     });
}

void Loop::loaded(const UnitKey& key) {
  Unit* unit = find_unit(key);
  if (!unit) return;
  if (!unit->tail.empty()) {
    apply_tail(*unit);
    if (!unit->tail.empty() && unit->quarantine.empty()) return;  // it loads another run first
  }
  recount(*unit);
  if (!unit->quarantine.empty()) {
    while (!unit->waiting.empty()) {
      PendingCommand pending = std::move(unit->waiting.front());
      unit->waiting.pop_front();
      decide_now(*unit, std::move(pending));
    }
    return;
  }
  // What is written of a unit tells its wake and its tasks, which the current run knows.
  if (unit->dirty && !current_loaded(*unit)) {
    if (unit->loads == 0) load_run(*unit, unit->head.head.current_run_id());
    return;
  }
  arm(*unit);
  if (unit->loads == 0) {
    // Closed runs that still owe an effect on another id are loaded for it (rule E7).
    for (const std::string& owing : unit->head.head.owing_run_ids()) {
      if (const Run* run = unit->find(owing); run && run->loaded) continue;
      load_run(*unit, owing);
      break;
    }
  }
  for (auto& [id, run] : unit->runs) {
    if (run.loaded && run.state.owes()) pay_obligations(*unit, run);
  }
  run_waiting(*unit);
}

void Loop::load_failed(const UnitKey& key, const base::Error& error) {
  Unit* unit = find_unit(key);
  if (error.code == base::Code::kDataLoss) {
    quarantine(*unit, error.message);
    return loaded(key);
  }
  // A recovered tail must come in, whoever asks: the projection cannot pass it.
  constexpr auto kAgain = std::chrono::seconds(1);
  if (!unit->tail.empty()) {
    executor_.call_at(executor_.clock().now() + kAgain, [this, key] {
      Unit* unit = find_unit(key);
      if (!unit || ended_ || unit->loads > 0 || unit->tail.empty()) return;
      unit->head_loaded ? loaded(key) : load_head(*unit);
    });
  }
  std::deque<PendingCommand> waiting;
  waiting.swap(unit->waiting);
  for (PendingCommand& pending : waiting) {
    pending.done(std::unexpected(base::Error{base::Code::kUnavailable, "the execution cannot be read now: " + error.message, {}}));
  }
}

void Loop::quarantine(Unit& unit, const std::string& why) {
  if (unit.quarantine.empty()) unit.quarantine = why.empty() ? "unreadable" : why;
}

// ---- the recovered log ---------------------------------------------------------------------------------------------------------

void Loop::recover(UnitKey key, store::GroupNumber group, core::pb::UnitRecords records) {
  // Groups come in order; no other loop may project past the first one.
  if (unprojected_from() == kNothing) unprojected_from_.store(group, std::memory_order_release);
  Unit& unit = this->unit(key);
  unit.tail.emplace_back(group, std::move(records));
  if (!unit.dirty) {
    unit.dirty = true;
    dirty_.push_back(&unit);
  }
}

void Loop::recover_catalog(store::GroupNumber group, const store::CatalogEntry& entry) {
  if (unprojected_from() == kNothing) unprojected_from_.store(group, std::memory_order_release);
  catalog_dirty_.push_back(entry);
}

// The tail needs the runs it names; when they are all there it is applied, in order, beyond what the store includes.
void Loop::apply_tail(Unit& unit) {
  if (unit.tail.empty()) return;
  for (const auto& [group, records] : unit.tail) {
    if (group <= unit.stored_position) continue;
    for (const auto& record : records.records()) {
      if (record.run_id().empty() || record.has_start()) {
        if (record.has_start()) unit.runs[record.run_id()].loaded = true;
        continue;
      }
      Run& run = unit.runs[record.run_id()];
      if (run.loaded) continue;
      load_run(unit, record.run_id());
      return;  // loaded() comes back here
    }
  }
  for (auto& [group, records] : unit.tail) {
    if (group <= unit.stored_position) continue;
    for (auto& record : *records.mutable_records()) {
      if (record.run_id().empty()) {
        if (auto status = core::apply(unit.head, record); !status) return quarantine(unit, status.error().message);
        unit.head_dirty = true;
        continue;
      }
      Run& run = unit.runs[record.run_id()];
      run.dirty = true;
      if (record.has_event()) {
        run.events.append(std::make_shared<const std::string>(std::move(*record.mutable_event()->mutable_event())));
        continue;
      }
      if (record.delete_run()) run.deleted = true;
      if (auto status = core::apply(run.state, record); !status) return quarantine(unit, status.error().message);
      if (run.snapshot_bytes > 16 * 1024) run.records.push_back(record.SerializeAsString());
    }
  }
  unit.tail.clear();
  for (auto& [id, run] : unit.runs) {
    if (!run.dirty) continue;
    run.visibility_dirty = true;
    visibility_dirty_.emplace_back(unit.key, id);
  }
  offer_all(unit);
}

void Loop::with_events(const UnitKey& key, const std::string& run_id, std::int64_t first,
                       std::move_only_function<void(base::Status)> then) {
  Unit* unit = find_unit(key);
  Run* run = unit ? unit->find(run_id) : nullptr;
  if (!run || run->events.holds(first)) return then({});
  ++unit->pins;  // `then` finds the run as it is now, or further on
  store_.read_events(key, run_id, first, run->events.first() - 1, ~std::size_t{0},
                     [this, key, run_id, then = std::move(then)](Result<std::vector<store::StoredEvent>> events) mutable {
                       executor_.post(base::Lane::kCompletion, 0,
                                      [this, key, run_id, events = std::move(events), then = std::move(then)]() mutable {
                                        Unit* unit = find_unit(key);
                                        --unit->pins;
                                        if (!events) return then(std::unexpected(events.error()));
                                        if (Run* run = unit->find(run_id)) {
                                          run->events.prepend(*events);
                                          recount(*unit);
                                        }
                                        then({});
                                      });
                     });
}

}  // namespace perdure::history
