// The calls of Schedules and ScheduleHandle.
#include <perdure/schedules.h>

#include "sdk/src/client/calls.h"

namespace perdure {
inline namespace v1 {

namespace service = temporal::api::workflowservice::v1;
namespace api = temporal::api::schedule::v1;
namespace enums = temporal::api::enums::v1;

namespace {

constexpr int kMostUpdateAttempts = 10;

google::protobuf::Timestamp to_wire(TimePoint time) {
  google::protobuf::Timestamp out;
  const auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  out.set_seconds(nanos / 1'000'000'000);
  out.set_nanos(static_cast<std::int32_t>(nanos % 1'000'000'000));
  return out;
}

template <class Fields>
void put_fields(const std::map<std::string, Payload>& fields, Fields* out) {
  for (const auto& [key, payload] : fields) convert::to_wire(payload, &(*out)[key]);
}
template <class Fields>
std::map<std::string, Payload> fields_of(const Fields& fields) {
  std::map<std::string, Payload> all;
  for (const auto& [key, payload] : fields) all.emplace(key, convert::from_wire(payload));
  return all;
}

// ---- specifications

using WireRanges = google::protobuf::RepeatedPtrField<api::Range>;

void put(const std::vector<ScheduleRange>& ranges, WireRanges* out) {
  for (const ScheduleRange& range : ranges) {
    auto* one = out->Add();
    one->set_start(range.start);
    one->set_end(std::max(range.end, range.start));
    one->set_step(range.step);
  }
}
std::vector<ScheduleRange> read(const WireRanges& ranges) {
  std::vector<ScheduleRange> all;
  for (const auto& range : ranges)
    all.push_back({range.start(), std::max(range.end(), range.start()), std::max(range.step(), 1)});
  return all;
}

void put(const ScheduleCalendar& calendar, api::StructuredCalendarSpec* out) {
  put(calendar.second, out->mutable_second());
  put(calendar.minute, out->mutable_minute());
  put(calendar.hour, out->mutable_hour());
  put(calendar.day_of_month, out->mutable_day_of_month());
  put(calendar.month, out->mutable_month());
  put(calendar.year, out->mutable_year());
  put(calendar.day_of_week, out->mutable_day_of_week());
  out->set_comment(calendar.comment);
}
ScheduleCalendar read(const api::StructuredCalendarSpec& wire) {
  ScheduleCalendar calendar;
  calendar.second = read(wire.second());
  calendar.minute = read(wire.minute());
  calendar.hour = read(wire.hour());
  calendar.day_of_month = read(wire.day_of_month());
  calendar.month = read(wire.month());
  calendar.year = read(wire.year());
  calendar.day_of_week = read(wire.day_of_week());
  calendar.comment = wire.comment();
  return calendar;
}

void put(const ScheduleSpec& spec, api::ScheduleSpec* out) {
  for (const auto& calendar : spec.calendars) put(calendar, out->add_structured_calendar());
  for (const auto& calendar : spec.skip) put(calendar, out->add_exclude_structured_calendar());
  for (const auto& expression : spec.cron) out->add_cron_string(expression);
  for (const auto& interval : spec.intervals) {
    auto* one = out->add_interval();
    convert::to_wire(interval.every, one->mutable_interval());
    convert::to_wire(interval.offset, one->mutable_phase());
  }
  if (spec.start) *out->mutable_start_time() = to_wire(*spec.start);
  if (spec.end) *out->mutable_end_time() = to_wire(*spec.end);
  if (spec.jitter > Duration::zero()) convert::to_wire(spec.jitter, out->mutable_jitter());
  out->set_timezone_name(spec.time_zone);
}
ScheduleSpec read(const api::ScheduleSpec& wire) {
  ScheduleSpec spec;
  for (const auto& calendar : wire.structured_calendar()) spec.calendars.push_back(read(calendar));
  for (const auto& calendar : wire.exclude_structured_calendar()) spec.skip.push_back(read(calendar));
  spec.cron.assign(wire.cron_string().begin(), wire.cron_string().end());
  for (const auto& interval : wire.interval())
    spec.intervals.push_back({convert::from_wire(interval.interval()), convert::from_wire(interval.phase())});
  if (wire.has_start_time()) spec.start = convert::from_wire(wire.start_time());
  if (wire.has_end_time()) spec.end = convert::from_wire(wire.end_time());
  spec.jitter = convert::from_wire(wire.jitter());
  spec.time_zone = wire.timezone_name();
  return spec;
}

// ---- schedules

void put(detail::Connection& connection, const ScheduledStart& start,
         temporal::api::workflow::v1::NewWorkflowExecutionInfo* out) {
  const StartOptions& options = start.options;
  out->set_workflow_id(options.id);
  out->mutable_workflow_type()->set_name(start.type);
  out->mutable_task_queue()->set_name(options.task_queue);
  connection.encode(start.arguments, out->mutable_input());
  if (options.execution_timeout > Duration::zero())
    convert::to_wire(options.execution_timeout, out->mutable_workflow_execution_timeout());
  if (options.run_timeout > Duration::zero())
    convert::to_wire(options.run_timeout, out->mutable_workflow_run_timeout());
  if (options.task_timeout > Duration::zero())
    convert::to_wire(options.task_timeout, out->mutable_workflow_task_timeout());
  if (options.retry) convert::to_wire(*options.retry, out->mutable_retry_policy());
  if (!options.memo.fields().empty()) {
    put_fields(options.memo.fields(), out->mutable_memo()->mutable_fields());
    connection.encode_all(*out->mutable_memo());
  }
  if (!options.search_attributes.fields().empty())
    put_fields(options.search_attributes.fields(),
               out->mutable_search_attributes()->mutable_indexed_fields());
  detail::put_user_metadata(connection, options, *out);
  convert::put_priority(options.priority, out);
}

void put(detail::Connection& connection, const Schedule& schedule, api::Schedule* out) {
  put(connection, schedule.action, out->mutable_action()->mutable_start_workflow());
  put(schedule.spec, out->mutable_spec());
  auto* policies = out->mutable_policies();
  policies->set_overlap_policy(static_cast<enums::ScheduleOverlapPolicy>(schedule.policy.overlap));
  if (schedule.policy.catchup_window > Duration::zero())
    convert::to_wire(schedule.policy.catchup_window, policies->mutable_catchup_window());
  policies->set_pause_on_failure(schedule.policy.pause_on_failure);
  auto* state = out->mutable_state();
  state->set_notes(schedule.note);
  state->set_paused(schedule.paused);
  if (schedule.remaining_actions) {
    state->set_limited_actions(true);
    state->set_remaining_actions(*schedule.remaining_actions);
  }
}

Schedule read(const api::Schedule& wire) {
  Schedule schedule;
  const auto& start = wire.action().start_workflow();
  schedule.action.type = start.workflow_type().name();
  schedule.action.arguments = convert::from_wire(start.input());
  StartOptions& options = schedule.action.options;
  options.id = start.workflow_id();
  options.task_queue = start.task_queue().name();
  options.execution_timeout = convert::from_wire(start.workflow_execution_timeout());
  options.run_timeout = convert::from_wire(start.workflow_run_timeout());
  options.task_timeout = convert::from_wire(start.workflow_task_timeout());
  if (start.has_retry_policy()) {
    RetryPolicy retry;
    retry.initial_interval = convert::from_wire(start.retry_policy().initial_interval());
    retry.backoff_coefficient = start.retry_policy().backoff_coefficient();
    retry.maximum_interval = convert::from_wire(start.retry_policy().maximum_interval());
    retry.maximum_attempts = start.retry_policy().maximum_attempts();
    options.retry = retry;
  }
  options.memo.fields() = fields_of(start.memo().fields());
  options.search_attributes.fields() = fields_of(start.search_attributes().indexed_fields());
  if (start.user_metadata().has_summary()) options.summary = detail::text_of(start.user_metadata().summary());
  if (start.user_metadata().has_details()) options.details = detail::text_of(start.user_metadata().details());
  schedule.spec = read(wire.spec());
  schedule.policy.overlap = static_cast<OverlapPolicy>(wire.policies().overlap_policy());
  schedule.policy.catchup_window = convert::from_wire(wire.policies().catchup_window());
  schedule.policy.pause_on_failure = wire.policies().pause_on_failure();
  schedule.note = wire.state().notes();
  schedule.paused = wire.state().paused();
  if (wire.state().limited_actions()) schedule.remaining_actions = wire.state().remaining_actions();
  return schedule;
}

// What was there and has no place in Schedule, so that an update does not lose it.
void keep(const api::Schedule& before, api::Schedule* out) {
  out->mutable_policies()->set_keep_original_workflow_id(before.policies().keep_original_workflow_id());
  const auto& old = before.action().start_workflow();
  auto* now = out->mutable_action()->mutable_start_workflow();
  if (old.workflow_type().name() != now->workflow_type().name()) return;  // another workflow altogether
  now->set_workflow_id_reuse_policy(old.workflow_id_reuse_policy());
  if (old.has_header()) *now->mutable_header() = old.header();
  if (old.has_priority() && !now->has_priority()) *now->mutable_priority() = old.priority();
  if (old.has_versioning_override()) *now->mutable_versioning_override() = old.versioning_override();
  if (now->has_retry_policy() && now->retry_policy().non_retryable_error_types().empty())
    *now->mutable_retry_policy()->mutable_non_retryable_error_types() =
        old.retry_policy().non_retryable_error_types();
}

template <class Results>
std::vector<ScheduleAction> read_actions(const Results& results) {
  std::vector<ScheduleAction> all;
  for (const auto& result : results) {
    all.push_back({convert::from_wire(result.schedule_time()), convert::from_wire(result.actual_time()),
                   result.start_workflow_result().workflow_id(), result.start_workflow_result().run_id()});
  }
  return all;
}
template <class Times>
std::vector<TimePoint> read_times(const Times& times) {
  std::vector<TimePoint> all;
  for (const auto& time : times) all.push_back(convert::from_wire(time));
  return all;
}

template <class F>
auto translated(const std::string& id, F call) {
  try {
    return call();
  } catch (const RpcError& error) {
    if (error.code() == static_cast<int>(base::Code::kNotFound))
      throw ScheduleNotFound("schedule '" + id + "': " + error.what());
    if (error.code() == static_cast<int>(base::Code::kAlreadyExists))
      throw ScheduleExists("schedule '" + id + "': " + error.what());
    throw;
  }
}

void patch(detail::Connection& connection, const std::string& id, const api::SchedulePatch& patch) {
  service::PatchScheduleRequest request;
  request.set_namespace_(connection.ns());
  request.set_schedule_id(id);
  *request.mutable_patch() = patch;
  request.set_identity(connection.identity());
  request.set_request_id(detail::new_request_id());
  translated(id, [&] { return connection.call<service::PatchScheduleResponse>("PatchSchedule", request); });
}

service::DescribeScheduleResponse described(detail::Connection& connection, const std::string& id) {
  service::DescribeScheduleRequest request;
  request.set_namespace_(connection.ns());
  request.set_schedule_id(id);
  auto response = translated(
      id, [&] { return connection.call<service::DescribeScheduleResponse>("DescribeSchedule", request); });
  connection.decode_all(response);
  return response;
}

}  // namespace

ScheduleHandle Schedules::create(const std::string& id, const Schedule& schedule,
                                 const ScheduleCreation& creation) const {
  service::CreateScheduleRequest request;
  request.set_namespace_(connection_->ns());
  request.set_schedule_id(id);
  put(*connection_, schedule, request.mutable_schedule());
  request.set_identity(connection_->identity());
  request.set_request_id(detail::new_request_id());
  if (creation.trigger_immediately)
    request.mutable_initial_patch()->mutable_trigger_immediately()->set_overlap_policy(
        static_cast<enums::ScheduleOverlapPolicy>(schedule.policy.overlap));
  if (!creation.memo.fields().empty()) {
    put_fields(creation.memo.fields(), request.mutable_memo()->mutable_fields());
    connection_->encode_all(*request.mutable_memo());
  }
  if (!creation.search_attributes.fields().empty())
    put_fields(creation.search_attributes.fields(),
               request.mutable_search_attributes()->mutable_indexed_fields());
  translated(id,
             [&] { return connection_->call<service::CreateScheduleResponse>("CreateSchedule", request); });
  return handle(id);
}

ScheduleDescription ScheduleHandle::describe() const {
  const auto response = described(*connection_, id_);
  ScheduleDescription description;
  description.id = id_;
  description.schedule = read(response.schedule());
  description.memo.fields() = fields_of(response.memo().fields());
  description.search_attributes.fields() = fields_of(response.search_attributes().indexed_fields());
  const auto& info = response.info();
  description.actions = info.action_count();
  description.missed = info.missed_catchup_window();
  description.skipped_for_overlap = info.overlap_skipped();
  for (const auto& run : info.running_workflows())
    description.running.emplace_back(run.workflow_id(), run.run_id());
  description.recent = read_actions(info.recent_actions());
  description.next = read_times(info.future_action_times());
  description.created = convert::from_wire(info.create_time());
  if (info.has_update_time()) description.updated = convert::from_wire(info.update_time());
  description.conflict_token = response.conflict_token();
  return description;
}

void ScheduleHandle::update(const std::function<void(Schedule&)>& change) const {
  for (int attempt = 1;; ++attempt) {
    const auto now = described(*connection_, id_);
    Schedule schedule = read(now.schedule());
    change(schedule);
    service::UpdateScheduleRequest request;
    request.set_namespace_(connection_->ns());
    request.set_schedule_id(id_);
    put(*connection_, schedule, request.mutable_schedule());
    keep(now.schedule(), request.mutable_schedule());
    request.set_conflict_token(now.conflict_token());
    request.set_identity(connection_->identity());
    request.set_request_id(detail::new_request_id());
    try {
      translated(
          id_, [&] { return connection_->call<service::UpdateScheduleResponse>("UpdateSchedule", request); });
      return;
    } catch (const RpcError& error) {
      if (error.code() != static_cast<int>(base::Code::kFailedPrecondition) || attempt == kMostUpdateAttempts)
        throw;
    }
  }
}

void ScheduleHandle::pause(const std::string& note) const {
  api::SchedulePatch change;
  change.set_pause(note);
  patch(*connection_, id_, change);
}
void ScheduleHandle::unpause(const std::string& note) const {
  api::SchedulePatch change;
  change.set_unpause(note);
  patch(*connection_, id_, change);
}
void ScheduleHandle::trigger(OverlapPolicy overlap) const {
  api::SchedulePatch change;
  change.mutable_trigger_immediately()->set_overlap_policy(
      static_cast<enums::ScheduleOverlapPolicy>(overlap));
  patch(*connection_, id_, change);
}
void ScheduleHandle::backfill(const std::vector<ScheduleBackfill>& times) const {
  api::SchedulePatch change;
  for (const ScheduleBackfill& time : times) {
    auto* one = change.add_backfill_request();
    *one->mutable_start_time() = to_wire(time.start);
    *one->mutable_end_time() = to_wire(time.end);
    one->set_overlap_policy(static_cast<enums::ScheduleOverlapPolicy>(time.overlap));
  }
  patch(*connection_, id_, change);
}

void ScheduleHandle::remove() const {
  service::DeleteScheduleRequest request;
  request.set_namespace_(connection_->ns());
  request.set_schedule_id(id_);
  request.set_identity(connection_->identity());
  translated(id_,
             [&] { return connection_->call<service::DeleteScheduleResponse>("DeleteSchedule", request); });
}

Paged<ScheduleListing> Schedules::list(std::string query) const {
  return Paged<ScheduleListing>(
      [connection = connection_, query = std::move(query)](const std::string& token) {
        service::ListSchedulesRequest request;
        request.set_namespace_(connection->ns());
        request.set_query(query);
        request.set_next_page_token(token);
        auto response = connection->call<service::ListSchedulesResponse>("ListSchedules", request);
        connection->decode_all(response);
        Paged<ScheduleListing>::Page page;
        page.next = response.next_page_token();
        for (const auto& entry : response.schedules()) {
          ScheduleListing& one = page.items.emplace_back();
          one.id = entry.schedule_id();
          one.workflow_type = entry.info().workflow_type().name();
          one.note = entry.info().notes();
          one.paused = entry.info().paused();
          one.memo.fields() = fields_of(entry.memo().fields());
          one.search_attributes.fields() = fields_of(entry.search_attributes().indexed_fields());
          one.recent = read_actions(entry.info().recent_actions());
          one.next = read_times(entry.info().future_action_times());
        }
        return page;
      });
}

}  // namespace v1
}  // namespace perdure
