// What Matching counts, for the metrics: values, made by its homes and added up.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/histogram.h"
#include "server/core/state.h"

namespace perdure::matching {

// Of all queues of one kind in a namespace, since the start. Polls of sticky queues count too.
struct PollCounters {
  std::uint64_t success = 0;       // polls that got a task
  std::uint64_t success_sync = 0;  // … which had not waited: the poll was there before it
  std::uint64_t timeouts = 0;      // polls that ended empty
  base::Histogram sync_match;      // from when a task was due until a poll that waited for it had it
  base::Histogram async_match;     // the same of tasks that waited for a poll
};

struct QueueGauge {
  std::string namespace_id, name;
  core::TaskKind kind = core::TaskKind::kWorkflow;
  std::int64_t backlog = 0;
  base::Duration backlog_age{};
};

struct MatchingFigures {
  static constexpr std::size_t kMostQueues = 200;  // named one by one; those with the largest backlogs

  std::map<std::pair<std::string, core::TaskKind>, PollCounters> counters;  // by namespace id and kind
  std::vector<QueueGauge> queues;                                           // normal ones, loaded
  std::uint64_t loaded_queues = 0;                                          // sticky ones included
  std::uint64_t parked_polls = 0, references = 0, waiting_queries = 0;
  std::uint64_t refused_polls = 0, refused_queries = 0;  // beyond a bound

  void add(MatchingFigures other);
};

}  // namespace perdure::matching
