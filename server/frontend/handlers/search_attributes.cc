// Custom search attributes: names of a namespace, each in a slot of its type (SA-02, VI-09).
#include "server/core/limits/search_attributes.h"

#include "server/core/errors.h"
#include "server/frontend/api.h"
#include "server/frontend/method.h"
#include "server/frontend/validate.h"
#include "temporal/api/operatorservice/v1/request_response.pb.h"

namespace perdure::frontend {
namespace {

using base::invalid_argument;
using CallPtr = std::shared_ptr<Call>;
namespace enums = ::temporal::api::enums::v1;
namespace ops = ::temporal::api::operatorservice::v1;

int slots_of(int type) {
  switch (type) {
    case enums::INDEXED_VALUE_TYPE_KEYWORD: return 10;
    case enums::INDEXED_VALUE_TYPE_TEXT:
    case enums::INDEXED_VALUE_TYPE_INT:
    case enums::INDEXED_VALUE_TYPE_DOUBLE:
    case enums::INDEXED_VALUE_TYPE_BOOL:
    case enums::INDEXED_VALUE_TYPE_DATETIME:
    case enums::INDEXED_VALUE_TYPE_KEYWORD_LIST: return 3;
    default: return 0;
  }
}

std::string type_name(int type) {
  return slots_of(type) == 0 ? "Unspecified"
                             : core::search_attribute_type_name(static_cast<core::SearchAttributeType>(type));
}

// The first free slot, "Keyword01" …; empty when all are taken.
std::string free_slot(const core::Namespace& ns, int type) {
  for (int number = 1; number <= slots_of(type); ++number) {
    std::string slot = type_name(type) + (number < 10 ? "0" : "") + std::to_string(number);
    if (!ns.aliases().contains(slot)) return slot;
  }
  return {};
}

Status add_one(core::Namespace& ns, const std::string& name, int type) {
  const bool reserved =
      core::system_search_attributes().contains(name) || core::predefined_search_attributes().contains(name);
  if (reserved) return invalid_argument("Search attribute " + name + " is reserved by system.");
  if (name.empty()) return invalid_argument("Search attribute name is not set on request.");
  if (ns.search_attributes().contains(name)) return {};
  const std::string slot = free_slot(ns, type);
  if (slot.empty()) {
    return invalid_argument("Unable to create search attributes: cannot have more than " +
                            std::to_string(slots_of(type)) + " search attribute of type " + type_name(type) +
                            ".");
  }
  (*ns.mutable_search_attributes())[name] = type;
  (*ns.mutable_aliases())[slot] = name;
  return {};
}

Status add_search_attributes(Services& services, const CallPtr& call,
                             ops::AddSearchAttributesRequest request) {
  if (!request.namespace_().empty()) TRY_VOID(find_namespace(services, request.namespace_()));
  if (request.search_attributes().empty())
    return invalid_argument("SearchAttributes are not set on request.");
  if (request.namespace_().empty()) return invalid_argument("Namespace is not set on request.");
  for (const auto& [name, type] : request.search_attributes())
    TRY_VOID(check_length(name, "SearchAttribute name", services.limits));
  services.catalog.update(
      [request =
           std::move(request)](const core::Catalog& catalog) -> Result<std::vector<store::CatalogEntry>> {
        const core::Namespace* found = catalog.find_by_name(request.namespace_());
        if (found == nullptr) return std::unexpected(core::namespace_not_found(request.namespace_()));
        core::Namespace ns = *found;
        const std::map<std::string, int> in_order(request.search_attributes().begin(),
                                                  request.search_attributes().end());
        for (const auto& [name, type] : in_order) TRY_VOID(add_one(ns, name, type));
        return std::vector{catalog::namespace_entry(ns)};
      },
      empty_to(call));
  return {};
}

Status list_search_attributes(Services& services, const CallPtr& call,
                              ops::ListSearchAttributesRequest request) {
  if (request.namespace_().empty()) return invalid_argument("Namespace is not set on request.");
  TRY(const NamespaceView ns, find_namespace(services, request.namespace_()));
  ops::ListSearchAttributesResponse response;
  for (const auto& [name, type] : ns->search_attributes()) {
    (*response.mutable_custom_attributes())[name] = static_cast<enums::IndexedValueType>(type);
  }
  for (const auto& [name, type] : core::system_search_attributes())
    (*response.mutable_system_attributes())[name] = type;
  for (const auto& [name, type] : core::predefined_search_attributes())
    (*response.mutable_system_attributes())[name] = type;
  answer(*call, response);
  return {};
}

}  // namespace

void add_search_attribute_methods(MethodTable& table, Services& services) {
  add_method(table, services, kOperatorService, "AddSearchAttributes", Policy::kAdminister,
             RateClass::kNamespace, add_search_attributes);
  add_method(table, services, kOperatorService, "ListSearchAttributes", Policy::kReadNamespace,
             RateClass::kNamespace, list_search_attributes);
}

}  // namespace perdure::frontend
