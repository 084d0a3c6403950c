// The writer of the projection: one connection, statements prepared once, everything of one call in one transaction that also
// moves the cursor. Thread rule: one thread at a time (the projection executor).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "server/store/local/schema.h"

namespace perdure::store::local {

class Projector {
 public:
  static base::Result<std::unique_ptr<Projector>> open(Vfs& vfs, std::size_t cache_bytes);
  ~Projector();

  // Whole or not at all.
  base::Status project(const Projection& projection);
  base::Status project_visibility(const VisibilityFlush& flush);
  GroupNumber cursor() const { return cursor_; }
  GroupNumber visibility_cursor() const { return visibility_cursor_; }

  // Makes every commit durable and empties the WAL. False: a reader was in the way.
  base::Result<bool> checkpoint();
  // Gives pages that deletions left to the file system, a slice at a time. True: there is more.
  base::Result<bool> shrink();

 private:
  struct Statements;
  struct UnitPlace {
    std::int64_t unit = 0;
    std::int64_t namespace_number = 0;
    bool is_new = false;
  };
  struct RunPlace {
    std::int64_t run = 0;
    bool is_new = false;
  };

  Projector(Vfs& vfs, std::unique_ptr<Connection> connection);
  base::Status prepare();
  template <class F>
  base::Status transaction(F work);
  void forget();

  base::Result<std::int64_t> namespace_number(const std::string& id);
  base::Result<UnitPlace> place_unit(const UnitKey& key);
  base::Result<RunPlace> place_run(const UnitPlace& unit, const std::string& run_id);
  base::Result<std::int64_t> find_run(const UnitPlace& unit, const std::string& run_id);  // 0: none

  base::Status update_unit(const UnitUpdate& update, const UnitPlace& place);
  base::Status update_index(const UnitUpdate& update, const UnitPlace& place, std::int64_t old_wake,
                            bool had_wake, const std::string& old_ready, const std::string& new_ready);
  base::Status update_run(const RunUpdate& update, const UnitPlace& unit, bool append_records);
  base::Status add_records(std::int64_t run, const std::vector<std::string>& records, bool append_records);
  base::Status add_events(const RunPlace& place, const std::vector<StoredEvent>& events);
  base::Status delete_run(const UnitPlace& unit, const std::string& run_id);
  base::Status delete_run(std::int64_t run);  // but for its number
  base::Result<bool> is_stored(std::int64_t run);
  base::Result<std::vector<std::int64_t>> runs_of(const UnitPlace& unit);
  base::Status wipe(const UnitPlace& unit);
  base::Status drop_if_empty(const UnitKey& key, const UnitPlace& unit);
  base::Status update_catalog(const CatalogEntry& entry);
  base::Status update_visibility(const VisibilityRow& row);

  Vfs& vfs_;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<Statements> statements_;
  GroupNumber cursor_ = 0, visibility_cursor_ = 0;
  std::int64_t next_run_ = 1, next_unit_ = 1;
  std::map<std::string, std::int64_t> namespaces_;
  std::unordered_map<std::string, UnitPlace> units_;  // lately used; bounded
  // since the last shrink; before the first one nobody knows
  bool deleted_ = true;
};

}  // namespace perdure::store::local
