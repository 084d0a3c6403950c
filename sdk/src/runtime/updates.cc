// Updates: asked of the workflow's code, answered by messages whose place among the commands history keeps.
#include "sdk/src/payload/convert.h"
#include "sdk/src/runtime/run.h"

namespace perdure {
inline namespace v1 {
namespace detail {

namespace api = temporal::api;
using replay::CommandKind;

namespace {

std::shared_ptr<const replay::Message> make_message(const std::string& instance_id, const char* what,
                                                    const google::protobuf::Message& body) {
  auto message = std::make_shared<replay::Message>();
  message->set_protocol_instance_id(instance_id);
  message->set_id(instance_id + "/" + what);
  message->mutable_body()->PackFrom(body);
  return message;
}

}  // namespace

void Run::update(const replay::Update& update) {
  const auto& input = update.request.input();
  WorkflowCall call{InboundKind::kValidator, input.name(), convert::from_wire(input.args()),
                    convert::from_wire(input.header())};
  HandlerCall<Payload> handler;
  bool known = false;
  const auto make = [&] {
    known = instance_->update(call.name, context(), call.arguments, !update.accepted, handler);
    return encode_nothing();
  };
  try {
    reading_ = !update.accepted;
    update.accepted ? (void)make() : (void)look(0, call, make);
    reading_ = false;
    if (!known) throw ApplicationFailure(unknown_update(call.name));
  } catch (...) {
    reading_ = false;
    if (!update.accepted) return reject_update(update, std::current_exception());
    task_error_ = std::current_exception();  // history has it accepted: the code has changed
    return;
  }
  accept_update(update);
  call.kind = InboundKind::kUpdate;
  Task<Payload> body = interceptors_.empty() ? std::move(*handler.task) : inbound(0, std::move(call));
  start_handler("update " + input.name(), handler.abandonable,
                update_body(update.request.meta(), std::move(body)));
}

std::string Run::unknown_update(const std::string& name) const {
  std::string names;
  for (const std::string_view one : instance_->update_names())
    names.append(names.empty() ? "" : " ").append(one);
  return "unknown update '" + name + "'; known: [" + names + "]";
}

Task<void> Run::update_body(api::update::v1::Meta meta, Task<Payload> handler) {
  std::exception_ptr error;
  std::optional<Payload> result;
  try {
    result = co_await std::move(handler);
  } catch (...) {
    error = std::current_exception();
  }
  if (error && !is_failure(error)) {
    thrown(error);
  } else {
    complete_update(meta, result ? &*result : nullptr, error);
  }
}

void Run::accept_update(const replay::Update& update) {
  api::update::v1::Acceptance acceptance;
  acceptance.set_accepted_request_message_id(update.message_id);
  acceptance.set_accepted_request_sequencing_event_id(update.sequencing_event_id);
  *acceptance.mutable_accepted_request() = update.request;
  replay::Command& command = record(CommandKind::kAcceptUpdate, 0, {});
  command.message = make_message(update.instance_id, "accept", acceptance);
  command.wire.set_command_type(api::enums::v1::COMMAND_TYPE_PROTOCOL_MESSAGE);
  command.wire.mutable_protocol_message_command_attributes()->set_message_id(command.message->id());
}

void Run::reject_update(const replay::Update& update, const std::exception_ptr& why) {
  api::update::v1::Rejection rejection;
  rejection.set_rejected_request_message_id(update.message_id);
  rejection.set_rejected_request_sequencing_event_id(update.sequencing_event_id);
  *rejection.mutable_rejected_request() = update.request;
  write(why, rejection.mutable_failure());
  record(CommandKind::kRejectUpdate, 0, {}).message = make_message(update.instance_id, "reject", rejection);
}

void Run::complete_update(const api::update::v1::Meta& meta, const Payload* result,
                          const std::exception_ptr& error) {
  if (over() || closing_) return;
  api::update::v1::Response response;
  *response.mutable_meta() = meta;
  if (result != nullptr) {
    convert::to_wire(Payloads{*result}, response.mutable_outcome()->mutable_success());
  } else {
    write(error, response.mutable_outcome()->mutable_failure());
  }
  replay::Command& command = record(CommandKind::kCompleteUpdate, 0, {});
  command.message = make_message(meta.update_id(), "complete", response);
  command.wire.set_command_type(api::enums::v1::COMMAND_TYPE_PROTOCOL_MESSAGE);
  command.wire.mutable_protocol_message_command_attributes()->set_message_id(command.message->id());
}

}  // namespace detail
}  // namespace v1
}  // namespace perdure
