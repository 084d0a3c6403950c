#include "server/core/workflow/lifecycle.h"

#include <algorithm>

#include "server/core/activity/activity.h"
#include "server/core/cron/cron.h"
#include "server/core/limits/search_attributes.h"
#include "server/core/workflow/build_ids.h"
#include "server/core/workflow/workflow_task.h"

namespace perdure::core {
namespace {

pb::RunStart make_start(UnitDraft& unit, const NewRun& run) {
  const std::int64_t now = nanos(unit.env().now);
  pb::RunStart start;
  start.set_namespace_id(unit.loaded().namespace_id);
  start.set_workflow_id(unit.loaded().workflow_id);
  start.set_run_id(run.run_id);
  start.set_workflow_type(run.workflow_type);
  start.set_task_queue(run.task_queue);
  start.set_first_run_id(run.first_run_id.empty() ? run.run_id : run.first_run_id);
  start.set_original_run_id(run.run_id);
  start.set_continued_run_id(run.continued_run_id);
  start.set_request_id(run.request_id);
  start.set_start_time(now);
  start.set_first_task_backoff(run.backoff.count());
  start.set_execution_time(nanos(base::add(unit.env().now, run.backoff)));
  start.set_run_timeout(run.run_timeout);
  start.set_execution_timeout(run.execution_timeout);
  start.set_task_timeout(run.task_timeout);
  if (run.run_timeout != 0) {
    start.set_run_expiration(nanos(base::add(time_of(start.execution_time()), Duration(run.run_timeout))));
  }
  if (run.execution_expiration != 0) {
    start.set_execution_expiration(run.execution_expiration);
  } else if (run.execution_timeout != 0) {
    start.set_execution_expiration(nanos(base::add(unit.env().now, Duration(run.execution_timeout))));
  }
  if (start.execution_expiration() != 0 && start.run_expiration() != 0) {
    start.set_run_expiration(std::min(start.run_expiration(), start.execution_expiration()));
  }
  start.set_attempt(run.attempt);
  start.set_cron_schedule(run.attributes.cron_schedule());
  if (run.attributes.has_retry_policy()) *start.mutable_retry_policy() = run.attributes.retry_policy();
  if (run.attributes.has_priority()) *start.mutable_priority() = run.attributes.priority();
  if (run.has_user_metadata) *start.mutable_user_metadata() = run.user_metadata;
  start.set_initiator(run.attributes.initiator());
  start.set_chain_start_time(run.chain_start_time == 0 ? now : run.chain_start_time);
  return start;
}

// The delay until the next tick of the run's cron schedule, measured from its execution time (TM-04).
Result<Duration> cron_delay(const pb::RunStart& start, const Env& env) {
  Time from = time_of(start.execution_time());
  Time next = from;
  for (int tick = 0; next <= env.now || next == from; ++tick) {
    TRY(next, next_cron_time(start.cron_schedule(), next));
    if (tick > 100) {  // far behind: count from now instead of walking every missed tick
      TRY(next, next_cron_time(start.cron_schedule(), env.now));
      break;
    }
  }
  const Duration delay = next - env.now;
  return std::chrono::ceil<std::chrono::seconds>(delay);
}

Follow cron_follow(const RunDraft& run, const Env& env) {
  Follow follow;
  if (run.start().cron_schedule().empty()) return follow;
  const Result<Duration> delay = cron_delay(run.start(), env);
  if (!delay) return follow;
  const std::int64_t expiration = run.start().execution_expiration();
  if (expiration != 0 && base::add(env.now, *delay) > time_of(expiration)) return follow;
  follow.follows = true;
  follow.initiator = enums::CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE;
  follow.backoff = *delay;
  return follow;
}

}  // namespace

NewRun new_run_from(const wfs::StartWorkflowExecutionRequest& request, std::string run_id, const Env& env) {
  NewRun run;
  run.run_id = std::move(run_id);
  run.request_id = request.request_id();
  run.workflow_type = request.workflow_type().name();
  run.task_queue = request.task_queue().name();
  run.run_timeout = nanos(request.workflow_run_timeout());
  run.execution_timeout = nanos(request.workflow_execution_timeout());
  run.task_timeout = nanos(request.workflow_task_timeout());
  StartedAttributes& attributes = run.attributes;
  if (request.has_input()) *attributes.mutable_input() = request.input();
  if (request.has_header()) *attributes.mutable_header() = request.header();
  if (request.has_memo()) *attributes.mutable_memo() = request.memo();
  if (request.has_search_attributes()) *attributes.mutable_search_attributes() = request.search_attributes();
  if (request.has_retry_policy()) *attributes.mutable_retry_policy() = request.retry_policy();
  if (request.has_priority()) *attributes.mutable_priority() = request.priority();
  if (request.has_continued_failure()) *attributes.mutable_continued_failure() = request.continued_failure();
  if (request.has_last_completion_result())
    *attributes.mutable_last_completion_result() = request.last_completion_result();
  attributes.set_cron_schedule(request.cron_schedule());
  attributes.set_identity(request.identity());
  run.has_user_metadata = request.has_user_metadata();
  run.user_metadata = request.user_metadata();
  run.links.assign(request.links().begin(), request.links().end());
  if (!request.cron_schedule().empty()) {
    attributes.set_initiator(enums::CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE);
    const Result<Time> next = next_cron_time(request.cron_schedule(), env.now);
    if (next) run.backoff = std::chrono::ceil<std::chrono::seconds>(*next - env.now);
  } else {
    run.backoff = Duration(nanos(request.workflow_start_delay()));
  }
  return run;
}

RunDraft& begin_run(UnitDraft& unit, NewRun new_run) {
  pb::RunStart start = make_start(unit, new_run);
  RunDraft& run = unit.create_run(start);
  StartedAttributes& attributes = new_run.attributes;
  attributes.mutable_workflow_type()->set_name(start.workflow_type());
  attributes.mutable_task_queue()->set_name(start.task_queue());
  attributes.mutable_task_queue()->set_kind(enums::TASK_QUEUE_KIND_NORMAL);
  attributes.set_workflow_id(start.workflow_id());
  attributes.set_original_execution_run_id(start.run_id());
  attributes.set_first_execution_run_id(start.first_run_id());
  attributes.set_continued_execution_run_id(start.continued_run_id());
  attributes.set_attempt(start.attempt());
  if (start.first_task_backoff() > 0 || new_run.shows_no_backoff) {
    assign(attributes.mutable_first_workflow_task_backoff(), start.first_task_backoff());
  }
  if (start.run_timeout() != 0) assign(attributes.mutable_workflow_run_timeout(), start.run_timeout());
  if (start.execution_timeout() != 0)
    assign(attributes.mutable_workflow_execution_timeout(), start.execution_timeout());
  assign(attributes.mutable_workflow_task_timeout(), start.task_timeout());
  if (start.execution_expiration() != 0) {
    assign(attributes.mutable_workflow_execution_expiration_time(), start.execution_expiration());
  }
  if (new_run.has_reset_points) *attributes.mutable_prev_auto_reset_points() = new_run.reset_points;
  pb::RunAttributes& carried = run.attributes();
  if (attributes.has_memo()) *carried.mutable_memo() = attributes.memo();
  if (attributes.has_search_attributes())
    merge(*carried.mutable_search_attributes(), attributes.search_attributes());
  if (new_run.has_reset_points) *carried.mutable_auto_reset_points() = new_run.reset_points;

  HistoryEvent& event = run.append(enums::EVENT_TYPE_WORKFLOW_EXECUTION_STARTED);
  *event.mutable_workflow_execution_started_event_attributes() = std::move(attributes);
  if (new_run.has_user_metadata) *event.mutable_user_metadata() = std::move(new_run.user_metadata);
  for (auto& link : new_run.links) *event.add_links() = std::move(link);
  run.add_request_id(start.request_id(), enums::EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, 1, false);

  pb::Head& head = unit.head();
  head.set_current_run_id(start.run_id());
  head.set_current_status(enums::WORKFLOW_EXECUTION_STATUS_RUNNING);
  head.set_current_start_time(start.start_time());
  head.set_current_first_run_id(start.first_run_id());
  head.set_current_request_id(start.request_id());
  return run;
}

void schedule_first_task(RunDraft& run, const Env& env) {
  if (run.start().first_task_backoff() > 0) return;
  schedule_workflow_task(run, env);
}

void close_run(UnitDraft& unit, RunDraft& run, enums::WorkflowExecutionStatus status,
               const std::string& new_run_id) {
  pb::RunProgress& progress = run.progress();
  progress.set_status(status);
  progress.set_close_time(nanos(run.now()));
  progress.set_close_event_id(progress.next_event_id() - 1);
  progress.set_new_run_id(new_run_id);
  run.clear_buffered();  // WT-42
  run.visibility_changed();
  pb::Head& head = unit.head();
  if (head.current_run_id() == run.run_id()) head.set_current_status(status);
  if (run.state().owes()) head.add_owing_run_ids(run.run_id());
}

void terminate_run(UnitDraft& unit, RunDraft& run, const std::string& reason, const std::string& identity,
                   const temporal::api::common::v1::Payloads* details) {
  force_close_workflow_task(run);
  auto& attributes = *run.append(enums::EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED)
                          .mutable_workflow_execution_terminated_event_attributes();
  attributes.set_reason(reason);
  attributes.set_identity(identity);
  if (details) *attributes.mutable_details() = *details;
  close_run(unit, run, enums::WORKFLOW_EXECUTION_STATUS_TERMINATED);
}

Follow after_failure(const RunDraft& run, const temporal::api::failure::v1::Failure& failure,
                     const Env& env) {
  const pb::RunStart& start = run.start();
  const Time expiration =
      start.execution_expiration() == 0 ? base::kNever : time_of(start.execution_expiration());
  const RetryDecision retry = decide_retry(start.has_retry_policy() ? &start.retry_policy() : nullptr,
                                           start.attempt(), failure, env.now, expiration);
  Follow follow;
  if (retry.state == enums::RETRY_STATE_IN_PROGRESS) {
    follow.follows = true;
    follow.initiator = enums::CONTINUE_AS_NEW_INITIATOR_RETRY;
    follow.backoff = retry.delay;
    follow.attempt = start.attempt() + 1;
  } else {
    follow = cron_follow(run, env);
  }
  follow.retry_state = retry.state;
  return follow;
}

Follow after_completion(const RunDraft& run, const Env& env) {
  return cron_follow(run, env);
}

std::shared_ptr<const HistoryEvent> first_event(UnitDraft& unit, const RunDraft& run) {
  if (const HistoryEvent* drafted = run.drafted(1)) return std::make_shared<const HistoryEvent>(*drafted);
  return unit.loaded().event(run.run_id(), 1);
}

bool follow_run(UnitDraft& unit, RunDraft& old_run, const Follow& follow, const std::string& new_run_id,
                const temporal::api::common::v1::Payloads* last_result,
                const temporal::api::failure::v1::Failure* failure) {
  const std::shared_ptr<const HistoryEvent> started = first_event(unit, old_run);
  if (!started) return false;
  const pb::RunStart& old = old_run.start();
  NewRun run;
  run.run_id = new_run_id;
  run.request_id = unit.env().random.uuid();
  run.workflow_type = old.workflow_type();
  run.task_queue = old.task_queue();
  run.backoff = follow.backoff;
  run.run_timeout = old.run_timeout();
  run.execution_timeout = old.execution_timeout();
  run.task_timeout = old.task_timeout();
  run.execution_expiration = old.execution_expiration();
  run.first_run_id = old.first_run_id();
  run.continued_run_id = old.run_id();
  run.chain_start_time = old.chain_start_time();
  run.attempt = follow.attempt;
  run.attributes = started->workflow_execution_started_event_attributes();
  run.attributes.set_initiator(follow.initiator);
  run.attributes.clear_identity();
  run.attributes.clear_continued_failure();
  run.attributes.clear_eager_execution_accepted();
  run.attributes.clear_prev_auto_reset_points();
  if (failure) *run.attributes.mutable_continued_failure() = *failure;
  if (last_result) *run.attributes.mutable_last_completion_result() = *last_result;
  const pb::RunAttributes& carried = old_run.attributes_now();
  run.attributes.clear_memo();
  run.attributes.clear_search_attributes();
  if (carried.has_memo()) *run.attributes.mutable_memo() = carried.memo();
  if (started->workflow_execution_started_event_attributes().has_search_attributes()) {
    *run.attributes.mutable_search_attributes() =
        started->workflow_execution_started_event_attributes().search_attributes();
  }
  run.reset_points = inherited_reset_points(old_run, unit.env());
  run.has_reset_points = true;
  run.has_user_metadata = old.has_user_metadata();
  run.user_metadata = old.user_metadata();
  schedule_first_task(begin_run(unit, std::move(run)), unit.env());
  return true;
}

}  // namespace perdure::core
