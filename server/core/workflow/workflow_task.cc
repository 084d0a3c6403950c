#include "server/core/workflow/workflow_task.h"

#include <algorithm>

#include "base/planted.h"
#include "server/core/workflow/build_ids.h"

namespace perdure::core {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

// WT-02: attempts above 3 get more time, so that a worker in trouble is not asked without end.
std::int64_t task_timeout(const RunDraft& run, int attempt, const Env& env) {
  std::int64_t timeout = run.start().task_timeout();
  if (attempt <= 3) return timeout;
  const std::int64_t most = env.limits.max_task_retry_interval.count();
  const std::int64_t more = attempt - 4 >= 10 ? most : std::min(most, (5 * kSecond) << (attempt - 4));
  return timeout + more - static_cast<std::int64_t>(env.random.below(static_cast<std::uint64_t>(more / 5)));
}

void set_queue(const RunState& run, bool sticky, temporal::api::taskqueue::v1::TaskQueue* queue) {
  if (sticky) {
    queue->set_name(run.progress.sticky_queue());
    queue->set_kind(enums::TASK_QUEUE_KIND_STICKY);
    queue->set_normal_name(run.start->task_queue());
  } else {
    queue->set_name(run.start->task_queue());
    queue->set_kind(enums::TASK_QUEUE_KIND_NORMAL);
  }
}

void fill_scheduled(const RunState& run, int attempt, bool sticky, std::int64_t timeout,
                    HistoryEvent& event) {
  auto& attributes = *event.mutable_workflow_task_scheduled_event_attributes();
  set_queue(run, sticky, attributes.mutable_task_queue());
  assign(attributes.mutable_start_to_close_timeout(), timeout);
  attributes.set_attempt(attempt);
}

void fill_started(const pb::WorkflowTask& task, std::int64_t scheduled_id, bool with_identity,
                  HistoryEvent& event) {
  auto& attributes = *event.mutable_workflow_task_started_event_attributes();
  attributes.set_scheduled_event_id(scheduled_id);
  if (with_identity) attributes.set_identity(task.identity());
  attributes.set_request_id(task.request_id());
  attributes.set_history_size_bytes(task.history_size());
  attributes.set_suggest_continue_as_new(task.suggest_continue_as_new());
  for (const int reason : task.suggest_reasons()) {
    attributes.add_suggest_continue_as_new_reasons(static_cast<enums::SuggestContinueAsNewReason>(reason));
  }
}

void clear_sticky(RunDraft& run) {
  run.progress().clear_sticky_queue();
  run.progress().clear_sticky_timeout();
}

// The history so far, as the worker is told when the task starts (WT-10).
void tell_history_size(RunDraft& run, const Env& env) {
  pb::WorkflowTask& task = run.task();
  task.set_history_size(run.history_size());
  task.clear_suggest_reasons();
  if (task.history_size() >= env.limits.history_size_suggest) {
    task.add_suggest_reasons(enums::SUGGEST_CONTINUE_AS_NEW_REASON_HISTORY_SIZE_TOO_LARGE);
  }
  if (run.next_event_id() > env.limits.history_events_suggest) {
    task.add_suggest_reasons(enums::SUGGEST_CONTINUE_AS_NEW_REASON_TOO_MANY_HISTORY_EVENTS);
  }
  task.set_suggest_continue_as_new(task.suggest_reasons_size() > 0);
}

// After a failure or timeout: which attempt comes next (WT-03), flush, schedule.
void next_attempt(RunDraft& run, const Env& env) {
  int attempt = run.task_now().attempt();
  if (!run.state().progress.sticky_queue().empty()) {
    clear_sticky(run);  // a failure on a sticky worker says nothing about the next one
  } else {
    ++attempt;
  }
  run.progress().clear_task();
  if (run.flush_buffered()) attempt = 1;
  run.progress().set_task_attempt(attempt);
  schedule_workflow_task(run, env);
}

void write_failed(RunDraft& run, const TaskFailure& failure) {
  const pb::WorkflowTask& task = run.task_now();
  auto& attributes =
      *run.append(enums::EVENT_TYPE_WORKFLOW_TASK_FAILED).mutable_workflow_task_failed_event_attributes();
  attributes.set_scheduled_event_id(task.scheduled_id());
  attributes.set_started_event_id(task.started_id());
  attributes.set_cause(failure.cause);
  if (failure.failure) *attributes.mutable_failure() = *failure.failure;
  attributes.set_identity(failure.identity);
  attributes.set_binary_checksum(failure.binary_checksum);
}

void write_timed_out(RunDraft& run, enums::TimeoutType type) {
  const pb::WorkflowTask& task = run.task_now();
  auto& attributes = *run.append(enums::EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT)
                          .mutable_workflow_task_timed_out_event_attributes();
  attributes.set_scheduled_event_id(task.scheduled_id());
  attributes.set_started_event_id(task.started_id());
  attributes.set_timeout_type(type);
}

}  // namespace

void wake_workflow(RunDraft& run, const Env& env) {
  if (!run.running() || run.state().has_pending_task() || !run.state().progress.first_task_scheduled())
    return;
  schedule_workflow_task(run, env);
}

void schedule_workflow_task(RunDraft& run, const Env& env, std::int64_t first_scheduled) {
  const int attempt = std::max(1, run.state().progress.task_attempt());
  const bool sticky = !run.state().progress.sticky_queue().empty();
  const std::int64_t timeout = task_timeout(run, attempt, env);
  run.progress().set_first_task_scheduled(true);
  std::int64_t scheduled_id = run.next_event_id();  // of a transient attempt: the id it would have
  if (attempt == 1) {
    fill_scheduled(run.state(), attempt, sticky, timeout,
                   run.append(enums::EVENT_TYPE_WORKFLOW_TASK_SCHEDULED));
  }
  pb::WorkflowTask& task = run.task();
  task.Clear();
  task.set_scheduled_id(scheduled_id);
  task.set_attempt(attempt);
  task.set_scheduled_time(nanos(run.now()));
  task.set_original_scheduled_time(first_scheduled != 0 ? first_scheduled : nanos(run.now()));
  task.set_timeout(timeout);
  task.set_on_sticky_queue(sticky);
  task.set_events_written(attempt == 1);
}

WorkflowTaskStarted start_workflow_task_now(RunDraft& run, const TaskStart& start, const Env& env) {
  if (!start.sticky && !run.state().progress.sticky_queue().empty()) clear_sticky(run);  // WT-07
  pb::WorkflowTask& task = run.task();
  if (!task.events_written() && task.scheduled_id() != run.next_event_id()) {
    // Something was written since a transient attempt was scheduled: it becomes an ordinary first attempt (WT-04).
    task.set_attempt(1);
    task.set_timeout(task_timeout(run, 1, env));
    task.set_scheduled_id(run.next_event_id());
    fill_scheduled(run.state(), 1, start.sticky, task.timeout(),
                   run.append(enums::EVENT_TYPE_WORKFLOW_TASK_SCHEDULED));
    task.set_events_written(true);
  }
  task.set_started_time(nanos(run.now()));
  task.set_request_id(start.request_id);
  task.set_identity(start.identity);
  task.set_build_id(start.build_id);
  task.set_on_sticky_queue(start.sticky);
  task.set_nonce(env.random.next());
  if (!start.eager) tell_history_size(run, env);
  if (task.events_written()) {
    const std::int64_t id = run.next_event_id();
    fill_started(task, task.scheduled_id(), true, run.append(enums::EVENT_TYPE_WORKFLOW_TASK_STARTED));
    task.set_started_id(id);
  } else {
    task.set_started_id(task.scheduled_id() + 1);
  }
  const std::int64_t previous = run.state().progress.last_completed_task_started_id();
  WorkflowTaskStarted started{.workflow_id = run.start().workflow_id(),
                              .run_id = run.run_id(),
                              .workflow_type = run.start().workflow_type(),
                              .task_queue = run.start().task_queue(),
                              .previous_started_id = previous,
                              .scheduled_id = task.scheduled_id(),
                              .started_id = task.started_id(),
                              .attempt = task.attempt(),
                              .scheduled_time = time_of(task.scheduled_time()),
                              .started_time = time_of(task.started_time()),
                              .nonce = task.nonce(),
                              .first_event_id = start.sticky ? previous + 1 : 1,
                              .next_event_id = run.next_event_id(),
                              .tail = transient_tail(run.state(), true),
                              .sticky = start.sticky};
  return started;
}

std::vector<HistoryEvent> transient_tail(const RunState& run, bool with_identity) {
  std::vector<HistoryEvent> tail;
  const pb::WorkflowTask& task = run.progress.task();
  if (!run.exists() || !run.running() || task.events_written() || task.scheduled_id() == 0) return tail;
  if (task.scheduled_id() != run.progress.next_event_id()) return tail;  // will start as an ordinary attempt
  HistoryEvent& scheduled = tail.emplace_back();
  scheduled.set_event_id(task.scheduled_id());
  scheduled.set_event_type(enums::EVENT_TYPE_WORKFLOW_TASK_SCHEDULED);
  assign(scheduled.mutable_event_time(), task.scheduled_time());
  fill_scheduled(run, task.attempt(), task.on_sticky_queue(), task.timeout(), scheduled);
  if (task.started_id() == 0) return tail;
  HistoryEvent& started = tail.emplace_back();
  started.set_event_id(task.started_id());
  started.set_event_type(enums::EVENT_TYPE_WORKFLOW_TASK_STARTED);
  assign(started.mutable_event_time(), task.started_time());
  fill_started(task, task.scheduled_id(), with_identity, started);
  return tail;
}

std::int64_t write_task_completed(RunDraft& run, const wfs::RespondWorkflowTaskCompletedRequest& request,
                                  const Env& env) {
  const pb::WorkflowTask task = run.task_now();
  if (!task.events_written()) {
    HistoryEvent& scheduled = run.append(enums::EVENT_TYPE_WORKFLOW_TASK_SCHEDULED);
    assign(scheduled.mutable_event_time(), task.scheduled_time());
    fill_scheduled(run.state(), task.attempt(), task.on_sticky_queue(), task.timeout(), scheduled);
    HistoryEvent& started = run.append(enums::EVENT_TYPE_WORKFLOW_TASK_STARTED);
    assign(started.mutable_event_time(), task.started_time());
    fill_started(task, task.scheduled_id(), true, started);
  }
  const std::int64_t id = run.next_event_id();
  auto& attributes = *run.append(enums::EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
                          .mutable_workflow_task_completed_event_attributes();
  attributes.set_scheduled_event_id(task.scheduled_id());
  attributes.set_started_event_id(task.started_id());
  attributes.set_identity(request.identity());
  attributes.set_binary_checksum(request.binary_checksum());
  if (request.has_worker_version_stamp())
    *attributes.mutable_worker_version() = request.worker_version_stamp();
  if (request.has_sdk_metadata()) *attributes.mutable_sdk_metadata() = request.sdk_metadata();
  if (request.has_metering_metadata()) *attributes.mutable_metering_metadata() = request.metering_metadata();
  pb::RunProgress& progress = run.progress();
  progress.set_last_completed_task_started_id(task.started_id());
  progress.set_last_completed_task_id(id);
  progress.set_task_attempt(1);
  progress.set_closing(false);
  progress.clear_task();
  note_build_ids(run, request, id, env);
  return id;
}

void fail_workflow_task(RunDraft& run, const TaskFailure& failure, const Env& env) {
  if (base::planted(base::Bug::kBufferLost)) run.clear_buffered();
  if (run.task_now().events_written()) write_failed(run, failure);
  next_attempt(run, env);
}

void fail_last_workflow_task(RunDraft& run, const TaskFailure& failure) {
  if (run.task_now().events_written()) write_failed(run, failure);
  run.progress().clear_task();
  run.flush_buffered();
}

bool workflow_task_deadline_passed(RunDraft& run, const Env& env) {
  const pb::WorkflowTask& task = run.task_now();
  if (task.scheduled_id() == 0) {
    if (run.state().progress.first_task_scheduled() || time_of(run.start().execution_time()) > env.now)
      return false;
    schedule_workflow_task(run, env);
    return true;
  }
  if (task.started_id() != 0) {
    if (base::add(time_of(task.started_time()), Duration(task.timeout())) > env.now) return false;
    if (task.events_written()) write_timed_out(run, enums::TIMEOUT_TYPE_START_TO_CLOSE);
    next_attempt(run, env);
    return true;
  }
  if (!task.on_sticky_queue()) return false;
  const std::int64_t timeout = run.state().progress.sticky_timeout();
  if (timeout == 0 || base::add(time_of(task.scheduled_time()), Duration(timeout)) > env.now) return false;
  write_timed_out(run, enums::TIMEOUT_TYPE_SCHEDULE_TO_START);
  run.progress().set_task_attempt(task.attempt());
  clear_sticky(run);
  run.progress().clear_task();
  schedule_workflow_task(run, env);
  return true;
}

void force_close_workflow_task(RunDraft& run) {
  if (run.task_now().started_id() != 0) {
    fail_last_workflow_task(
        run, {.cause = enums::WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND, .identity = "history-service"});
  }
  run.flush_buffered();
}

void move_to_normal_queue(RunDraft& run) {
  clear_sticky(run);
  run.task().set_on_sticky_queue(false);
}

void undo_workflow_task_start(RunDraft& run, std::uint64_t nonce, const Env& env) {
  const pb::WorkflowTask& task = run.task_now();
  if (!run.running() || task.started_id() == 0 || task.nonce() != nonce) return;
  if (!task.events_written()) {
    run.task().set_started_id(0);
    run.task().clear_started_time();
    run.flush_buffered();  // what came meanwhile makes the next start an ordinary one (WT-04)
    return;
  }
  // Event 6 stands in the history and cannot be taken back: the attempt ends as a timeout would end it, at once.
  write_timed_out(run, enums::TIMEOUT_TYPE_START_TO_CLOSE);
  const int attempt = task.attempt();
  run.progress().clear_task();
  run.progress().set_task_attempt(run.flush_buffered() ? 1 : attempt);
  schedule_workflow_task(run, env);
}

}  // namespace perdure::core
