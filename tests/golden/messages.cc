#include "tests/golden/messages.h"

#include <array>
#include <memory>

#include <google/protobuf/any.pb.h>
#include <google/protobuf/util/json_util.h>

#include "server/frontend/method_table.h"

namespace perdure::golden {
namespace {

namespace pb = google::protobuf;

// Keeps the files of both services in the program: messages are looked up by name below.
const std::array kServices{temporal::api::workflowservice::v1::StartWorkflowExecutionRequest::descriptor(),
                           temporal::api::operatorservice::v1::AddSearchAttributesRequest::descriptor()};

std::unique_ptr<pb::Message> make(std::string_view service, std::string_view method, std::string_view kind) {
  const std::string package = kServices[service == "operator"]->file()->package();
  const std::string name = package + "." + std::string(method) + std::string(kind);
  const auto* type = pb::DescriptorPool::generated_pool()->FindMessageTypeByName(name);
  if (type == nullptr) return nullptr;
  return std::unique_ptr<pb::Message>(pb::MessageFactory::generated_factory()->GetPrototype(type)->New());
}

std::expected<Json, std::string> to_json(const pb::Message& message) {
  pb::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto status = pb::util::MessageToJsonString(message, &text, options);
  if (!status.ok()) return std::unexpected(status.ToString());
  return Json::parse(text);
}

constexpr std::array kCodes{
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

Json broken(std::string why) {
  Json out = Json::object();
  out["broken"] = std::move(why);
  return out;
}

Json error_json(const base::Error& error) {
  Json details = Json::array();
  if (!error.detail.empty()) {
    pb::Any any;
    if (!any.ParseFromString(error.detail)) return broken("the error's detail is no google.protobuf.Any");
    auto json = to_json(any);
    if (!json) json = Json{{"@type", any.type_url()}, {"value", encode_base64(any.value())}};
    details.push_back(std::move(*json));
  }
  Json out = Json::object();
  out["error"] = {{"code", kCodes.at(static_cast<std::size_t>(error.code))}, {"message", error.message}};
  out["error"]["details"] = std::move(details);
  return out;
}

}  // namespace

std::string method_name(std::string_view service, std::string_view method) {
  return std::string(service == "operator" ? frontend::kOperatorService : frontend::kWorkflowService) +
         std::string(method);
}

std::expected<std::string, std::string> request_bytes(std::string_view service, std::string_view method,
                                                      const Json& request) {
  const auto message = make(service, method, "Request");
  if (!message) return std::unexpected("no such RPC: " + method_name(service, method));
  const auto status = pb::util::JsonStringToMessage(request.dump(), message.get());
  if (!status.ok()) return std::unexpected("request of " + std::string(method) + ": " + status.ToString());
  return message->SerializeAsString();
}

Json answer_json(std::string_view service, std::string_view method, const base::Result<std::string>& answer) {
  if (!answer) return error_json(answer.error());
  const auto message = make(service, method, "Response");
  if (!message || !message->ParseFromString(*answer))
    return broken("the answer is no " + std::string(method) + "Response");
  auto json = to_json(*message);
  if (!json) return broken(json.error());
  Json out = Json::object();
  out["response"] = std::move(*json);
  return out;
}

}  // namespace perdure::golden
