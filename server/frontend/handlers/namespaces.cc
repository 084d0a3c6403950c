// Namespaces: registered, described, listed, changed; kept in the catalog (NS-01…05).
#include "server/core/draft.h"
#include "server/core/errors.h"
#include "server/frontend/api.h"
#include "server/frontend/method.h"
#include "server/frontend/validate.h"
#include "temporal/api/enums/v1/namespace.pb.h"

namespace perdure::frontend {
namespace {

using base::invalid_argument;
using CallPtr = std::shared_ptr<Call>;
namespace enums = ::temporal::api::enums::v1;
using temporal::api::namespace_::v1::NamespaceInfo;

constexpr base::Duration kLeastRetention = std::chrono::hours(1);
constexpr std::int64_t kCompletionSizeLimit = 40 << 20;  // of a whole workflow task completion
constexpr int kPageSize = 100;
constexpr const char* kCluster = "active";

// Only what is real (semantics sheet, section 11).
void fill(NamespaceInfo::Capabilities& can) {
  can.set_eager_workflow_start(true);
  can.set_reported_problems_search_attribute(true);
  can.set_poller_autoscaling(true);
  can.set_worker_poll_complete_on_shutdown(true);
}

// The same parts for every answer that shows a namespace.
template <class Response>
void fill(Response& response, const core::Namespace& ns, const core::Limits& limits) {
  NamespaceInfo& info = *response.mutable_namespace_info();
  info.set_name(ns.name());
  info.set_id(ns.id());
  info.set_state(static_cast<enums::NamespaceState>(ns.state()));
  info.set_description(ns.description());
  info.set_owner_email(ns.owner_email());
  info.mutable_data()->insert(ns.data().begin(), ns.data().end());
  fill(*info.mutable_capabilities());
  info.mutable_limits()->set_blob_size_limit_error(static_cast<std::int64_t>(limits.blob_size));
  info.mutable_limits()->set_memo_size_limit_error(static_cast<std::int64_t>(limits.memo_size));
  info.mutable_limits()->set_workflow_task_completion_size_limit_error(kCompletionSizeLimit);
  info.set_supports_schedules(false);  // not built: the web UI looks here
  auto& config = *response.mutable_config();
  core::assign(config.mutable_workflow_execution_retention_ttl(), ns.retention());
  config.mutable_bad_binaries();
  config.set_history_archival_state(enums::ARCHIVAL_STATE_DISABLED);
  config.set_visibility_archival_state(enums::ARCHIVAL_STATE_DISABLED);
  config.mutable_custom_search_attribute_aliases()->insert(ns.aliases().begin(), ns.aliases().end());
  auto& replication = *response.mutable_replication_config();
  replication.set_active_cluster_name(kCluster);
  replication.add_clusters()->set_cluster_name(kCluster);
  replication.set_state(enums::REPLICATION_STATE_NORMAL);
}

Result<base::Duration> read_retention(bool is_set, const google::protobuf::Duration& duration) {
  const base::Duration retention(is_set ? core::nanos(duration) : 0);
  if (retention < kLeastRetention) return invalid_argument("A valid retention period is not set on request.");
  return retention;
}

Status register_namespace(Services& services, const CallPtr& call, wfs::RegisterNamespaceRequest request) {
  const std::string& name = request.namespace_();
  if (name.empty()) return invalid_argument("Namespace not set on request.");
  TRY_VOID(check_length(name, "Namespace", services.limits));
  TRY(const base::Duration retention, read_retention(request.has_workflow_execution_retention_period(),
                                                     request.workflow_execution_retention_period()));
  if (request.history_archival_state() == enums::ARCHIVAL_STATE_ENABLED ||
      request.visibility_archival_state() == enums::ARCHIVAL_STATE_ENABLED) {
    return invalid_argument("Archival is not supported by this server.");
  }
  if (!request.active_cluster_name().empty() && request.active_cluster_name() != kCluster) {
    return invalid_argument("Cluster " + request.active_cluster_name() + " is not known.");
  }
  for (const auto& cluster : request.clusters()) {
    if (cluster.cluster_name() != kCluster)
      return invalid_argument("Cluster " + cluster.cluster_name() + " is not known.");
  }
  core::Namespace ns = services.random.with(
      [&](base::Random& random) { return catalog::make_namespace(name, retention, random); });
  ns.set_description(request.description());
  ns.set_owner_email(request.owner_email());
  ns.mutable_data()->insert(request.data().begin(), request.data().end());
  services.catalog.update(
      [ns = std::move(ns)](const core::Catalog& catalog) -> Result<std::vector<store::CatalogEntry>> {
        if (catalog.find_by_name(ns.name()) != nullptr)
          return std::unexpected(core::namespace_exists(ns.name()));
        return std::vector{catalog::namespace_entry(ns)};
      },
      empty_to(call));
  return {};
}

Status describe_namespace(Services& services, const CallPtr& call, wfs::DescribeNamespaceRequest request) {
  if (request.namespace_().empty() && request.id().empty())
    return invalid_argument("Namespace not set on request.");
  if (request.namespace_().empty() && !check_run_id(request.id())) {
    return invalid_argument("invalid UUID length: " + std::to_string(request.id().size()));
  }
  const auto catalog = services.catalog.snapshot();
  const core::Namespace* ns = request.namespace_().empty() ? catalog->find_by_id(request.id())
                                                           : catalog->find_by_name(request.namespace_());
  if (ns == nullptr) {
    return std::unexpected(
        core::namespace_not_found(request.namespace_().empty() ? request.id() : request.namespace_()));
  }
  wfs::DescribeNamespaceResponse response;
  fill(response, *ns, services.limits);
  answer(*call, response);
  return {};
}

Status list_namespaces(Services& services, const CallPtr& call, wfs::ListNamespacesRequest request) {
  const auto catalog = services.catalog.snapshot();
  const int size = request.page_size() <= 0 ? kPageSize : request.page_size();
  wfs::ListNamespacesResponse response;
  // The token is the name that the page before ended with: any text will do, so it needs no signature.
  auto at = request.next_page_token().empty() ? catalog->by_name.begin()
                                              : catalog->by_name.upper_bound(request.next_page_token());
  for (; at != catalog->by_name.end(); ++at) {
    if (at->second->state() == enums::NAMESPACE_STATE_DELETED &&
        !request.namespace_filter().include_deleted())
      continue;
    if (response.namespaces_size() == size) {
      response.set_next_page_token(response.namespaces(size - 1).namespace_info().name());
      break;
    }
    fill(*response.add_namespaces(), *at->second, services.limits);
  }
  answer(*call, response);
  return {};
}

// What an update changes; the rest stays.
Status apply(const wfs::UpdateNamespaceRequest& request, core::Namespace& ns) {
  const auto& info = request.update_info();
  if (!info.description().empty()) ns.set_description(info.description());
  if (!info.owner_email().empty()) ns.set_owner_email(info.owner_email());
  for (const auto& [key, value] : info.data()) (*ns.mutable_data())[key] = value;
  const auto& config = request.config();
  if (config.has_workflow_execution_retention_ttl()) {
    TRY(const base::Duration retention, read_retention(true, config.workflow_execution_retention_ttl()));
    ns.set_retention(retention.count());
  }
  for (const auto& [slot, alias] : config.custom_search_attribute_aliases()) {
    const auto found = ns.aliases().find(slot);
    if (found == ns.aliases().end()) return invalid_argument("Search attribute " + slot + " is not in use.");
    const auto type = ns.search_attributes().find(found->second);
    if (alias == found->second || type == ns.search_attributes().end()) continue;
    const int kept = type->second;
    ns.mutable_search_attributes()->erase(found->second);
    (*ns.mutable_search_attributes())[alias] = kept;
    (*ns.mutable_aliases())[slot] = alias;
  }
  return {};
}

Status update_namespace(Services& services, const CallPtr& call, wfs::UpdateNamespaceRequest request) {
  if (request.namespace_().empty()) return invalid_argument("Namespace not set on request.");
  auto changed = std::make_shared<core::Namespace>();
  services.catalog.update(
      [request = std::move(request),
       changed](const core::Catalog& catalog) -> Result<std::vector<store::CatalogEntry>> {
        const core::Namespace* ns = catalog.find_by_name(request.namespace_());
        if (ns == nullptr) return std::unexpected(core::namespace_not_found(request.namespace_()));
        *changed = *ns;
        TRY_VOID(apply(request, *changed));
        return std::vector{catalog::namespace_entry(*changed)};
      },
      [call, changed, limits = services.limits](Status status) {
        if (!status) {
          call->finish(std::unexpected(std::move(status).error()));
          return;
        }
        wfs::UpdateNamespaceResponse response;
        fill(response, *changed, limits);
        answer(*call, response);
      });
  return {};
}

}  // namespace

void add_namespace_methods(MethodTable& table, Services& services) {
  const auto add = [&](std::string_view name, Policy policy, auto handle) {
    add_method(table, services, kWorkflowService, name, policy, RateClass::kNamespace, handle);
  };
  add("RegisterNamespace", Policy::kAdminister, register_namespace);
  add("DescribeNamespace", Policy::kReadNamespace, describe_namespace);
  add("ListNamespaces", Policy::kAdminister, list_namespaces);
  add("UpdateNamespace", Policy::kAdminister, update_namespace);
}

}  // namespace perdure::frontend
