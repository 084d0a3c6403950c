// What the server says about itself.
#include "server/frontend/api.h"
#include "server/frontend/method.h"

namespace perdure::frontend {
namespace {

using CallPtr = std::shared_ptr<Call>;

// Only what is real: SDKs change what they send by it (semantics sheet, section 11).
Status get_system_info(Services&, const CallPtr& call, wfs::GetSystemInfoRequest) {
  wfs::GetSystemInfoResponse response;
  response.set_server_version(kApiVersion);
  auto& can = *response.mutable_capabilities();
  can.set_signal_and_query_header(true);
  can.set_internal_error_differentiation(true);
  can.set_activity_failure_include_heartbeat(true);
  can.set_encoded_failure_attributes(true);
  can.set_build_id_based_versioning(true);
  can.set_upsert_memo(true);
  can.set_eager_workflow_start(true);
  can.set_sdk_metadata(true);
  answer(*call, response);
  return {};
}

Status get_cluster_info(Services& services, const CallPtr& call, wfs::GetClusterInfoRequest) {
  wfs::GetClusterInfoResponse response;
  for (const char* client : {"temporal-cli", "temporal-go", "temporal-java", "temporal-php",
                             "temporal-server", "temporal-typescript", "temporal-python", "temporal-ui"}) {
    (*response.mutable_supported_clients())[client] = "<99.0.0";
  }
  response.set_server_version(kApiVersion);
  response.set_cluster_id(services.info.cluster_id);
  response.set_cluster_name("active");
  response.set_history_shard_count(static_cast<std::int32_t>(services.info.shards));
  response.set_persistence_store(services.info.store_name);
  response.set_visibility_store(services.info.store_name);
  response.set_initial_failover_version(1);
  response.set_failover_version_increment(10);
  answer(*call, response);
  return {};
}

}  // namespace

void add_system_methods(MethodTable& table, Services& services) {
  add_method(table, services, kWorkflowService, "GetSystemInfo", Policy::kPublic, RateClass::kNone,
             get_system_info);
  add_method(table, services, kWorkflowService, "GetClusterInfo", Policy::kPublic, RateClass::kNone,
             get_cluster_info);
}

}  // namespace perdure::frontend
