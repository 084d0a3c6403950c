// Writing behind: visibility within a few tens of milliseconds, states and histories lazily (rules E6, E11). What is written is
// always the state at one position of the stream, and never before that position is durable.
#include <algorithm>
#include <iterator>
#include <utility>

#include "base/planted.h"
#include "server/core/workflow/describe.h"
#include "server/history/loop.h"

namespace perdure::history {
namespace {

// below: a snapshot each time; above: records since, until they outgrow it
constexpr std::size_t kSmallState = 16 * 1024;
constexpr int kWakeHorizon = 4;  // scans ahead
constexpr std::size_t kScan = 256;
constexpr std::size_t kSweepPage = 512;

}  // namespace

store::GroupNumber Loop::group_of(Sequence sequence) const {
  const auto found = group_numbers_.find(sequence);
  return found == group_numbers_.end() ? shared_.stream->durable() : found->second;
}

// What is not projected would take long to replay: no pause between two flushes.
bool Loop::pressed() const {
  return bytes_since_flush_ > 0 && store_.statistics().unprojected_bytes > shared_.options.replay_bytes / 2;
}

void Loop::schedule_flush() {
  const bool early = bytes_since_flush_ >= shared_.options.flush_bytes || (!flushing_ && pressed());
  if (early && !flushing_) {
    bytes_since_flush_ = 0;
    executor_.post(base::Lane::kCompletion, 0, [this] { flush([](base::Status) {}); });
    return;
  }
  if (flush_scheduled_) return;
  flush_scheduled_ = true;
  executor_.call_at(executor_.clock().now() + shared_.options.flush_interval, [this] {
    flush_scheduled_ = false;
    if (flushing_) return schedule_flush();
    flush([](base::Status) {});
  });
}

store::RunUpdate Loop::update_of(Unit& unit, const std::string& run_id, Run& run) {
  store::RunUpdate update;
  update.run_id = run_id;
  run.dirty = false;
  if (run.deleted) {
    update.deleted = run.projecting = true;
    return update;
  }
  std::size_t records = 0;
  for (const std::string& record : run.records) records += record.size();
  if (run.snapshot_bytes > kSmallState && run.record_bytes + records < run.snapshot_bytes) {
    update.records = std::move(run.records);
    run.record_bytes += records;
  } else {
    update.snapshot = core::snapshot(run.state).SerializeAsString();
    run.snapshot_bytes = update.snapshot->size();
    run.record_bytes = 0;
  }
  run.records.clear();
  const std::int64_t next = run.state.progress.next_event_id();
  for (std::int64_t id = std::max(run.stored_events + 1, run.events.first()); id < next; ++id) {
    update.events.push_back({id, run.events.at(id)});
  }
  run.stored_events = next - 1;
  static_cast<void>(unit);
  return update;
}

store::UnitUpdate Loop::update_of(Unit& unit) {
  store::UnitUpdate update;
  update.key = unit.key;
  update.shard = unit.shard;
  unit.dirty = false;
  ++unit.writing;
  update.wiped = std::exchange(unit.wipe_dirty, false);
  if (unit.head_dirty) {
    if (!unit.head_unreadable) update.head = core::snapshot(unit.head).SerializeAsString();
    unit.head_dirty = false;
  }
  if (std::exchange(unit.quarantine_dirty, false)) update.quarantine = unit.quarantine->SerializeAsString();
  for (auto run = unit.runs.begin(); run != unit.runs.end();) {
    if (run->second.dirty) update.runs.push_back(update_of(unit, run->first, run->second));
    if (unit.quarantine) {  // nothing of it is dispatched or woken
      ++run;
      continue;
    }
    for (core::Task& task : core::tasks_of(run->second.state)) {
      if (base::planted(base::Bug::kForgetReady) && task.kind == core::TaskKind::kActivity) continue;
      update.ready.push_back({.queue = matching::ready_key({unit.key.namespace_id, task.kind, task.queue}),
                              .priority = task.priority,
                              .time = ready_time(task),
                              .run_id = run->first,
                              .task_id = task.scheduled_id});
    }
    ++run;
  }
  if (unit.quarantine) return update;
  const Run* current = unit.find(unit.head.head.current_run_id());
  if (current) update.wake = core::next_wake(current->state);
  if (base::planted(base::Bug::kForgetWake)) update.wake = base::kNever;
  if (base::planted(base::Bug::kLateWake)) update.wake = base::add(update.wake, std::chrono::seconds(20));
  // What is owed to other ids is looked at first thing after a restart.
  const bool owes = unit.head.head.owing_run_ids_size() > 0 || (current && current->state.owes());
  if (owes) update.wake = executor_.clock().now();
  return update;
}

void Loop::flush(Done<void> done) {
  if (ended_) return done(std::unexpected(end_));
  if (dirty_.empty() && catalog_dirty_.empty()) return done({});
  // its cursor is never behind that of the states; also closes the group that the states below stand for
  flush_visibility();
  flushing_ = true;
  bytes_since_flush_ = 0;
  const Sequence sequence = sequence_;
  auto projection = std::make_shared<store::Projection>();
  std::vector<Unit*> loading, written;
  for (Unit* unit : dirty_) {
    if (!unit->tail.empty() || !unit->head_loaded || (!unit->quarantine && !current_loaded(*unit))) {
      loading.push_back(unit);  // recovered, not yet in memory: the cursor must not pass it
    } else {
      projection->units.push_back(update_of(*unit));
      written.push_back(unit);
      recount(*unit);
    }
  }
  const bool whole = loading.empty();
  dirty_ = std::move(loading);
  if (!base::planted(base::Bug::kCatalogNotWritten)) projection->catalog = std::move(catalog_dirty_);
  catalog_dirty_.clear();
  when_durable(sequence, [this, sequence, whole, projection, written = std::move(written),
                          done = std::move(done)](base::Status status) mutable {
    if (!status) return done(std::move(status));
    const store::GroupNumber group = sequence == 0 ? shared_.stream->durable() : group_of(sequence);
    for (store::UnitUpdate& update : projection->units) update.position = group;
    projection->position =
        whole || base::planted(base::Bug::kCursorPassesUnwritten) ? group : store_.cursor();
    for (const auto& loop : shared_.loops) {
      if (loop.get() != this)
        projection->position = std::min(projection->position, loop->unprojected_from() - 1);
    }
    projection->position = std::max(projection->position, store_.cursor());
    store_.project(std::move(*projection), [this, written = std::move(written),
                                            done = std::move(done)](base::Status status) mutable {
      executor_.post(
          base::Lane::kCompletion, 0,
          [this, written = std::move(written), status = std::move(status), done = std::move(done)]() mutable {
            flushing_ = false;
            if (!status && shared_.options.on_fatal && !shared_.ended.exchange(true)) {
              shared_.options.on_fatal(status.error());
            }
            projected(written);
            if (!dirty_.empty() || !catalog_dirty_.empty()) schedule_flush();
            done(std::move(status));
          });
    });
    if (whole) {
      // Later turns are not in this projection: the next one starts after this group. Told to the other loops only now: what they
      // project comes behind this projection.
      unprojected_from_.store(sequence == sequence_ && group_.units_size() == 0 ? kNothing : group + 1,
                              std::memory_order_release);
      group_numbers_.erase(group_numbers_.begin(), group_numbers_.lower_bound(sequence));
    }
  });
}

// What is deleted is remembered until the store says so too: a read in between would bring it back.
void Loop::projected(const std::vector<Unit*>& units) {
  for (Unit* unit : units) {
    --unit->writing;
    if (!unit->wipe_dirty) unit->wiped = false;
    std::erase_if(unit->runs, [](const auto& entry) {
      const Run& run = entry.second;
      return run.deleted && run.projecting && !run.dirty && !run.visibility_dirty && !run.pinned();
    });
  }
}

// ---- visibility ----------------------------------------------------------------------------------------------------------------

store::VisibilityRow Loop::visibility_row(const Unit& unit, const std::string& run_id, const Run& run) const {
  store::VisibilityRow row;
  row.namespace_id = unit.key.namespace_id;
  row.workflow_id = unit.key.id;
  row.run_id = run_id;
  row.deleted = !run.state.exists();
  if (row.deleted) return row;
  row.workflow_type = run.state.start->workflow_type();
  row.status = run.state.progress.status();
  row.start_time = core::time_of(run.state.start->start_time());
  if (!run.state.running()) row.close_time = core::time_of(run.state.progress.close_time());
  auto info = core::visibility_info(run.state);
  if (shows_quarantine(unit, run_id)) core::report_quarantine(info, unit.quarantine->reason());
  row.info = info.SerializeAsString();
  return row;
}

void Loop::schedule_visibility() {
  if (visibility_scheduled_) return;
  visibility_scheduled_ = true;
  executor_.call_at(executor_.clock().now() + shared_.options.visibility_interval, [this] {
    visibility_scheduled_ = false;
    if (!visibility_dirty_.empty() || !visibility_rows_.empty()) flush_visibility();
  });
}

void Loop::flush_visibility() {
  if (ended_) return;
  hand_over();  // the rows stand for exactly what is decided so far
  auto flush = std::make_shared<store::VisibilityFlush>();
  for (const auto& [key, run_id] : visibility_dirty_) {
    Unit* unit = find_unit(key);
    if (unit && run_id.empty() && std::exchange(unit->visibility_wiped, false)) {
      store::VisibilityRow& row = flush->rows.emplace_back();
      row.namespace_id = key.namespace_id;
      row.workflow_id = key.id;
      row.deleted = true;
    }
    Run* run = unit ? unit->find(run_id) : nullptr;
    if (!run || !run->visibility_dirty) continue;
    run->visibility_dirty = false;
    flush->rows.push_back(visibility_row(*unit, run_id, *run));
  }
  visibility_dirty_.clear();
  std::ranges::move(std::exchange(visibility_rows_, {}), std::back_inserter(flush->rows));
  ++visibility_begun_;
  const Sequence sequence = sequence_;
  when_durable(sequence, [this, sequence, flush](base::Status status) {
    if (!status) return visibility_flushed(status);
    flush->position = sequence == 0 ? shared_.stream->durable() : group_of(sequence);
    store_.project_visibility(std::move(*flush), [this](base::Status flushed) {
      executor_.post(base::Lane::kCompletion, 0,
                     [this, flushed = std::move(flushed)] { visibility_flushed(flushed); });
    });
  });
}

void Loop::visibility_flushed(const base::Status& status) {
  ++visibility_ended_;
  while (!visibility_waiters_.empty() && visibility_waiters_.front().first <= visibility_ended_) {
    Done<void> waiter = std::move(visibility_waiters_.front().second);
    visibility_waiters_.pop_front();
    waiter(status);
  }
  // the rows of that flush are in none any more: nothing is listed from now on
  if (!status) end(status.error());
}

// Everything that was answered before this call is in rows that are flushed now or already under way. What is flushed after that is
// not waited for: lists are answered however busy the server is.
void Loop::await_visibility(Done<void> done) {
  if (ended_) return done(std::unexpected(end_));
  if (base::planted(base::Bug::kListDoesNotWait)) return done({});
  if (tails_left_ > 0) return tail_waiters_.push_back(std::move(done));
  if (!visibility_dirty_.empty() || !visibility_rows_.empty()) flush_visibility();
  if (visibility_begun_ == visibility_ended_) return done({});
  visibility_waiters_.emplace_back(visibility_begun_, std::move(done));
}

// ---- wakes of units that are not in memory, retention ---------------------------------------------------------------------------

// Page by page, oldest first: the next one when this one is decided, so that a storm of timers comes behind live traffic.
void Loop::scan_wakes(std::optional<store::WakeEntry> after) {
  const Time now = executor_.clock().now();
  const Time horizon = now + kWakeHorizon * shared_.options.wake_scan;
  store_.scan_wake(horizon, std::move(after), kScan, [this](Result<std::vector<store::WakeEntry>> entries) {
    executor_.post(base::Lane::kCompletion, 0, [this, entries = std::move(entries)] {
      if (ended_) return;
      auto left = std::make_shared<std::size_t>(entries ? entries->size() + 1 : 1);
      const auto decided = [this, left, full = entries && entries->size() == kScan,
                            last = entries && !entries->empty() ? entries->back() : store::WakeEntry{}] {
        if (--*left > 0 || ended_) return;
        if (full) return scan_wakes(last);
        executor_.call_at(executor_.clock().now() + shared_.options.wake_scan,
                          [this] { scan_wakes(std::nullopt); });
      };
      const auto back = [this, decided] { executor_.post(base::Lane::kCompletion, 0, decided); };
      if (entries) {
        for (const store::WakeEntry& entry : *entries) {
          Loop& there = shared_.loop_of(entry.key);
          there.executor_.post(base::Lane::kCompletion, 0, [&there, key = entry.key, back] {
            // in memory: it has its own timer
            if (Unit* unit = there.find_unit(key); unit && unit->head_loaded) return back();
            there.decide(key, core::Wake{}, [back](Result<core::Reply>) { back(); });
          });
        }
      }
      decided();
    });
  });
}

// ---- retention ------------------------------------------------------------------------------------------------------------------

void Loop::sweep_retention() {
  if (ended_) return;
  const auto catalog = shared_.options.catalog->snapshot();
  for (const auto& [id, ns] : catalog->by_id) {
    if (ns->retention() != 0) sweep_namespace(id);
  }
  executor_.call_at(executor_.clock().now() + shared_.options.sweep, [this] { sweep_retention(); });
}

// The oldest closed runs, a page at a time, until none is over its time.
void Loop::sweep_namespace(const std::string& id) {
  const auto catalog = shared_.options.catalog->snapshot();
  const core::Namespace* ns = catalog->find_by_id(id);
  if (!ns || ns->retention() == 0 || ended_) return;
  const Time before = executor_.clock().now() - base::Duration(ns->retention());
  store_.list_closed_before(id, before, kSweepPage, [this, id](Result<std::vector<store::ClosedRun>> runs) {
    executor_.post(base::Lane::kCompletion, 0, [this, id, runs = std::move(runs)] {
      if (!runs || runs->empty() || ended_) return;
      struct Page {
        std::size_t left, removed = 0;
      };
      auto page = std::make_shared<Page>(Page{runs->size()});
      for (const store::ClosedRun& closed : *runs) {
        Loop& there = shared_.loop_of(closed.key);
        there.executor_.post(
            base::Lane::kCompletion, 0, [this, &there, closed, page, id, found = runs->size()] {
              there.decide(closed.key,
                           core::DeleteWorkflow{.run_id = closed.run_id, .even_if_running = false},
                           [this, page, id, found](Result<core::Reply> reply) {
                             executor_.post(base::Lane::kCompletion, 0,
                                            [this, page, id, found, removed = reply.has_value()] {
                                              page->removed += removed ? 1 : 0;
                                              if (--page->left == 0) after_sweep(id, found, page->removed);
                                            });
                           });
            });
      }
    });
  });
}

// A full page has more behind it, which is seen when the rows of this one are gone; unless none could be removed.
void Loop::after_sweep(const std::string& id, std::size_t found, std::size_t removed) {
  if (found < kSweepPage || removed == 0 || ended_) return;
  executor_.call_at(executor_.clock().now() + 2 * shared_.options.visibility_interval,
                    [this, id] { sweep_namespace(id); });
}

void Loop::start() {
  tails_left_ = tails_.size();
  load_tails();
  if (!dirty_.empty() || !catalog_dirty_.empty()) schedule_flush();
  if (index_ == 0) {
    scan_wakes(std::nullopt);
    executor_.call_at(executor_.clock().now() + shared_.options.sweep, [this] { sweep_retention(); });
  }
}

void Loop::stop(Done<void> done) {
  release_parked();
  flush(std::move(done));
}

}  // namespace perdure::history
