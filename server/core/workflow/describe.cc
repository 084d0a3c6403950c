#include "server/core/workflow/describe.h"

#include "server/core/errors.h"
#include "server/core/limits/search_attributes.h"

namespace perdure::core {
namespace {

namespace workflow = ::temporal::api::workflow::v1;

// seconds: how "no time" is written where a field must be present
constexpr std::int64_t kYearOne = -62'135'596'800;

// What lists and Describe have in common.
workflow::WorkflowExecutionInfo basic_info(const RunState& run) {
  const pb::RunStart& start = *run.start;
  const pb::RunProgress& now = run.progress;
  workflow::WorkflowExecutionInfo info;
  info.mutable_execution()->set_workflow_id(start.workflow_id());
  info.mutable_execution()->set_run_id(start.run_id());
  info.mutable_type()->set_name(start.workflow_type());
  info.set_task_queue(start.task_queue());
  info.set_status(static_cast<enums::WorkflowExecutionStatus>(now.status()));
  assign(info.mutable_start_time(), start.start_time());
  assign(info.mutable_execution_time(), start.execution_time());
  *info.mutable_root_execution() = info.execution();
  info.mutable_memo();
  info.mutable_search_attributes();
  if (run.attributes) *info.mutable_memo() = run.attributes->memo();
  if (now.close_time() != 0) {
    assign(info.mutable_close_time(), now.close_time());
    assign(info.mutable_execution_duration(),
           std::max<std::int64_t>(now.close_time() - start.execution_time(), 0));
  }
  return info;
}

void set_sizes(workflow::WorkflowExecutionInfo& info, const RunState& run) {
  info.set_history_length(run.progress.next_event_id() - 1);
  info.set_history_size_bytes(run.progress.history_size());
  info.set_state_transition_count(run.progress.state_transitions());
}

workflow::WorkflowExecutionConfig config_of(const RunState& run) {
  const pb::RunStart& start = *run.start;
  workflow::WorkflowExecutionConfig config;
  config.mutable_task_queue()->set_name(start.task_queue());
  config.mutable_task_queue()->set_kind(enums::TASK_QUEUE_KIND_NORMAL);
  assign(config.mutable_default_workflow_task_timeout(), start.task_timeout());
  if (start.run_timeout() != 0) assign(config.mutable_workflow_run_timeout(), start.run_timeout());
  if (start.execution_timeout() != 0)
    assign(config.mutable_workflow_execution_timeout(), start.execution_timeout());
  if (start.has_user_metadata()) *config.mutable_user_metadata() = start.user_metadata();
  return config;
}

workflow::WorkflowExecutionExtendedInfo extended_info_of(const RunState& run) {
  const pb::RunStart& start = *run.start;
  workflow::WorkflowExecutionExtendedInfo info;
  assign(info.mutable_original_start_time(), start.start_time());
  if (start.run_expiration() != 0) {
    assign(info.mutable_run_expiration_time(), start.run_expiration());
  } else {
    info.mutable_run_expiration_time()->set_seconds(kYearOne);
  }
  if (start.execution_expiration() != 0)
    assign(info.mutable_execution_expiration_time(), start.execution_expiration());
  info.set_cancel_requested(run.progress.cancel_requested());
  run.request_ids.each([&](const std::string& id, const auto& request) {
    auto& to = (*info.mutable_request_id_infos())[id];
    to.set_event_type(static_cast<enums::EventType>(request->event_type()));
    to.set_event_id(request->event_id());
    to.set_buffered(request->buffered());
  });
  return info;
}

workflow::PendingWorkflowTaskInfo pending_task_of(const pb::WorkflowTask& task) {
  workflow::PendingWorkflowTaskInfo info;
  info.set_attempt(task.attempt());
  assign(info.mutable_original_scheduled_time(),
         task.original_scheduled_time() != 0 ? task.original_scheduled_time() : task.scheduled_time());
  assign(info.mutable_scheduled_time(), task.scheduled_time());
  if (task.started_id() == 0) {
    info.set_state(enums::PENDING_WORKFLOW_TASK_STATE_SCHEDULED);
  } else {
    info.set_state(enums::PENDING_WORKFLOW_TASK_STATE_STARTED);
    assign(info.mutable_started_time(), task.started_time());
  }
  return info;
}

enums::PendingActivityState state_of(const pb::Activity& activity) {
  if (activity.cancel_requested()) return enums::PENDING_ACTIVITY_STATE_CANCEL_REQUESTED;
  return activity.started_time() != 0 ? enums::PENDING_ACTIVITY_STATE_STARTED
                                      : enums::PENDING_ACTIVITY_STATE_SCHEDULED;
}

temporal::api::activity::v1::ActivityOptions options_of(const pb::Activity& activity) {
  temporal::api::activity::v1::ActivityOptions options;
  options.mutable_task_queue()->set_name(activity.task_queue());
  options.mutable_task_queue()->set_normal_name(activity.task_queue());
  assign(options.mutable_schedule_to_close_timeout(), activity.schedule_to_close_timeout());
  assign(options.mutable_schedule_to_start_timeout(), activity.schedule_to_start_timeout());
  assign(options.mutable_start_to_close_timeout(), activity.start_to_close_timeout());
  assign(options.mutable_heartbeat_timeout(), activity.heartbeat_timeout());
  if (activity.has_retry_policy()) *options.mutable_retry_policy() = activity.retry_policy();
  if (activity.has_priority()) *options.mutable_priority() = activity.priority();
  return options;
}

workflow::PendingActivityInfo pending_activity_of(const pb::Activity& activity) {
  workflow::PendingActivityInfo info;
  info.set_activity_id(activity.activity_id());
  info.mutable_activity_type()->set_name(activity.type());
  info.set_state(state_of(activity));
  info.set_attempt(activity.attempt());
  info.set_maximum_attempts(activity.retry_policy().maximum_attempts());
  assign(info.mutable_scheduled_time(), activity.first_scheduled_time());
  info.set_last_worker_identity(activity.last_worker_identity());
  if (activity.has_last_failure()) *info.mutable_last_failure() = activity.last_failure();
  if (activity.has_heartbeat_details()) *info.mutable_heartbeat_details() = activity.heartbeat_details();
  if (activity.last_heartbeat_time() != 0)
    assign(info.mutable_last_heartbeat_time(), activity.last_heartbeat_time());
  if (activity.last_attempt_complete_time() != 0) {
    assign(info.mutable_last_attempt_complete_time(), activity.last_attempt_complete_time());
  }
  if (activity.started_time() != 0) {
    assign(info.mutable_last_started_time(), activity.started_time());
  } else if (activity.waiting_for_retry()) {
    assign(info.mutable_next_attempt_schedule_time(), activity.scheduled_time());
    assign(info.mutable_current_retry_interval(), activity.current_retry_interval());
  }
  if (activity.has_priority()) *info.mutable_priority() = activity.priority();
  *info.mutable_activity_options() = options_of(activity);
  return info;
}

}  // namespace

Decision describe_workflow(UnitDraft& unit, DescribeWorkflow command) {
  const RunDraft* draft = unit.find_run(command.run_id);
  if (!draft) return UnitDraft::refuse(workflow_not_found(unit.loaded().workflow_id, command.run_id));
  const RunState& run = draft->state();
  wfs::DescribeWorkflowExecutionResponse response;
  *response.mutable_execution_config() = config_of(run);
  workflow::WorkflowExecutionInfo& info = *response.mutable_workflow_execution_info();
  info = basic_info(run);
  set_sizes(info, run);
  info.set_first_run_id(run.start->first_run_id());
  info.mutable_auto_reset_points();
  if (run.attributes) {
    *info.mutable_auto_reset_points() = run.attributes->auto_reset_points();
    *info.mutable_search_attributes() = run.attributes->search_attributes();
  }
  if (run.start->has_priority()) *info.mutable_priority() = run.start->priority();
  *response.mutable_workflow_extended_info() = extended_info_of(run);
  if (run.has_pending_task())
    *response.mutable_pending_workflow_task() = pending_task_of(run.progress.task());
  run.activities.each([&](std::int64_t, const auto& activity) {
    *response.add_pending_activities() = pending_activity_of(*activity);
  });
  return unit.finish(std::move(response));
}

void report_quarantine(workflow::WorkflowExecutionInfo& info, const std::string& why) {
  auto& value = (*info.mutable_search_attributes()->mutable_indexed_fields())["TemporalReportedProblems"];
  value = keyword_list({"category=Quarantined", "cause=" + why});
}

workflow::WorkflowExecutionInfo visibility_info(const RunState& run) {
  workflow::WorkflowExecutionInfo info = basic_info(run);
  if (!run.running()) set_sizes(info, run);
  if (run.attributes) {
    for (const auto& [name, value] : run.attributes->search_attributes().indexed_fields()) {
      (*info.mutable_search_attributes()->mutable_indexed_fields())[name] = listed(value);
    }
  }
  return info;
}

}  // namespace perdure::core
