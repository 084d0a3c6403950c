#include "server/store/local/sqlite.h"

#include <sqlite3.h>

#include <utility>

#include "base/check.h"

namespace perdure::store::local {

using base::Code;
using base::Result;
using base::Status;

namespace {

// Once per process, before SQLite is used: its memory statistics are a lock around every allocation.
void configure() {
  [[maybe_unused]] static const int done = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

}  // namespace

Result<std::unique_ptr<Connection>> Connection::open(Vfs& vfs, Access access, std::size_t cache_bytes) {
  configure();
  sqlite3* handle = nullptr;
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE;  // a reader of a WAL takes part in it
  if (access == Access::kCreate) flags |= SQLITE_OPEN_CREATE;
  const int code = sqlite3_open_v2(vfs.path().c_str(), &handle, flags, vfs.name().c_str());
  std::unique_ptr<Connection> connection(new Connection(vfs, handle));
  if (code != SQLITE_OK) return connection->failure("open the projection");
  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_extended_result_codes(handle, 1);
  const std::string pragmas =
      "PRAGMA temp_store=MEMORY; PRAGMA secure_delete=OFF; PRAGMA cache_spill=OFF;"
      "PRAGMA wal_autocheckpoint=0; PRAGMA synchronous=NORMAL; PRAGMA cell_size_check=ON;"
      "PRAGMA cache_size=-" +
      std::to_string(cache_bytes / 1024) + ";" + (access == Access::kRead ? "PRAGMA query_only=ON;" : "");
  TRY_VOID(connection->run(pragmas.c_str()));
  return connection;
}

Connection::~Connection() {
  sqlite3_close_v2(handle_);
}

Status Connection::run(const char* sql) {
  if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failure(sql);
  return {};
}

Result<std::int64_t> Connection::number(const char* sql) {
  TRY(Statement statement, Statement::prepare(*this, sql));
  TRY(const bool row, statement.next());
  return row ? statement.number(0) : 0;
}

std::unexpected<base::Error> Connection::failure(std::string_view doing) {
  const int code = sqlite3_errcode(handle_) & 0xff;
  if (auto damage = vfs_.take_damage()) return base::fail(Code::kDataLoss, std::move(*damage));
  const auto disk_error = vfs_.take_error();
  std::string message = std::string(doing) + ": " + sqlite3_errmsg(handle_);
  if (disk_error) message += " (" + disk_error->message + ")";
  switch (code) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return base::fail(Code::kDataLoss, vfs_.path() + ": " + message);
    case SQLITE_FULL: return base::fail(Code::kResourceExhausted, std::move(message));
    case SQLITE_INTERRUPT: return base::fail(Code::kDeadlineExceeded, std::move(message));
    default: return base::fail(Code::kUnavailable, std::move(message));
  }
}

std::int64_t Connection::last_row() const {
  return sqlite3_last_insert_rowid(handle_);
}

Result<bool> Connection::checkpoint() {
  const int code = sqlite3_wal_checkpoint_v2(handle_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  if (code == SQLITE_OK) return true;
  if ((code & 0xff) == SQLITE_BUSY) return false;
  return failure("checkpoint of the projection");
}

// ---- statements -----------------------------------------------------------------------------------------------------------------

Result<Statement> Statement::prepare(Connection& connection, const char* sql) {
  Statement statement;
  statement.connection_ = &connection;
  if (sqlite3_prepare_v3(connection.handle(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement.handle_,
                         nullptr) != SQLITE_OK) {
    return connection.failure(sql);
  }
  return statement;
}

Statement::~Statement() {
  sqlite3_finalize(handle_);
}
Statement::Statement(Statement&& other) noexcept
    : connection_(other.connection_), handle_(std::exchange(other.handle_, nullptr)), bound_(other.bound_) {}
Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(connection_, other.connection_);
  std::swap(handle_, other.handle_);
  std::swap(bound_, other.bound_);
  return *this;
}

Statement& Statement::bind(std::int64_t value) {
  CHECK(sqlite3_bind_int64(handle_, ++bound_, value) == SQLITE_OK);
  return *this;
}
Statement& Statement::bind_text(std::string_view text) {
  CHECK(sqlite3_bind_text64(handle_, ++bound_, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8) ==
        SQLITE_OK);
  return *this;
}
Statement& Statement::bind_blob(std::string_view bytes) {
  CHECK(sqlite3_bind_blob64(handle_, ++bound_, bytes.empty() ? "" : bytes.data(), bytes.size(),
                            SQLITE_STATIC) == SQLITE_OK);
  return *this;
}
Statement& Statement::bind_null() {
  CHECK(sqlite3_bind_null(handle_, ++bound_) == SQLITE_OK);
  return *this;
}

Status Statement::run() {
  TRY(const bool row, next());
  if (row) reset();
  return {};
}

Result<bool> Statement::next() {
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    reset();
    return false;
  }
  auto failure = connection_->failure(sqlite3_sql(handle_));
  reset();
  return failure;
}

void Statement::reset() {
  sqlite3_reset(handle_);
  bound_ = 0;
}

std::int64_t Statement::number(int column) const {
  return sqlite3_column_int64(handle_, column);
}
bool Statement::is_null(int column) const {
  return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}
bool Statement::is_text(int column) const {
  return sqlite3_column_type(handle_, column) == SQLITE_TEXT;
}
std::string_view Statement::bytes(int column) const {
  const void* place = sqlite3_column_blob(handle_, column);
  if (place == nullptr) return {};
  return {static_cast<const char*>(place), static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

}  // namespace perdure::store::local
