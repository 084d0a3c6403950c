#include "server/frontend/request_shape.h"

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "temporal/api/workflowservice/v1/request_response.pb.h"

namespace perdure::frontend {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;

const Descriptor* find(const std::string& name) {
  for (const char* package : {"workflowservice", "operatorservice", "namespace", "command"}) {
    const auto* found = DescriptorPool::generated_pool()->FindMessageTypeByName(
        "temporal.api." + std::string(package) + ".v1." + name);
    if (found != nullptr) return found;
  }
  return nullptr;
}

// A field that no list names would be dropped unseen; one that two name would be both.
TEST(RequestFields, EveryFieldIsInExactlyOneList) {
  for (const RequestFields& fields : request_fields()) {
    const Descriptor* type = find(fields.message);
    ASSERT_NE(type, nullptr) << fields.message;
    std::map<std::string, int> named;
    for (const char* list : {fields.built, fields.refused, fields.tolerated}) {
      std::istringstream in(list);
      for (std::string name; in >> name;) {
        EXPECT_NE(type->FindFieldByName(name), nullptr) << fields.message << "." << name;
        ++named[name];
      }
    }
    for (int i = 0; i < type->field_count(); ++i)
      EXPECT_EQ(named[type->field(i)->name()], 1) << type->field(i)->full_name();
  }
}

namespace wfs = ::temporal::api::workflowservice::v1;

TEST(RequestShape, RefusesByName) {
  wfs::StartWorkflowExecutionRequest request;
  request.set_workflow_id("w");
  const RequestShape& shape = shape_of(*request.descriptor());
  EXPECT_TRUE(shape.check(request).has_value());
  request.add_completion_callbacks();
  const auto refused = shape.check(request);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, base::Code::kInvalidArgument);
  EXPECT_NE(refused.error().message.find("completion_callbacks"), std::string::npos)
      << refused.error().message;
}

TEST(RequestShape, RefusesUnknownFieldsAtAnyDepthButNotInPayloads) {
  wfs::RespondWorkflowTaskCompletedRequest request;
  const RequestShape& shape = shape_of(*request.descriptor());
  auto& command = *request.add_commands();
  auto& attributes = *command.mutable_complete_workflow_execution_command_attributes();
  auto& payload = *attributes.mutable_result()->add_payloads();
  payload.GetReflection()->MutableUnknownFields(&payload)->AddVarint(1000, 1);
  EXPECT_TRUE(shape.check(request).has_value());
  attributes.GetReflection()->MutableUnknownFields(&attributes)->AddVarint(1000, 1);
  EXPECT_FALSE(shape.check(request).has_value());
  command.Clear();
  command.mutable_continue_as_new_workflow_execution_command_attributes()->set_initial_versioning_behavior(
      static_cast<temporal::api::enums::v1::ContinueAsNewVersioningBehavior>(1));
  EXPECT_FALSE(shape.check(request).has_value());
}

}  // namespace
}  // namespace perdure::frontend
