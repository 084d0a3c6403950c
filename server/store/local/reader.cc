#include "server/store/local/reader.h"

#include <sqlite3.h>

#include <algorithm>
#include <utility>

namespace perdure::store::local {

using base::Result;
using base::Status;

namespace {

constexpr int kOpsBetweenLooks = 20'000;  // virtual-machine steps between two looks at the clock
constexpr int kRunning = 1;               // WORKFLOW_EXECUTION_STATUS_RUNNING: these have no close time

}  // namespace

struct Reader::Statements {
  Statement find_namespace, namespace_id, find_unit, find_run, head, run, records, event_row, events, catalog,
      quarantined, wake, ready, closed;
};

Reader::Reader(std::unique_ptr<Connection> connection, const base::Clock& clock, base::Duration limit)
    : clock_(clock),
      limit_(limit),
      connection_(std::move(connection)),
      statements_(std::make_unique<Statements>()) {
  sqlite3_progress_handler(
      connection_->handle(), kOpsBetweenLooks,
      [](void* self) {
        const auto& reader = *static_cast<Reader*>(self);
        return reader.clock_.now() > reader.deadline_ ? 1 : 0;
      },
      this);
}
Reader::~Reader() {
  statements_.reset();
}

Result<std::unique_ptr<Reader>> Reader::open(Vfs& vfs, std::size_t cache_bytes, const base::Clock& clock,
                                             base::Duration limit) {
  TRY(auto connection, Connection::open(vfs, Access::kRead, cache_bytes));
  std::unique_ptr<Reader> reader(new Reader(std::move(connection), clock, limit));
  reader->start_clock();
  TRY_VOID(reader->prepare());
  return reader;
}

Status Reader::prepare() {
  Statements& s = *statements_;
  const std::pair<Statement*, const char*> all[] = {
      {&s.find_namespace, "SELECT number FROM namespaces WHERE id = ?"},
      {&s.namespace_id, "SELECT id FROM namespaces WHERE number = ?"},
      {&s.find_unit, "SELECT unit, namespace, kind, id FROM units WHERE hash = ?"},
      {&s.find_run, "SELECT run FROM run_numbers WHERE unit = ? AND run_id = ?"},
      {&s.head,
       "SELECT head, quarantine, position FROM heads WHERE unit = ? AND (head IS NOT NULL OR quarantine IS NOT NULL)"},
      {&s.run, "SELECT snapshot, records FROM runs WHERE run = ?"},
      {&s.records, "SELECT records FROM records WHERE run_n BETWEEN ? AND ? ORDER BY run_n"},
      {&s.event_row,
       "SELECT run_event FROM events WHERE run_event BETWEEN ? AND ? ORDER BY run_event DESC LIMIT 1"},
      {&s.events, "SELECT run_event, events FROM events WHERE run_event BETWEEN ? AND ? ORDER BY run_event"},
      {&s.catalog, "SELECT key, value FROM catalog"},
      {&s.quarantined, "SELECT count(*) FROM heads WHERE quarantine IS NOT NULL"},
      {&s.wake,
       "SELECT time, namespace, kind, id FROM wake WHERE time <= ?1 AND (time, namespace, kind, id) > (?2, ?3, ?4, ?5)"
       " ORDER BY time, namespace, kind, id LIMIT ?6"},
      {&s.ready,
       "SELECT priority, time, namespace, kind, id, run_id, task FROM ready WHERE queue = ?1"
       " AND (priority, time, namespace, kind, id, run_id, task) > (?2, ?3, ?4, ?5, ?6, ?7, ?8)"
       " ORDER BY priority, time, namespace, kind, id, run_id, task LIMIT ?9"},
      {&s.closed,
       "SELECT u.kind, u.id, v.run_id FROM visibility v JOIN units u ON u.unit = v.unit WHERE v.namespace = ?"
       " AND v.close_time < ? ORDER BY v.close_time, v.start_time, v.run_id DESC LIMIT ?"},
  };
  for (const auto& [statement, sql] : all) {
    TRY(*statement, Statement::prepare(*connection_, sql));
  }
  return {};
}

// ---- keys -----------------------------------------------------------------------------------------------------------------------

Result<std::int64_t> Reader::find_namespace(const std::string& id) {
  if (const auto known = namespaces_.find(id); known != namespaces_.end()) return known->second;
  TRY(const bool row, statements_->find_namespace.bind_text(id).next());
  const std::int64_t number = row ? statements_->find_namespace.number(0) : 0;
  statements_->find_namespace.reset();
  if (number != 0) namespaces_[id] = number;
  return number;
}

Result<const std::string*> Reader::namespace_id(std::int64_t number) {
  std::string& known = namespace_ids_[number];
  if (known.empty()) {
    TRY(const bool row, statements_->namespace_id.bind(number).next());
    if (row) known = statements_->namespace_id.bytes(0);
    statements_->namespace_id.reset();
  }
  return &known;
}

Result<std::int64_t> Reader::find_unit(const UnitKey& key) {
  TRY(const std::int64_t number, find_namespace(key.namespace_id));
  if (number == 0) return 0;
  Statement& find = statements_->find_unit.bind(hash_unit(number, key.kind, key.id));
  for (;;) {
    TRY(const bool row, find.next());
    if (!row) return 0;
    if (find.number(1) != number || find.number(2) != static_cast<int>(key.kind) || find.bytes(3) != key.id)
      continue;
    const std::int64_t unit = find.number(0);
    find.reset();
    return unit;
  }
}

Result<std::int64_t> Reader::find_run(const UnitKey& key, const std::string& run_id) {
  TRY(const std::int64_t unit, find_unit(key));
  if (unit == 0) return 0;
  const StoredRunId stored(run_id);
  Statement& find = statements_->find_run.bind(unit);
  bind_run_id(find, stored);
  TRY(const bool row, find.next());
  const std::int64_t run = row ? find.number(0) : 0;
  find.reset();
  return run;
}

// ---- executions -----------------------------------------------------------------------------------------------------------------

Result<std::optional<StoredHead>> Reader::head(const UnitKey& key) {
  start_clock();
  TRY(const std::int64_t unit, find_unit(key));
  if (unit == 0) return std::nullopt;
  Statement& find = statements_->head.bind(unit);
  TRY(const bool row, find.next());
  if (!row) return std::nullopt;
  StoredHead found{std::string(find.bytes(0)), std::string(find.bytes(1)),
                   static_cast<GroupNumber>(find.number(2))};
  find.reset();
  return found;
}

Result<std::optional<StoredRun>> Reader::run(const UnitKey& key, const std::string& run_id) {
  start_clock();
  TRY(const std::int64_t run, find_run(key, run_id));
  if (run == 0) return std::nullopt;
  Statement& find = statements_->run.bind(run);
  TRY(const bool row, find.next());
  if (!row) return std::nullopt;
  StoredRun found;
  found.snapshot = find.bytes(0);
  auto records = unpack(find.bytes(1));
  find.reset();
  if (!records) return std::unexpected(records.error());
  found.records = std::move(*records);
  Statement& more = statements_->records.bind(run << kRunShift).bind(run << kRunShift | kMostRows);
  for (;;) {
    TRY(const bool next, more.next());
    if (!next) return found;
    auto list = unpack(more.bytes(0));
    if (!list) {
      more.reset();
      return std::unexpected(list.error());
    }
    std::ranges::move(*list, std::back_inserter(found.records));
  }
}

Result<std::vector<StoredEvent>> Reader::events(const UnitKey& key, const std::string& run_id,
                                                std::int64_t first, std::int64_t last,
                                                std::size_t max_bytes) {
  start_clock();
  std::vector<StoredEvent> found;
  first = std::max<std::int64_t>(first, 0);
  last = std::min(last, kMostRows);
  if (first > last) return found;
  TRY(const std::int64_t run, find_run(key, run_id));
  if (run == 0) return found;
  const std::int64_t base = run << kRunShift;
  Statement& row = statements_->event_row.bind(base).bind(base | first);
  TRY(const bool starts, row.next());
  const std::int64_t start = starts ? row.number(0) : base | first;
  row.reset();
  std::size_t used = 0;
  Statement& rows = statements_->events.bind(start).bind(base | last);
  for (;;) {
    TRY(const bool next, rows.next());
    if (!next) return found;
    const auto more =
        unpack_events(rows.bytes(1), rows.number(0) - base, first, last, max_bytes, used, found);
    if (more && *more) continue;
    rows.reset();
    if (!more) return std::unexpected(more.error());
    return found;
  }
}

Result<std::map<std::string, std::string>> Reader::catalog() {
  start_clock();
  std::map<std::string, std::string> found;
  for (;;) {
    TRY(const bool row, statements_->catalog.next());
    if (!row) return found;
    found.emplace(statements_->catalog.bytes(0), statements_->catalog.bytes(1));
  }
}

Result<std::uint64_t> Reader::quarantined() {
  start_clock();
  TRY(const bool row, statements_->quarantined.next());
  const auto count = row ? static_cast<std::uint64_t>(statements_->quarantined.number(0)) : 0;
  statements_->quarantined.reset();
  return count;
}

// ---- indexes --------------------------------------------------------------------------------------------------------------------

Result<std::vector<WakeEntry>> Reader::wake(Time until, const std::optional<WakeEntry>& after,
                                            std::size_t limit) {
  start_clock();
  std::vector<WakeEntry> found;
  std::int64_t after_namespace = 0;
  if (after) {
    TRY(after_namespace, find_namespace(after->key.namespace_id));
  }
  Statement& rows = statements_->wake.bind(to_number(until));
  rows.bind(after ? to_number(after->time) : INT64_MIN).bind(after_namespace);
  rows.bind(after ? static_cast<int>(after->key.kind) : 0)
      .bind_text(after ? after->key.id : std::string_view());
  rows.bind(static_cast<std::int64_t>(limit));
  for (;;) {
    TRY(const bool row, rows.next());
    if (!row) return found;
    const auto id = namespace_id(rows.number(1));
    if (!id) {
      rows.reset();
      return std::unexpected(id.error());
    }
    found.push_back(
        {to_time(rows.number(0)), {**id, static_cast<Kind>(rows.number(2)), std::string(rows.bytes(3))}});
  }
}

Result<std::vector<ReadyEntry>> Reader::ready(const std::string& queue,
                                              const std::optional<ReadyEntry>& after, std::size_t limit) {
  start_clock();
  std::vector<ReadyEntry> found;
  std::int64_t after_namespace = 0;
  if (after) {
    TRY(after_namespace, find_namespace(after->key.namespace_id));
  }
  Statement& rows = statements_->ready.bind_blob(queue);
  rows.bind(after ? after->task.priority : INT32_MIN)
      .bind(after ? to_number(after->task.time) : 0)
      .bind(after_namespace);
  rows.bind(after ? static_cast<int>(after->key.kind) : 0)
      .bind_text(after ? after->key.id : std::string_view());
  rows.bind_text(after ? after->task.run_id : std::string_view()).bind(after ? after->task.task_id : 0);
  rows.bind(static_cast<std::int64_t>(limit));
  for (;;) {
    TRY(const bool row, rows.next());
    if (!row) return found;
    const auto id = namespace_id(rows.number(2));
    if (!id) {
      rows.reset();
      return std::unexpected(id.error());
    }
    found.push_back({{**id, static_cast<Kind>(rows.number(3)), std::string(rows.bytes(4))},
                     {queue, static_cast<int>(rows.number(0)), to_time(rows.number(1)),
                      std::string(rows.bytes(5)), rows.number(6)}});
  }
}

// ---- visibility -----------------------------------------------------------------------------------------------------------------

// A condition in SQL and what is bound in it, in order: numbers, then the text of the type.
struct Reader::Filter {
  std::string sql;
  std::vector<std::int64_t> numbers;
  std::optional<std::string> type;
  std::string namespace_id;

  void bind(Statement& statement) const {
    for (const std::int64_t number : numbers) statement.bind(number);
    if (type) statement.bind_text(*type);
  }
};

// nullopt: nothing can match.
Result<std::optional<Reader::Filter>> Reader::filter_of(const VisibilityFilter& filter) {
  Filter made;
  made.namespace_id = filter.namespace_id;
  TRY(const std::int64_t number, find_namespace(filter.namespace_id));
  if (number == 0) return std::nullopt;
  made.sql = "v.namespace = ?";
  made.numbers.push_back(number);
  if (filter.workflow_id) {
    TRY(const std::int64_t unit, find_unit({filter.namespace_id, Kind::kWorkflow, *filter.workflow_id}));
    if (unit == 0) return std::nullopt;
    made.sql = "+v.namespace = ? AND v.run IN (SELECT run FROM run_numbers WHERE unit = ?)";
    made.numbers.push_back(unit);
  }
  if (filter.status) {
    made.sql += " AND v.status = ?";
    made.numbers.push_back(*filter.status);
    if (*filter.status == kRunning && !filter.workflow_id) {
      made.sql += " AND v.close_time = ?";
      made.numbers.push_back(kOpenTime);
    }
  }
  if (filter.workflow_type) {
    made.sql += " AND v.type = ?";
    made.type = *filter.workflow_type;
  }
  return made;
}

Status Reader::list_part(const Filter& filter, const std::string& place,
                         const std::vector<std::int64_t>& numbers, const std::optional<StoredRunId>& run_id,
                         std::size_t limit, std::vector<VisibilityRow>& rows) {
  if (rows.size() >= limit) return {};
  const std::string sql =
      "SELECT u.id, v.run_id, v.type, v.status, v.start_time, v.close_time, v.info FROM visibility v JOIN units u ON"
      " u.unit = v.unit WHERE " +
      filter.sql + place + " ORDER BY v.close_time DESC, v.start_time DESC, v.run_id LIMIT ?";
  TRY(Statement statement, Statement::prepare(*connection_, sql.c_str()));
  filter.bind(statement);
  for (const std::int64_t number : numbers) statement.bind(number);
  if (run_id) bind_run_id(statement, *run_id);
  statement.bind(static_cast<std::int64_t>(limit - rows.size()));
  for (;;) {
    TRY(const bool next, statement.next());
    if (!next) return {};
    VisibilityRow& row = rows.emplace_back();
    row.namespace_id = filter.namespace_id;
    row.workflow_id = statement.bytes(0);
    row.run_id = read_run_id(statement, 1);
    row.workflow_type = statement.bytes(2);
    row.status = static_cast<int>(statement.number(3));
    row.start_time = to_time(statement.number(4));
    if (statement.number(5) != kOpenTime) row.close_time = to_time(statement.number(5));
    row.info = statement.bytes(6);
  }
}

// A page that starts in the middle is three ranges of the index, so that no row before it is read.
Result<std::vector<VisibilityRow>> Reader::list(const VisibilityQuery& query) {
  start_clock();
  std::vector<VisibilityRow> rows;
  TRY(const auto filter, filter_of(query.filter));
  if (!filter || query.page_size <= 0) return rows;
  const auto limit = static_cast<std::size_t>(query.page_size);
  if (!query.after) {
    TRY_VOID(list_part(*filter, "", {}, std::nullopt, limit, rows));
    return rows;
  }
  const std::int64_t close = query.after->close_time ? to_number(*query.after->close_time) : kOpenTime;
  const std::int64_t start = to_number(query.after->start_time);
  const StoredRunId run_id(query.after->run_id);
  TRY_VOID(list_part(*filter, " AND v.close_time = ? AND v.start_time = ? AND v.run_id > ?", {close, start},
                     run_id, limit, rows));
  TRY_VOID(list_part(*filter, " AND v.close_time = ? AND v.start_time < ?", {close, start}, std::nullopt,
                     limit, rows));
  TRY_VOID(list_part(*filter, " AND v.close_time < ?", {close}, std::nullopt, limit, rows));
  return rows;
}

Result<std::int64_t> Reader::count(const VisibilityFilter& wanted) {
  start_clock();
  TRY(const auto filter, filter_of(wanted));
  if (!filter) return 0;
  const std::string sql = "SELECT count(*) FROM visibility v WHERE " + filter->sql;
  TRY(Statement statement, Statement::prepare(*connection_, sql.c_str()));
  filter->bind(statement);
  TRY(const bool row, statement.next());
  return row ? statement.number(0) : 0;
}

Result<std::vector<ClosedRun>> Reader::closed_before(const std::string& namespace_id, Time time,
                                                     std::size_t limit) {
  start_clock();
  std::vector<ClosedRun> found;
  TRY(const std::int64_t number, find_namespace(namespace_id));
  if (number == 0) return found;
  Statement& rows =
      statements_->closed.bind(number).bind(to_number(time)).bind(static_cast<std::int64_t>(limit));
  for (;;) {
    TRY(const bool row, rows.next());
    if (!row) return found;
    found.push_back({{namespace_id, static_cast<Kind>(rows.number(0)), std::string(rows.bytes(1))},
                     read_run_id(rows, 2)});
  }
}

}  // namespace perdure::store::local
