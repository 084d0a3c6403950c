// The tables of the projection, and how keys are written in them (docs/reference/format.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "server/store/local/sqlite.h"
#include "server/store/store.h"

namespace perdure::store::local {

// close_time of a run that is open: sorts before every close
inline constexpr std::int64_t kOpenTime = INT64_MAX;
inline constexpr int kRunShift = 24;  // rows of a run: run << kRunShift | n
inline constexpr std::int64_t kMostRows = (std::int64_t{1} << kRunShift) - 1;

extern const char* const kSchema;

// Makes an empty projection at the Vfs's path: page size, reserved bytes, auto_vacuum, tables. Blocking, synced.
base::Status create_projection(Vfs& vfs);

// A run id as stored: 16 bytes for a canonical UUID, otherwise itself (as text).
struct StoredRunId {
  std::string bytes;
  bool is_blob = false;
  explicit StoredRunId(std::string_view run_id);
};
void bind_run_id(Statement& statement, const StoredRunId& run_id);
std::string read_run_id(const Statement& statement, int column);

std::int64_t hash_unit(std::int64_t namespace_number, Kind kind, std::string_view id);

inline std::int64_t to_number(Time time) {
  return time.time_since_epoch().count();
}
inline Time to_time(std::int64_t number) {
  return Time(base::Duration(number));
}

// A list of byte strings in one blob: 4 bytes of length, bytes.
std::string pack(const std::vector<std::string>& list);
base::Result<std::vector<std::string>> unpack(std::string_view bytes);

// Ready tasks of a unit in one blob, so that they can be found again to be replaced.
std::string pack_ready(const std::vector<ReadyTask>& tasks);
base::Result<std::vector<ReadyTask>> unpack_ready(std::string_view bytes);

// Events of one flush of one run in one blob, first event id in the key.
std::string pack_events(const StoredEvent* begin, const StoredEvent* end);
// Appends events [first, last] of the blob while they follow each other and fit; false: stop reading.
base::Result<bool> unpack_events(std::string_view bytes, std::int64_t first_id, std::int64_t first,
                                 std::int64_t last, std::size_t max_bytes, std::size_t& used,
                                 std::vector<StoredEvent>& out);

}  // namespace perdure::store::local
