#include "server/store/local/local_store.h"

#include <deque>
#include <functional>
#include <utility>

#include "base/planted.h"
#include "server/store/local/log.h"
#include "server/store/local/projector.h"
#include "server/store/local/reader.h"

namespace perdure::store {

using base::Code;
using base::Status;

// Shared with the queued operations, so that they find their store even when the LocalStore is gone.
struct LocalStore::Parts : std::enable_shared_from_this<LocalStore::Parts> {
  static constexpr base::Duration kStall = std::chrono::seconds(1);  // between two attempts on a full disk
  static constexpr base::Duration kSlice = std::chrono::milliseconds(20);  // between two slices of upkeep

  explicit Parts(LocalStoreOptions o) : options(std::move(o)) {}

  using Operation = std::move_only_function<Status(local::Projector&)>;
  struct Write {
    Operation operation;
    Done<void> done;
  };

  // On the projection executor, in order. On a full disk what is to be written waits, and is tried again: the log goes on, and what
  // is deleted meanwhile makes room.
  void write(Write next) {
    writes.push_back(std::move(next));
    if (!stalled) write_all();
  }

  void write_all() {
    stalled = false;
    while (!writes.empty() && !closed && projector) {
      const Status status = attempt(writes.front().operation);
      if (!status && status.error().code == Code::kResourceExhausted) {
        stalled = true;
        options.projection->call_at(base::add(options.clock->now(), kStall), [self = weak_from_this()] {
          if (const auto parts = self.lock()) parts->write_all();
        });
        return;
      }
      Done<void> done = std::move(writes.front().done);
      writes.pop_front();
      done(status);
    }
  }

  // A full disk is tried once more without the ballast.
  Status attempt(Operation& operation) {
    Status status = operation(*projector);
    if (!status && status.error().code == Code::kResourceExhausted) {
      directory->make_room();
      status = operation(*projector);
    }
    if (!status && status.error().code != Code::kResourceExhausted &&
        status.error().code != Code::kInvalidArgument) {
      // Nothing may be acknowledged that can no longer be projected: the stream ends with the projection.
      log->end(status.error());
      return status;
    }
    cursor = projector->cursor();
    visibility_cursor = projector->visibility_cursor();
    directory->look_at_space(*options.clock);
    upkeep();
    return status;
  }

  // A slice of giving room back, and a checkpoint when it is time; comes again by itself until there is nothing left to do.
  void upkeep() {
    const auto shrunk = projector->shrink();
    const base::Time now = options.clock->now();
    const bool due = vfs->wal_bytes() >= options.checkpoint_bytes ||
                     (now - checkpointed >= options.checkpoint_interval && vfs->wal_bytes() > 0);
    if (!shrunk) return;
    if (due) static_cast<void>(checkpoint());
    if (*shrunk) return upkeep_at(base::add(now, kSlice));
    if (vfs->wal_bytes() > 0) upkeep_at(base::add(checkpointed, options.checkpoint_interval));
  }

  void upkeep_at(base::Time when) {
    if (upkeep_time <= when) return;
    upkeep_time = when;
    options.projection->call_at(when, [self = weak_from_this(), when] {
      const auto parts = self.lock();
      if (!parts || parts->closed || !parts->projector || parts->upkeep_time != when) return;
      parts->upkeep_time = base::kNever;
      parts->upkeep();
    });
  }

  // Trims the log below what is durable in the projection now (rule E10).
  Status checkpoint() {
    checkpointed = options.clock->now();
    const GroupNumber position = projector->cursor();
    auto done = projector->checkpoint();
    if (!done && done.error().code == Code::kResourceExhausted) {
      directory->make_room();
      done = projector->checkpoint();
    }
    if (!done) {
      if (done.error().code != Code::kResourceExhausted) log->end(done.error());
      return std::unexpected(done.error());
    }
    if (*done) {
      trimmed = position;
      log->trim(position);
    }
    return {};
  }

  const LocalStoreOptions options;
  std::unique_ptr<base::CrashMarks> marks;
  std::unique_ptr<local::Directory> directory;
  std::unique_ptr<local::Vfs> vfs;
  std::unique_ptr<local::Projector> projector;  // projection executor
  std::unique_ptr<local::Reader> reader;        // reads executor
  // lists executor: a slow count holds up no execution (rule E11)
  std::unique_ptr<local::Reader> lister;
  std::shared_ptr<local::Log> log;
  std::deque<Write> writes;  // projection executor: behind a full disk
  bool stalled = false;
  base::Time checkpointed{}, upkeep_time = base::kNever;
  GroupNumber trimmed = 0;
  std::atomic<bool> closed = false;
  std::atomic<GroupNumber> cursor = 0, visibility_cursor = 0;
};

LocalStore::LocalStore(LocalStoreOptions options) {
  if (options.lists == nullptr) options.lists = options.reads;
  parts_ = std::make_shared<Parts>(std::move(options));
}
LocalStore::~LocalStore() {
  close();
}

Result<std::unique_ptr<LocalStore>> LocalStore::open(LocalStoreOptions options) {
  std::unique_ptr<LocalStore> store(new LocalStore(std::move(options)));
  TRY_VOID(store->start());
  return store;
}

Status LocalStore::start() {
  Parts& parts = *parts_;
  const LocalStoreOptions& options = parts.options;
  if (!options.marks_file.empty()) {
    TRY(parts.marks, base::CrashMarks::open(options.marks_file));
  }
  base::Random random(options.seed);
  TRY(parts.directory,
      local::Directory::open(*options.disk, options.directory, random.next(), options.space));
  TRY(parts.vfs, local::Vfs::open(*options.disk, options.directory, parts.directory->projection_name()));
  if (parts.directory->is_new()) {
    TRY_VOID(local::create_projection(*parts.vfs));
    TRY_VOID(options.disk->sync_directory(options.directory));
    TRY_VOID(parts.directory->write_manifest());
  } else if (!options.disk->exists(parts.vfs->path())) {
    return base::fail(Code::kDataLoss, parts.vfs->path() + " is missing");
  }
  TRY(parts.projector, local::Projector::open(*parts.vfs, options.writer_cache_bytes));
  TRY(parts.reader,
      local::Reader::open(*parts.vfs, options.reader_cache_bytes, *options.clock, options.read_limit));
  TRY(parts.lister,
      local::Reader::open(*parts.vfs, options.reader_cache_bytes, *options.clock, options.read_limit));
  parts.cursor = parts.projector->cursor();
  parts.visibility_cursor = parts.projector->visibility_cursor();
  parts.checkpointed = options.clock->now();
  local::LogOptions log{.disk = options.disk,
                        .directory = options.directory,
                        .executor = options.log,
                        .store_id = parts.directory->store_id(),
                        .seed = random.next(),
                        .segment_bytes = options.segment_bytes,
                        .spares = options.spare_segments,
                        .idle_mark = options.idle_mark,
                        .marks = parts.marks.get(),
                        .make_room = [directory = parts.directory.get()] { directory->make_room(); }};
  TRY(parts.log, local::Log::open(std::move(log), parts.cursor,
                                  std::max<GroupNumber>(parts.cursor, parts.visibility_cursor)));
  return {};
}

void LocalStore::mark_answered(GroupNumber number) {
  if (parts_->marks) parts_->marks->answered(number);
}

// ---- the log --------------------------------------------------------------------------------------------------------------------

Result<GroupNumber> LocalStore::replay(const std::function<void(GroupNumber, std::string_view)>& group) {
  TRY_VOID(parts_->log->replay(parts_->cursor, group));
  return parts_->log->last_found();
}

void LocalStore::append(GroupNumber number, std::string bytes, Done<void> done) {
  parts_->log->append(number, std::move(bytes), std::move(done));
}

void LocalStore::check_open(Done<void> done) {
  parts_->options.log->post(base::Lane::kCompletion, 0, [parts = parts_, done = std::move(done)]() mutable {
    if (!parts->closed) done(parts->log->check_open());
  });
}

// ---- the projection -------------------------------------------------------------------------------------------------------------

template <class F>
void LocalStore::write(Done<void> done, F operation) {
  parts_->options.projection->post(
      base::Lane::kCompletion, 0,
      [parts = parts_, done = std::move(done), operation = std::move(operation)]() mutable {
        if (!parts->closed) parts->write({std::move(operation), std::move(done)});
      });
}

void LocalStore::project(Projection projection, Done<void> done) {
  write(std::move(done),
        [log = parts_->log, projection = std::move(projection)](local::Projector& projector) -> Status {
          if (projection.position > log->durable())
            return base::invalid_argument("projection of a group that is not durable");
          TRY_VOID(projector.project(projection));
          log->projected(projector.cursor());
          if (base::planted(base::Bug::kTrimTooFar)) log->trim(projector.cursor());
          return {};
        });
}

void LocalStore::project_visibility(VisibilityFlush flush, Done<void> done) {
  write(std::move(done),
        [log = parts_->log, flush = std::move(flush)](local::Projector& projector) -> Status {
          if (flush.position > log->durable())
            return base::invalid_argument("visibility of a group that is not durable");
          return projector.project_visibility(flush);
        });
}

GroupNumber LocalStore::cursor() const {
  return parts_->cursor;
}
GroupNumber LocalStore::visibility_cursor() const {
  return parts_->visibility_cursor;
}

// ---- reads ----------------------------------------------------------------------------------------------------------------------

template <class T, class F>
void LocalStore::read(Done<T> done, F operation) {
  parts_->options.reads->post(
      base::Lane::kCompletion, 0,
      [parts = parts_, done = std::move(done), operation = std::move(operation)]() mutable {
        if (parts->reader) done(operation(*parts->reader));
      });
}

template <class T, class F>
void LocalStore::read_list(Done<T> done, F operation) {
  parts_->options.lists->post(
      base::Lane::kCompletion, 0,
      [parts = parts_, done = std::move(done), operation = std::move(operation)]() mutable {
        if (parts->lister) done(operation(*parts->lister));
      });
}

void LocalStore::read_head(UnitKey key, Done<std::optional<StoredHead>> done) {
  read(std::move(done), [key = std::move(key)](local::Reader& reader) { return reader.head(key); });
}

void LocalStore::read_run(UnitKey key, std::string run_id, Done<std::optional<StoredRun>> done) {
  read(std::move(done), [key = std::move(key), run_id = std::move(run_id)](local::Reader& reader) {
    return reader.run(key, run_id);
  });
}

void LocalStore::read_events(UnitKey key, std::string run_id, std::int64_t first, std::int64_t last,
                             std::size_t max_bytes, Done<std::vector<StoredEvent>> done) {
  read(std::move(done), [=, key = std::move(key), run_id = std::move(run_id)](local::Reader& reader) {
    return reader.events(key, run_id, first, last, max_bytes);
  });
}

Result<std::map<std::string, std::string>> LocalStore::read_catalog() {
  std::optional<Result<std::map<std::string, std::string>>> catalog;
  parts_->options.reads->run_and_wait([&] { catalog = parts_->reader->catalog(); });
  return std::move(*catalog);
}

Result<std::uint64_t> LocalStore::count_quarantined() {
  std::optional<Result<std::uint64_t>> count;
  parts_->options.reads->run_and_wait([&] { count = parts_->reader->quarantined(); });
  return std::move(*count);
}

void LocalStore::scan_wake(Time until, std::optional<WakeEntry> after, std::size_t limit,
                           Done<std::vector<WakeEntry>> done) {
  read(std::move(done),
       [=, after = std::move(after)](local::Reader& reader) { return reader.wake(until, after, limit); });
}

void LocalStore::scan_ready(std::string queue, std::optional<ReadyEntry> after, std::size_t limit,
                            Done<std::vector<ReadyEntry>> done) {
  read(std::move(done), [=, queue = std::move(queue), after = std::move(after)](local::Reader& reader) {
    return reader.ready(queue, after, limit);
  });
}

void LocalStore::list(VisibilityQuery query, Done<std::vector<VisibilityRow>> done) {
  read_list(std::move(done),
            [query = std::move(query)](local::Reader& reader) { return reader.list(query); });
}

void LocalStore::count(VisibilityFilter filter, Done<std::int64_t> done) {
  read_list(std::move(done),
            [filter = std::move(filter)](local::Reader& reader) { return reader.count(filter); });
}

void LocalStore::list_closed_before(std::string namespace_id, Time time, std::size_t limit,
                                    Done<std::vector<ClosedRun>> done) {
  read(std::move(done), [=, namespace_id = std::move(namespace_id)](local::Reader& reader) {
    return reader.closed_before(namespace_id, time, limit);
  });
}

Statistics LocalStore::statistics() const {
  const local::Log& log = *parts_->log;
  return {log.fsyncs(), log.bytes(), log.groups(), log.unprojected_bytes(), parts_->directory->low_space()};
}

void LocalStore::close() {
  Parts& parts = *parts_;
  if (parts.closed) return;
  if (parts.log) parts.options.log->run_and_wait([&] { parts.log->close(); });
  parts.options.projection->run_and_wait([&] {
    if (parts.projector && parts.log) static_cast<void>(parts.checkpoint());
    parts.projector.reset();
  });
  parts.options.reads->run_and_wait([&] { parts.reader.reset(); });
  parts.options.lists->run_and_wait([&] { parts.lister.reset(); });
  parts.closed = true;
  parts.vfs.reset();
  parts.directory.reset();  // last: the lock
}

}  // namespace perdure::store
