// What people are told of a run: its handlers by name, and what it says of itself.
#include <google/protobuf/util/json_util.h>
#include <temporal/api/sdk/v1/workflow_metadata.pb.h>

#include "sdk/src/runtime/run.h"

namespace perdure {
inline namespace v1 {
namespace detail {

namespace sdk = temporal::api::sdk::v1;

void Run::set_current_details(std::string text) {
  check_not_reading();
  current_details_ = std::move(text);
}

Payload Run::metadata() const {
  sdk::WorkflowMetadata metadata;
  auto* definition = metadata.mutable_definition();
  definition->set_type(info().workflow_type);
  const auto put = [](const std::vector<std::string_view>& names,
                      google::protobuf::RepeatedPtrField<sdk::WorkflowInteractionDefinition>* out) {
    for (const std::string_view name : names) out->Add()->set_name(std::string(name));
  };
  if (instance_) {
    put(instance_->signal_names(), definition->mutable_signal_definitions());
    put(instance_->query_names(), definition->mutable_query_definitions());
    put(instance_->update_names(), definition->mutable_update_definitions());
  }
  metadata.set_current_details(current_details_);
  std::string json;
  (void)google::protobuf::util::MessageToJsonString(metadata, &json);
  Payload payload = make_payload("json/protobuf", std::move(json));
  payload.metadata["messageType"] = metadata.GetDescriptor()->full_name();
  return payload;
}

}  // namespace detail
}  // namespace v1
}  // namespace perdure
