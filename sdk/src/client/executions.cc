// Calls that read what the server knows of workflows.
#include <google/protobuf/util/json_util.h>

#include "sdk/src/client/exchange.h"

namespace perdure {
inline namespace v1 {

std::string_view status_name(WorkflowStatus status) {
  static constexpr std::string_view kNames[] = {"Unspecified",    "Running",  "Completed",
                                                "Failed",         "Canceled", "Terminated",
                                                "ContinuedAsNew", "TimedOut", "Paused"};
  const auto index = static_cast<std::size_t>(status);
  return index < std::size(kNames) ? kNames[index] : "Unspecified";
}

std::string HistoryEvent::json() const {
  temporal::api::history::v1::HistoryEvent event;
  std::string text;
  if (!event.ParseFromString(bytes) || !google::protobuf::util::MessageToJsonString(event, &text).ok())
    throw PayloadError("not a history event");
  return text;
}

namespace detail {

namespace {

std::optional<TimePoint> time_in(bool set, const google::protobuf::Timestamp& time) {
  if (!set) return std::nullopt;
  return convert::from_wire(time);
}

template <class Fields>
std::map<std::string, Payload> fields_of(const Fields& fields) {
  std::map<std::string, Payload> all;
  for (const auto& [key, payload] : fields) all.emplace(key, convert::from_wire(payload));
  return all;
}

void read(const temporal::api::workflow::v1::WorkflowExecutionInfo& info, WorkflowExecution& out) {
  out.id = info.execution().workflow_id();
  out.run_id = info.execution().run_id();
  out.type = info.type().name();
  out.task_queue = info.task_queue();
  out.status = static_cast<WorkflowStatus>(info.status());
  out.start_time = convert::from_wire(info.start_time());
  out.execution_time = convert::from_wire(info.execution_time());
  out.close_time = time_in(info.has_close_time(), info.close_time());
  out.history_length = info.history_length();
  out.history_bytes = info.history_size_bytes();
  out.parent_id = info.parent_execution().workflow_id();
  out.parent_run_id = info.parent_execution().run_id();
  out.root_id = info.root_execution().workflow_id();
  out.root_run_id = info.root_execution().run_id();
  out.first_run_id = info.first_run_id();
  out.memo.fields() = fields_of(info.memo().fields());
  out.search_attributes.fields() = fields_of(info.search_attributes().indexed_fields());
}

PendingActivity read(const temporal::api::workflow::v1::PendingActivityInfo& info,
                     FailureConverter* failures) {
  PendingActivity activity;
  activity.id = info.activity_id();
  activity.type = info.activity_type().name();
  activity.state = static_cast<ActivityState>(info.state());
  activity.attempt = info.attempt();
  activity.maximum_attempts = info.maximum_attempts();
  if (info.has_last_failure()) activity.last_failure = convert::from_wire(info.last_failure(), failures);
  activity.last_heartbeat = convert::from_wire(info.heartbeat_details());
  activity.scheduled_time = time_in(info.has_scheduled_time(), info.scheduled_time());
  activity.last_started_time = time_in(info.has_last_started_time(), info.last_started_time());
  activity.last_heartbeat_time = time_in(info.has_last_heartbeat_time(), info.last_heartbeat_time());
  activity.next_attempt_time =
      time_in(info.has_next_attempt_schedule_time(), info.next_attempt_schedule_time());
  activity.last_worker = info.last_worker_identity();
  return activity;
}

// "EVENT_TYPE_TIMER_STARTED" is TimerStarted.
std::string short_name(const std::string& name) {
  static constexpr std::string_view kPrefix = "EVENT_TYPE_";
  std::string out;
  bool begins = true;
  for (const char c : std::string_view(name).substr(name.starts_with(kPrefix) ? kPrefix.size() : 0)) {
    if (c == '_') {
      begins = true;
    } else {
      out += begins || c < 'A' || c > 'Z' ? c : static_cast<char>(c - 'A' + 'a');
      begins = false;
    }
  }
  return out;
}

WorkflowDescription read(const Connection& connection, service::DescribeWorkflowExecutionResponse response) {
  connection.decode_all(response);
  WorkflowDescription description;
  read(response.workflow_execution_info(), description);
  const auto& config = response.execution_config();
  description.task_queue = config.task_queue().name();
  description.execution_timeout = convert::from_wire(config.workflow_execution_timeout());
  description.run_timeout = convert::from_wire(config.workflow_run_timeout());
  description.task_timeout = convert::from_wire(config.default_workflow_task_timeout());
  if (config.user_metadata().has_summary()) description.summary = text_of(config.user_metadata().summary());
  if (config.user_metadata().has_details()) description.details = text_of(config.user_metadata().details());
  for (const auto& activity : response.pending_activities())
    description.activities.push_back(read(activity, connection.failures().get()));
  for (const auto& child : response.pending_children())
    description.children.push_back({child.workflow_id(), child.run_id(), child.workflow_type_name()});
  if (response.has_pending_workflow_task())
    description.workflow_task_attempt = response.pending_workflow_task().attempt();
  return description;
}

Exchange<WorkflowDescription> describe_exchange(Connection& connection, const ExecutionName& execution) {
  service::DescribeWorkflowExecutionRequest request;
  request.set_namespace_(connection.ns());
  name(execution, request.mutable_execution());
  return exchange<service::DescribeWorkflowExecutionResponse>(
      "DescribeWorkflowExecution", request, execution,
      [&connection](const service::DescribeWorkflowExecutionResponse& response) {
        return read(connection, response);
      });
}

}  // namespace

WorkflowDescription describe_workflow(Connection& connection, const ExecutionName& execution) {
  return wait_for(connection, describe_exchange(connection, execution));
}
std::shared_ptr<PendingState> begin_describe(std::shared_ptr<Connection> connection,
                                             ExecutionName execution) {
  return begin(connection, [connection, execution] { return describe_exchange(*connection, execution); });
}

WorkflowRange list_workflows(std::shared_ptr<Connection> connection, std::string query) {
  return WorkflowRange(
      [connection = std::move(connection), query = std::move(query)](const std::string& token) {
        service::ListWorkflowExecutionsRequest request;
        request.set_namespace_(connection->ns());
        request.set_query(query);
        request.set_next_page_token(token);
        auto response =
            connection->call<service::ListWorkflowExecutionsResponse>("ListWorkflowExecutions", request);
        connection->decode_all(response);
        WorkflowRange::Page page;
        page.next = response.next_page_token();
        for (const auto& info : response.executions()) read(info, page.items.emplace_back());
        return page;
      });
}

WorkflowCount count_workflows(Connection& connection, const std::string& query) {
  service::CountWorkflowExecutionsRequest request;
  request.set_namespace_(connection.ns());
  request.set_query(query);
  const auto response =
      connection.call<service::CountWorkflowExecutionsResponse>("CountWorkflowExecutions", request);
  WorkflowCount count;
  count.count = response.count();
  for (const auto& group : response.groups()) {
    auto& one = count.groups.emplace_back();
    one.count = group.count();
    for (const auto& value : group.group_values()) one.values.push_back(convert::from_wire(value));
  }
  return count;
}

HistoryRange workflow_history(std::shared_ptr<Connection> connection, ExecutionName execution,
                              HistoryOptions options) {
  const auto fetch = [connection = std::move(connection), execution = std::move(execution),
                      options](const std::string& token) {
    service::GetWorkflowExecutionHistoryRequest request;
    request.set_namespace_(connection->ns());
    name(execution, request.mutable_execution());
    request.set_next_page_token(token);
    request.set_wait_new_event(options.wait);
    request.set_skip_archival(options.wait);
    if (options.close_event_only)
      request.set_history_event_filter_type(enums::HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT);
    auto response = translated(execution, [&] {
      return connection->call<service::GetWorkflowExecutionHistoryResponse>(
          "GetWorkflowExecutionHistory", request,
          options.wait ? Connection::kLongPollTimeout : Connection::kCallTimeout);
    });
    connection->decode_all(*response.mutable_history());
    HistoryRange::Page page;
    page.next = response.next_page_token();
    for (const auto& event : response.history().events()) {
      page.items.push_back({event.event_id(), short_name(enums::EventType_Name(event.event_type())),
                            convert::from_wire(event.event_time()), event.SerializeAsString()});
    }
    return page;
  };
  return HistoryRange(fetch);
}

}  // namespace detail
}  // namespace v1
}  // namespace perdure
