// MA-10: who polled lately.
#include "server/core/taskqueue/poller_history.h"

#include <gtest/gtest.h>

namespace perdure::core {
namespace {

using namespace std::chrono_literals;

const Time kStart{1'700'000'000s};

std::vector<std::string> names(const std::vector<PollerSeen>& pollers) {
  std::vector<std::string> found;
  for (const PollerSeen& poller : pollers) found.push_back(poller.identity);
  return found;
}

TEST(PollerHistory, KeepsFiveMinutesByIdentity_MA10) {
  PollerHistory history;
  history.seen({.identity = "b", .last_access = kStart});
  history.seen({.identity = "a", .last_access = kStart + 1min, .max_tasks_per_second = 5});
  history.seen({.identity = "b", .last_access = kStart + 2min, .max_tasks_per_second = 7});
  EXPECT_EQ(names(history.recent(kStart + 6min)), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(history.recent(kStart + 6min)[1].max_tasks_per_second, 7);
  EXPECT_EQ(names(history.recent(kStart + 6min + 1s)), (std::vector<std::string>{"b"}));
  EXPECT_TRUE(history.recent(kStart + 8min).empty());
}

TEST(PollerHistory, IsBounded_MA10) {
  PollerHistory history;
  for (std::size_t i = 0; i < PollerHistory::kMost + 10; ++i) {
    history.seen({.identity = std::to_string(i), .last_access = kStart + i * 1ms});
  }
  const std::vector<PollerSeen> recent = history.recent(kStart + 10s);
  EXPECT_EQ(recent.size(), PollerHistory::kMost);
  for (const PollerSeen& poller : recent) EXPECT_GE(poller.last_access, kStart + 10ms);
}

}  // namespace
}  // namespace perdure::core
