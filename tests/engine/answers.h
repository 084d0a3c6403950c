// How the tests of the engine read its answers.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/engine/requests.h"
#include "tests/engine/world.h"

namespace perdure::engine {

inline std::vector<enums::EventType> types(const wfs::GetWorkflowExecutionHistoryResponse& response) {
  std::vector<enums::EventType> result;
  for (const auto& event : response.history().events()) result.push_back(event.event_type());
  return result;
}

inline std::vector<enums::EventType> history_types(World& world, const std::string& id) {
  const auto response = world.call<wfs::GetWorkflowExecutionHistoryResponse>("GetWorkflowExecutionHistory",
                                                                             history_request(id));
  EXPECT_TRUE(response) << (response ? "" : response.error().message);
  return response ? types(*response) : std::vector<enums::EventType>{};
}

template <class Response>
Response answer_of(const ClientCall& call) {
  Response response;
  EXPECT_TRUE(call.answered());
  if (call.answered()) {
    EXPECT_TRUE(call.answer->has_value());
  }
  if (call.answered() && call.answer->has_value()) {
    EXPECT_TRUE(response.ParseFromString(**call.answer));
  }
  return response;
}

}  // namespace perdure::engine
