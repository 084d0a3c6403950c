#include "server/frontend/method_table.h"

#include <utility>

#include "base/check.h"

namespace perdure::frontend {

void MethodTable::add(Method method) {
  CHECK(method.handler != nullptr);
  std::string name = method.full_name;
  CHECK(methods_.emplace(std::move(name), std::move(method)).second);
}

const Method* MethodTable::find(std::string_view full_name) const {
  const auto found = methods_.find(full_name);
  return found == methods_.end() ? nullptr : &found->second;
}

void MethodTable::dispatch(std::string_view full_name, std::shared_ptr<Call> call) const {
  const Method* method = find(full_name);
  if (method == nullptr) {
    call->finish(unknown_method(full_name));
    return;
  }
  method->handler(std::move(call));
}

std::unexpected<base::Error> unknown_method(std::string_view full_name) {
  std::string_view path = full_name;
  if (path.starts_with('/')) path.remove_prefix(1);
  const std::size_t slash = path.find('/');
  const std::string service(path.substr(0, slash));
  const std::string method(slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1));
  return base::fail(base::Code::kUnimplemented, "unknown method " + method + " for service " + service);
}

}  // namespace perdure::frontend
