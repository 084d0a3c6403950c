// Reads of the projection on a connection of its own: they see every commit made before, and never hold up the writer.
//
// Every read has a time limit (DEADLINE_EXCEEDED). Thread rule: one thread at a time (the reads executor).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "server/store/local/schema.h"

namespace perdure::store::local {

class Reader {
 public:
  static base::Result<std::unique_ptr<Reader>> open(Vfs& vfs, std::size_t cache_bytes,
                                                    const base::Clock& clock, base::Duration limit);
  ~Reader();

  base::Result<std::optional<StoredHead>> head(const UnitKey& key);
  base::Result<std::optional<StoredRun>> run(const UnitKey& key, const std::string& run_id);
  base::Result<std::vector<StoredEvent>> events(const UnitKey& key, const std::string& run_id,
                                                std::int64_t first, std::int64_t last, std::size_t max_bytes);
  base::Result<std::map<std::string, std::string>> catalog();
  base::Result<std::uint64_t> quarantined();
  base::Result<std::vector<WakeEntry>> wake(Time until, const std::optional<WakeEntry>& after,
                                            std::size_t limit);
  base::Result<std::vector<ReadyEntry>> ready(const std::string& queue,
                                              const std::optional<ReadyEntry>& after, std::size_t limit);
  base::Result<std::vector<VisibilityRow>> list(const VisibilityQuery& query);
  base::Result<std::int64_t> count(const VisibilityFilter& filter);
  base::Result<std::vector<ClosedRun>> closed_before(const std::string& namespace_id, Time time,
                                                     std::size_t limit);

 private:
  struct Statements;
  struct Filter;

  Reader(std::unique_ptr<Connection> connection, const base::Clock& clock, base::Duration limit);
  base::Status prepare();
  void start_clock() { deadline_ = base::add(clock_.now(), limit_); }

  base::Result<std::int64_t> find_namespace(const std::string& id);  // 0: none
  base::Result<const std::string*> namespace_id(std::int64_t number);
  base::Result<std::int64_t> find_unit(const UnitKey& key);                            // 0: none
  base::Result<std::int64_t> find_run(const UnitKey& key, const std::string& run_id);  // 0: none
  base::Result<std::optional<Filter>> filter_of(const VisibilityFilter& filter);
  base::Status list_part(const Filter& filter, const std::string& place,
                         const std::vector<std::int64_t>& numbers, const std::optional<StoredRunId>& run_id,
                         std::size_t limit, std::vector<VisibilityRow>& rows);

  const base::Clock& clock_;
  const base::Duration limit_;
  Time deadline_{};
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<Statements> statements_;
  std::map<std::string, std::int64_t> namespaces_;
  std::map<std::int64_t, std::string> namespace_ids_;
};

}  // namespace perdure::store::local
