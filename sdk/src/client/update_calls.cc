// Updates from the client's side: sent until the stage that is wanted is reached, polled for their outcome.
#include "sdk/src/client/exchange.h"

#include <temporal/api/failure/v1/message.pb.h>

namespace perdure {
inline namespace v1 {
namespace detail {

namespace {

UpdateOutcome read(Connection& connection, temporal::api::update::v1::Outcome outcome) {
  connection.decode_all(outcome);
  if (outcome.has_failure()) return {{}, convert::from_wire(outcome.failure(), connection.failures().get())};
  return {convert::from_wire(outcome.success()), nullptr};
}

void fill_update(Connection& connection, const UpdateName& update, std::string_view handler,
                 const Payloads& arguments, const Headers& headers, UpdateStage stage,
                 service::UpdateWorkflowExecutionRequest& request) {
  request.set_namespace_(connection.ns());
  name({update.workflow_id, update.run_id}, request.mutable_workflow_execution());
  request.mutable_wait_policy()->set_lifecycle_stage(
      static_cast<enums::UpdateWorkflowExecutionLifecycleStage>(stage));
  auto* meta = request.mutable_request()->mutable_meta();
  meta->set_update_id(update.id);
  meta->set_identity(connection.identity());
  auto* input = request.mutable_request()->mutable_input();
  input->set_name(std::string(handler));
  connection.encode(arguments, input->mutable_args());
  put_headers(headers, input);
}

bool reached(const service::UpdateWorkflowExecutionResponse& response, UpdateStage stage) {
  return response.has_outcome() || static_cast<int>(response.stage()) >= static_cast<int>(stage);
}

SentUpdate sent(Connection& connection, UpdateName update,
                const service::UpdateWorkflowExecutionResponse& response) {
  update.run_id = response.update_ref().workflow_execution().run_id();
  SentUpdate result{std::move(update), std::nullopt};
  if (response.has_outcome()) result.outcome = read(connection, response.outcome());
  return result;
}

struct Sending {
  UpdateName update;
  std::string handler;
  Payloads arguments;
  UpdateStage stage{};
};

// The server answers after a while even if the stage is not reached.
Exchange<SentUpdate> update_exchange(Connection& connection, const Sending& sending, const Headers& headers) {
  service::UpdateWorkflowExecutionRequest request;
  fill_update(connection, sending.update, sending.handler, sending.arguments, headers, sending.stage,
              request);
  return {"UpdateWorkflowExecution", request.SerializeAsString(),
          [&connection, update = sending.update, stage = sending.stage](
              const client::Reply& reply, std::string&) -> std::optional<SentUpdate> {
            const auto response = translated({update.workflow_id, update.run_id}, [&] {
              return response_in<service::UpdateWorkflowExecutionResponse>(reply);
            });
            if (!reached(response, stage)) return std::nullopt;
            return sent(connection, update, response);
          },
          Connection::kLongPollTimeout};
}

// The server could not do one of the two: its error is that of the one which is to blame.
[[noreturn]] void rethrow_multi(const std::string& workflow_id, const RpcError& error) {
  temporal::api::errordetails::v1::MultiOperationExecutionFailure failure;
  if (has_detail(error, &failure)) {
    for (const auto& status : failure.statuses()) {
      if (status.code() == 0 || status.code() == static_cast<int>(base::Code::kAborted)) continue;
      google::rpc::Status one;
      one.set_code(status.code());
      one.set_message(status.message());
      *one.mutable_details() = status.details();
      translated({workflow_id, {}},
                 [&]() -> int { throw RpcError(status.code(), status.message(), one.SerializeAsString()); });
    }
  }
  throw error;
}

}  // namespace

SentUpdate send_update(Connection& connection, UpdateName update, std::string_view handler,
                       Payloads arguments, UpdateStage stage) {
  Sending sending{std::move(update), std::string(handler), std::move(arguments), stage};
  if (sending.update.id.empty()) sending.update.id = new_request_id();
  ClientCall call{ClientVerb::kUpdate, sending.update.workflow_id, sending.handler, &sending.arguments, {}};
  return intercepted(connection, std::move(call), [&](const Headers& headers) {
    return wait_for(connection, update_exchange(connection, sending, headers));
  });
}

std::shared_ptr<PendingState> begin_update(std::shared_ptr<Connection> connection, UpdateName update,
                                           std::string_view handler, Payloads arguments) {
  Sending sending{std::move(update), std::string(handler), std::move(arguments), UpdateStage::kCompleted};
  sending.update.id = new_request_id();
  auto state = std::make_shared<PendingState>();
  begin_for(
      state, connection, [connection, sending] { return update_exchange(*connection, sending, {}); },
      [connection, sending] {
        return send_update(*connection, sending.update, sending.handler, sending.arguments, sending.stage);
      },
      [connection, state](const SentUpdate& sent) {
        if (!sent.outcome) throw Error("the server says that an update has ended, and not how");
        state->set(std::make_shared<Payloads>(update_result(sent.name, *sent.outcome)));
      });
  return state;
}

SentUpdate update_with_start(Connection& connection, std::string_view type, const StartOptions& options,
                             Payloads arguments, std::string update_id, std::string_view handler,
                             Payloads update_arguments, UpdateStage stage) {
  const UpdateName update{options.id, {}, update_id.empty() ? new_request_id() : std::move(update_id)};
  ClientCall call{ClientVerb::kUpdateWithStart, options.id, std::string(handler), &update_arguments, {}};
  return intercepted(connection, std::move(call), [&](const Headers& headers) {
    service::ExecuteMultiOperationRequest request;
    request.set_namespace_(connection.ns());
    auto* start = request.add_operations()->mutable_start_workflow();
    fill_start(connection, type, options, arguments, *start);
    put_headers(headers, start);
    fill_update(connection, update, handler, update_arguments, headers, stage,
                *request.add_operations()->mutable_update_workflow());
    for (;;) {
      service::ExecuteMultiOperationResponse response;
      try {
        response = connection.call<service::ExecuteMultiOperationResponse>("ExecuteMultiOperation", request,
                                                                           Connection::kLongPollTimeout);
      } catch (const RpcError& error) {
        rethrow_multi(options.id, error);
      }
      if (response.responses_size() < 2) throw Error("the server answered an update-with-start by half");
      const auto& updated = response.responses(1).update_workflow();
      if (reached(updated, stage)) return sent(connection, update, updated);
    }
  });
}

UpdateOutcome wait_for_update(Connection& connection, const UpdateName& update) {
  service::PollWorkflowExecutionUpdateRequest request;
  request.set_namespace_(connection.ns());
  request.set_identity(connection.identity());
  name({update.workflow_id, update.run_id}, request.mutable_update_ref()->mutable_workflow_execution());
  request.mutable_update_ref()->set_update_id(update.id);
  request.mutable_wait_policy()->set_lifecycle_stage(
      enums::UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED);
  for (;;) {
    const auto response = translated({update.workflow_id, update.run_id}, [&] {
      return connection.call<service::PollWorkflowExecutionUpdateResponse>(
          "PollWorkflowExecutionUpdate", request, Connection::kLongPollTimeout);
    });
    if (response.has_outcome()) return read(connection, response.outcome());
  }
}

Payloads update_result(const UpdateName& update, UpdateOutcome outcome) {
  if (!outcome.failure) return std::move(outcome.result);
  throw UpdateFailed("update '" + update.id + "' of workflow '" + update.workflow_id +
                         "' failed: " + describe(outcome.failure),
                     outcome.failure);
}

}  // namespace detail
}  // namespace v1
}  // namespace perdure
