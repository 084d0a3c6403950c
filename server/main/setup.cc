#include "server/main/setup.h"

#include <algorithm>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "temporal/api/enums/v1/common.pb.h"
#include "temporal/api/operatorservice/v1/request_response.pb.h"

namespace perdure::server {
namespace {

namespace enums = ::temporal::api::enums::v1;
namespace ops = ::temporal::api::operatorservice::v1;

constexpr base::Duration kRetention = std::chrono::hours(24);

// A call that its maker waits for.
class OwnCall : public frontend::Call {
 public:
  explicit OwnCall(std::string request) : request_(std::move(request)) {}
  base::Result<std::string> wait() { return answer_.get_future().get(); }

  std::string_view request() const override { return request_; }
  base::Time deadline() const override { return base::kNever; }
  std::string_view header(std::string_view) const override { return {}; }
  void on_client_gone(std::move_only_function<void()>) override {}
  void finish(base::Result<std::string> response) override { answer_.set_value(std::move(response)); }

 private:
  const std::string request_;
  std::promise<base::Result<std::string>> answer_;
};

base::Status add_namespace(Wiring& wiring, const std::string& name) {
  std::promise<base::Status> promise;
  wiring.ensure_namespace(name, kRetention,
                          [&](base::Status status) { promise.set_value(std::move(status)); });
  return promise.get_future().get();
}

// "KeywordList", as clients write it.
base::Result<enums::IndexedValueType> type_of(const std::string& name) {
  static constexpr std::pair<const char*, enums::IndexedValueType> kTypes[] = {
      {"Text", enums::INDEXED_VALUE_TYPE_TEXT},
      {"Keyword", enums::INDEXED_VALUE_TYPE_KEYWORD},
      {"Int", enums::INDEXED_VALUE_TYPE_INT},
      {"Double", enums::INDEXED_VALUE_TYPE_DOUBLE},
      {"Bool", enums::INDEXED_VALUE_TYPE_BOOL},
      {"Datetime", enums::INDEXED_VALUE_TYPE_DATETIME},
      {"KeywordList", enums::INDEXED_VALUE_TYPE_KEYWORD_LIST}};
  for (const auto& [text, type] : kTypes)
    if (name == text) return type;
  return base::invalid_argument(
      "--search-attribute: " + name +
      " is no type; there are Text, Keyword, Int, Double, Bool, Datetime and KeywordList");
}

}  // namespace

base::Status set_up(Wiring& wiring, const ServerOptions& options) {
  ops::AddSearchAttributesRequest request;
  for (const std::string& attribute : options.search_attributes) {
    const std::size_t sign = attribute.find('=');
    if (sign == std::string::npos)
      return base::invalid_argument("--search-attribute " + attribute + ": must be Name=Type");
    TRY(const enums::IndexedValueType type, type_of(attribute.substr(sign + 1)));
    (*request.mutable_search_attributes())[attribute.substr(0, sign)] = type;
  }
  std::vector<std::string> names{"default"};
  for (const std::string& name : options.namespaces) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  for (const std::string& name : names) {
    TRY_VOID(add_namespace(wiring, name));
    if (request.search_attributes().empty()) continue;
    request.set_namespace_(name);
    const auto call = std::make_shared<OwnCall>(request.SerializeAsString());
    // Not operator+: g++ 12 sees an overrun in it that is not there.
    std::string method(frontend::kOperatorService);
    method.append("AddSearchAttributes");
    wiring.methods().dispatch(method, call);
    TRY_VOID(call->wait());
  }
  return {};
}

}  // namespace perdure::server
