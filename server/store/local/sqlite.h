// A thin face over SQLite: connections, statements that are prepared once, errors as Status. Every word of SQL is in the files that
// include this one.
//
// Thread rule: a Connection and its Statements from one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "server/store/local/sqlite_vfs.h"

struct sqlite3;
struct sqlite3_stmt;

namespace perdure::store::local {

enum class Access : std::uint8_t { kRead, kWrite, kCreate };

class Connection {
 public:
  // `cache_bytes`: most memory for pages.
  static base::Result<std::unique_ptr<Connection>> open(Vfs& vfs, Access access, std::size_t cache_bytes);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Runs statements that return nothing (or whose rows do not matter).
  base::Status run(const char* sql);
  // The first column of the first row of a statement.
  base::Result<std::int64_t> number(const char* sql);
  // The error of the last failed call: DATA_LOSS for damage (file and page named), RESOURCE_EXHAUSTED for a full disk.
  std::unexpected<base::Error> failure(std::string_view doing);
  std::int64_t last_row() const;
  // Copies the WAL into the database and empties it. False: a reader was in the way.
  base::Result<bool> checkpoint();

  sqlite3* handle() { return handle_; }

 private:
  Connection(Vfs& vfs, sqlite3* handle) : vfs_(vfs), handle_(handle) {}

  Vfs& vfs_;
  sqlite3* handle_;
};

// Bind in order, then run() or rows. Reset when it goes out of use: `for (auto row = s.bind(…); row.next();)`.
class Statement {
 public:
  Statement() = default;
  ~Statement();
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;

  static base::Result<Statement> prepare(Connection& connection, const char* sql);

  // Strings and blobs must live until the statement is reset.
  Statement& bind(std::int64_t value);
  Statement& bind_text(std::string_view text);
  Statement& bind_blob(std::string_view bytes);
  Statement& bind_null();
  Statement& bind_optional(const std::optional<std::int64_t>& value) {
    return value ? bind(*value) : bind_null();
  }

  // Runs to the end and resets.
  base::Status run();
  // True: there is a row. False: the end; the statement is reset.
  base::Result<bool> next();
  void reset();

  std::int64_t number(int column) const;
  bool is_null(int column) const;
  bool is_text(int column) const;
  std::string_view bytes(int column) const;  // valid until next() or reset()

 private:
  Connection* connection_ = nullptr;
  sqlite3_stmt* handle_ = nullptr;
  int bound_ = 0;
};

}  // namespace perdure::store::local
