// The log of a local store: one ordered stream of groups in preallocated segments (docs/reference/format.md).
//
// Group commit: while a write and its sync are under way, later groups wait; then all that wait are written as one block with one
// sync. Nothing ever waits to fill a block. The first failed write or sync ends the stream: nothing is retried (rule E9).
//
// Lifecycle: open() (blocking: reads what is there, makes the unproven tail durable in a new segment), then append…, close().
// Thread rule: append, trim, statistics from any thread; `done` runs on the log executor, in order. open, replay, close: the
// owner's thread, nothing else under way.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/crash_marks.h"
#include "base/disk.h"
#include "base/executor.h"
#include "base/random.h"
#include "server/store/local/log_recovery.h"

namespace perdure::store::local {

struct LogOptions {
  base::Disk* disk = nullptr;
  std::string directory;
  base::Executor* executor = nullptr;
  std::uint64_t store_id = 0;
  std::uint64_t seed = 0;  // of salts
  std::size_t segment_bytes = 16 << 20;
  std::size_t block_bytes = 4 << 20;                          // most of one write (one group may be larger)
  std::size_t spares = 2;                                     // used-up segments kept to be written again
  base::Duration idle_mark = std::chrono::milliseconds(100);  // nothing appended for so long: a mark
  base::CrashMarks* marks = nullptr;                          // optional
  std::function<void()> make_room;  // called when the disk is full, before one more attempt
};

class Log : public std::enable_shared_from_this<Log> {
 public:
  // `cursor`: groups up to here are in the projection, durably. `known_durable`: what the projection proves durable.
  static base::Result<std::shared_ptr<Log>> open(LogOptions options, GroupNumber cursor,
                                                 GroupNumber known_durable);

  // The groups above `after`; only before the first append.
  base::Status replay(GroupNumber after, const GroupVisitor& visit);

  void append(GroupNumber number, std::string bytes, Done<void> done);
  // Segments wholly at or below `position` are given up.
  void trim(GroupNumber position);
  // Groups up to `cursor` are in the projection: they no longer count as un-projected.
  void projected(GroupNumber cursor);
  // The stream ends as after a failed sync: what waits and what comes later fails.
  void end(const base::Error& why);
  // UNAVAILABLE once the stream has ended.
  base::Status check_open() const;
  // Writes what waits and a closing mark. Blocking, on the log executor.
  void close();

  GroupNumber last_found() const { return last_found_; }
  std::uint64_t fsyncs() const { return fsyncs_; }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t groups() const { return groups_; }
  std::uint64_t unprojected_bytes() const { return unprojected_bytes_; }
  GroupNumber durable() const { return durable_; }

 private:
  struct Waiting {
    GroupNumber number;
    std::string bytes;
    Done<void> done;
  };

  explicit Log(LogOptions options);
  base::Status recover(GroupNumber cursor, GroupNumber known_durable);
  base::Status copy_tail();

  void count_unprojected(GroupNumber number, std::size_t bytes);
  void enqueue(Waiting group);
  void schedule_flush();
  void flush();
  void write_block(std::size_t bytes, std::vector<Waiting> groups, GroupNumber first);
  void written(std::vector<Waiting> groups, GroupNumber last, base::Status status);
  void fail_all(const base::Error& error, std::vector<Waiting> groups);
  void arm_mark();
  void write_mark();

  base::Status new_segment(GroupNumber first, GroupNumber durable, std::size_t block_bytes, bool write_block);
  base::Status make_segment(const std::string& temporary, Segment& segment);
  void drop_segment(const Segment& segment);

  LogOptions options_;
  base::Random random_;
  FoundLog found_;
  GroupNumber last_found_ = 0;

  // Log executor only.
  std::deque<Segment> segments_;  // oldest first; the last one is written
  std::vector<std::string> spares_;
  std::unique_ptr<base::File> file_;
  std::uint64_t offset_ = 0;  // of the next block
  std::uint64_t next_segment_ = 1;
  BlockWriter block_;
  std::deque<Waiting> waiting_;
  std::deque<std::pair<GroupNumber, std::size_t>> unprojected_;  // bytes by group, above the cursor
  GroupNumber next_ = 1;                                         // number of the next append
  GroupNumber marked_ = 0;                                       // known durable, as the last block says
  bool in_flight_ = false, flush_scheduled_ = false, mark_armed_ = false, active_ = false, closed_ = false;
  std::optional<base::Error> ended_;

  std::atomic<bool> has_ended_ = false;
  std::atomic<GroupNumber> durable_ = 0;
  std::atomic<std::uint64_t> fsyncs_ = 0, bytes_ = 0, groups_ = 0, unprojected_bytes_ = 0;
};

}  // namespace perdure::store::local
