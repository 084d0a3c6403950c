// The numbers of the server as Prometheus text. Every family stands in one table (name, type, help); names
// that dashboards for Temporal's server know keep them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "server/frontend/call_metrics.h"
#include "server/history/figures.h"
#include "server/matching/figures.h"
#include "server/store/measured_store.h"
#include "server/store/store.h"

namespace perdure::gateway {

struct MetricFamily {
  const char* name;
  const char* type;  // counter, gauge or histogram
  const char* help;
};
// In the order in which they are written; the whole list is a promise (a test holds it).
const std::vector<MetricFamily>& metric_families();

// Where the numbers come from; all outlive the text.
struct MetricSources {
  const frontend::CallMetrics* calls = nullptr;
  const store::Store* store = nullptr;
  std::string version;
  std::function<std::uint64_t()> wakes;  // of all loops since the start (rule E15); absent: none
  const store::MeasuredStore* operations = nullptr;
  std::function<history::HistoryFigures()> history;
  std::function<matching::MatchingFigures()> matching;
  std::function<std::string(const std::string& id)> namespace_name;
  std::function<std::uint64_t()> quarantined;  // ids (rule E12); absent: none
};

// One scrape. Any thread.
std::string metrics_text(const MetricSources& sources);

}  // namespace perdure::gateway
