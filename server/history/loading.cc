// How units come into memory: what a command needs is read first, without holding up other ids (rule E4); what the log holds
// beyond the projection is applied on top (rule E6).
#include <algorithm>

#include "base/check.h"
#include "base/planted.h"
#include "server/history/loop.h"

namespace perdure::history {
namespace {

// units of the recovered log that are read while live traffic goes on
constexpr std::size_t kTailsAtATime = 64;
constexpr auto kReadAgain = std::chrono::seconds(1);

std::unexpected<base::Error> corrupt(const char* what) {
  return base::fail(base::Code::kDataLoss, std::string("corrupt execution: ") + what);
}

}  // namespace

bool Loop::current_loaded(Unit& unit) {
  const std::string& current = unit.head.head.current_run_id();
  if (current.empty()) return true;
  const Run* run = unit.find(current);
  return run != nullptr && run->loaded;
}

bool Loop::ready(Unit& unit, const core::Command& command) {
  if (!unit.head_loaded) {
    if (unit.loads == 0) load_head(unit);
    return false;
  }
  if (!unit.tail.empty()) return false;
  if (unit.quarantine) {
    if (std::holds_alternative<core::DeleteWorkflow>(command)) {
      if (unit.loads > 0) return false;
      for (const std::string& run_id : unit.head.head.owing_run_ids()) {  // whose receivers are told
        if (const Run* run = unit.find(run_id); run && run->loaded) continue;
        load_run(unit, run_id);
        return false;
      }
    } else if (!std::holds_alternative<core::DescribeWorkflow>(command) &&
               !std::holds_alternative<core::ReadHistory>(command)) {
      return true;  // it is only refused
    }
  }
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
      unit->head_loaded = true;
      head_read(*unit, *head);
      loaded(key);
    });
  });
}

void Loop::head_read(Unit& unit, const std::optional<store::StoredHead>& stored) {
  if (!stored) return;
  unit.stored = true;
  unit.stored_position = stored->position;
  if (!stored->quarantine.empty()) {
    core::pb::Quarantine& quarantine = unit.quarantine.emplace();
    if (!quarantine.ParseFromString(stored->quarantine)) quarantine.set_reason("unreadable");
  }
  core::pb::Records records;
  base::Status made;
  if (!records.ParseFromString(stored->head)) made = corrupt("the stored head cannot be read");
  for (const auto& record : records.records()) {
    if (made) made = core::apply(unit.head, record);
  }
  if (made) return;
  unit.head = core::HeadState{};
  unit.head_unreadable = true;
  quarantine(unit, made.error().message);
}

void Loop::load_run(Unit& unit, const std::string& run_id) {
  ++unit.loads;
  auto read = [this, key = unit.key, run_id](Result<std::optional<store::StoredRun>> stored) {
    executor_.post(base::Lane::kCompletion, 0, [this, key, run_id, stored = std::move(stored)]() mutable {
      Unit* unit = find_unit(key);
      CHECK(unit);
      --unit->loads;
      if (!stored && stored.error().code != base::Code::kDataLoss) return load_failed(key, stored.error());
      if (stored) {
        install_run(*unit, run_id, *stored);
      } else {
        unit->runs[run_id].loaded = unit->runs[run_id].unreadable = true;
        quarantine(*unit, stored.error().message, run_id);
      }
      loaded(key);
    });
  };
  if (unit.wiped) return read(std::optional<store::StoredRun>());  // whatever the store may still hold
  store_.read_run(unit.key, run_id, std::move(read));
}

void Loop::install_run(Unit& unit, const std::string& run_id, const std::optional<store::StoredRun>& stored) {
  Run& run = unit.runs[run_id];
  if (run.loaded) return;
  run.loaded = true;
  if (!stored) return;
  if (const base::Status made = make_run(run, *stored); !made) {
    run.state = core::RunState{};
    run.unreadable = true;
    quarantine(unit, made.error().message, run_id);
  }
}

base::Status Loop::make_run(Run& run, const store::StoredRun& stored) {
  core::pb::Records records;
  bool readable = records.ParseFromString(stored.snapshot);
  for (const std::string& bytes : stored.records)
    readable = readable && records.add_records()->ParseFromString(bytes);
  if (!readable) return corrupt("the stored state of a run cannot be read");
  for (const auto& record : records.records()) TRY_VOID(core::apply(run.state, record));
  if (!run.state.exists()) return {};
  run.snapshot_bytes = stored.snapshot.size();
  for (const std::string& bytes : stored.records) run.record_bytes += bytes.size();
  run.events.start_at(run.state.progress.next_event_id());
  run.stored_events = run.state.progress.next_event_id() - 1;
  return {};
}

void Loop::load_events(Unit& unit, const std::string& run_id, std::int64_t first) {
  Run& run = unit.runs[run_id];
  ++unit.loads;
  store_.read_events(
      unit.key, run_id, first, run.events.first() - 1, ~std::size_t{0},
      [this, key = unit.key, run_id, first](Result<std::vector<store::StoredEvent>> events) {
        executor_.post(base::Lane::kCompletion, 0, [this, key, run_id, first, events = std::move(events)] {
          Unit* unit = find_unit(key);
          CHECK(unit);
          --unit->loads;
          if (!events && events.error().code != base::Code::kDataLoss)
            return load_failed(key, events.error());
          if (!events) {
            quarantine(*unit, events.error().message, run_id);
            return loaded(key);
          }
          Run& run = unit->runs[run_id];
          run.events.prepend(*events);
          if (!run.events.holds(first) && run.state.exists()) {
            quarantine(*unit, "events of the history are missing in the store", run_id);
          }
          loaded(key);
        });
      });
}

void Loop::loaded(const UnitKey& key) {
  Unit* unit = find_unit(key);
  if (!unit) return;
  if (!unit->tail.empty()) {
    if (unit->loads > 0) return;
    apply_tail(*unit);
    if (!unit->tail.empty()) return;  // it loads another run first
  }
  recount(*unit);
  if (unit->quarantine) return run_waiting(*unit);
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
    if (base::planted(base::Bug::kObligationForgotten)) break;
    if (run.loaded && run.state.owes()) pay_obligations(*unit, run);
  }
  run_waiting(*unit);
}

// Nothing is wrong with the id, it could not be read now.
void Loop::load_failed(const UnitKey& key, const base::Error& error) {
  Unit* unit = find_unit(key);
  // A recovered tail must come in, whoever asks: the projection cannot pass it.
  if (!unit->tail.empty()) {
    executor_.call_at(executor_.clock().now() + kReadAgain, [this, key] {
      Unit* unit = find_unit(key);
      if (!unit || ended_ || unit->loads > 0 || unit->tail.empty()) return;
      unit->head_loaded ? loaded(key) : load_head(*unit);
    });
  }
  const base::Code code = error.code == base::Code::kDataLoss ? error.code : base::Code::kUnavailable;
  std::deque<PendingCommand> waiting;
  waiting.swap(unit->waiting);
  for (PendingCommand& pending : waiting) {
    pending.done(
        std::unexpected(base::Error{code, "the execution cannot be read now: " + error.message, {}}));
  }
}

// ---- the recovered log ---------------------------------------------------------------------------------------------------------

void Loop::recover(UnitKey key, store::GroupNumber group, core::pb::UnitRecords records) {
  // Groups come in order; no other loop may project past the first one.
  if (unprojected_from() == kNothing) unprojected_from_.store(group, std::memory_order_release);
  Unit& unit = this->unit(key);
  if (unit.tail.empty()) tails_.push_back(unit.key);
  unit.tail.emplace_back(group, std::move(records));
  mark_dirty(unit);
}

// A few at a time, so that live traffic does not stand behind all of them.
void Loop::load_tails() {
  while (tails_loading_ < kTailsAtATime && !tails_.empty()) {
    Unit* unit = find_unit(tails_.front());
    tails_.pop_front();
    if (!unit || unit->tail.empty()) continue;
    unit->tail_loading = true;
    ++tails_loading_;
    if (!unit->head_loaded && unit->loads == 0) load_head(*unit);
  }
}

void Loop::recover_catalog(store::GroupNumber group, const store::CatalogEntry& entry) {
  if (unprojected_from() == kNothing) unprojected_from_.store(group, std::memory_order_release);
  catalog_dirty_.push_back(entry);
}

void Loop::tail_applied(Unit& unit) {
  unit.tail.clear();
  unit.tail.shrink_to_fit();
  if (unit.tail_loading) --tails_loading_;
  unit.tail_loading = false;
  if (--tails_left_ == 0 && !tail_waiters_.empty()) {
    executor_.post(base::Lane::kCompletion, 0, [this] {
      for (Done<void>& waiter : std::exchange(tail_waiters_, {})) await_visibility(std::move(waiter));
    });
  }
  load_tails();
}

// Loads one more run that the tail needs; false: all are there.
bool Loop::load_for_tail(Unit& unit) {
  for (const auto& [group, records] : unit.tail) {
    if (group <= unit.stored_position) continue;
    for (const auto& record : records.records()) {
      if (record.run_id().empty()) continue;
      Run& run = unit.runs[record.run_id()];
      if (record.has_start()) run.loaded = true;
      if (run.loaded) continue;
      load_run(unit, record.run_id());
      return true;
    }
  }
  return false;
}

// The tail needs the runs it names; when they are all there it is applied, in order, beyond what the store includes.
void Loop::apply_tail(Unit& unit) {
  const auto deletes = [&](const auto& entry) {
    return entry.first > unit.stored_position && entry.second.records_size() > 0 &&
           entry.second.records(0).delete_unit();
  };
  if (const auto last = std::find_if(unit.tail.rbegin(), unit.tail.rend(), deletes);
      last != unit.tail.rend()) {
    wipe(unit);  // whatever came before it
    unit.tail.erase(unit.tail.begin(), last.base());
  }
  if (load_for_tail(unit)) return;  // loaded() comes back here
  std::set<std::string> deleted_later;
  for (const auto& [group, records] : unit.tail) {
    for (const auto& record : records.records()) {
      if (record.delete_run()) deleted_later.insert(record.run_id());
    }
  }
  for (std::size_t i = 0; i < unit.tail.size(); ++i) {
    auto& [group, records] = unit.tail[i];
    if (group <= unit.stored_position && !base::planted(base::Bug::kApplyTwice)) continue;
    const base::Status applied = apply_decision(unit, records, deleted_later);
    if (applied) continue;
    reject_tail(unit, i, applied.error().message);
    break;
  }
  for (auto& [id, run] : unit.runs) {
    if (run.dirty && !base::planted(base::Bug::kRowForgotten)) mark_visible(unit, id, run);
  }
  if (base::planted(base::Bug::kHealthyQuarantined) && unit.tail.size() > 6) quarantine(unit, "planted");
  tail_applied(unit);
  if (!unit.quarantine) offer_all(unit);
}

// One decision of the recovered log, whole or not at all. What became of a run that a later decision deletes may be gone from the
// store already, with its unit: such records say nothing.
base::Status Loop::apply_decision(Unit& unit, core::pb::UnitRecords& records,
                                  const std::set<std::string>& deleted_later) {
  if (records.records_size() == 1 && records.records(0).has_quarantine()) {
    take_quarantine(unit, records.records(0).quarantine());
    return {};
  }
  struct After {
    core::RunState state;
    std::int64_t next_event_id = 1;
    bool gone = false;
  };
  std::map<std::string, After> after;
  core::HeadState head = unit.head;
  for (const auto& record : records.records()) {
    if (record.run_id().empty()) {
      if (!unit.stored && record.has_forget_received() && !head.received.find(record.forget_received()))
        continue;
      TRY_VOID(core::apply(head, record));
      continue;
    }
    const auto [place, fresh] = after.try_emplace(record.run_id());
    After& run = place->second;
    if (fresh) {
      const Run& now = unit.runs[record.run_id()];
      run = {now.state, now.events.next(), !now.state.exists() && deleted_later.contains(record.run_id())};
    }
    if (record.has_start()) run.gone = false;
    if (run.gone) continue;
    if (record.has_event()) {
      if (record.event().event_id() != run.next_event_id++) return corrupt("an event is not in its place");
      continue;
    }
    TRY_VOID(core::apply(run.state, record));
  }
  for (const auto& [id, run] : after) {
    if (run.state.exists() && run.state.progress.next_event_id() != run.next_event_id) {
      return corrupt("the history does not end where the run says");
    }
  }
  for (auto& record : *records.mutable_records()) {
    if (record.run_id().empty()) {
      unit.head_dirty = true;
      continue;
    }
    Run& run = unit.runs[record.run_id()];
    run.dirty = true;
    if (record.delete_run()) run.deleted = true;
    if (after[record.run_id()].gone) continue;
    if (record.has_event()) {
      run.events.append(
          std::make_shared<const std::string>(std::move(*record.mutable_event()->mutable_event())));
    } else if (run.snapshot_bytes > 16 * 1024) {
      run.records.push_back(record.SerializeAsString());
    }
  }
  unit.head = std::move(head);
  for (auto& [id, run] : after) unit.runs[id].state = std::move(run.state);
  return {};
}

void Loop::with_events(const UnitKey& key, const std::string& run_id, std::int64_t first,
                       std::move_only_function<void(base::Status)> then) {
  Unit* unit = find_unit(key);
  Run* run = unit ? unit->find(run_id) : nullptr;
  if (!run || run->events.holds(first)) return then({});
  ++unit->pins;  // `then` finds the run as it is now, or further on
  store_.read_events(
      key, run_id, first, run->events.first() - 1, ~std::size_t{0},
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
