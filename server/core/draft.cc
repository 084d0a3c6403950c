#include "server/core/draft.h"

#include "base/planted.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <limits>

namespace perdure::core {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

// Results go behind everything else when the buffer is flushed, so that a Started precedes its result (WT-41).
bool is_result(enums::EventType type) {
  switch (type) {
    case enums::EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
    case enums::EVENT_TYPE_ACTIVITY_TASK_FAILED:
    case enums::EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
    case enums::EVENT_TYPE_ACTIVITY_TASK_CANCELED:
    case enums::EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED:
    case enums::EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED:
    case enums::EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED:
    case enums::EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT:
    case enums::EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED: return true;
    default: return false;
  }
}

// Links a result to the Started event that got its id just now.
void link_started(HistoryEvent& event, const std::map<std::int64_t, std::int64_t>& started) {
  const auto link = [&](auto* attributes) {
    const auto found = started.find(attributes->scheduled_event_id());
    if (found != started.end()) attributes->set_started_event_id(found->second);
  };
  switch (event.event_type()) {
    case enums::EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
      return link(event.mutable_activity_task_completed_event_attributes());
    case enums::EVENT_TYPE_ACTIVITY_TASK_FAILED:
      return link(event.mutable_activity_task_failed_event_attributes());
    case enums::EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
      return link(event.mutable_activity_task_timed_out_event_attributes());
    case enums::EVENT_TYPE_ACTIVITY_TASK_CANCELED:
      return link(event.mutable_activity_task_canceled_event_attributes());
    default: return;
  }
}

// The same bytes for the same event in every process: maps in order (rule E18).
std::string serialized(const HistoryEvent& event) {
  std::string bytes;
  bytes.reserve(event.ByteSizeLong());
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream out(&stream);
  out.SetSerializationDeterministic(true);
  event.SerializeToCodedStream(&out);
  out.Trim();
  return bytes;
}

}  // namespace

void assign(google::protobuf::Timestamp* to, std::int64_t nanoseconds) {
  std::int64_t seconds = nanoseconds / kSecond, rest = nanoseconds % kSecond;
  if (rest < 0) {
    rest += kSecond;
    --seconds;
  }
  to->set_seconds(seconds);
  to->set_nanos(static_cast<std::int32_t>(rest));
}
void assign(google::protobuf::Timestamp* to, Time time) {
  assign(to, nanos(time));
}
void assign(google::protobuf::Duration* to, std::int64_t nanoseconds) {
  to->set_seconds(nanoseconds / kSecond);
  to->set_nanos(static_cast<std::int32_t>(nanoseconds % kSecond));
}
std::int64_t nanos(const google::protobuf::Duration& duration) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / kSecond - 1;
  return std::clamp(duration.seconds(), -kMost, kMost) * kSecond + duration.nanos();
}
Time time_of(const google::protobuf::Timestamp& timestamp) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / kSecond - 1;
  return time_of(std::clamp(timestamp.seconds(), -kMost, kMost) * kSecond + timestamp.nanos());
}

// ---- RunDraft ------------------------------------------------------------------------------------------------------------------

RunDraft::RunDraft(pb::RunStart start, Time now) : now_(now), created_(true) {
  after_.start = std::make_shared<const pb::RunStart>(std::move(start));
  progress().set_status(enums::WORKFLOW_EXECUTION_STATUS_RUNNING);
  progress().set_next_event_id(1);
  progress().set_task_attempt(1);
  visibility_changed_ = true;
}

pb::RunAttributes& RunDraft::attributes() {
  if (!attributes_) {
    attributes_ = after_.attributes ? std::make_shared<pb::RunAttributes>(*after_.attributes)
                                    : std::make_shared<pb::RunAttributes>();
    after_.attributes = attributes_;
  }
  return *attributes_;
}

const pb::RunAttributes& RunDraft::attributes_now() const {
  return after_.attributes ? *after_.attributes : pb::RunAttributes::default_instance();
}

pb::Activity& RunDraft::activity(std::int64_t scheduled_id) {
  std::shared_ptr<pb::Activity>& open = activities_[scheduled_id];
  if (!open) {
    open = std::make_shared<pb::Activity>(**after_.activities.find(scheduled_id));
    after_.activities.put(scheduled_id, open);
    touched_activities_.insert(scheduled_id);
  }
  return *open;
}

void RunDraft::add_activity(pb::Activity activity) {
  const std::int64_t id = activity.scheduled_id();
  auto open = std::make_shared<pb::Activity>(std::move(activity));
  activities_[id] = open;
  after_.activities.put(id, std::move(open));
  touched_activities_.insert(id);
}

void RunDraft::remove_activity(std::int64_t scheduled_id) {
  after_.activities.erase(scheduled_id);
  activities_.erase(scheduled_id);
  touched_activities_.insert(scheduled_id);
}

const pb::Activity* RunDraft::find_activity(const std::string& activity_id) const {
  const auto* found =
      after_.activities.first([&](std::int64_t, const auto& a) { return a->activity_id() == activity_id; });
  return found ? found->get() : nullptr;
}

void RunDraft::add_timer(pb::Timer timer) {
  const std::string id = timer.timer_id();
  after_.timers.put(id, std::make_shared<const pb::Timer>(std::move(timer)));
  touched_timers_.insert(id);
}

void RunDraft::remove_timer(const std::string& timer_id) {
  const std::string id = timer_id;  // the argument may live in the timer
  after_.timers.erase(id);
  touched_timers_.insert(id);
}

pb::External& RunDraft::external(std::int64_t initiated_id) {
  std::shared_ptr<pb::External>& open = externals_[initiated_id];
  if (!open) {
    open = std::make_shared<pb::External>(**after_.externals.find(initiated_id));
    after_.externals.put(initiated_id, open);
    touched_externals_.insert(initiated_id);
  }
  return *open;
}

void RunDraft::add_external(pb::External external) {
  const std::int64_t id = external.initiated_id();
  auto open = std::make_shared<pb::External>(std::move(external));
  externals_[id] = open;
  after_.externals.put(id, std::move(open));
  touched_externals_.insert(id);
}

void RunDraft::remove_external(std::int64_t initiated_id) {
  after_.externals.erase(initiated_id);
  externals_.erase(initiated_id);
  touched_externals_.insert(initiated_id);
}

void RunDraft::add_request_id(const std::string& id, enums::EventType type, std::int64_t event_id,
                              bool buffered) {
  auto info = std::make_shared<pb::RequestIdInfo>();
  info->set_request_id(id);
  info->set_event_type(type);
  info->set_event_id(event_id);
  info->set_buffered(buffered);
  after_.request_ids.put(id, std::move(info));
  request_ids_.push_back(id);
}

HistoryEvent& RunDraft::append(enums::EventType type) {
  HistoryEvent& event = events_.emplace_back();
  pb::RunProgress& run = progress();
  event.set_event_id(run.next_event_id());
  event.set_task_id(run.next_event_id());
  event.set_event_type(type);
  assign(event.mutable_event_time(), now_);
  run.set_next_event_id(run.next_event_id() + 1);
  run.set_last_event_time(nanos(now_));
  return event;
}

HistoryEvent& RunDraft::append_or_buffer(enums::EventType type) {
  return after_.has_started_task() ? buffer(type) : append(type);
}

HistoryEvent& RunDraft::buffer(enums::EventType type) {
  HistoryEvent& event = pending_buffer_.emplace_back();
  event.set_event_type(type);
  assign(event.mutable_event_time(), now_);
  progress_touched_ = true;
  return event;
}

void RunDraft::set_user_metadata(std::int64_t event_id,
                                 const temporal::api::sdk::v1::UserMetadata& metadata) {
  for (HistoryEvent& event : events_) {
    if (event.event_id() >= event_id) {
      *event.mutable_user_metadata() = metadata;
      return;
    }
  }
}

std::int64_t RunDraft::history_size() const {
  std::int64_t size = after_.progress.history_size();
  for (const HistoryEvent& event : events_) size += static_cast<std::int64_t>(event.ByteSizeLong());
  return size;
}

const HistoryEvent* RunDraft::drafted(std::int64_t event_id) const {
  for (const HistoryEvent& event : events_)
    if (event.event_id() == event_id) return &event;
  return nullptr;
}

std::vector<HistoryEvent> RunDraft::all_buffered() const {
  std::vector<HistoryEvent> events;
  events.reserve(after_.buffered.size() + pending_buffer_.size());
  for (const auto& bytes : after_.buffered) events.emplace_back().ParseFromString(*bytes);
  for (const HistoryEvent& event : pending_buffer_) events.push_back(event);
  return events;
}

bool RunDraft::has_buffered(const std::function<bool(const HistoryEvent&)>& matches) const {
  if (!has_buffered()) return false;
  const std::vector<HistoryEvent> events = all_buffered();
  return std::any_of(events.begin(), events.end(), matches);
}

bool RunDraft::drop_buffered(const std::function<bool(const HistoryEvent&)>& matches) {
  if (!has_buffered()) return false;
  std::vector<HistoryEvent> events = all_buffered();
  const auto found = std::find_if(events.begin(), events.end(), matches);
  if (found == events.end()) return false;
  events.erase(found);
  replace_buffer(std::move(events));
  return true;
}

void RunDraft::replace_buffer(std::vector<HistoryEvent> events) {
  clear_buffered();
  for (HistoryEvent& event : events) pending_buffer_.push_back(std::move(event));
}

void RunDraft::clear_buffered() {
  if (!after_.buffered.empty()) buffer_cleared_ = true;
  after_.buffered.clear();
  pending_buffer_.clear();
  progress_touched_ = true;
}

bool RunDraft::flush_buffered() {
  if (!has_buffered()) return false;
  std::vector<HistoryEvent> events = all_buffered();
  clear_buffered();
  std::stable_partition(events.begin(), events.end(),
                        [](const HistoryEvent& e) { return !is_result(e.event_type()); });
  if (base::planted(base::Bug::kBufferReversed)) std::ranges::reverse(events);
  std::map<std::int64_t, std::int64_t> started;  // scheduled id → started id
  for (HistoryEvent& event : events) {
    const std::int64_t id = progress().next_event_id();
    event.set_event_id(id);
    if (base::planted(base::Bug::kReuseEventId) && id % 8 == 0) event.set_event_id(id - 1);
    event.set_task_id(id);
    progress().set_next_event_id(id + 1);
    if (event.event_type() == enums::EVENT_TYPE_ACTIVITY_TASK_STARTED) {
      started[event.activity_task_started_event_attributes().scheduled_event_id()] = id;
    }
    link_started(event, started);
    if (event.event_type() == enums::EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED) {
      const std::string& request = event.workflow_execution_signaled_event_attributes().request_id();
      const auto* info = after_.request_ids.find(request);
      if (info && (*info)->buffered()) add_request_id(request, event.event_type(), id, false);
    }
    events_.push_back(std::move(event));
  }
  progress().set_last_event_time(nanos(now_));
  return true;
}

bool RunDraft::changed() const {
  return created_ || deleted_ || progress_touched_ || attributes_ || !touched_activities_.empty() ||
         !touched_timers_.empty() || !touched_externals_.empty() || !request_ids_.empty();
}

void RunDraft::add_assignments(std::vector<pb::Record>& records) {
  const auto add = [&]() -> pb::Record& {
    pb::Record& record = records.emplace_back();
    record.set_run_id(run_id());
    return record;
  };
  if (created_) *add().mutable_start() = *after_.start;
  *add().mutable_progress() = after_.progress;
  if (attributes_) *add().mutable_attributes() = *attributes_;
  for (const std::int64_t id : touched_activities_) {
    if (const auto* now = after_.activities.find(id)) {
      *add().mutable_activity() = **now;
    } else if (before_.activities.contains(id)) {
      add().set_remove_activity(id);
    }
  }
  for (const std::string& id : touched_timers_) {
    if (const auto* now = after_.timers.find(id)) {
      *add().mutable_timer() = **now;
    } else if (before_.timers.contains(id)) {
      add().set_remove_timer(id);
    }
  }
  for (const std::int64_t id : touched_externals_) {
    if (const auto* now = after_.externals.find(id)) {
      *add().mutable_external() = **now;
    } else if (before_.externals.contains(id)) {
      add().set_remove_external(id);
    }
  }
  for (const std::string& id : request_ids_) *add().mutable_request_id() = **after_.request_ids.find(id);
  if (buffer_cleared_) add().set_clear_buffered_events(true);
  const std::size_t kept = buffer_cleared_ ? 0 : before_.buffered.size();
  for (std::size_t i = kept; i < after_.buffered.size(); ++i) add().set_buffered_event(*after_.buffered[i]);
}

RunChange RunDraft::finish(std::vector<pb::Record>& records) {
  RunChange change;
  change.run_id = run_id();
  change.created = created_;
  change.deleted = deleted_;
  if (deleted_) {
    pb::Record& record = records.emplace_back();
    record.set_run_id(change.run_id);
    record.set_delete_run(true);
    change.visibility_changed = true;
    return change;
  }
  pb::RunProgress& run = progress();
  for (const HistoryEvent& event : pending_buffer_) {
    after_.buffered.push_back(std::make_shared<const std::string>(serialized(event)));
  }
  pending_buffer_.clear();
  std::int64_t buffered_bytes = 0;
  for (const auto& bytes : after_.buffered) buffered_bytes += static_cast<std::int64_t>(bytes->size());
  run.set_buffered_bytes(buffered_bytes);
  run.set_state_transitions(run.state_transitions() + 1);
  std::int64_t size = run.history_size();
  for (const HistoryEvent& event : events_) {
    change.encoded.push_back(serialized(event));
    size += static_cast<std::int64_t>(change.encoded.back().size());
  }
  run.set_history_size(size);
  add_assignments(records);
  for (std::size_t i = 0; i < change.encoded.size(); ++i) {
    pb::Record& record = records.emplace_back();
    record.set_run_id(change.run_id);
    record.mutable_event()->set_event_id(events_[i].event_id());
    record.mutable_event()->set_event(change.encoded[i]);
  }
  change.events.assign(std::make_move_iterator(events_.begin()), std::make_move_iterator(events_.end()));
  change.touched_activities.assign(touched_activities_.begin(), touched_activities_.end());
  change.task_changed = progress_touched_;
  change.visibility_changed = visibility_changed_;
  change.after = std::move(after_);
  return change;
}

// ---- UnitDraft -----------------------------------------------------------------------------------------------------------------

pb::Head& UnitDraft::head() {
  if (!head_) head_ = loaded_.head;
  head_touched_ = true;
  return head_->head;
}

void UnitDraft::add_received(pb::Received received) {
  if (!head_) head_ = loaded_.head;
  touched_received_.insert(received.key());
  const std::string key = received.key();
  head_->received.put(key, std::make_shared<const pb::Received>(std::move(received)));
}

void UnitDraft::forget_received(const std::string& key) {
  if (!head_now().received.contains(key)) return;
  if (!head_) head_ = loaded_.head;
  head_->received.erase(key);
  touched_received_.insert(key);
}

RunDraft* UnitDraft::find_run(const std::string& run_id) {
  const std::string& id = run_id.empty() ? head_now().head.current_run_id() : run_id;
  if (id.empty()) return nullptr;
  for (const auto& run : runs_)
    if (run->run_id() == id) return run->deleted() ? nullptr : run.get();
  const RunState* state = loaded_.run(id);
  if (!state || !state->exists()) return nullptr;
  runs_.push_back(std::make_unique<RunDraft>(*state, env_.now));
  return runs_.back().get();
}

RunDraft& UnitDraft::create_run(pb::RunStart start) {
  runs_.push_back(std::make_unique<RunDraft>(std::move(start), env_.now));
  return *runs_.back();
}

Decision UnitDraft::finish(Result<Reply> reply) {
  Decision decision;
  decision.reply = std::move(reply);
  for (const auto& run : runs_) {
    if (run->changed()) decision.runs.push_back(run->finish(decision.records));
  }
  if (!head_) return decision;
  if (head_touched_) *decision.records.emplace_back().mutable_head() = head_->head;
  for (const std::string& key : touched_received_) {
    if (const auto* now = head_->received.find(key)) {
      *decision.records.emplace_back().mutable_received() = **now;
    } else if (loaded_.head.received.contains(key)) {
      decision.records.emplace_back().set_forget_received(key);
    }
  }
  decision.head_after = std::move(head_);
  return decision;
}

Decision UnitDraft::refuse(Error error) {
  Decision decision;
  decision.reply = std::unexpected(std::move(error));
  return decision;
}

}  // namespace perdure::core
