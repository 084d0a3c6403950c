// Every field of every request that is served: built, refused by name when set, or tolerated because SDKs send it unasked.
#include "server/frontend/request_shape.h"

namespace perdure::frontend {

namespace {

#define PERDURE_ACTIVITY_BY_TOKEN "task_token identity namespace"
#define PERDURE_WORKER_STAMPS "resource_id worker_version deployment deployment_options"
#define PERDURE_ACTIVITY_BY_ID "namespace workflow_id run_id activity_id identity"

const std::vector<RequestFields> kFields = {
    {"StartWorkflowExecutionRequest",
     "namespace workflow_id workflow_type task_queue input workflow_execution_timeout workflow_run_timeout workflow_task_timeout "
     "identity request_id workflow_id_reuse_policy workflow_id_conflict_policy retry_policy cron_schedule memo search_attributes "
     "header request_eager_execution workflow_start_delay user_metadata links on_conflict_options priority",
     "continued_failure last_completion_result completion_callbacks versioning_override time_skipping_config "
     "propagated_nexus_serialization_context",
     "eager_worker_deployment_options"},
    {"SignalWithStartWorkflowExecutionRequest",
     "namespace workflow_id workflow_type task_queue input workflow_execution_timeout workflow_run_timeout workflow_task_timeout "
     "identity request_id workflow_id_reuse_policy workflow_id_conflict_policy signal_name signal_input retry_policy "
     "cron_schedule memo search_attributes header workflow_start_delay user_metadata links priority",
     "versioning_override time_skipping_config", "control"},
    {"SignalWorkflowExecutionRequest",
     "namespace workflow_execution signal_name input identity request_id header links", "", "control"},
    {"RequestCancelWorkflowExecutionRequest",
     "namespace workflow_execution identity request_id first_execution_run_id reason links", "", ""},
    {"TerminateWorkflowExecutionRequest",
     "namespace workflow_execution reason details identity first_execution_run_id links", "", ""},
    {"DeleteWorkflowExecutionRequest", "namespace workflow_execution", "", ""},
    {"DescribeWorkflowExecutionRequest", "namespace execution", "", ""},
    {"ResetStickyTaskQueueRequest", "namespace execution", "", ""},
    {"GetWorkflowExecutionHistoryRequest",
     "namespace execution maximum_page_size next_page_token wait_new_event history_event_filter_type", "",
     "skip_archival"},
    {"GetWorkflowExecutionHistoryReverseRequest", "namespace execution maximum_page_size next_page_token", "",
     ""},
    {"QueryWorkflowRequest", "namespace execution query query_reject_condition", "", ""},
    {"PollWorkflowTaskQueueRequest",
     "namespace task_queue identity worker_instance_key binary_checksum worker_version_capabilities deployment_options",
     "", "poller_group_id worker_control_task_queue"},
    {"PollActivityTaskQueueRequest",
     "namespace task_queue identity worker_instance_key task_queue_metadata worker_version_capabilities deployment_options",
     "", "poller_group_id worker_control_task_queue"},
    {"RespondWorkflowTaskCompletedRequest",
     "task_token commands identity sticky_attributes return_new_workflow_task force_create_new_workflow_task binary_checksum "
     "query_results namespace worker_version_stamp sdk_metadata metering_metadata deployment_options",
     "messages versioning_behavior page_number intermediate_page",
     "resource_id capabilities deployment worker_instance_key worker_control_task_queue"},
    {"RespondWorkflowTaskFailedRequest",
     "task_token cause failure identity binary_checksum namespace worker_version", "messages",
     "resource_id deployment deployment_options"},
    {"RespondQueryTaskCompletedRequest",
     "task_token completed_type query_result error_message namespace failure cause", "", "poller_group_id"},
    {"RecordActivityTaskHeartbeatRequest", PERDURE_ACTIVITY_BY_TOKEN " details", "", "resource_id"},
    {"RespondActivityTaskCompletedRequest", PERDURE_ACTIVITY_BY_TOKEN " result", "", PERDURE_WORKER_STAMPS},
    {"RespondActivityTaskFailedRequest", PERDURE_ACTIVITY_BY_TOKEN " failure last_heartbeat_details", "",
     PERDURE_WORKER_STAMPS " cause"},
    {"RespondActivityTaskCanceledRequest", PERDURE_ACTIVITY_BY_TOKEN " details", "", PERDURE_WORKER_STAMPS},
    {"RecordActivityTaskHeartbeatByIdRequest", PERDURE_ACTIVITY_BY_ID " details", "", "resource_id"},
    {"RespondActivityTaskCompletedByIdRequest", PERDURE_ACTIVITY_BY_ID " result", "", "resource_id"},
    {"RespondActivityTaskFailedByIdRequest", PERDURE_ACTIVITY_BY_ID " failure last_heartbeat_details", "",
     "resource_id cause"},
    {"RespondActivityTaskCanceledByIdRequest", PERDURE_ACTIVITY_BY_ID " details", "",
     "resource_id deployment_options"},
    {"ShutdownWorkerRequest", "namespace sticky_task_queue identity worker_instance_key", "",
     "reason worker_heartbeat task_queue task_queue_types"},
    {"DescribeTaskQueueRequest",
     "namespace task_queue task_queue_type report_stats include_task_queue_status report_pollers api_mode",
     "versions task_queue_types report_task_reachability report_config", ""},
    {"RegisterNamespaceRequest",
     "namespace description owner_email workflow_execution_retention_period data history_archival_state "
     "visibility_archival_state clusters active_cluster_name",
     "is_global_namespace history_archival_uri visibility_archival_uri", "security_token"},
    {"DescribeNamespaceRequest", "namespace id", "", "weak_consistency"},
    {"UpdateNamespaceRequest", "namespace update_info config",
     "replication_config delete_bad_binary promote_namespace", "security_token"},
    {"ListNamespacesRequest", "page_size next_page_token namespace_filter", "", ""},
    {"ListWorkflowExecutionsRequest", "namespace page_size next_page_token query", "", ""},
    {"CountWorkflowExecutionsRequest", "namespace query", "", ""},
    {"AddSearchAttributesRequest", "search_attributes namespace", "", ""},
    {"ListSearchAttributesRequest", "namespace", "", ""},
    {"GetSystemInfoRequest", "", "", ""},
    {"GetClusterInfoRequest", "", "", ""},
    // Parts of requests.
    {"UpdateNamespaceInfo", "description owner_email data", "state", ""},
    {"NamespaceConfig", "workflow_execution_retention_ttl custom_search_attribute_aliases",
     "bad_binaries history_archival_uri visibility_archival_uri",
     "history_archival_state visibility_archival_state"},
    {"ContinueAsNewWorkflowExecutionCommandAttributes",
     "workflow_type task_queue input workflow_run_timeout workflow_task_timeout backoff_start_interval retry_policy initiator "
     "failure last_completion_result cron_schedule header memo search_attributes",
     "initial_versioning_behavior", "inherit_build_id"},
    {"ScheduleActivityTaskCommandAttributes",
     "activity_id activity_type task_queue header input schedule_to_close_timeout schedule_to_start_timeout "
     "start_to_close_timeout heartbeat_timeout retry_policy request_eager_execution priority",
     "", "use_workflow_build_id"},
};

}  // namespace

const std::vector<RequestFields>& request_fields() {
  return kFields;
}

}  // namespace perdure::frontend
