#include "server/matching/home.h"

#include <algorithm>

#include "server/matching/reply_hints.h"

namespace perdure::matching {
namespace {

using std::chrono::seconds;

constexpr base::Duration kIdleQueue = std::chrono::minutes(5);     // MA-09: then it is unloaded
constexpr base::Duration kRecentPoller = seconds(20);              // WT-53
constexpr base::Duration kReserveMargin = seconds(1);              // a poll is given nothing in its last second (E16)
constexpr std::size_t kQueriesPerQueue = 1000;
constexpr std::size_t kPollsPerHome = 200'000;
constexpr std::size_t kEarlyCancels = 10'000;

base::Error no_poller() {
  return {base::Code::kFailedPrecondition, "no poller seen for task queue recently, worker may be down", {}};
}
base::Error query_too_late() {
  return {base::Code::kDeadlineExceeded, "query timed out before a worker could process it", {}};
}

}  // namespace

std::size_t QueueKeyHash::operator()(const QueueKey& key) const {
  return std::hash<std::string>{}(key.name) * 31 + std::hash<std::string>{}(key.namespace_id) + static_cast<std::size_t>(key.kind);
}

void Poll::fire(base::Time now) { home_.end_of_poll(*this, now); }
void Query::fire(base::Time now) { home_.end_of_query(*this, now); }
void Queue::fire(base::Time now) { home.look_at(*this, now); }

Matching::Home::Home(const MatchingOptions& options, base::Executor& executor, std::uint64_t seed)
    : options_(options), executor_(executor), random_(seed) {
  unknown_until_ = executor_.clock().now() + options.sticky_availability;
}

Matching::Home::~Home() {
  for (auto& [id, poll] : polls_) alarms_.cancel(*poll);
  for (Queue* queue : by_use_) {
    alarms_.cancel(*queue);
    for (const auto& query : queue->queries) alarms_.cancel(*query);
  }
}

// ---- queues --------------------------------------------------------------------------------------------------------------------

Queue* Matching::Home::find(const QueueKey& key) {
  const auto found = queues_.find(key);
  return found == queues_.end() ? nullptr : found->second.get();
}

Queue& Matching::Home::open(const QueueKey& key) {
  if (!queues_.contains(key)) unload_idle(now());
  std::unique_ptr<Queue>& slot = queues_[key];
  if (!slot) {
    core::TaskWindow::Bounds bounds;
    bounds.held = options_.window;
    bounds.page = std::min<std::size_t>(bounds.page, std::max<std::size_t>(1, options_.window / 2));
    slot = std::make_unique<Queue>(*this, key, bounds, std::nullopt);
    slot->by_use = by_use_.insert(by_use_.end(), slot.get());
  }
  used(*slot);
  return *slot;
}

void Matching::Home::used(Queue& queue) {
  queue.last_used = now();
  by_use_.splice(by_use_.end(), by_use_, queue.by_use);
}

void Matching::Home::unload_idle(Time now) {
  constexpr int kAtOnce = 8;
  for (int i = 0; i < kAtOnce && !by_use_.empty(); ++i) {
    Queue& oldest = *by_use_.front();
    if (now - oldest.last_used < kIdleQueue) return;
    if (oldest.busy()) {
      used(oldest);
      continue;
    }
    alarms_.cancel(oldest);
    by_use_.erase(oldest.by_use);
    queues_.erase(QueueKey(oldest.key));
  }
}

// ---- tasks ---------------------------------------------------------------------------------------------------------------------

void Matching::Home::offer(Offer offer) {
  if (offer.stream < stream_) return;  // of an earlier life of the process (E16)
  stream_ = offer.stream;
  Queue& queue = open({offer.unit.namespace_id, offer.task.kind, offer.task.queue});
  queue.sticky = queue.sticky || offer.task.sticky;
  if (queue.sticky && sticky_absent(queue, now())) {
    options_.starter->sticky_unavailable(offer);
    return;
  }
  queue.value.offer({.priority = offer.task.priority,
                     .time = offer.task.ready_time,
                     .unit_kind = static_cast<std::uint8_t>(offer.unit.kind),
                     .unit_id = std::move(offer.unit.id),
                     .run_id = std::move(offer.run_id),
                     .task_id = offer.task.scheduled_id,
                     .attempt = offer.task.attempt},
                    now());
  pump(queue);
}

Offer Matching::Home::offer_of(const Queue& queue, const core::TaskReference& task) const {
  return {.unit = {queue.key.namespace_id, static_cast<store::Kind>(task.unit_kind), task.unit_id},
          .run_id = task.run_id,
          .task = {.kind = queue.key.kind,
                   .queue = queue.key.name,
                   .sticky = queue.sticky,
                   .priority = task.priority,
                   .ready_time = task.time,
                   .scheduled_id = task.task_id,
                   .attempt = task.attempt},
          .stream = stream_};
}

// Starting a task may call back into this queue on the same stack (its answer is there at once, or a new offer): the loop below
// takes those up, one after another.
void Matching::Home::pump(Queue& queue) {
  if (queue.pumping) {
    queue.pump_again = true;
    return;
  }
  queue.pumping = true;
  do {
    queue.pump_again = false;
    serve_queries(queue);
    while (auto match = queue.value.match(now())) reserve(queue, *match);
    if (queue.value.idle() > 0) {
      if (auto page = queue.value.window().wanted_page(now())) read_page(queue, *page);
    }
  } while (queue.pump_again);
  queue.pumping = false;
  look_again(queue);
}

void Matching::Home::look_again(Queue& queue) {
  Time next = queue.value.idle() > 0 ? queue.value.next_look(now()) : base::kNever;
  if (queue.sticky && queue.value.window().size() > 0) {
    next = std::min(next, std::max(unknown_until_, now() + options_.sticky_availability));
  }
  if (next == base::kNever) {
    alarms_.cancel(queue);
  } else if (!queue.set() || queue.when() != next) {
    alarms_.set(queue, next);
  }
}

void Matching::Home::look_at(Queue& queue, Time now) {
  if (queue.sticky) give_up_sticky(queue, now);
  pump(queue);
}

void Matching::Home::reserve(Queue& queue, const core::TaskQueue::Match& match) {
  const auto found = polls_.find(match.poll.id);
  const std::shared_ptr<Poll> poll = found->second;
  poll->reserved = true;
  poll->poller.request_id = random_.uuid();
  alarms_.set(*poll, poll->deadline);
  const core::TaskIdentity task{match.task->run_id, match.task->task_id};
  options_.starter->start_task(
      offer_of(queue, *match.task), poll->poller,
      [weak = weak_from_this(), key = queue.key, idle = match.poll, task](Result<std::string> answer) mutable {
        const auto home = weak.lock();
        if (!home) return;
        const std::size_t bytes = answer ? answer->size() : 0;
        home->run(base::Lane::kCompletion, bytes,
                  [key = std::move(key), idle, task = std::move(task), answer = std::move(answer)](Home& home) mutable {
                    if (Queue* queue = home.find(key)) home.start_answered(*queue, idle, task, std::move(answer));
                  });
      });
}

void Matching::Home::start_answered(Queue& queue, core::IdlePoll idle, const core::TaskIdentity& task,
                                    Result<std::string> answer) {
  const auto found = polls_.find(idle.id);
  const std::shared_ptr<Poll> poll = found == polls_.end() ? nullptr : found->second;
  if (answer) {
    const core::TaskReference* started = queue.value.window().find_under_way(task);
    if (!poll) {
      // Nobody is there to take it: the attempt is not consumed (E16).
      if (started) {
        const Offer offer = offer_of(queue, *started);
        queue.value.undone(task, now());
        options_.starter->undo_start(offer, *answer);
      }
    } else {
      const core::ReplyHints hints = queue.value.started(task, idle, now());
      append_hints(*answer, queue.key.kind, hints);
      finish(poll, std::move(answer));
    }
  } else {
    if (answer.error().code == base::Code::kNotFound) {
      queue.value.obsolete(task, now());
    } else {
      queue.value.failed(task, now());
    }
    if (poll) {
      poll->reserved = false;
      if (poll->end <= now() || draining_) {
        finish(poll, std::string());
      } else {
        poll->place = queue.value.park_first(idle);
        alarms_.set(*poll, poll->end);
      }
    }
  }
  pump(queue);
}

// ---- polls ---------------------------------------------------------------------------------------------------------------------

void Matching::Home::poll(std::shared_ptr<Poll> poll, PollRequest request) {
  const Time now = this->now();
  if (cancelled_early_.erase(poll->id) > 0 || draining_) return poll->done(std::string());
  Queue& queue = open(request.queue);
  queue.sticky = queue.sticky || request.poller.sticky;
  queue.shut_down = false;
  queue.value.saw_poller({.identity = request.poller.identity,
                          .last_access = now,
                          .max_tasks_per_second = request.max_tasks_per_second,
                          .build_id = request.poller.build_id,
                          .deployment = request.poller.deployment});
  poll->since = now;
  poll->deadline = request.deadline;
  poll->end = std::min(request.deadline == base::kNever ? base::kNever : request.deadline - kReserveMargin,
                       now + options_.long_poll);
  if (poll->end <= now || polls_.size() >= kPollsPerHome) return poll->done(std::string());
  poll->queue = &queue;
  ++queue.live;
  polls_.emplace(poll->id, poll);
  alarms_.set(*poll, poll->end);
  poll->place = queue.value.park({.id = poll->id, .since = now, .end = poll->end});
  pump(queue);
}

void Matching::Home::finish(const std::shared_ptr<Poll>& poll, Result<std::string> answer) {
  alarms_.cancel(*poll);
  Queue& queue = *poll->queue;
  --queue.live;
  used(queue);
  queue.value.saw_poller({.identity = poll->poller.identity,
                          .last_access = now(),
                          .build_id = poll->poller.build_id,
                          .deployment = poll->poller.deployment});
  polls_.erase(poll->id);
  poll->done(std::move(answer));
}

void Matching::Home::end_of_poll(Poll& poll, Time) {
  const auto found = polls_.find(poll.id);
  if (found == polls_.end()) return;
  const std::shared_ptr<Poll> kept = found->second;
  if (!kept->reserved) kept->queue->value.leave(kept->place);
  finish(kept, std::string());
}

void Matching::Home::cancel_poll(std::uint64_t id) {
  const auto found = polls_.find(id);
  if (found == polls_.end()) {
    if (cancelled_early_.size() < kEarlyCancels) cancelled_early_.insert(id);
    return;
  }
  const std::shared_ptr<Poll> poll = found->second;
  if (!poll->reserved) poll->queue->value.leave(poll->place);
  finish(poll, std::string());
}

void Matching::Home::end_idle_polls(const std::function<bool(const Poll&)>& which) {
  std::vector<std::uint64_t> ending;
  for (const auto& [id, poll] : polls_) {
    if (!poll->reserved && which(*poll)) ending.push_back(id);
  }
  std::sort(ending.begin(), ending.end());
  for (const std::uint64_t id : ending) cancel_poll(id);
}

void Matching::Home::shutdown_worker(const std::string& namespace_id, const std::string& identity,
                                     const std::string& worker_instance_key) {
  end_idle_polls([&](const Poll& poll) {
    if (poll.queue->key.namespace_id != namespace_id) return false;
    if (!worker_instance_key.empty()) return poll.poller.worker_instance_key == worker_instance_key;
    return poll.queue->sticky && poll.poller.identity == identity;
  });
}

void Matching::Home::forget_sticky_queue(const QueueKey& key) {
  Queue* queue = find(key);
  if (!queue) return;
  queue->shut_down = true;
  end_idle_polls([&](const Poll& poll) { return poll.queue == queue; });
  give_up_sticky(*queue, now());
}

void Matching::Home::drain() {
  draining_ = true;
  end_idle_polls([](const Poll&) { return true; });
}

// ---- sticky queues -------------------------------------------------------------------------------------------------------------

// No poll was seen lately, and long enough is known to say so (WT-06, E16).
bool Matching::Home::sticky_absent(const Queue& queue, Time now) const {
  if (queue.shut_down) return queue.live == 0;
  if (now < unknown_until_) return false;
  return !queue.value.polled_within(options_.sticky_availability, queue.live, now);
}

void Matching::Home::give_up_sticky(Queue& queue, Time now) {
  if (!queue.sticky || !sticky_absent(queue, now)) return;
  for (const core::TaskReference& task : queue.value.window().take_waiting()) {
    options_.starter->sticky_unavailable(offer_of(queue, task));
  }
}

// ---- the store's index ---------------------------------------------------------------------------------------------------------

void Matching::Home::read_page(Queue& queue, core::TaskWindow::Page page) {
  if (!options_.store) {
    queue.value.window().loaded({}, now());
    queue.pump_again = true;
    return;
  }
  std::optional<store::ReadyEntry> after;
  if (page.after) {
    after = store::ReadyEntry{
        .key = {queue.key.namespace_id, static_cast<store::Kind>(page.after->unit_kind), page.after->unit_id},
        .task = {.queue = ready_key(queue.key),
                 .priority = page.after->priority,
                 .time = page.after->time,
                 .run_id = page.after->run_id,
                 .task_id = page.after->task_id}};
  }
  options_.store->scan_ready(ready_key(queue.key), std::move(after), page.limit,
                             [weak = weak_from_this(), key = queue.key](Result<std::vector<store::ReadyEntry>> rows) mutable {
                               const auto home = weak.lock();
                               if (!home) return;
                               home->executor_.post(base::Lane::kCompletion, 0,
                                                    [weak, key = std::move(key), rows = std::move(rows)]() mutable {
                                                      const auto home = weak.lock();
                                                      Queue* queue = home ? home->find(key) : nullptr;
                                                      if (!queue) return;
                                                      home->page_read(*queue, std::move(rows));
                                                      home->arm_timer();
                                                    });
                             });
}

void Matching::Home::page_read(Queue& queue, Result<std::vector<store::ReadyEntry>> rows) {
  if (!rows) {
    queue.value.window().load_failed(now());
  } else {
    std::vector<core::TaskReference> tasks;
    tasks.reserve(rows->size());
    for (store::ReadyEntry& row : *rows) {
      tasks.push_back({.priority = row.task.priority,
                       .time = row.task.time,
                       .unit_kind = static_cast<std::uint8_t>(row.key.kind),
                       .unit_id = std::move(row.key.id),
                       .run_id = std::move(row.task.run_id),
                       .task_id = row.task.task_id,
                       .attempt = 0});
    }
    queue.value.window().loaded(std::move(tasks), now());
  }
  pump(queue);
}

// ---- queries -------------------------------------------------------------------------------------------------------------------

void Matching::Home::query(QueryTask task) {
  Queue& queue = open(task.queue);
  queue.sticky = queue.sticky || task.fallback.has_value();
  auto query = std::make_shared<Query>(*this, std::move(task));
  query->queue = &queue;
  if (queue.queries.size() >= kQueriesPerQueue) {
    return query->task.taken(std::unexpected(
        base::Error{base::Code::kResourceExhausted, "too many queries wait at the task queue", {}}));
  }
  if (query->task.fallback && sticky_absent(queue, now())) {
    try_fallback(queue, query);
    return;
  }
  queue.queries.push_back(query);
  const Time end = query->task.fallback ? std::min(query->task.deadline, base::add(now(), query->task.sticky_timeout))
                                        : query->task.deadline - kReserveMargin;
  alarms_.set(*query, std::max(end, now()));
  pump(queue);
}

void Matching::Home::serve_queries(Queue& queue) {
  while (!queue.queries.empty()) {
    const auto idle = queue.value.take_poll(now());
    if (!idle) return;
    const std::shared_ptr<Query> query = queue.queries.front();
    const auto found = polls_.find(idle->id);
    if (found == polls_.end()) continue;
    const std::shared_ptr<Poll> poll = found->second;
    std::string response = std::move(query->task.response);
    answer_query(queue, query, {});
    finish(poll, std::move(response));
  }
}

void Matching::Home::answer_query(Queue& queue, const std::shared_ptr<Query>& query, base::Status status) {
  alarms_.cancel(*query);
  queue.queries.remove(query);
  query->task.taken(std::move(status));
}

// The sticky worker did not come: any worker will do, with the whole history (WT-53).
bool Matching::Home::try_fallback(Queue& queue, const std::shared_ptr<Query>& query) {
  if (!query->task.fallback) return false;
  alarms_.cancel(*query);
  queue.queries.remove(query);
  QueryTask again = std::move(query->task);
  again.queue = *again.fallback;
  again.fallback.reset();
  again.response = std::move(again.fallback_response);
  query_elsewhere_(std::move(again));
  return true;
}

void Matching::Home::end_of_query(Query& ending, Time now) {
  Queue& queue = *ending.queue;
  const auto found = std::find_if(queue.queries.begin(), queue.queries.end(), [&](const auto& q) { return q.get() == &ending; });
  if (found == queue.queries.end()) return;
  const std::shared_ptr<Query> query = *found;
  if (try_fallback(queue, query)) return;
  if (!query->last_second && query->task.deadline > now) {
    // One second before the deadline: say why nobody comes, or wait on for somebody who was here lately (WT-53).
    if (!queue.value.polled_within(kRecentPoller, queue.live, now)) {
      return answer_query(queue, query, std::unexpected(no_poller()));
    }
    query->last_second = true;
    alarms_.set(*query, query->task.deadline);
    return;
  }
  answer_query(queue, query, std::unexpected(query_too_late()));
}

// ---- looking -------------------------------------------------------------------------------------------------------------------

QueueDescription Matching::Home::description(const Queue& queue) const {
  QueueDescription result;
  for (const core::PollerSeen& seen : queue.value.pollers(now())) {
    auto& poller = result.pollers.emplace_back();
    poller.set_identity(seen.identity);
    const std::int64_t time = seen.last_access.time_since_epoch().count();
    poller.mutable_last_access_time()->set_seconds(time / 1'000'000'000);
    poller.mutable_last_access_time()->set_nanos(static_cast<std::int32_t>(time % 1'000'000'000));
    poller.set_rate_per_second(seen.max_tasks_per_second.value_or(core::TokenBucket::kUnlimited));
  }
  const core::QueueFigures figures = queue.value.figures(now());
  result.backlog = figures.backlog;
  result.backlog_age = figures.backlog_age;
  result.add_rate = figures.add_rate;
  result.dispatch_rate = figures.dispatch_rate;
  result.max_tasks_per_second = queue.value.max_tasks_per_second();
  for (const core::PriorityFigures& level : figures.priorities) {
    result.priorities.push_back({level.priority, level.backlog, level.backlog_age, level.add_rate, level.dispatch_rate});
  }
  return result;
}

void Matching::Home::describe(QueueKey key, Done<QueueDescription> done) {
  const Queue* queue = find(key);
  done(queue ? description(*queue) : QueueDescription{});
}

// ---- one timer for all alarms --------------------------------------------------------------------------------------------------

void Matching::Home::arm_timer() {
  const Time next = alarms_.next();
  if (next == base::kNever || (timer_ != 0 && timer_at_ <= next)) return;
  if (timer_ != 0) executor_.cancel(timer_);
  timer_at_ = next;
  timer_ = executor_.call_at(next, [weak = weak_from_this()] {
    if (const auto home = weak.lock()) home->on_timer();
  });
}

void Matching::Home::on_timer() {
  timer_ = 0;
  const Time now = this->now();
  while (Alarm* alarm = alarms_.pop_due(now)) alarm->fire(now);
  arm_timer();
}

}  // namespace perdure::matching
