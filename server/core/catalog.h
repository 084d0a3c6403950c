// The catalog as a value: namespaces and what belongs to them. Small, whole in memory, replaced as a whole when it changes (E13).
#pragma once

#include <map>
#include <memory>
#include <string>

#include "proto/internal/record.pb.h"

namespace perdure::core {

using Namespace = ::perdure::internal::v1::NamespaceRecord;

struct Catalog {
  std::map<std::string, std::shared_ptr<const Namespace>> by_id;
  std::map<std::string, std::shared_ptr<const Namespace>, std::less<>> by_name;
  std::string token_key;  // signs task tokens (rule E17)

  // nullptr when unknown.
  const Namespace* find_by_name(std::string_view name) const {
    const auto found = by_name.find(name);
    return found == by_name.end() ? nullptr : found->second.get();
  }
  const Namespace* find_by_id(const std::string& id) const {
    const auto found = by_id.find(id);
    return found == by_id.end() ? nullptr : found->second.get();
  }
};

}  // namespace perdure::core
