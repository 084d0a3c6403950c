#include "server/store/local/log.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/planted.h"

namespace perdure::store::local {

using base::Code;
using base::Error;
using base::Result;
using base::Status;

Log::Log(LogOptions options) : options_(std::move(options)), random_(options_.seed) {}

Result<std::shared_ptr<Log>> Log::open(LogOptions options, GroupNumber cursor, GroupNumber known_durable) {
  std::shared_ptr<Log> log(new Log(std::move(options)));
  TRY_VOID(log->recover(cursor, known_durable));
  return log;
}

// ---- start --------------------------------------------------------------------------------------------------------------------

Status Log::recover(GroupNumber cursor, GroupNumber known_durable) {
  TRY(found_, find_log(*options_.disk, options_.directory, options_.store_id, cursor, known_durable));
  segments_.assign(found_.segments.begin(), found_.segments.end());
  spares_ = found_.spares;
  next_segment_ = found_.next_segment;
  last_found_ = found_.last;
  TRY_VOID(read_groups(*options_.disk, found_, cursor, [&](GroupNumber number, std::string_view group) {
    count_unprojected(number, group.size());
  }));
  TRY_VOID(copy_tail());
  durable_ = marked_ = last_found_;
  next_ = last_found_ + 1;
  for (const Segment& segment : found_.obsolete) drop_segment(segment);
  found_.segments.assign(segments_.begin(), segments_.end());
  return {};
}

// What may be only in the page cache goes into a new segment, which is synced before it gets its name (rule E9).
Status Log::copy_tail() {
  const GroupNumber durable = std::min(found_.durable, found_.last);
  block_.begin();
  TRY_VOID(read_groups(*options_.disk, found_, durable,
                       [&](GroupNumber, std::string_view group) { block_.add(group); }));
  const std::uint64_t copied = block_.groups();
  CHECK(copied == found_.last - durable);
  return new_segment(durable + 1, durable, block_.bytes(), copied > 0);
}

Status Log::replay(GroupNumber after, const GroupVisitor& visit) {
  return read_groups(*options_.disk, found_, after, visit);
}

// ---- segments -----------------------------------------------------------------------------------------------------------------

// Makes and opens the next segment, large enough for a block of `block_bytes` and a mark. With `write_block` the block under
// construction becomes its first one, synced with it.
Status Log::new_segment(GroupNumber first, GroupNumber durable, std::size_t block_bytes, bool write_block) {
  Segment segment;
  segment.header = {
      options_.store_id,
      next_segment_++,
      random_.next(),
      first,
      durable,
      std::max<std::uint64_t>(options_.segment_bytes, kFirstBlock + block_bytes + kBlockHeaderBytes)};
  segment.path = options_.directory + "/" + segment_name(segment.header.number);
  const std::string temporary = spares_.empty() ? segment.path + ".new" : spares_.back();
  if (!spares_.empty()) spares_.pop_back();
  offset_ = kFirstBlock;
  Status made = make_segment(temporary, segment);
  if (!made && made.error().code == Code::kResourceExhausted && options_.make_room) {
    options_.make_room();
    made = make_segment(temporary, segment);
  }
  TRY_VOID(made);
  if (write_block) {
    const std::string_view block = block_.finish(segment.header, offset_, first, durable);
    TRY_VOID(file_->write(offset_, block));
    offset_ += block.size();
    bytes_ += block.size();
  }
  if (!base::planted(base::Bug::kTailNotSynced) || !write_block) TRY_VOID(file_->sync());
  fsyncs_ += 1;
  TRY_VOID(options_.disk->rename(temporary, segment.path));
  TRY_VOID(options_.disk->sync_directory(options_.directory));
  fsyncs_ += 1;
  segments_.push_back(std::move(segment));
  return {};
}

Status Log::make_segment(const std::string& temporary, Segment& segment) {
  TRY(file_, options_.disk->open(temporary, base::OpenMode::kCreate));
  TRY_VOID(file_->allocate(segment.header.file_bytes));
  return file_->write(0, encode(segment.header));
}

// Keeps a few to be written again: their space is reserved and written already, so that a sync has no metadata to write.
void Log::drop_segment(const Segment& segment) {
  if (spares_.size() < options_.spares && segment.header.file_bytes == options_.segment_bytes) {
    const std::string spare = options_.directory + "/" + spare_name(segment.header.number);
    if (options_.disk->rename(segment.path, spare) && options_.disk->sync_directory(options_.directory)) {
      spares_.push_back(spare);
      return;
    }
  }
  // A file that stays behind is met again at the next start, and dropped then.
  static_cast<void>(options_.disk->remove(segment.path));
}

void Log::trim(GroupNumber position) {
  if (!options_.executor->is_current()) {
    options_.executor->post(base::Lane::kCompletion, 0,
                            [self = shared_from_this(), position] { self->trim(position); });
    return;
  }
  if (closed_ || ended_) return;
  while (segments_.size() > 1 && segments_[1].header.first - 1 <= position) {
    drop_segment(segments_.front());
    segments_.pop_front();
  }
}

void Log::count_unprojected(GroupNumber number, std::size_t bytes) {
  unprojected_.emplace_back(number, bytes);
  unprojected_bytes_ += bytes;
}

void Log::projected(GroupNumber cursor) {
  if (!options_.executor->is_current()) {
    options_.executor->post(base::Lane::kCompletion, 0,
                            [self = shared_from_this(), cursor] { self->projected(cursor); });
    return;
  }
  while (!unprojected_.empty() && unprojected_.front().first <= cursor) {
    unprojected_bytes_ -= unprojected_.front().second;
    unprojected_.pop_front();
  }
}

// ---- appending ----------------------------------------------------------------------------------------------------------------

void Log::append(GroupNumber number, std::string bytes, Done<void> done) {
  Waiting group{number, std::move(bytes), std::move(done)};
  if (options_.executor->is_current()) return enqueue(std::move(group));
  const std::size_t size = group.bytes.size();
  options_.executor->post(
      base::Lane::kCompletion, size,
      [self = shared_from_this(), group = std::move(group)]() mutable { self->enqueue(std::move(group)); });
}

void Log::enqueue(Waiting group) {
  if (closed_) return;
  if (ended_) return group.done(std::unexpected(*ended_));
  CHECK(group.number == next_);  // the log may have no hole
  ++next_;
  count_unprojected(group.number, group.bytes.size());
  waiting_.push_back(std::move(group));
  active_ = true;
  schedule_flush();
}

// The flush is a task behind those already queued, so that appends that are there go out together.
void Log::schedule_flush() {
  if (in_flight_ || flush_scheduled_ || waiting_.empty()) return;
  flush_scheduled_ = true;
  options_.executor->post(base::Lane::kCompletion, 0, [self = shared_from_this()] {
    self->flush_scheduled_ = false;
    self->flush();
  });
}

void Log::flush() {
  if (in_flight_ || ended_ || closed_ || waiting_.empty()) return;
  const GroupNumber first = waiting_.front().number;
  std::vector<Waiting> groups;
  block_.begin();
  do {
    block_.add(waiting_.front().bytes);
    waiting_.front().bytes = {};
    groups.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  } while (!waiting_.empty() &&
           block_.bytes() + kGroupHeaderBytes + waiting_.front().bytes.size() <= options_.block_bytes);
  write_block(block_.bytes(), std::move(groups), first);
}

// Writes the block under construction and syncs it.
void Log::write_block(std::size_t bytes, std::vector<Waiting> groups, GroupNumber first) {
  in_flight_ = true;
  const GroupNumber last = first + groups.size() - 1;
  Status status;
  if (offset_ + bytes > segments_.back().header.file_bytes) {
    // Everything before is synced; the new segment's header says so.
    status = new_segment(first, durable_, bytes, false);
  }
  if (status) {
    const std::string_view block = block_.finish(segments_.back().header, offset_, first, durable_);
    status = file_->write(offset_, block);
    offset_ += block.size();
    bytes_ += block.size();
    groups_ += groups.size();
    marked_ = durable_;
  }
  if (!status) return written(std::move(groups), last, std::move(status));
  if (options_.marks != nullptr && !groups.empty()) options_.marks->appended(last);
  file_->sync_then([self = shared_from_this(), groups = std::move(groups), last](Status synced) mutable {
    if (self->options_.executor->is_current())
      return self->written(std::move(groups), last, std::move(synced));
    self->options_.executor->post(
        base::Lane::kCompletion, 0,
        [self, groups = std::move(groups), last, synced = std::move(synced)]() mutable {
          self->written(std::move(groups), last, std::move(synced));
        });
  });
}

void Log::written(std::vector<Waiting> groups, GroupNumber last, Status status) {
  in_flight_ = false;
  if (!status && !base::planted(base::Bug::kFailedSyncIgnored)) {
    return fail_all({Code::kUnavailable, "the log cannot be written: " + status.error().message},
                    std::move(groups));
  }
  fsyncs_ += 1;
  if (ended_) return fail_all(*ended_, std::move(groups));  // ended meanwhile by the projection
  durable_ = last;
  if (options_.marks != nullptr && !groups.empty()) options_.marks->synced(last);
  for (Waiting& group : groups) group.done({});
  schedule_flush();
  arm_mark();
}

void Log::end(const Error& why) {
  has_ended_ = true;
  options_.executor->post(base::Lane::kCompletion, 0, [self = shared_from_this(), why] {
    if (!self->ended_) self->fail_all({Code::kUnavailable, "the store has failed: " + why.message}, {});
  });
}

void Log::fail_all(const Error& error, std::vector<Waiting> groups) {
  ended_ = error;
  has_ended_ = true;
  for (Waiting& group : groups) group.done(std::unexpected(error));
  for (Waiting& group : std::exchange(waiting_, {})) group.done(std::unexpected(error));
}

Status Log::check_open() const {
  if (has_ended_) return base::fail(Code::kUnavailable, "the log has ended");
  return {};
}

// ---- marks --------------------------------------------------------------------------------------------------------------------

void Log::arm_mark() {
  if (mark_armed_ || closed_ || marked_ >= durable_) return;
  mark_armed_ = true;
  active_ = false;
  options_.executor->call_at(base::add(options_.executor->clock().now(), options_.idle_mark),
                             [self = shared_from_this()] {
                               self->mark_armed_ = false;
                               if (self->active_) return self->arm_mark();
                               self->write_mark();
                             });
}

// Says that the last block is durable, so that a later damage to it cannot pass for a torn write.
void Log::write_mark() {
  if (in_flight_ || !waiting_.empty() || ended_ || closed_ || marked_ >= durable_) return;
  block_.begin();
  write_block(block_.bytes(), {}, durable_ + 1);
}

void Log::close() {
  if (closed_) return;
  while (!waiting_.empty() && !in_flight_ && !ended_) flush();
  write_mark();
  closed_ = true;
}

}  // namespace perdure::store::local
