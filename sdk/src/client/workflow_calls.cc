// The calls of workflow handles.
#include "sdk/src/client/exchange.h"

namespace perdure {
inline namespace v1 {
namespace detail {

// ---- what is said, and what is heard

namespace {

struct Start {
  std::string type;
  StartOptions options;
  Payloads arguments;
};

Exchange<std::string> start_exchange(Connection& connection, const Start& start, const Headers& headers) {
  service::StartWorkflowExecutionRequest request;
  fill_start(connection, start.type, start.options, start.arguments, request);
  put_headers(headers, &request);
  return exchange<service::StartWorkflowExecutionResponse>(
      "StartWorkflowExecution", request, {start.options.id, {}},
      [](const service::StartWorkflowExecutionResponse& response) { return response.run_id(); });
}

// A message to a workflow: a signal, or a query.
struct Message {
  ExecutionName execution;
  std::string name;
  Payloads arguments;
};

Exchange<Unit> signal_exchange(Connection& connection, const Message& signal, const Headers& headers) {
  service::SignalWorkflowExecutionRequest request;
  request.set_namespace_(connection.ns());
  name(signal.execution, request.mutable_workflow_execution());
  request.set_signal_name(signal.name);
  connection.encode(signal.arguments, request.mutable_input());
  put_headers(headers, &request);
  request.set_identity(connection.identity());
  request.set_request_id(new_request_id());
  return exchange<service::SignalWorkflowExecutionResponse>(
      "SignalWorkflowExecution", request, signal.execution,
      nothing_in<service::SignalWorkflowExecutionResponse>);
}

Exchange<Payloads> query_exchange(Connection& connection, const Message& query, const Headers& headers) {
  service::QueryWorkflowRequest request;
  request.set_namespace_(connection.ns());
  name(query.execution, request.mutable_execution());
  request.mutable_query()->set_query_type(query.name);
  connection.encode(query.arguments, request.mutable_query()->mutable_query_args());
  put_headers(headers, request.mutable_query());
  return exchange<service::QueryWorkflowResponse>(
      "QueryWorkflow", request, query.execution,
      [&connection](const service::QueryWorkflowResponse& response) {
        if (response.has_query_rejected())
          throw QueryRejected("the query was rejected: the workflow is not running");
        return connection.decode(response.query_result());
      });
}

Exchange<Unit> cancel_exchange(Connection& connection, const ExecutionName& execution) {
  service::RequestCancelWorkflowExecutionRequest request;
  request.set_namespace_(connection.ns());
  name(execution, request.mutable_workflow_execution());
  request.set_identity(connection.identity());
  request.set_request_id(new_request_id());
  return exchange<service::RequestCancelWorkflowExecutionResponse>(
      "RequestCancelWorkflowExecution", request, execution,
      nothing_in<service::RequestCancelWorkflowExecutionResponse>);
}

Exchange<Unit> terminate_exchange(Connection& connection, const ExecutionName& execution,
                                  std::string_view reason) {
  service::TerminateWorkflowExecutionRequest request;
  request.set_namespace_(connection.ns());
  name(execution, request.mutable_workflow_execution());
  request.set_identity(connection.identity());
  request.set_reason(std::string(reason));
  return exchange<service::TerminateWorkflowExecutionResponse>(
      "TerminateWorkflowExecution", request, execution,
      nothing_in<service::TerminateWorkflowExecutionResponse>);
}

// The event that ends a run.
std::string close_event_request(const Connection& connection, const ExecutionName& execution,
                                const std::string& page_token) {
  service::GetWorkflowExecutionHistoryRequest request;
  request.set_namespace_(connection.ns());
  name(execution, request.mutable_execution());
  request.set_wait_new_event(true);
  request.set_history_event_filter_type(enums::HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT);
  request.set_next_page_token(page_token);
  return request.SerializeAsString();
}

// What that event says: the result, or the run that follows. Throws the failure.
struct WorkflowEnd {
  Payloads result;
  std::string next_run;
};
WorkflowEnd end_of_workflow(const Connection& connection, const std::string& id,
                            const temporal::api::history::v1::HistoryEvent& event) {
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
      const auto failure = convert::from_wire(failed.failure(), connection.failures().get());
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

// Waits for the end of a workflow, run after run, one long poll after another.
Exchange<Payloads> result_exchange(Connection& connection, ExecutionName run) {
  Exchange<Payloads> exchange{"GetWorkflowExecutionHistory",
                              close_event_request(connection, run, {}),
                              {},
                              Connection::kLongPollTimeout};
  exchange.read = [&connection, run](const client::Reply& reply, std::string& request) mutable {
    std::optional<Payloads> answer;
    if (!reply && reply.error().code == base::Code::kDeadlineExceeded) return answer;
    const auto response =
        translated(run, [&] { return response_in<service::GetWorkflowExecutionHistoryResponse>(reply); });
    if (response.history().events().empty()) {
      request = close_event_request(connection, run, response.next_page_token());
      return answer;
    }
    auto event = response.history().events(response.history().events_size() - 1);
    connection.decode_all(event);
    WorkflowEnd end = end_of_workflow(connection, run.id, event);
    if (end.next_run.empty()) {
      answer = std::move(end.result);
    } else {
      run.run_id = end.next_run;
      request = close_event_request(connection, run, {});
    }
    return answer;
  };
  return exchange;
}

}  // namespace

// ---- the verbs that block

std::string start_workflow(Connection& connection, std::string_view type, const StartOptions& options,
                           Payloads arguments) {
  Start start{std::string(type), options, std::move(arguments)};
  ClientCall call{ClientVerb::kStart, options.id, start.type, &start.arguments, {}};
  return intercepted(connection, std::move(call), [&](const Headers& headers) {
    return wait_for(connection, start_exchange(connection, start, headers));
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

void signal_workflow(Connection& connection, const ExecutionName& execution, std::string_view name,
                     Payloads arguments) {
  Message signal{execution, std::string(name), std::move(arguments)};
  ClientCall call{ClientVerb::kSignal, execution.id, signal.name, &signal.arguments, {}};
  (void)intercepted(connection, std::move(call), [&](const Headers& headers) {
    return wait_for(connection, signal_exchange(connection, signal, headers));
  });
}

Payloads query_workflow(Connection& connection, const ExecutionName& execution, std::string_view name,
                        Payloads arguments) {
  Message query{execution, std::string(name), std::move(arguments)};
  ClientCall call{ClientVerb::kQuery, execution.id, query.name, &query.arguments, {}};
  return intercepted(connection, std::move(call), [&](const Headers& headers) {
    return wait_for(connection, query_exchange(connection, query, headers));
  });
}

void cancel_workflow(Connection& connection, const ExecutionName& execution) {
  (void)wait_for(connection, cancel_exchange(connection, execution));
}

void terminate_workflow(Connection& connection, const ExecutionName& execution, std::string_view reason) {
  (void)wait_for(connection, terminate_exchange(connection, execution, reason));
}

Payloads workflow_result(Connection& connection, const ExecutionName& execution) {
  return wait_for(connection, result_exchange(connection, execution));
}

// ---- those that do not

std::shared_ptr<PendingState> begin_start(std::shared_ptr<Connection> connection, std::string_view type,
                                          StartOptions options, Payloads arguments) {
  const Start start{std::string(type), std::move(options), std::move(arguments)};
  return begin(
      connection, [connection, start] { return start_exchange(*connection, start, {}); },
      [connection, start] {
        return start_workflow(*connection, start.type, start.options, start.arguments);
      });
}

std::shared_ptr<PendingState> begin_signal(std::shared_ptr<Connection> connection, ExecutionName execution,
                                           std::string_view name, Payloads arguments) {
  const Message signal{std::move(execution), std::string(name), std::move(arguments)};
  return begin(
      connection, [connection, signal] { return signal_exchange(*connection, signal, {}); },
      [connection, signal] {
        signal_workflow(*connection, signal.execution, signal.name, signal.arguments);
        return Unit();
      });
}

std::shared_ptr<PendingState> begin_query(std::shared_ptr<Connection> connection, ExecutionName execution,
                                          std::string_view name, Payloads arguments) {
  const Message query{std::move(execution), std::string(name), std::move(arguments)};
  return begin(
      connection, [connection, query] { return query_exchange(*connection, query, {}); },
      [connection, query] {
        return query_workflow(*connection, query.execution, query.name, query.arguments);
      });
}

std::shared_ptr<PendingState> begin_cancel(std::shared_ptr<Connection> connection, ExecutionName execution) {
  return begin(connection, [connection, execution] { return cancel_exchange(*connection, execution); });
}

std::shared_ptr<PendingState> begin_terminate(std::shared_ptr<Connection> connection, ExecutionName execution,
                                              std::string reason) {
  return begin(connection, [connection, execution, reason] {
    return terminate_exchange(*connection, execution, reason);
  });
}

std::shared_ptr<PendingState> begin_result(std::shared_ptr<Connection> connection, ExecutionName execution) {
  return begin(connection, [connection, execution] { return result_exchange(*connection, execution); });
}

std::shared_ptr<PendingState> begin_execute(std::shared_ptr<Connection> connection, std::string_view type,
                                            StartOptions options, Payloads arguments) {
  const Start start{std::string(type), std::move(options), std::move(arguments)};
  auto state = std::make_shared<PendingState>();
  begin_for(
      state, connection, [connection, start] { return start_exchange(*connection, start, {}); },
      [connection, start] { return start_workflow(*connection, start.type, start.options, start.arguments); },
      [connection, state, id = start.options.id](const std::string& run_id) {
        begin_for(state, connection,
                  [connection, id, run_id] { return result_exchange(*connection, {id, run_id}); });
      });
  return state;
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

}  // namespace detail
}  // namespace v1
}  // namespace perdure
