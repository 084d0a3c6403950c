#include "server/frontend/api.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/generated_message_reflection.h>

#include "base/check.h"
#include "temporal/api/operatorservice/v1/service.pb.h"
#include "temporal/api/workflowservice/v1/service.pb.h"

namespace perdure::frontend {
namespace {

// Every method of the service that has no row yet.
void add_unbuilt(MethodTable& table, std::string_view prefix) {
  const std::string service(prefix.substr(1, prefix.size() - 2));
  const auto* descriptor = google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(service);
  CHECK(descriptor != nullptr);
  for (int i = 0; i < descriptor->method_count(); ++i) {
    std::string name = std::string(prefix) + descriptor->method(i)->name();
    if (table.find(name) != nullptr) continue;
    table.add({name, Policy::kPublic, RateClass::kNone,
               [name](std::shared_ptr<Call> call) { call->finish(unknown_method(name)); }});
  }
}

// The services have no generated code of their own: naming their tables keeps the linker from leaving their descriptors out.
void keep_descriptors() {
  static const google::protobuf::internal::AddDescriptorsRunner workflow(
      &descriptor_table_temporal_2fapi_2fworkflowservice_2fv1_2fservice_2eproto);
  static const google::protobuf::internal::AddDescriptorsRunner operator_(
      &descriptor_table_temporal_2fapi_2foperatorservice_2fv1_2fservice_2eproto);
}

}  // namespace

void add_api(MethodTable& table, Services& services) {
  keep_descriptors();
  add_system_methods(table, services);
  add_namespace_methods(table, services);
  add_search_attribute_methods(table, services);
  add_workflow_methods(table, services);
  add_history_methods(table, services);
  add_workflow_task_methods(table, services);
  add_activity_methods(table, services);
  add_query_methods(table, services);
  add_task_queue_methods(table, services);
  add_visibility_methods(table, services);
  add_unbuilt(table, kWorkflowService);
  add_unbuilt(table, kOperatorService);
}

}  // namespace perdure::frontend
