#include "server/matching/figures.h"

#include <algorithm>
#include <iterator>

#include "server/matching/home.h"

namespace perdure::matching {

void MatchingFigures::add(MatchingFigures other) {
  for (const auto& [key, more] : other.counters) {
    PollCounters& to = counters[key];
    to.success += more.success;
    to.success_sync += more.success_sync;
    to.timeouts += more.timeouts;
    to.sync_match.add(more.sync_match);
    to.async_match.add(more.async_match);
  }
  std::ranges::move(other.queues, std::back_inserter(queues));
  const auto order = [](const QueueGauge& a, const QueueGauge& b) {
    if (a.backlog != b.backlog) return a.backlog > b.backlog;
    return std::tie(a.namespace_id, a.kind, a.name) < std::tie(b.namespace_id, b.kind, b.name);
  };
  std::ranges::sort(queues, order);
  if (queues.size() > kMostQueues) queues.resize(kMostQueues);
  loaded_queues += other.loaded_queues;
  parked_polls += other.parked_polls;
  references += other.references;
  waiting_queries += other.waiting_queries;
  refused_polls += other.refused_polls;
  refused_queries += other.refused_queries;
}

MatchingFigures Matching::Home::figures() const {
  MatchingFigures found = counted_;
  for (const Queue* queue : by_use_) {
    ++found.loaded_queues;
    found.waiting_queries += queue->queries.size();
    if (queue->sticky) continue;
    const std::int64_t backlog = queue->value.window().backlog_count();
    const Time oldest = backlog > 0 ? queue->value.window().oldest() : now();
    found.queues.push_back(
        {.namespace_id = queue->key.namespace_id,
         .name = queue->key.name,
         .kind = queue->key.kind,
         .backlog = backlog,
         .backlog_age = std::max(now() - std::min(oldest, now()), base::Duration::zero())});
  }
  found.parked_polls = polls_.size();
  found.references = references_;
  return found;
}

void Matching::Home::count_delivery(const Queue& queue, const core::IdlePoll& poll, Time due) {
  PollCounters& to = counted_.counters[{queue.key.namespace_id, queue.key.kind}];
  const base::Duration took = std::max(now() - due, base::Duration::zero());
  ++to.success;
  if (poll.since <= due) {
    ++to.success_sync;
    to.sync_match.count(took);
  } else {
    to.async_match.count(took);
  }
}

MatchingFigures Matching::figures() const {
  MatchingFigures found;
  for (const auto& home : homes_) {
    home->executor().run_and_wait([&] { found.add(home->figures()); });
  }
  return found;
}

}  // namespace perdure::matching
