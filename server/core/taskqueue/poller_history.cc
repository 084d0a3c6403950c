#include "server/core/taskqueue/poller_history.h"

#include <algorithm>

namespace perdure::core {

void PollerHistory::seen(PollerSeen poller) {
  const auto found = by_identity_.find(poller.identity);
  if (found != by_identity_.end()) {
    found->second = std::move(poller);
    return;
  }
  if (by_identity_.size() >= kMost) shrink(poller.last_access);
  std::string identity = poller.identity;
  by_identity_.emplace(std::move(identity), std::move(poller));
}

void PollerHistory::touch(const std::string& identity, Time now) {
  const auto found = by_identity_.find(identity);
  if (found != by_identity_.end()) found->second.last_access = now;
}

void PollerHistory::shrink(Time now) {
  std::erase_if(by_identity_, [&](const auto& entry) { return entry.second.last_access + kKept < now; });
  if (by_identity_.size() < kMost) return;
  by_identity_.erase(
      std::ranges::min_element(by_identity_, {}, [](const auto& entry) { return entry.second.last_access; }));
}

std::vector<PollerSeen> PollerHistory::recent(Time now) const {
  std::vector<PollerSeen> found;
  for (const auto& [identity, poller] : by_identity_) {
    if (poller.last_access + kKept >= now) found.push_back(poller);
  }
  return found;
}

}  // namespace perdure::core
