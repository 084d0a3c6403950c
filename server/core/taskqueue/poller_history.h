// Who polled a queue lately (MA-10), and whether anybody did (MA-09, WT-06, WT-53). A value; the time is an argument.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"

namespace perdure::core {

using base::Duration;
using base::Time;

struct PollerSeen {
  std::string identity;
  Time last_access{};
  std::optional<double> max_tasks_per_second;
  std::string build_id, deployment;
};

class PollerHistory {
 public:
  static constexpr Duration kKept = std::chrono::minutes(5);
  static constexpr std::size_t kMost = 1000;  // beyond it the one seen longest ago goes

  // A poll came. Entries are by identity; last wins.
  void seen(PollerSeen poller);
  // One of its polls ended.
  void touch(const std::string& identity, Time now);
  // Seen within kKept, by identity.
  std::vector<PollerSeen> recent(Time now) const;

 private:
  void shrink(Time now);
  std::map<std::string, PollerSeen> by_identity_;
};

}  // namespace perdure::core
