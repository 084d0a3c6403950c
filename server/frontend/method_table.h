// The method table: one row per RPC, read by every door (DESIGN: one method table drives every door).
//
// Nothing is written per RPC outside its row and its handler. Built once at start-up, then immutable: any thread may read it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "server/frontend/call.h"

namespace perdure::frontend {

// What a caller must be allowed to do. A method without one cannot be added: every add() names it.
enum class Policy : std::uint8_t {
  kPublic,          // anyone: health, GetSystemInfo
  kReadNamespace,   // reads in the namespace that the request names
  kWriteNamespace,  // starts, signals, ... in that namespace
  kWorker,          // polls and responds in that namespace
  kAdminister,      // namespaces, search attributes
};

// Which rate limit counts the call.
enum class RateClass : std::uint8_t { kNone, kExecution, kPoll, kVisibility, kNamespace };

using Handler = std::function<void(std::shared_ptr<Call>)>;

struct Method {
  std::string full_name;  // "/temporal.api.workflowservice.v1.WorkflowService/StartWorkflowExecution"
  Policy policy{};
  RateClass rate{};
  Handler handler;
};

class MethodTable {
 public:
  // Adds a row; the name must be new (CHECK).
  void add(Method method);
  // nullptr for an unknown path.
  const Method* find(std::string_view full_name) const;
  // All rows, in no order.
  template <class Visit>
  void each(Visit visit) const {
    for (const auto& [name, method] : methods_) visit(method);
  }
  // Hands the call to its handler, or finishes it UNIMPLEMENTED with the text SDKs look for ("unknown method …").
  void dispatch(std::string_view full_name, std::shared_ptr<Call> call) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, Method, Hash, std::equal_to<>> methods_;
};

// UNIMPLEMENTED with the text that SDKs look for.
std::unexpected<base::Error> unknown_method(std::string_view full_name);

inline constexpr std::string_view kWorkflowService = "/temporal.api.workflowservice.v1.WorkflowService/";
inline constexpr std::string_view kOperatorService = "/temporal.api.operatorservice.v1.OperatorService/";

}  // namespace perdure::frontend
