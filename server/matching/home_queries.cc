// Queries on their way to a worker (MA-14, WT-53), and sticky queues whose worker is not there (WT-06, E16).
#include <algorithm>

#include "base/check.h"
#include "server/core/errors.h"
#include "server/matching/home.h"

namespace perdure::matching {
namespace {

using namespace std::chrono_literals;

constexpr base::Duration kAnswerTime = 1s;         // before the deadline, pollers are looked for (WT-53)
constexpr base::Duration kPollerSeen = 20s;        // "lately", for queries (WT-53)
constexpr std::size_t kMostQueries = 1'000;        // per queue
constexpr std::size_t kMostQueryBytes = 64 << 20;  // per home

std::size_t bytes_of(const QueryTask& task) {
  return task.response.size() + task.fallback_response.size();
}

}  // namespace

// True when its worker is known not to be there: an offer to it would only wait for its timeout.
bool Matching::Home::sticky_absent(const Queue& queue, Time at) const {
  if (queue.live > 0) return false;
  if (queue.shut_down) return true;
  return at >= unknown_until_ && !queue.value.polled_within(options_.sticky_availability, 0, at);
}

void Matching::Home::give_up_sticky(Queue& queue, Time at) {
  if (!queue.sticky || !sticky_absent(queue, at)) return;
  for (const core::TaskReference& task : queue.value.window().take_waiting()) {
    options_.starter->sticky_unavailable(offer_of(queue, task));
  }
  std::vector<std::shared_ptr<Query>> moving;
  for (const auto& query : queue.queries) {
    if (query->task.fallback) moving.push_back(query);
  }
  for (const auto& query : moving) {
    if (query->set()) try_fallback(*query);
  }
}

void Matching::Home::query(QueryTask task) {
  if (draining_) return task.taken(base::fail(base::Code::kUnavailable, "the server is shutting down"));
  Queue& queue = open(task.queue);
  if (queue.queries.size() >= kMostQueries || query_bytes_ + bytes_of(task) > kMostQueryBytes) {
    ++counted_.refused_queries;
    return task.taken(std::unexpected(core::overloaded("too many queries wait")));
  }
  if (task.fallback) queue.sticky = true;
  query_bytes_ += bytes_of(task);
  auto query = std::make_shared<Query>(*this, std::move(task));
  query->queue = &queue;
  Time end = query->task.deadline - kAnswerTime;
  if (query->task.fallback) end = std::min(end, base::add(now(), query->task.sticky_timeout));
  alarms_.set(*query, end);
  queue.queries.push_back(std::move(query));
  pump(queue);
  keep_bounds();
}

// Out of its queue; the caller answers it.
std::shared_ptr<Query> Matching::Home::take_query(Query& query) {
  alarms_.cancel(query);
  query_bytes_ -= bytes_of(query.task);
  std::list<std::shared_ptr<Query>>& queries = query.queue->queries;
  const auto found = std::ranges::find(queries, &query, [](const auto& held) { return held.get(); });
  CHECK(found != queries.end());
  std::shared_ptr<Query> taken = std::move(*found);
  queries.erase(found);
  return taken;
}

// A worker that asks for work answers a query before it is given a task: somebody waits for it.
void Matching::Home::serve_queries(Queue& queue) {
  while (!queue.queries.empty()) {
    const auto idle = queue.value.take_poll(now());
    if (!idle) return;
    const std::shared_ptr<Query> query = take_query(*queue.queries.front());
    query->task.taken({});
    finish(polls_.at(idle->id), std::move(query->task.response));
  }
}

void Matching::Home::try_fallback(Query& query) {
  QueryTask task = std::move(take_query(query)->task);
  task.queue = *std::exchange(task.fallback, std::nullopt);
  task.response = std::move(task.fallback_response);
  if (task.fell_back) std::exchange(task.fell_back, nullptr)();
  matching_.query(std::move(task));
}

void Query::fire(base::Time now) {
  home_.end_of_query(*this, now);
}

void Matching::Home::end_of_query(Query& query, Time at) {
  Queue& queue = *query.queue;
  const Hold hold(queue);
  if (query.task.fallback) {
    try_fallback(query);
  } else if (query.last_second) {
    take_query(query)->task.taken(
        base::fail(base::Code::kDeadlineExceeded, "query timed out before a worker could process it"));
  } else if (queue.value.polled_within(kPollerSeen, queue.live, at)) {
    query.last_second = true;
    alarms_.set(query, query.task.deadline);
  } else {
    take_query(query)->task.taken(base::fail(base::Code::kFailedPrecondition,
                                             "no poller seen for task queue recently, worker may be down"));
  }
  arm(queue);
}

}  // namespace perdure::matching
