// Drafts: copies of states that a decision changes freely; what was touched becomes the records.
//
// A decision takes what it needs through mutable accessors, which mark it; finish() emits one assignment per thing that differs
// from before, whatever happened in between. A draft that is dropped leaves nothing behind.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "server/core/decide.h"
#include "temporal/api/enums/v1/event_type.pb.h"

namespace perdure::core {

namespace enums = ::temporal::api::enums::v1;

void assign(google::protobuf::Timestamp* to, Time time);
void assign(google::protobuf::Timestamp* to, std::int64_t nanoseconds);
void assign(google::protobuf::Duration* to, std::int64_t nanoseconds);
Time time_of(const google::protobuf::Timestamp& timestamp);
// Nanoseconds; absurd values end at the largest that can be held.
std::int64_t nanos(const google::protobuf::Duration& duration);

class RunDraft {
 public:
  RunDraft(const RunState& before, Time now) : before_(before), after_(before), now_(now) {}
  // A new run.
  RunDraft(pb::RunStart start, Time now);

  RunDraft(const RunDraft&) = delete;
  RunDraft& operator=(const RunDraft&) = delete;

  const RunState& state() const { return after_; }
  const pb::RunStart& start() const { return *after_.start; }
  const std::string& run_id() const { return after_.start->run_id(); }
  Time now() const { return now_; }
  bool running() const { return after_.running(); }

  // Mutable access marks as changed. References stay valid until the same thing is removed or the draft ends.
  pb::RunProgress& progress() {
    progress_touched_ = true;
    return after_.progress;
  }
  pb::WorkflowTask& task() { return *progress().mutable_task(); }
  const pb::WorkflowTask& task_now() const { return after_.progress.task(); }
  pb::RunAttributes& attributes();
  const pb::RunAttributes& attributes_now() const;
  void visibility_changed() { visibility_changed_ = true; }

  pb::Activity& activity(std::int64_t scheduled_id);  // must exist
  void add_activity(pb::Activity activity);
  void remove_activity(std::int64_t scheduled_id);
  const pb::Activity* find_activity(const std::string& activity_id) const;

  void add_timer(pb::Timer timer);
  void remove_timer(const std::string& timer_id);

  pb::External& external(std::int64_t initiated_id);  // must exist
  void add_external(pb::External external);
  void remove_external(std::int64_t initiated_id);

  void add_request_id(const std::string& id, enums::EventType type, std::int64_t event_id, bool buffered);

  // Appends to the history: next id, present time. The reference is to be filled before the next append.
  HistoryEvent& append(enums::EventType type);
  // The same while no workflow task is started; otherwise the event waits in the buffer, without an id (WT-40).
  HistoryEvent& append_or_buffer(enums::EventType type);
  // Puts it into the buffer in any case: while commands are carried out, what is not a command's event comes after them all.
  HistoryEvent& buffer(enums::EventType type);
  std::int64_t next_event_id() const { return after_.progress.next_event_id(); }
  // user_metadata of a command, on the event it wrote: the first one at or after `event_id`. None: nothing happens.
  void set_user_metadata(std::int64_t event_id, const temporal::api::sdk::v1::UserMetadata& metadata);
  // Bytes of the history so far, this draft's events included.
  std::int64_t history_size() const;
  // The newest event of the draft with that id; nullptr when it was written before.
  const HistoryEvent* drafted(std::int64_t event_id) const;

  bool has_buffered() const { return !after_.buffered.empty() || !pending_buffer_.empty(); }
  std::size_t buffered_count() const { return after_.buffered.size() + pending_buffer_.size(); }
  bool has_buffered(const std::function<bool(const HistoryEvent&)>& matches) const;
  // Removes the first buffered event that matches; false when there is none.
  bool drop_buffered(const std::function<bool(const HistoryEvent&)>& matches);
  // Writes the buffer to the history in its order (WT-41); started_event_id links are filled in. False: nothing was buffered.
  bool flush_buffered();
  void clear_buffered();

  void delete_run() { deleted_ = true; }
  bool deleted() const { return deleted_; }
  bool changed() const;

 private:
  friend class UnitDraft;
  std::vector<HistoryEvent> all_buffered() const;
  void replace_buffer(std::vector<HistoryEvent> events);
  RunChange finish(std::vector<pb::Record>& records);
  void add_assignments(std::vector<pb::Record>& records);

  const RunState before_;
  RunState after_;
  const Time now_;
  bool progress_touched_ = false, buffer_cleared_ = false, deleted_ = false, visibility_changed_ = false,
       created_ = false;
  std::shared_ptr<pb::RunAttributes> attributes_;
  std::map<std::int64_t, std::shared_ptr<pb::Activity>> activities_;  // opened for change
  std::map<std::int64_t, std::shared_ptr<pb::External>> externals_;
  std::set<std::int64_t> touched_activities_, touched_externals_;
  std::set<std::string> touched_timers_;
  std::vector<std::string> request_ids_;
  std::deque<HistoryEvent> events_;
  std::deque<HistoryEvent> pending_buffer_;
};

class UnitDraft {
 public:
  UnitDraft(const Loaded& loaded, const Env& env) : loaded_(loaded), env_(env) {}

  const Loaded& loaded() const { return loaded_; }
  const Env& env() const { return env_; }
  const HeadState& head_now() const { return head_ ? *head_ : loaded_.head; }
  pb::Head& head();
  void add_received(pb::Received received);
  void forget_received(const std::string& key);

  // The run that a request means: by id, or the current one. nullptr: none.
  RunDraft* find_run(const std::string& run_id);
  RunDraft* current_run() { return find_run(""); }
  RunDraft& create_run(pb::RunStart start);

  Decision finish(Result<Reply> reply);
  // The answer without any change, whatever was drafted.
  static Decision refuse(Error error);

 private:
  const Loaded& loaded_;
  const Env& env_;
  std::optional<HeadState> head_;
  bool head_touched_ = false;
  std::set<std::string> touched_received_;
  std::vector<std::unique_ptr<RunDraft>> runs_;  // in order of first use
};

}  // namespace perdure::core
