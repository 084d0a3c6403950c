// The calls of workflow handles.
#include "sdk/src/client/calls.h"

namespace perdure {
inline namespace v1 {
namespace detail {

std::string start_workflow(Connection& connection, std::string_view type, const StartOptions& options,
                           Payloads arguments) {
  ClientCall call{ClientVerb::kStart, options.id, std::string(type), &arguments, {}};
  return intercepted(connection, std::move(call), [&](const Headers& headers) {
    service::StartWorkflowExecutionRequest request;
    fill_start(connection, type, options, arguments, request);
    put_headers(headers, &request);
    return translated({options.id, {}}, [&] {
      return connection.call<service::StartWorkflowExecutionResponse>("StartWorkflowExecution", request)
          .run_id();
    });
  });
}

std::string signal_with_start(Connection& connection, std::string_view type, const StartOptions& options,
                              Payloads arguments, std::string_view signal, Payloads signal_arguments) {
  ClientCall call{ClientVerb::kSignalWithStart, options.id, std::string(signal), &signal_arguments, {}};
  return intercepted(connection, std::move(call), [&](const Headers& headers) {
    service::SignalWithStartWorkflowExecutionRequest request;
    fill_start(connection, type, options, arguments, request);
    request.set_signal_name(std::string(signal));
    connection.encode(signal_arguments, request.mutable_signal_input());
    put_headers(headers, &request);
    return translated({options.id, {}}, [&] {
      return connection
          .call<service::SignalWithStartWorkflowExecutionResponse>("SignalWithStartWorkflowExecution",
                                                                   request)
          .run_id();
    });
  });
}

void signal_workflow(Connection& connection, const ExecutionName& execution, std::string_view signal,
                     Payloads arguments) {
  ClientCall call{ClientVerb::kSignal, execution.id, std::string(signal), &arguments, {}};
  (void)intercepted(connection, std::move(call), [&](const Headers& headers) {
    service::SignalWorkflowExecutionRequest request;
    request.set_namespace_(connection.ns());
    name(execution, request.mutable_workflow_execution());
    request.set_signal_name(std::string(signal));
    connection.encode(arguments, request.mutable_input());
    put_headers(headers, &request);
    request.set_identity(connection.identity());
    request.set_request_id(new_request_id());
    return translated(execution, [&] {
      return connection.call<service::SignalWorkflowExecutionResponse>("SignalWorkflowExecution", request);
    });
  });
}

Payloads query_workflow(Connection& connection, const ExecutionName& execution, std::string_view query,
                        Payloads arguments) {
  ClientCall call{ClientVerb::kQuery, execution.id, std::string(query), &arguments, {}};
  const auto response = intercepted(connection, std::move(call), [&](const Headers& headers) {
    service::QueryWorkflowRequest request;
    request.set_namespace_(connection.ns());
    name(execution, request.mutable_execution());
    request.mutable_query()->set_query_type(std::string(query));
    connection.encode(arguments, request.mutable_query()->mutable_query_args());
    put_headers(headers, request.mutable_query());
    return translated(
        execution, [&] { return connection.call<service::QueryWorkflowResponse>("QueryWorkflow", request); });
  });
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

service::GetWorkflowExecutionHistoryRequest close_event_request(const Connection& connection,
                                                                const ExecutionName& execution,
                                                                const std::string& page_token) {
  service::GetWorkflowExecutionHistoryRequest request;
  request.set_namespace_(connection.ns());
  name(execution, request.mutable_execution());
  request.set_wait_new_event(true);
  request.set_history_event_filter_type(enums::HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT);
  request.set_next_page_token(page_token);
  return request;
}

WorkflowEnd end_of_workflow(const std::string& id, const temporal::api::history::v1::HistoryEvent& event) {
  const std::string workflow = "workflow '" + id + "'";
  WorkflowEnd end;
  switch (event.event_type()) {
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: {
      const auto& completed = event.workflow_execution_completed_event_attributes();
      end.next_run = completed.new_execution_run_id();
      end.result = convert::from_wire(completed.result());
      return end;
    }
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: {
      const auto& failed = event.workflow_execution_failed_event_attributes();
      end.next_run = failed.new_execution_run_id();
      if (!end.next_run.empty()) return end;
      const auto failure = convert::from_wire(failed.failure());
      throw WorkflowFailed(workflow + " failed: " + describe(failure), failure);
    }
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
      end.next_run = event.workflow_execution_continued_as_new_event_attributes().new_execution_run_id();
      return end;
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
      end.next_run = event.workflow_execution_timed_out_event_attributes().new_execution_run_id();
      if (end.next_run.empty()) throw WorkflowTimedOut(workflow + " timed out");
      return end;
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: throw WorkflowCanceled(workflow + " was cancelled");
    case enums::EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
      throw WorkflowTerminated(
          workflow + " was terminated: " + event.workflow_execution_terminated_event_attributes().reason());
    default: throw Error(workflow + " ended with an event that is not known");
  }
}

Payloads workflow_result(Connection& connection, const ExecutionName& execution) {
  ExecutionName run = execution;
  std::string page_token;
  for (;;) {
    const auto response = translated(run, [&] {
      return connection.call<service::GetWorkflowExecutionHistoryResponse>(
          "GetWorkflowExecutionHistory", close_event_request(connection, run, page_token),
          Connection::kLongPollTimeout);
    });
    page_token = response.next_page_token();
    if (response.history().events().empty()) continue;
    auto event = response.history().events(response.history().events_size() - 1);
    connection.decode_all(event);
    WorkflowEnd end = end_of_workflow(run.id, event);
    if (end.next_run.empty()) return std::move(end.result);
    run.run_id = end.next_run;
    page_token.clear();
  }
}

}  // namespace detail
}  // namespace v1
}  // namespace perdure
