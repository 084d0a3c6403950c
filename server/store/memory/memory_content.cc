#include "server/store/memory/memory_content.h"

#include <algorithm>

namespace perdure::store {
namespace {

MemoryContent::ListOrder list_order(const VisibilityRow& row) {
  return {row.close_time.value_or(base::kNever), row.start_time, row.run_id};
}

bool matches(const VisibilityFilter& filter, const VisibilityRow& row) {
  return (!filter.workflow_id || *filter.workflow_id == row.workflow_id) &&
         (!filter.workflow_type || *filter.workflow_type == row.workflow_type) &&
         (!filter.status || *filter.status == row.status);
}

void update_run(MemoryContent::Run& run, const RunUpdate& update, bool append_records) {
  if (update.snapshot) {
    run.snapshot = *update.snapshot;
    run.records.clear();
  }
  if (update.snapshot || append_records) {
    run.records.insert(run.records.end(), update.records.begin(), update.records.end());
  }
  for (const StoredEvent& event : update.events) run.events.emplace(event.event_id, event);
}

}  // namespace

void MemoryContent::remove_visibility(const std::string& namespace_id, const std::string& run_id) {
  auto found = visibility.find({namespace_id, run_id});
  if (found == visibility.end()) return;
  listed[namespace_id].erase(list_order(found->second));
  visibility.erase(found);
}

void MemoryContent::remove_visibility_of(const std::string& namespace_id, const std::string& workflow_id) {
  std::vector<std::string> runs;
  for (auto row = visibility.lower_bound({namespace_id, ""});
       row != visibility.end() && row->first.first == namespace_id; ++row) {
    if (row->second.workflow_id == workflow_id) runs.push_back(row->first.second);
  }
  for (const std::string& run_id : runs) remove_visibility(namespace_id, run_id);
}

// A run that is only listed yet belongs to the time after: its row stays.
void MemoryContent::wipe(const UnitKey& key) {
  Unit& unit = units[key];
  unit.head.clear();
  unit.quarantine.clear();
  for (const auto& [run_id, run] : unit.runs) remove_visibility(key.namespace_id, run_id);
  unit.runs.clear();
}

void MemoryContent::update_unit(const UnitUpdate& update) {
  if (const auto stored = units.find(update.key);
      stored != units.end() && update.position < stored->second.position)
    return;
  Unit& unit = units[update.key];
  const bool append_records = update.position > unit.position;  // otherwise they are stored already
  if (update.wiped && append_records) wipe(update.key);
  unit.position = update.position;
  if (update.head) unit.head = *update.head;
  if (update.quarantine) unit.quarantine = *update.quarantine;
  for (const RunUpdate& run : update.runs) {
    if (run.deleted) {
      unit.runs.erase(run.run_id);
      remove_visibility(update.key.namespace_id, run.run_id);
    } else {
      update_run(unit.runs[run.run_id], run, append_records);
    }
  }
  wakes.erase({unit.wake, update.key});
  unit.wake = update.wake;
  if (unit.wake != base::kNever) wakes.emplace(unit.wake, update.key);
  for (const ReadyTask& task : unit.ready) {
    ready[task.queue].erase({task.priority, task.time, update.key, task.run_id, task.task_id});
  }
  unit.ready = update.ready;
  for (const ReadyTask& task : unit.ready) {
    ready[task.queue].emplace(task.priority, task.time, update.key, task.run_id, task.task_id);
  }
  const bool empty = unit.head.empty() && unit.quarantine.empty() && unit.runs.empty() &&
                     unit.ready.empty() && unit.wake == base::kNever;
  if (empty) units.erase(update.key);
}

Status MemoryContent::project(const Projection& projection) {
  if (projection.position > last)
    return base::fail(base::Code::kInvalidArgument, "projection of a group that is not durable");
  for (const UnitUpdate& update : projection.units) update_unit(update);
  for (const CatalogEntry& entry : projection.catalog) {
    if (entry.value.empty()) {
      catalog.erase(entry.key);
    } else {
      catalog[entry.key] = entry.value;
    }
  }
  cursor = std::max(cursor, projection.position);
  groups.erase(groups.begin(), groups.upper_bound(cursor));
  return {};
}

Status MemoryContent::project_visibility(const VisibilityFlush& flush) {
  if (flush.position > last)
    return base::fail(base::Code::kInvalidArgument, "visibility of a group that is not durable");
  for (const VisibilityRow& row : flush.rows) {
    if (row.deleted && row.run_id.empty()) {
      remove_visibility_of(row.namespace_id, row.workflow_id);
      continue;
    }
    remove_visibility(row.namespace_id, row.run_id);
    if (row.deleted) continue;
    auto [place, added] = visibility.emplace(std::pair(row.namespace_id, row.run_id), row);
    listed[row.namespace_id].emplace(list_order(row), &place->second);
  }
  visibility_cursor = std::max(visibility_cursor, flush.position);
  return {};
}

std::vector<WakeEntry> MemoryContent::scan_wake(Time until, const std::optional<WakeEntry>& after,
                                                std::size_t limit) const {
  std::vector<WakeEntry> found;
  auto place = after ? wakes.upper_bound({after->time, after->key}) : wakes.begin();
  for (; place != wakes.end() && place->first <= until && found.size() < limit; ++place) {
    found.push_back({place->first, place->second});
  }
  return found;
}

std::vector<ReadyEntry> MemoryContent::scan_ready(const std::string& queue,
                                                  const std::optional<ReadyEntry>& after,
                                                  std::size_t limit) const {
  std::vector<ReadyEntry> found;
  auto of_queue = ready.find(queue);
  if (of_queue == ready.end()) return found;
  const auto& waiting = of_queue->second;
  auto place = waiting.begin();
  if (after) {
    const ReadyTask& task = after->task;
    place = waiting.upper_bound({task.priority, task.time, after->key, task.run_id, task.task_id});
  }
  for (; place != waiting.end() && found.size() < limit; ++place) {
    const auto& [priority, time, key, run_id, task_id] = *place;
    found.push_back({key, {queue, priority, time, run_id, task_id}});
  }
  return found;
}

std::vector<VisibilityRow> MemoryContent::list(const VisibilityQuery& query) const {
  std::vector<VisibilityRow> rows;
  auto of_namespace = listed.find(query.filter.namespace_id);
  if (of_namespace == listed.end()) return rows;
  auto place = of_namespace->second.begin();
  if (query.after) {
    place = of_namespace->second.upper_bound(
        {query.after->close_time.value_or(base::kNever), query.after->start_time, query.after->run_id});
  }
  for (; place != of_namespace->second.end() && std::ssize(rows) < query.page_size; ++place) {
    if (matches(query.filter, *place->second)) rows.push_back(*place->second);
  }
  return rows;
}

std::int64_t MemoryContent::count(const VisibilityFilter& filter) const {
  auto of_namespace = listed.find(filter.namespace_id);
  if (of_namespace == listed.end()) return 0;
  return std::count_if(of_namespace->second.begin(), of_namespace->second.end(),
                       [&](const auto& row) { return matches(filter, *row.second); });
}

std::vector<ClosedRun> MemoryContent::list_closed_before(const std::string& namespace_id, Time time,
                                                         std::size_t limit) const {
  std::vector<ClosedRun> found;
  auto of_namespace = listed.find(namespace_id);
  if (of_namespace == listed.end()) return found;
  const auto& rows = of_namespace->second;
  for (auto row = rows.rbegin(); row != rows.rend() && found.size() < limit; ++row) {
    if (row->first.close_time >= time) break;
    found.push_back({{namespace_id, Kind::kWorkflow, row->second->workflow_id}, row->second->run_id});
  }
  return found;
}

std::vector<StoredEvent> MemoryContent::read_events(const UnitKey& key, const std::string& run_id,
                                                    std::int64_t first, std::int64_t last_id,
                                                    std::size_t max_bytes) const {
  std::vector<StoredEvent> found;
  auto unit = units.find(key);
  if (unit == units.end()) return found;
  auto run = unit->second.runs.find(run_id);
  if (run == unit->second.runs.end()) return found;
  std::size_t bytes = 0;
  for (std::int64_t id = first; id <= last_id; ++id) {
    auto event = run->second.events.find(id);
    if (event == run->second.events.end()) break;
    bytes += event->second.bytes->size();
    if (bytes > max_bytes && !found.empty()) break;
    found.push_back(event->second);
  }
  return found;
}

}  // namespace perdure::store
