#include "server/store/memory/memory_store.h"

#include <atomic>
#include <utility>

#include "base/check.h"
#include "server/store/memory/memory_content.h"

namespace perdure::store {

std::shared_ptr<MemoryContent> make_memory_content() {
  return std::make_shared<MemoryContent>();
}

// Shared with the queued operations, so that they find their store even when the MemoryStore is gone.
struct MemoryStore::Open {
  struct Held {
    GroupNumber number;
    std::string bytes;
    Done<void> done;
  };

  explicit Open(std::shared_ptr<MemoryContent> kept) : content(std::move(kept)), next(content->last + 1) {
    for (const auto& [number, bytes] : content->groups) unprojected += bytes.size();
    cursor = content->cursor;
    visibility_cursor = content->visibility_cursor;
  }

  void append(Held group) {
    if (ended) return group.done(std::unexpected(*ended));
    CHECK(group.number == next);  // the log may have no hole
    ++next;
    if (holding) {
      held.push_back(std::move(group));
    } else {
      make_durable(std::move(group));
    }
  }

  void make_durable(Held group) {
    content->last = group.number;
    fsyncs += 1;
    groups += 1;
    bytes += group.bytes.size();
    unprojected += group.bytes.size();
    content->groups.emplace(group.number, std::move(group.bytes));
    group.done({});
  }

  Status project(const Projection& projection) {
    const GroupNumber before = content->cursor;
    std::uint64_t projected = 0;
    for (const auto& [number, stored] : content->groups) {
      if (number > before && number <= projection.position) projected += stored.size();
    }
    TRY_VOID(content->project(projection));
    unprojected -= projected;
    cursor = content->cursor;
    return {};
  }

  std::shared_ptr<MemoryContent> content;
  GroupNumber next;
  bool holding = false;
  std::atomic<bool> closed = false;
  std::vector<Held> held;
  std::optional<Error> ended;
  std::atomic<GroupNumber> cursor = 0, visibility_cursor = 0;
  std::atomic<std::uint64_t> fsyncs = 0, bytes = 0, groups = 0, unprojected = 0;
};

MemoryStore::MemoryStore(base::Executor& executor, std::shared_ptr<MemoryContent> content)
    : executor_(executor), open_(std::make_shared<Open>(std::move(content))) {}
MemoryStore::~MemoryStore() {
  close();
}

std::shared_ptr<MemoryContent> MemoryStore::content() const {
  return open_->content;
}

void MemoryStore::hold_appends() {
  open_->holding = true;
}

void MemoryStore::release_appends() {
  open_->holding = false;
  for (Open::Held& group : std::exchange(open_->held, {})) open_->make_durable(std::move(group));
}

void MemoryStore::end_stream(Error error) {
  open_->ended = std::move(error);
  for (Open::Held& group : std::exchange(open_->held, {})) group.done(std::unexpected(*open_->ended));
}

template <class T, class F>
void MemoryStore::run(Done<T> done, F operation) {
  executor_.post(base::Lane::kCompletion, 0,
                 [open = open_, done = std::move(done), operation = std::move(operation)]() mutable {
                   if (!open->closed) done(operation(*open));
                 });
}

Result<GroupNumber> MemoryStore::replay(const std::function<void(GroupNumber, std::string_view)>& group) {
  for (const auto& [number, bytes] : open_->content->groups) group(number, bytes);
  return open_->content->last;
}

void MemoryStore::append(GroupNumber number, std::string bytes, Done<void> done) {
  const std::size_t size = bytes.size();
  executor_.post(base::Lane::kCompletion, size,
                 [open = open_, held = Open::Held{number, std::move(bytes), std::move(done)}]() mutable {
                   if (!open->closed) open->append(std::move(held));
                 });
}

void MemoryStore::check_open(Done<void> done) {
  run(std::move(done), [](Open& open) -> Status {
    if (open.ended) return std::unexpected(*open.ended);
    return {};
  });
}

void MemoryStore::project(Projection projection, Done<void> done) {
  run(std::move(done),
      [projection = std::move(projection)](Open& open) -> Status { return open.project(projection); });
}

void MemoryStore::project_visibility(VisibilityFlush flush, Done<void> done) {
  run(std::move(done), [flush = std::move(flush)](Open& open) -> Status {
    TRY_VOID(open.content->project_visibility(flush));
    open.visibility_cursor = open.content->visibility_cursor;
    return {};
  });
}

GroupNumber MemoryStore::cursor() const {
  return open_->cursor;
}
GroupNumber MemoryStore::visibility_cursor() const {
  return open_->visibility_cursor;
}

void MemoryStore::read_head(UnitKey key, Done<std::optional<StoredHead>> done) {
  run(std::move(done), [key = std::move(key)](Open& open) -> Result<std::optional<StoredHead>> {
    auto unit = open.content->units.find(key);
    if (unit == open.content->units.end() || (unit->second.head.empty() && unit->second.quarantine.empty()))
      return std::nullopt;
    return StoredHead{unit->second.head, unit->second.quarantine, unit->second.position};
  });
}

void MemoryStore::read_run(UnitKey key, std::string run_id, Done<std::optional<StoredRun>> done) {
  run(std::move(done),
      [key = std::move(key), run_id = std::move(run_id)](Open& open) -> Result<std::optional<StoredRun>> {
        auto unit = open.content->units.find(key);
        if (unit == open.content->units.end()) return std::nullopt;
        auto stored = unit->second.runs.find(run_id);
        if (stored == unit->second.runs.end()) return std::nullopt;
        return StoredRun{stored->second.snapshot, stored->second.records};
      });
}

void MemoryStore::read_events(UnitKey key, std::string run_id, std::int64_t first, std::int64_t last,
                              std::size_t max_bytes, Done<std::vector<StoredEvent>> done) {
  run(std::move(done), [=, key = std::move(key), run_id = std::move(run_id)](Open& open) {
    return Result<std::vector<StoredEvent>>(open.content->read_events(key, run_id, first, last, max_bytes));
  });
}

Result<std::map<std::string, std::string>> MemoryStore::read_catalog() {
  return open_->content->catalog;
}

Result<std::uint64_t> MemoryStore::count_quarantined() {
  std::uint64_t count = 0;
  for (const auto& [key, unit] : open_->content->units) count += unit.quarantine.empty() ? 0 : 1;
  return count;
}

void MemoryStore::scan_wake(Time until, std::optional<WakeEntry> after, std::size_t limit,
                            Done<std::vector<WakeEntry>> done) {
  run(std::move(done), [=, after = std::move(after)](Open& open) {
    return Result<std::vector<WakeEntry>>(open.content->scan_wake(until, after, limit));
  });
}

void MemoryStore::scan_ready(std::string queue, std::optional<ReadyEntry> after, std::size_t limit,
                             Done<std::vector<ReadyEntry>> done) {
  run(std::move(done), [=, queue = std::move(queue), after = std::move(after)](Open& open) {
    return Result<std::vector<ReadyEntry>>(open.content->scan_ready(queue, after, limit));
  });
}

void MemoryStore::list(VisibilityQuery query, Done<std::vector<VisibilityRow>> done) {
  run(std::move(done), [query = std::move(query)](Open& open) {
    return Result<std::vector<VisibilityRow>>(open.content->list(query));
  });
}

void MemoryStore::count(VisibilityFilter filter, Done<std::int64_t> done) {
  run(std::move(done),
      [filter = std::move(filter)](Open& open) { return Result<std::int64_t>(open.content->count(filter)); });
}

void MemoryStore::list_closed_before(std::string namespace_id, Time time, std::size_t limit,
                                     Done<std::vector<ClosedRun>> done) {
  run(std::move(done), [=, namespace_id = std::move(namespace_id)](Open& open) {
    return Result<std::vector<ClosedRun>>(open.content->list_closed_before(namespace_id, time, limit));
  });
}

Statistics MemoryStore::statistics() const {
  return {open_->fsyncs, open_->bytes, open_->groups, open_->unprojected, false};
}

void MemoryStore::close() {
  open_->closed = true;
}

}  // namespace perdure::store
