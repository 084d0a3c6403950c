#include "server/store/local/schema.h"

#include <sqlite3.h>
#include <xxhash.h>

#include <cstring>

namespace perdure::store::local {

using base::Code;
using base::Result;
using base::Status;

// Numbers grow, so that new rows go to the right edge of their tables; only unit_by_hash is hit at random.
const char* const kSchema = R"sql(
CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('format', 1), ('cursor', 0), ('visibility_cursor', 0);
CREATE TABLE namespaces(number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);

-- The number of a unit (namespace, kind, id), and of a run of it; made by whichever projection comes first.
CREATE TABLE units(unit INTEGER PRIMARY KEY, hash INTEGER NOT NULL, namespace INTEGER NOT NULL, kind INTEGER NOT NULL,
                   id TEXT NOT NULL);
CREATE INDEX unit_by_hash ON units(hash);
CREATE TABLE run_numbers(unit INTEGER NOT NULL, run_id BLOB NOT NULL, run INTEGER NOT NULL,
                         PRIMARY KEY(unit, run_id)) WITHOUT ROWID;

CREATE TABLE heads(unit INTEGER PRIMARY KEY, shard INTEGER NOT NULL, position INTEGER NOT NULL, wake INTEGER, ready BLOB,
                   head BLOB, quarantine BLOB);
CREATE INDEX quarantined ON heads(unit) WHERE quarantine IS NOT NULL;
CREATE TABLE runs(run INTEGER PRIMARY KEY, snapshot BLOB NOT NULL, records BLOB);
CREATE TABLE records(run_n INTEGER PRIMARY KEY, records BLOB NOT NULL);
CREATE TABLE events(run_event INTEGER PRIMARY KEY, count INTEGER NOT NULL, events BLOB NOT NULL);

CREATE TABLE wake(time INTEGER NOT NULL, namespace INTEGER NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL,
                  PRIMARY KEY(time, namespace, kind, id)) WITHOUT ROWID;
CREATE TABLE ready(queue BLOB NOT NULL, priority INTEGER NOT NULL, time INTEGER NOT NULL, namespace INTEGER NOT NULL,
                   kind INTEGER NOT NULL, id TEXT NOT NULL, run_id TEXT NOT NULL, task INTEGER NOT NULL,
                   PRIMARY KEY(queue, priority, time, namespace, kind, id, run_id, task)) WITHOUT ROWID;

CREATE TABLE visibility(run INTEGER PRIMARY KEY, unit INTEGER NOT NULL, namespace INTEGER NOT NULL,
                        close_time INTEGER NOT NULL, start_time INTEGER NOT NULL, run_id BLOB NOT NULL,
                        status INTEGER NOT NULL, type TEXT NOT NULL, info BLOB NOT NULL);
CREATE INDEX visibility_order ON visibility(namespace, close_time DESC, start_time DESC, run_id);

CREATE TABLE catalog(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
)sql";

Status create_projection(Vfs& vfs) {
  TRY(auto connection, Connection::open(vfs, Access::kCreate, 1 << 20));
  int reserved = kReservedBytes;
  sqlite3_file_control(connection->handle(), "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
  TRY_VOID(
      connection->run("PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=MEMORY;"
                      "PRAGMA synchronous=FULL; BEGIN IMMEDIATE;"));
  TRY_VOID(connection->run(kSchema));
  return connection->run("COMMIT; PRAGMA journal_mode=WAL;");
}

// ---- run ids
// ----------------------------------------------------------------------------------------------------------------------

namespace {

constexpr std::size_t kUuidText = 36;
constexpr bool is_dash(std::size_t place) {
  return place == 8 || place == 13 || place == 18 || place == 23;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

StoredRunId::StoredRunId(std::string_view run_id) : bytes(run_id) {
  if (run_id.size() != kUuidText) return;
  std::string packed;
  for (std::size_t i = 0; i < kUuidText;) {
    if (is_dash(i)) {
      if (run_id[i++] != '-') return;
      continue;
    }
    const int high = hex_value(run_id[i]), low = hex_value(run_id[i + 1]);
    if (high < 0 || low < 0) return;
    packed += static_cast<char>(high * 16 + low);
    i += 2;
  }
  bytes = std::move(packed);
  is_blob = true;
}

void bind_run_id(Statement& statement, const StoredRunId& run_id) {
  run_id.is_blob ? statement.bind_blob(run_id.bytes) : statement.bind_text(run_id.bytes);
}

std::string read_run_id(const Statement& statement, int column) {
  const std::string_view bytes = statement.bytes(column);
  if (statement.is_text(column) || bytes.size() != 16) return std::string(bytes);
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    if (is_dash(text.size())) text += '-';
    text += kHex[static_cast<unsigned char>(c) >> 4];
    text += kHex[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

std::int64_t hash_unit(std::int64_t namespace_number, Kind kind, std::string_view id) {
  const auto seed = static_cast<std::uint64_t>(namespace_number) * 256 + static_cast<std::uint64_t>(kind);
  return static_cast<std::int64_t>(XXH3_64bits_withSeed(id.data(), id.size(), seed));
}

// ---- packed lists
// -----------------------------------------------------------------------------------------------------------------

namespace {

void put_bytes(std::string& out, std::string_view bytes) {
  const auto length = static_cast<std::uint32_t>(bytes.size());
  out.append(reinterpret_cast<const char*>(&length), sizeof length);
  out += bytes;
}

void put_number(std::string& out, std::int64_t number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

std::unexpected<base::Error> bad_list() {
  return base::fail(Code::kDataLoss, "projection: a list does not fit its row");
}

// Takes from the front; false when there is not enough.
bool take_bytes(std::string_view& rest, std::string_view& bytes) {
  std::uint32_t length = 0;
  if (rest.size() < sizeof length) return false;
  std::memcpy(&length, rest.data(), sizeof length);
  rest.remove_prefix(sizeof length);
  if (rest.size() < length) return false;
  bytes = rest.substr(0, length);
  rest.remove_prefix(length);
  return true;
}

bool take_number(std::string_view& rest, std::int64_t& number) {
  if (rest.size() < sizeof number) return false;
  std::memcpy(&number, rest.data(), sizeof number);
  rest.remove_prefix(sizeof number);
  return true;
}

}  // namespace

std::string pack(const std::vector<std::string>& list) {
  std::string bytes;
  for (const std::string& entry : list) put_bytes(bytes, entry);
  return bytes;
}

Result<std::vector<std::string>> unpack(std::string_view bytes) {
  std::vector<std::string> list;
  while (!bytes.empty()) {
    std::string_view entry;
    if (!take_bytes(bytes, entry)) return bad_list();
    list.emplace_back(entry);
  }
  return list;
}

std::string pack_ready(const std::vector<ReadyTask>& tasks) {
  std::string bytes;
  for (const ReadyTask& task : tasks) {
    put_bytes(bytes, task.queue);
    put_number(bytes, task.priority);
    put_number(bytes, to_number(task.time));
    put_bytes(bytes, task.run_id);
    put_number(bytes, task.task_id);
  }
  return bytes;
}

Result<std::vector<ReadyTask>> unpack_ready(std::string_view bytes) {
  std::vector<ReadyTask> tasks;
  while (!bytes.empty()) {
    std::string_view queue, run_id;
    std::int64_t priority = 0, time = 0, task = 0;
    if (!take_bytes(bytes, queue) || !take_number(bytes, priority) || !take_number(bytes, time) ||
        !take_bytes(bytes, run_id) || !take_number(bytes, task)) {
      return bad_list();
    }
    tasks.push_back(
        {std::string(queue), static_cast<int>(priority), to_time(time), std::string(run_id), task});
  }
  return tasks;
}

std::string pack_events(const StoredEvent* begin, const StoredEvent* end) {
  std::size_t size = 0;
  for (const StoredEvent* event = begin; event != end; ++event) size += 4 + event->bytes->size();
  std::string bytes;
  bytes.reserve(size);
  for (const StoredEvent* event = begin; event != end; ++event) put_bytes(bytes, *event->bytes);
  return bytes;
}

Result<bool> unpack_events(std::string_view bytes, std::int64_t first_id, std::int64_t first,
                           std::int64_t last, std::size_t max_bytes, std::size_t& used,
                           std::vector<StoredEvent>& out) {
  for (std::int64_t id = first_id; !bytes.empty(); ++id) {
    std::string_view event;
    if (!take_bytes(bytes, event)) return bad_list();
    const std::int64_t wanted = out.empty() ? first : out.back().event_id + 1;
    if (id > last) return false;
    if (id < wanted) continue;  // before the page, or in the row before as well
    if (id > wanted) return false;
    used += event.size();
    if (used > max_bytes && !out.empty()) return false;
    out.push_back({id, std::make_shared<const std::string>(event)});
  }
  return true;
}

}  // namespace perdure::store::local
