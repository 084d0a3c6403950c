// StartWorkflowExecution and SignalWithStartWorkflowExecution: one id, at most one running run (ID-01…07).
#include "server/core/workflow/start_workflow.h"

#include "base/planted.h"
#include "server/core/errors.h"
#include "server/core/workflow/lifecycle.h"
#include "server/core/workflow/signal_workflow.h"
#include "server/core/workflow/workflow_task.h"

namespace perdure::core {
namespace {

using common_link = temporal::api::common::v1::Link;

struct Policies {
  enums::WorkflowIdReusePolicy reuse;
  enums::WorkflowIdConflictPolicy conflict;
};

// TERMINATE_IF_RUNNING is an older spelling of two policies (ID-04).
Policies policies_of(enums::WorkflowIdReusePolicy reuse, enums::WorkflowIdConflictPolicy conflict,
                     enums::WorkflowIdConflictPolicy conflict_default) {
  if (reuse == enums::WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING) {
    return {enums::WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
            enums::WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING};
  }
  if (reuse == enums::WORKFLOW_ID_REUSE_POLICY_UNSPECIFIED)
    reuse = enums::WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE;
  if (conflict == enums::WORKFLOW_ID_CONFLICT_POLICY_UNSPECIFIED) conflict = conflict_default;
  return {reuse, conflict};
}

Error already_started_error(const UnitDraft& unit, const std::string& text, const std::string& suffix = {}) {
  const pb::Head& head = unit.head_now().head;
  return already_started(
      text + " WorkflowId: " + unit.loaded().workflow_id + ", RunId: " + head.current_run_id() + "." + suffix,
      head.current_request_id(), head.current_run_id(), head.current_first_run_id());
}

// Whether a closed id may be started again (ID-04, ID-05).
std::optional<Error> refuse_reuse(const UnitDraft& unit, enums::WorkflowIdReusePolicy reuse) {
  const int status = unit.head_now().head.current_status();
  if (reuse == enums::WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE) {
    return already_started_error(unit, "Workflow execution already finished.",
                                 " Workflow Id reuse policy: reject duplicate workflow Id.");
  }
  const bool failed = status == enums::WORKFLOW_EXECUTION_STATUS_FAILED ||
                      status == enums::WORKFLOW_EXECUTION_STATUS_CANCELED ||
                      status == enums::WORKFLOW_EXECUTION_STATUS_TERMINATED ||
                      status == enums::WORKFLOW_EXECUTION_STATUS_TIMED_OUT;
  if (reuse == enums::WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY && !failed) {
    return already_started_error(
        unit, "Workflow execution already finished successfully.",
        " Workflow Id reuse policy: allow duplicate workflow Id if last run failed.");
  }
  return std::nullopt;
}

void terminate_for_new_run(UnitDraft& unit, RunDraft& run, const std::string& new_run_id) {
  if (base::planted(base::Bug::kTwoOpenRuns)) return;
  temporal::api::common::v1::Payloads details;
  auto& payload = *details.add_payloads();
  (*payload.mutable_metadata())["encoding"] = "json/plain";
  payload.set_data("\"terminated by new runID: " + new_run_id + "\"");
  terminate_run(unit, run, "TerminateIfRunning WorkflowIdReusePolicy", "history-service", &details);
}

void link_to_event(const Env& env, const pb::RunStart& run, common_link& link) {
  auto& event = *link.mutable_workflow_event();
  event.set_namespace_(env.ns.name());
  event.set_workflow_id(run.workflow_id());
  event.set_run_id(run.run_id());
  event.mutable_event_ref()->set_event_id(1);
  event.mutable_event_ref()->set_event_type(enums::EVENT_TYPE_WORKFLOW_EXECUTION_STARTED);
}

StartAnswer answer_for(const RunState& run, bool started, const Env& env) {
  StartAnswer answer;
  answer.response.set_run_id(run.start->run_id());
  answer.response.set_first_execution_run_id(run.start->first_run_id());
  answer.response.set_started(started);
  answer.response.set_status(static_cast<enums::WorkflowExecutionStatus>(run.progress.status()));
  link_to_event(env, *run.start, *answer.response.mutable_link());
  return answer;
}

// The same request again (ID-01). An eager task that was handed out is handed out again while it is still the first one (WT-56).
Decision answer_repeat(UnitDraft& unit, RunDraft& run, const wfs::StartWorkflowExecutionRequest& request) {
  StartAnswer answer = answer_for(run.state(), true, unit.env());
  const pb::WorkflowTask& task = run.task_now();
  if (request.request_eager_execution() && run.running() && task.started_id() == 3 && task.attempt() == 1 &&
      task.request_id() == request.request_id()) {
    answer.eager_task = WorkflowTaskStarted{.workflow_id = run.start().workflow_id(),
                                            .run_id = run.run_id(),
                                            .workflow_type = run.start().workflow_type(),
                                            .task_queue = run.start().task_queue(),
                                            .scheduled_id = task.scheduled_id(),
                                            .started_id = task.started_id(),
                                            .attempt = task.attempt(),
                                            .scheduled_time = time_of(task.scheduled_time()),
                                            .started_time = time_of(task.started_time()),
                                            .nonce = task.nonce(),
                                            .first_event_id = 1,
                                            .next_event_id = task.started_id() + 1};
  }
  return unit.finish(std::move(answer));
}

void link_to_request(const Env& env, const pb::RunStart& run, const std::string& request_id,
                     enums::EventType type, common_link& link) {
  auto& event = *link.mutable_workflow_event();
  event.set_namespace_(env.ns.name());
  event.set_workflow_id(run.workflow_id());
  event.set_run_id(run.run_id());
  event.mutable_request_id_ref()->set_request_id(request_id);
  event.mutable_request_id_ref()->set_event_type(type);
}

// USE_EXISTING: the running run answers; on_conflict_options may attach the request to it (ID-03).
Decision use_existing(UnitDraft& unit, RunDraft& run, const wfs::StartWorkflowExecutionRequest& request) {
  StartAnswer answer = answer_for(run.state(), false, unit.env());
  const auto& options = request.on_conflict_options();
  if (!request.has_on_conflict_options() || !(options.attach_request_id() || options.attach_links())) {
    return unit.finish(std::move(answer));
  }
  HistoryEvent& event = run.append_or_buffer(enums::EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED);
  event.set_worker_may_ignore(true);
  auto& attributes = *event.mutable_workflow_execution_options_updated_event_attributes();
  if (options.attach_request_id()) attributes.set_attached_request_id(request.request_id());
  if (options.attach_links()) {
    for (const auto& link : request.links()) *event.add_links() = link;
  }
  if (options.attach_request_id()) {
    run.add_request_id(request.request_id(), event.event_type(), event.event_id(), event.event_id() == 0);
    link_to_request(unit.env(), run.start(), request.request_id(), event.event_type(),
                    *answer.response.mutable_link());
  }
  return unit.finish(std::move(answer));
}

// A request that was attached to the running run before.
std::optional<Decision> answer_attached(UnitDraft& unit, RunDraft& run, const std::string& request_id) {
  const auto* info = run.state().request_ids.find(request_id);
  if (!info || (*info)->event_type() != enums::EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED)
    return std::nullopt;
  StartAnswer answer = answer_for(run.state(), false, unit.env());
  link_to_request(unit.env(), run.start(), request_id, enums::EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED,
                  *answer.response.mutable_link());
  return unit.finish(std::move(answer));
}

Decision begin(UnitDraft& unit, const wfs::StartWorkflowExecutionRequest& request, std::string run_id) {
  const Env& env = unit.env();
  NewRun new_run = new_run_from(request, std::move(run_id), env);
  const bool eager = request.request_eager_execution() && new_run.backoff == Duration::zero();
  new_run.attributes.set_eager_execution_accepted(eager);
  RunDraft& run = begin_run(unit, std::move(new_run));
  schedule_first_task(run, env);
  StartAnswer answer = answer_for(run.state(), true, env);
  if (eager) {
    answer.eager_task = start_workflow_task_now(
        run, {.identity = request.identity(), .request_id = request.request_id(), .eager = true}, env);
  }
  return unit.finish(std::move(answer));
}

wfs::StartWorkflowExecutionRequest start_part(const wfs::SignalWithStartWorkflowExecutionRequest& from) {
  wfs::StartWorkflowExecutionRequest request;
  request.set_workflow_id(from.workflow_id());
  *request.mutable_workflow_type() = from.workflow_type();
  *request.mutable_task_queue() = from.task_queue();
  if (from.has_input()) *request.mutable_input() = from.input();
  if (from.has_workflow_execution_timeout())
    *request.mutable_workflow_execution_timeout() = from.workflow_execution_timeout();
  if (from.has_workflow_run_timeout()) *request.mutable_workflow_run_timeout() = from.workflow_run_timeout();
  if (from.has_workflow_task_timeout())
    *request.mutable_workflow_task_timeout() = from.workflow_task_timeout();
  request.set_identity(from.identity());
  request.set_request_id(from.request_id());
  if (from.has_retry_policy()) *request.mutable_retry_policy() = from.retry_policy();
  request.set_cron_schedule(from.cron_schedule());
  if (from.has_memo()) *request.mutable_memo() = from.memo();
  if (from.has_search_attributes()) *request.mutable_search_attributes() = from.search_attributes();
  if (from.has_header()) *request.mutable_header() = from.header();
  if (from.has_workflow_start_delay()) *request.mutable_workflow_start_delay() = from.workflow_start_delay();
  if (from.has_user_metadata()) *request.mutable_user_metadata() = from.user_metadata();
  if (from.has_priority()) *request.mutable_priority() = from.priority();
  for (const auto& link : from.links()) *request.add_links() = link;
  return request;
}

Signal signal_part(const wfs::SignalWithStartWorkflowExecutionRequest& from) {
  Signal signal{.name = from.signal_name(), .identity = from.identity(), .request_id = from.request_id()};
  if (from.has_signal_input()) signal.input = &from.signal_input();
  if (from.has_header()) signal.header = &from.header();
  signal.links = &from.links();
  return signal;
}

Decision answer_signalled(UnitDraft& unit, const RunDraft& run, const std::string& request_id, bool started) {
  wfs::SignalWithStartWorkflowExecutionResponse response;
  response.set_run_id(run.run_id());
  response.set_first_execution_run_id(run.start().first_run_id());
  response.set_started(started);
  link_to_request(unit.env(), run.start(), request_id, enums::EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
                  *response.mutable_signal_link());
  return unit.finish(std::move(response));
}

}  // namespace

Decision start_workflow(UnitDraft& unit, StartWorkflow command) {
  const wfs::StartWorkflowExecutionRequest& request = command.request;
  const Policies policies =
      policies_of(request.workflow_id_reuse_policy(), request.workflow_id_conflict_policy(),
                  enums::WORKFLOW_ID_CONFLICT_POLICY_FAIL);
  std::string run_id = unit.env().random.uuid();
  RunDraft* current = unit.current_run();
  if (!current) return begin(unit, request, std::move(run_id));
  if (current->start().request_id() == request.request_id()) return answer_repeat(unit, *current, request);
  if (!current->running()) {
    if (auto refused = refuse_reuse(unit, policies.reuse)) return UnitDraft::refuse(std::move(*refused));
    return begin(unit, request, std::move(run_id));
  }
  if (auto attached = answer_attached(unit, *current, request.request_id())) return std::move(*attached);
  switch (policies.conflict) {
    case enums::WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING: return use_existing(unit, *current, request);
    case enums::WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING:
      terminate_for_new_run(unit, *current, run_id);
      return begin(unit, request, std::move(run_id));
    default: return UnitDraft::refuse(already_started_error(unit, "Workflow execution is already running."));
  }
}

Decision signal_with_start(UnitDraft& unit, SignalWithStart command) {
  const auto& request = command.request;
  const Env& env = unit.env();
  const Policies policies =
      policies_of(request.workflow_id_reuse_policy(), request.workflow_id_conflict_policy(),
                  enums::WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING);
  if (policies.conflict == enums::WORKFLOW_ID_CONFLICT_POLICY_FAIL) {
    return UnitDraft::refuse(Error{
        Code::kInvalidArgument, "WorkflowIdConflictPolicy: FAIL cannot be used with SignalWithStart.", {}});
  }
  RunDraft* current = unit.current_run();
  const Signal signal = signal_part(request);
  std::string run_id = env.random.uuid();
  if (current && current->running()) {
    if (policies.conflict != enums::WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING) {
      if (current->state().request_ids.contains(request.request_id())) {
        return answer_signalled(unit, *current, request.request_id(), false);
      }
      if (auto refused = deliver_signal(*current, signal, env)) return UnitDraft::refuse(std::move(*refused));
      // A signal with start does not wait for the first backoff (TS-03).
      if (!current->state().has_pending_task()) schedule_workflow_task(*current, env);
      return answer_signalled(unit, *current, request.request_id(), false);
    }
    terminate_for_new_run(unit, *current, run_id);
  } else if (current) {
    if (current->start().request_id() == request.request_id()) {
      return answer_signalled(unit, *current, request.request_id(), true);
    }
    if (auto refused = refuse_reuse(unit, policies.reuse)) return UnitDraft::refuse(std::move(*refused));
  }
  RunDraft& run = begin_run(unit, new_run_from(start_part(request), std::move(run_id), env));
  if (auto refused = deliver_signal(run, signal, env)) return UnitDraft::refuse(std::move(*refused));
  schedule_first_task(run, env);
  return answer_signalled(unit, run, request.request_id(), true);
}

}  // namespace perdure::core
