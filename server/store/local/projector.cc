#include "server/store/local/projector.h"

#include <algorithm>
#include <utility>

namespace perdure::store::local {

using base::Code;
using base::Result;
using base::Status;

namespace {

constexpr const char* kAddQuarantine =
    "BEGIN IMMEDIATE; ALTER TABLE heads ADD COLUMN quarantine BLOB;"
    "CREATE INDEX quarantined ON heads(unit) WHERE quarantine IS NOT NULL; COMMIT;";
constexpr std::size_t kUnitsKept = 1 << 14;
constexpr std::size_t kEventRowBytes = 256 << 10;  // a page of history must not load the whole history
constexpr std::int64_t kFreeLeft = 32;             // pages that may stay free for what comes next, and
constexpr std::int64_t kFreePart = 8;              // one in so many

std::string cache_key(const UnitKey& key) {
  return key.namespace_id + '\0' + static_cast<char>(key.kind) + key.id;
}

std::int64_t first_row(std::int64_t run) {
  return run << kRunShift;
}
std::int64_t last_row(std::int64_t run) {
  return first_row(run) | kMostRows;
}

}  // namespace

struct Projector::Statements {
  Statement begin, commit, rollback, set_cursor;
  Statement find_namespace, add_namespace;
  Statement find_unit, add_unit, delete_unit, unit_has_head, unit_has_run;
  Statement find_run, runs_of, add_run_number, delete_run_number, delete_number;
  Statement find_head, put_head, keep_head, put_quarantine, wipe_head, delete_head;
  Statement put_run, has_run, delete_run, last_record, add_record, delete_records;
  Statement last_events, add_events, delete_events;
  Statement add_wake, delete_wake, add_ready, delete_ready;
  Statement put_visibility, delete_visibility;
  Statement put_catalog, delete_catalog;
  Statement free_pages, pages, vacuum;
};

Projector::Projector(Vfs& vfs, std::unique_ptr<Connection> connection)
    : vfs_(vfs), connection_(std::move(connection)), statements_(std::make_unique<Statements>()) {}
Projector::~Projector() {
  statements_.reset();
}

Result<std::unique_ptr<Projector>> Projector::open(Vfs& vfs, std::size_t cache_bytes) {
  TRY(auto connection, Connection::open(vfs, Access::kWrite, cache_bytes));
  std::unique_ptr<Projector> projector(new Projector(vfs, std::move(connection)));
  Connection& opened = *projector->connection_;
  TRY(const std::int64_t format, opened.number("SELECT value FROM meta WHERE key = 'format'"));
  if (format != 1) {
    return base::fail(Code::kFailedPrecondition,
                      vfs.path() + ": format " + std::to_string(format) + " is not known here");
  }
  TRY(const std::int64_t cursor, opened.number("SELECT value FROM meta WHERE key = 'cursor'"));
  TRY(const std::int64_t visible, opened.number("SELECT value FROM meta WHERE key = 'visibility_cursor'"));
  TRY(projector->next_run_, opened.number("SELECT 1 + max(coalesce((SELECT max(run) FROM runs), 0),"
                                          " coalesce((SELECT max(run) FROM visibility), 0))"));
  TRY(projector->next_unit_, opened.number("SELECT 1 + coalesce(max(unit), 0) FROM units"));
  projector->cursor_ = static_cast<GroupNumber>(cursor);
  projector->visibility_cursor_ = static_cast<GroupNumber>(visible);
  // Directories from before ids could be quarantined: the column is added.
  TRY(const std::int64_t known,
      opened.number("SELECT count(*) FROM pragma_table_info('heads') WHERE name = 'quarantine'"));
  if (known == 0) TRY_VOID(opened.run(kAddQuarantine));
  TRY_VOID(projector->prepare());
  return projector;
}

Status Projector::prepare() {
  Statements& s = *statements_;
  const std::pair<Statement*, const char*> all[] = {
      {&s.begin, "BEGIN IMMEDIATE"},
      {&s.commit, "COMMIT"},
      {&s.rollback, "ROLLBACK"},
      {&s.set_cursor, "UPDATE meta SET value = max(value, ?2) WHERE key = ?1"},
      {&s.find_namespace, "SELECT number FROM namespaces WHERE id = ?"},
      {&s.add_namespace, "INSERT INTO namespaces(id) VALUES (?)"},
      {&s.find_unit, "SELECT unit, namespace, kind, id FROM units WHERE hash = ?"},
      {&s.add_unit, "INSERT INTO units VALUES (?, ?, ?, ?, ?)"},
      {&s.delete_unit, "DELETE FROM units WHERE unit = ?"},
      {&s.unit_has_head,
       "SELECT head IS NOT NULL OR wake IS NOT NULL OR ready IS NOT NULL OR quarantine IS NOT NULL FROM heads"
       " WHERE unit = ?"},
      {&s.unit_has_run, "SELECT 1 FROM run_numbers WHERE unit = ? LIMIT 1"},
      {&s.find_run, "SELECT run FROM run_numbers WHERE unit = ? AND run_id = ?"},
      {&s.runs_of, "SELECT run FROM run_numbers WHERE unit = ?"},
      {&s.delete_number, "DELETE FROM run_numbers WHERE unit = ?1 AND run = ?2"},
      {&s.add_run_number, "INSERT INTO run_numbers VALUES (?, ?, ?)"},
      {&s.delete_run_number, "DELETE FROM run_numbers WHERE unit = ? AND run_id = ?"},
      {&s.find_head, "SELECT position, wake, ready FROM heads WHERE unit = ?"},
      {&s.put_head,
       "INSERT INTO heads VALUES (?, ?, ?, ?, ?, ?, NULL) ON CONFLICT(unit) DO UPDATE SET shard = excluded.shard,"
       " position = excluded.position, wake = excluded.wake, ready = excluded.ready, head = excluded.head"},
      {&s.wipe_head, "UPDATE heads SET head = NULL, quarantine = NULL WHERE unit = ?"},
      {&s.put_quarantine, "UPDATE heads SET quarantine = ?2 WHERE unit = ?1"},
      {&s.keep_head,
       "INSERT INTO heads VALUES (?, ?, ?, ?, ?, NULL, NULL) ON CONFLICT(unit) DO UPDATE SET"
       " shard = excluded.shard, position = excluded.position, wake = excluded.wake, ready = excluded.ready"},
      {&s.delete_head, "DELETE FROM heads WHERE unit = ?"},
      {&s.put_run, "INSERT OR REPLACE INTO runs VALUES (?, ?, ?)"},
      {&s.has_run, "SELECT 1 FROM runs WHERE run = ?"},
      {&s.delete_run, "DELETE FROM runs WHERE run = ?"},
      {&s.last_record, "SELECT max(run_n) FROM records WHERE run_n BETWEEN ? AND ?"},
      {&s.add_record, "INSERT INTO records VALUES (?, ?)"},
      {&s.delete_records, "DELETE FROM records WHERE run_n BETWEEN ? AND ?"},
      {&s.last_events,
       "SELECT run_event, count FROM events WHERE run_event BETWEEN ? AND ? ORDER BY run_event DESC LIMIT 1"},
      {&s.add_events, "INSERT INTO events VALUES (?, ?, ?)"},
      {&s.delete_events, "DELETE FROM events WHERE run_event BETWEEN ? AND ?"},
      {&s.add_wake, "INSERT OR REPLACE INTO wake VALUES (?, ?, ?, ?)"},
      {&s.delete_wake, "DELETE FROM wake WHERE time = ? AND namespace = ? AND kind = ? AND id = ?"},
      {&s.add_ready, "INSERT OR REPLACE INTO ready VALUES (?, ?, ?, ?, ?, ?, ?, ?)"},
      {&s.delete_ready,
       "DELETE FROM ready WHERE queue = ? AND priority = ? AND time = ? AND namespace = ? AND kind = ?"
       " AND id = ? AND run_id = ? AND task = ?"},
      {&s.put_visibility, "INSERT OR REPLACE INTO visibility VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"},
      {&s.delete_visibility, "DELETE FROM visibility WHERE run = ?"},
      {&s.put_catalog, "INSERT OR REPLACE INTO catalog VALUES (?, ?)"},
      {&s.delete_catalog, "DELETE FROM catalog WHERE key = ?"},
      {&s.free_pages, "PRAGMA freelist_count"},
      {&s.pages, "PRAGMA page_count"},
      {&s.vacuum, "PRAGMA incremental_vacuum(256)"},
  };
  for (const auto& [statement, sql] : all) {
    TRY(*statement, Statement::prepare(*connection_, sql));
  }
  return {};
}

template <class F>
Status Projector::transaction(F work) {
  TRY_VOID(statements_->begin.run());
  Status done = work();
  if (done) done = statements_->commit.run();
  if (!done) {
    static_cast<void>(statements_->rollback.run());  // fails when the error has rolled back already
    static_cast<void>(vfs_.take_error());
    forget();
  }
  return done;
}

// After a rollback what was numbered is not there.
void Projector::forget() {
  units_.clear();
  namespaces_.clear();
}

Status Projector::project(const Projection& projection) {
  TRY_VOID(transaction([&]() -> Status {
    std::vector<std::pair<UnitPlace, const UnitUpdate*>> places;
    places.reserve(projection.units.size());
    for (const UnitUpdate& update : projection.units) {
      TRY(const UnitPlace place, place_unit(update.key));
      places.emplace_back(place, &update);
    }
    // In the order of the tables, so that neighbours share pages.
    std::ranges::stable_sort(places, {}, [](const auto& entry) { return entry.first.unit; });
    for (const auto& [place, update] : places) TRY_VOID(update_unit(*update, place));
    for (const CatalogEntry& entry : projection.catalog) TRY_VOID(update_catalog(entry));
    return statements_->set_cursor.bind_text("cursor")
        .bind(static_cast<std::int64_t>(projection.position))
        .run();
  }));
  cursor_ = std::max(cursor_, projection.position);
  return {};
}

Status Projector::project_visibility(const VisibilityFlush& flush) {
  TRY_VOID(transaction([&]() -> Status {
    for (const VisibilityRow& row : flush.rows) TRY_VOID(update_visibility(row));
    return statements_->set_cursor.bind_text("visibility_cursor")
        .bind(static_cast<std::int64_t>(flush.position))
        .run();
  }));
  visibility_cursor_ = std::max(visibility_cursor_, flush.position);
  return {};
}

// ---- numbers --------------------------------------------------------------------------------------------------------------------

Result<std::int64_t> Projector::namespace_number(const std::string& id) {
  if (const auto known = namespaces_.find(id); known != namespaces_.end()) return known->second;
  TRY(const bool found, statements_->find_namespace.bind_text(id).next());
  std::int64_t number = found ? statements_->find_namespace.number(0) : 0;
  statements_->find_namespace.reset();
  if (!found) {
    TRY_VOID(statements_->add_namespace.bind_text(id).run());
    number = connection_->last_row();
  }
  return namespaces_[id] = number;
}

Result<Projector::UnitPlace> Projector::place_unit(const UnitKey& key) {
  const std::string cached = cache_key(key);
  if (const auto known = units_.find(cached); known != units_.end()) return known->second;
  UnitPlace place;
  TRY(place.namespace_number, namespace_number(key.namespace_id));
  const std::int64_t hash = hash_unit(place.namespace_number, key.kind, key.id);
  Statement& find = statements_->find_unit.bind(hash);
  for (;;) {
    TRY(const bool row, find.next());
    if (!row) break;
    if (find.number(1) != place.namespace_number || find.number(2) != static_cast<int>(key.kind) ||
        find.bytes(3) != key.id) {
      continue;
    }
    place.unit = find.number(0);
    find.reset();
    break;
  }
  if (place.unit == 0) {
    place.unit = next_unit_++;
    place.is_new = true;
    TRY_VOID(statements_->add_unit.bind(place.unit)
                 .bind(hash)
                 .bind(place.namespace_number)
                 .bind(static_cast<int>(key.kind))
                 .bind_text(key.id)
                 .run());
  }
  if (units_.size() >= kUnitsKept) units_.clear();
  UnitPlace& kept = units_[cached] = place;
  kept.is_new = false;
  return place;
}

Result<std::int64_t> Projector::find_run(const UnitPlace& unit, const std::string& run_id) {
  if (unit.is_new) return 0;
  const StoredRunId stored(run_id);
  Statement& find = statements_->find_run.bind(unit.unit);
  bind_run_id(find, stored);
  TRY(const bool row, find.next());
  const std::int64_t run = row ? find.number(0) : 0;
  find.reset();
  return run;
}

Result<Projector::RunPlace> Projector::place_run(const UnitPlace& unit, const std::string& run_id) {
  TRY(const std::int64_t known, find_run(unit, run_id));
  if (known != 0) return RunPlace{known, false};
  const StoredRunId stored(run_id);
  const RunPlace place{next_run_++, true};
  Statement& add = statements_->add_run_number.bind(unit.unit);
  bind_run_id(add, stored);
  TRY_VOID(add.bind(place.run).run());
  return place;
}

// ---- units ----------------------------------------------------------------------------------------------------------------------

Status Projector::update_unit(const UnitUpdate& update, const UnitPlace& place) {
  GroupNumber position = 0;
  std::int64_t old_wake = 0;
  bool had_wake = false;
  std::string old_ready;
  if (!place.is_new) {
    Statement& find = statements_->find_head.bind(place.unit);
    TRY(const bool row, find.next());
    if (row) {
      position = static_cast<GroupNumber>(find.number(0));
      had_wake = !find.is_null(1);
      old_wake = find.number(1);
      old_ready = find.bytes(2);
    }
    find.reset();
  }
  if (update.position < position) return {};
  const bool append_records = update.position > position;  // otherwise they are stored already
  if (update.wiped && append_records && !place.is_new) TRY_VOID(wipe(place));
  const std::string new_ready = pack_ready(update.ready);
  Statement& put = update.head ? statements_->put_head : statements_->keep_head;
  put.bind(place.unit).bind(update.shard).bind(static_cast<std::int64_t>(update.position));
  update.wake == base::kNever ? put.bind_null() : put.bind(to_number(update.wake));
  new_ready.empty() ? put.bind_null() : put.bind_blob(new_ready);
  if (update.head) update.head->empty() ? put.bind_null() : put.bind_blob(*update.head);
  TRY_VOID(put.run());
  if (update.quarantine) {
    Statement& quarantine = statements_->put_quarantine.bind(place.unit);
    TRY_VOID((update.quarantine->empty() ? quarantine.bind_null() : quarantine.bind_blob(*update.quarantine))
                 .run());
  }
  TRY_VOID(update_index(update, place, old_wake, had_wake, old_ready, new_ready));
  bool shrinks = update.wiped || (update.head && update.head->empty());
  for (const RunUpdate& run : update.runs) {
    if (run.deleted) {
      TRY_VOID(delete_run(place, run.run_id));
      shrinks = true;
    } else {
      TRY_VOID(update_run(run, place, append_records));
    }
  }
  return shrinks ? drop_if_empty(update.key, place) : Status();
}

Status Projector::update_index(const UnitUpdate& update, const UnitPlace& place, std::int64_t old_wake,
                               bool had_wake, const std::string& old_ready, const std::string& new_ready) {
  const UnitKey& key = update.key;
  const int kind = static_cast<int>(key.kind);
  const bool has_wake = update.wake != base::kNever;
  if (had_wake != has_wake || (has_wake && old_wake != to_number(update.wake))) {
    if (had_wake) {
      TRY_VOID(statements_->delete_wake.bind(old_wake)
                   .bind(place.namespace_number)
                   .bind(kind)
                   .bind_text(key.id)
                   .run());
    }
    if (has_wake) {
      TRY_VOID(statements_->add_wake.bind(to_number(update.wake))
                   .bind(place.namespace_number)
                   .bind(kind)
                   .bind_text(key.id)
                   .run());
    }
  }
  if (old_ready == new_ready) return {};
  auto each = [&](Statement& statement, const ReadyTask& task) {
    return statement.bind_blob(task.queue)
        .bind(task.priority)
        .bind(to_number(task.time))
        .bind(place.namespace_number)
        .bind(kind)
        .bind_text(key.id)
        .bind_text(task.run_id)
        .bind(task.task_id)
        .run();
  };
  TRY(const auto old_tasks, unpack_ready(old_ready));
  for (const ReadyTask& task : old_tasks) TRY_VOID(each(statements_->delete_ready, task));
  for (const ReadyTask& task : update.ready) TRY_VOID(each(statements_->add_ready, task));
  return {};
}

// A unit of which nothing is left goes.
Status Projector::drop_if_empty(const UnitKey& key, const UnitPlace& unit) {
  TRY(const bool head_row, statements_->unit_has_head.bind(unit.unit).next());
  const bool has_head = head_row && statements_->unit_has_head.number(0) != 0;
  statements_->unit_has_head.reset();
  if (has_head) return {};
  TRY(const bool has_run, statements_->unit_has_run.bind(unit.unit).next());
  statements_->unit_has_run.reset();
  if (has_run) return {};
  if (head_row) TRY_VOID(statements_->delete_head.bind(unit.unit).run());
  units_.erase(cache_key(key));
  return statements_->delete_unit.bind(unit.unit).run();
}

// ---- runs -----------------------------------------------------------------------------------------------------------------------

Status Projector::update_run(const RunUpdate& update, const UnitPlace& unit, bool append_records) {
  TRY(const RunPlace place, place_run(unit, update.run_id));
  if (update.snapshot) {
    const std::string records = pack(update.records);
    Statement& put = statements_->put_run.bind(place.run).bind_blob(*update.snapshot);
    TRY_VOID((records.empty() ? put.bind_null() : put.bind_blob(records)).run());
    if (!place.is_new)
      TRY_VOID(statements_->delete_records.bind(first_row(place.run)).bind(last_row(place.run)).run());
  } else {
    TRY_VOID(add_records(place.run, update.records, append_records));
  }
  return update.events.empty() ? Status() : add_events(place, update.events);
}

Status Projector::add_records(std::int64_t run, const std::vector<std::string>& records,
                              bool append_records) {
  const std::string packed = pack(records);
  TRY(const bool exists, statements_->has_run.bind(run).next());
  statements_->has_run.reset();
  if (!exists) {
    Statement& put = statements_->put_run.bind(run).bind_blob({});
    return (packed.empty() ? put.bind_null() : put.bind_blob(packed)).run();
  }
  if (packed.empty() || !append_records) return {};
  Statement& last = statements_->last_record.bind(first_row(run)).bind(last_row(run));
  TRY(const bool row, last.next());
  const std::int64_t next = row && !last.is_null(0) ? last.number(0) + 1 : first_row(run);
  last.reset();
  return statements_->add_record.bind(next).bind_blob(packed).run();
}

Status Projector::add_events(const RunPlace& place, const std::vector<StoredEvent>& events) {
  std::int64_t stored = 0;
  if (!place.is_new) {
    Statement& last = statements_->last_events.bind(first_row(place.run)).bind(last_row(place.run));
    TRY(const bool row, last.next());
    if (row) stored = last.number(0) - first_row(place.run) + last.number(1) - 1;
    last.reset();
  }
  const StoredEvent* const end = events.data() + events.size();
  const StoredEvent* begin = events.data();
  while (begin != end && begin->event_id <= stored) ++begin;
  while (begin != end) {
    if (begin->event_id < 1 || begin->event_id > kMostRows)
      return base::fail(Code::kInternal, "event id out of range");
    std::size_t bytes = 0;
    const StoredEvent* stop = begin;
    do {
      bytes += stop->bytes->size();
      ++stop;
    } while (stop != end && stop->event_id == stop[-1].event_id + 1 &&
             bytes + stop->bytes->size() <= kEventRowBytes);
    const std::string packed = pack_events(begin, stop);
    TRY_VOID(statements_->add_events.bind(first_row(place.run) | begin->event_id)
                 .bind(stop - begin)
                 .bind_blob(packed)
                 .run());
    begin = stop;
  }
  return {};
}

Status Projector::delete_run(const UnitPlace& unit, const std::string& run_id) {
  TRY(const std::int64_t run, find_run(unit, run_id));
  if (run == 0) return {};
  TRY_VOID(delete_run(run));
  const StoredRunId stored(run_id);
  Statement& remove = statements_->delete_run_number.bind(unit.unit);
  bind_run_id(remove, stored);
  return remove.run();
}

Status Projector::delete_run(std::int64_t run) {
  deleted_ = true;
  TRY_VOID(statements_->delete_run.bind(run).run());
  TRY_VOID(statements_->delete_records.bind(first_row(run)).bind(last_row(run)).run());
  TRY_VOID(statements_->delete_events.bind(first_row(run)).bind(last_row(run)).run());
  return statements_->delete_visibility.bind(run).run();
}

Result<bool> Projector::is_stored(std::int64_t run) {
  TRY(const bool stored, statements_->has_run.bind(run).next());
  statements_->has_run.reset();
  return stored;
}

Result<std::vector<std::int64_t>> Projector::runs_of(const UnitPlace& unit) {
  std::vector<std::int64_t> runs;
  Statement& each = statements_->runs_of.bind(unit.unit);
  for (;;) {
    TRY(const bool row, each.next());
    if (!row) return runs;
    runs.push_back(each.number(0));
  }
}

// The runs and the content of the head; its row, which says the position and what is indexed, is written next. A run that is only
// listed yet belongs to the time after: its row stays.
Status Projector::wipe(const UnitPlace& unit) {
  TRY(const auto runs, runs_of(unit));
  for (const std::int64_t run : runs) {
    TRY(const bool stored, is_stored(run));
    if (!stored) continue;
    TRY_VOID(delete_run(run));
    TRY_VOID(statements_->delete_number.bind(unit.unit).bind(run).run());
  }
  return statements_->wipe_head.bind(unit.unit).run();
}

Status Projector::update_catalog(const CatalogEntry& entry) {
  if (entry.value.empty()) return statements_->delete_catalog.bind_text(entry.key).run();
  return statements_->put_catalog.bind_text(entry.key).bind_blob(entry.value).run();
}

// ---- visibility -----------------------------------------------------------------------------------------------------------------

Status Projector::update_visibility(const VisibilityRow& row) {
  const UnitKey key{row.namespace_id, Kind::kWorkflow, row.workflow_id};
  TRY(const UnitPlace unit, place_unit(key));
  const StoredRunId run_id(row.run_id);
  if (row.deleted && row.run_id.empty()) {
    TRY(const auto runs, runs_of(unit));
    deleted_ = true;
    for (const std::int64_t run : runs) {
      TRY_VOID(statements_->delete_visibility.bind(run).run());
      TRY(const bool stored, is_stored(run));
      if (!stored) TRY_VOID(statements_->delete_number.bind(unit.unit).bind(run).run());
    }
    return drop_if_empty(key, unit);
  }
  if (row.deleted) {
    TRY(const std::int64_t run, find_run(unit, row.run_id));
    if (run != 0) {
      deleted_ = true;
      TRY_VOID(statements_->delete_visibility.bind(run).run());
      TRY(const bool kept, statements_->has_run.bind(run).next());
      statements_->has_run.reset();
      if (!kept) {
        Statement& remove = statements_->delete_run_number.bind(unit.unit);
        bind_run_id(remove, run_id);
        TRY_VOID(remove.run());
      }
    }
    return drop_if_empty(key, unit);
  }
  TRY(const RunPlace place, place_run(unit, row.run_id));
  Statement& put = statements_->put_visibility.bind(place.run).bind(unit.unit).bind(unit.namespace_number);
  put.bind(row.close_time ? to_number(*row.close_time) : kOpenTime).bind(to_number(row.start_time));
  bind_run_id(put, run_id);
  return put.bind(row.status).bind_text(row.workflow_type).bind_blob(row.info).run();
}

// ---- upkeep ---------------------------------------------------------------------------------------------------------------------

Result<bool> Projector::checkpoint() {
  TRY_VOID(vfs_.begin_checkpoint());
  TRY(const bool emptied, connection_->checkpoint());
  if (emptied) TRY_VOID(vfs_.end_checkpoint());
  return emptied;
}

Result<bool> Projector::shrink() {
  if (!deleted_) return false;
  TRY(const bool has_free, statements_->free_pages.next());
  const std::int64_t free = has_free ? statements_->free_pages.number(0) : 0;
  statements_->free_pages.reset();
  TRY(const bool has_pages, statements_->pages.next());
  const std::int64_t pages = has_pages ? statements_->pages.number(0) : 0;
  statements_->pages.reset();
  deleted_ = free > kFreeLeft + pages / kFreePart;
  if (!deleted_) return false;
  for (;;) {  // a row per page given back
    TRY(const bool more, statements_->vacuum.next());
    if (!more) return true;
  }
}

}  // namespace perdure::store::local
