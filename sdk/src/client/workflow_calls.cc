// The calls of workflow handles.
#include "sdk/src/client/calls.h"

namespace perdure {
inline namespace v1 {
namespace detail {

std::string start_workflow(Connection& connection, std::string_view type, const StartOptions& options,
                           Payloads arguments) {
  service::StartWorkflowExecutionRequest request;
  fill_start(connection, type, options, arguments, request);
  return translated({options.id, {}}, [&] {
    return connection.call<service::StartWorkflowExecutionResponse>("StartWorkflowExecution", request)
        .run_id();
  });
}

std::string signal_with_start(Connection& connection, std::string_view type, const StartOptions& options,
                              Payloads arguments, std::string_view signal, Payloads signal_arguments) {
  service::SignalWithStartWorkflowExecutionRequest request;
  fill_start(connection, type, options, arguments, request);
  request.set_signal_name(std::string(signal));
  connection.encode(signal_arguments, request.mutable_signal_input());
  return translated({options.id, {}}, [&] {
    return connection
        .call<service::SignalWithStartWorkflowExecutionResponse>("SignalWithStartWorkflowExecution", request)
        .run_id();
  });
}

void signal_workflow(Connection& connection, const ExecutionName& execution, std::string_view signal,
                     Payloads arguments) {
  service::SignalWorkflowExecutionRequest request;
  request.set_namespace_(connection.ns());
  name(execution, request.mutable_workflow_execution());
  request.set_signal_name(std::string(signal));
  connection.encode(arguments, request.mutable_input());
  request.set_identity(connection.identity());
  request.set_request_id(new_request_id());
  translated(execution, [&] {
    return connection.call<service::SignalWorkflowExecutionResponse>("SignalWorkflowExecution", request);
  });
}

Payloads query_workflow(Connection& connection, const ExecutionName& execution, std::string_view query,
                        Payloads arguments) {
  service::QueryWorkflowRequest request;
  request.set_namespace_(connection.ns());
  name(execution, request.mutable_execution());
  request.mutable_query()->set_query_type(std::string(query));
  connection.encode(arguments, request.mutable_query()->mutable_query_args());
  const auto response = translated(
      execution, [&] { return connection.call<service::QueryWorkflowResponse>("QueryWorkflow", request); });
  if (response.has_query_rejected())
    throw QueryRejected("the query was rejected: the workflow is not running");
  return connection.decode(response.query_result());
}

void cancel_workflow(Connection& connection, const ExecutionName& execution) {
  service::RequestCancelWorkflowExecutionRequest request;
  request.set_namespace_(connection.ns());
  name(execution, request.mutable_workflow_execution());
  request.set_identity(connection.identity());
  request.set_request_id(new_request_id());
  translated(execution, [&] {
    return connection.call<service::RequestCancelWorkflowExecutionResponse>("RequestCancelWorkflowExecution",
                                                                            request);
  });
}

void terminate_workflow(Connection& connection, const ExecutionName& execution, std::string_view reason) {
  service::TerminateWorkflowExecutionRequest request;
  request.set_namespace_(connection.ns());
  name(execution, request.mutable_workflow_execution());
  request.set_identity(connection.identity());
  request.set_reason(std::string(reason));
  translated(execution, [&] {
    return connection.call<service::TerminateWorkflowExecutionResponse>("TerminateWorkflowExecution",
                                                                        request);
  });
}

WorkflowDescription describe_workflow(Connection& connection, const ExecutionName& execution) {
  service::DescribeWorkflowExecutionRequest request;
  request.set_namespace_(connection.ns());
  name(execution, request.mutable_execution());
  const auto response = translated(execution, [&] {
    return connection.call<service::DescribeWorkflowExecutionResponse>("DescribeWorkflowExecution", request);
  });
  const auto& info = response.workflow_execution_info();
  WorkflowDescription description;
  description.id = info.execution().workflow_id();
  description.run_id = info.execution().run_id();
  description.type = info.type().name();
  description.task_queue = response.execution_config().task_queue().name();
  description.status = info.status();
  description.history_length = info.history_length();
  description.start_time = convert::from_wire(info.start_time());
  return description;
}

std::string fetch_history(Connection& connection, const ExecutionName& execution) {
  service::GetWorkflowExecutionHistoryRequest request;
  request.set_namespace_(connection.ns());
  name(execution, request.mutable_execution());
  temporal::api::history::v1::History all;
  do {
    auto page = translated(execution, [&] {
      return connection.call<service::GetWorkflowExecutionHistoryResponse>("GetWorkflowExecutionHistory",
                                                                           request);
    });
    connection.decode_all(*page.mutable_history());
    all.MergeFrom(page.history());
    request.set_next_page_token(page.next_page_token());
  } while (!request.next_page_token().empty());
  return all.SerializeAsString();
}

namespace {

// The close event of a run, waited for.
temporal::api::history::v1::HistoryEvent close_event(Connection& connection, const ExecutionName& execution) {
  service::GetWorkflowExecutionHistoryRequest request;
  request.set_namespace_(connection.ns());
  name(execution, request.mutable_execution());
  request.set_wait_new_event(true);
  request.set_history_event_filter_type(enums::HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT);
  for (;;) {
    const auto response = translated(execution, [&] {
      return connection.call<service::GetWorkflowExecutionHistoryResponse>(
          "GetWorkflowExecutionHistory", request, Connection::kLongPollTimeout);
    });
    if (response.history().events_size() > 0) {
      auto event = response.history().events(response.history().events_size() - 1);
      connection.decode_all(event);
      return event;
    }
    request.set_next_page_token(response.next_page_token());
  }
}

}  // namespace

Payloads workflow_result(Connection& connection, const ExecutionName& execution) {
  ExecutionName run = execution;
  for (;;) {
    const auto event = close_event(connection, run);
    std::string next;
    switch (event.event_type()) {
      case enums::EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: {
        const auto& completed = event.workflow_execution_completed_event_attributes();
        next = completed.new_execution_run_id();
        if (next.empty()) return convert::from_wire(completed.result());
        break;
      }
      case enums::EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: {
        const auto& failed = event.workflow_execution_failed_event_attributes();
        next = failed.new_execution_run_id();
        if (!next.empty()) break;
        const auto failure = convert::from_wire(failed.failure());
        throw WorkflowFailed("workflow '" + run.id + "' failed: " + describe(failure), failure);
      }
      case enums::EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
        next = event.workflow_execution_continued_as_new_event_attributes().new_execution_run_id();
        break;
      case enums::EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
        next = event.workflow_execution_timed_out_event_attributes().new_execution_run_id();
        if (next.empty()) throw WorkflowTimedOut("workflow '" + run.id + "' timed out");
        break;
      case enums::EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
        throw WorkflowCanceled("workflow '" + run.id + "' was cancelled");
      case enums::EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
        throw WorkflowTerminated("workflow '" + run.id + "' was terminated: " +
                                 event.workflow_execution_terminated_event_attributes().reason());
      default: throw Error("workflow '" + run.id + "' ended with an event that is not known");
    }
    run.run_id = next;
  }
}

}  // namespace detail
}  // namespace v1
}  // namespace perdure
