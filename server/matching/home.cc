#include "server/matching/home.h"

#include <algorithm>
#include <functional>

#include "base/check.h"
#include "server/core/errors.h"

namespace perdure::matching {
namespace {

using namespace std::chrono_literals;

// Bounds of one home. Polls beyond are refused; queues and references beyond are forgotten, the store's index has them.
constexpr std::size_t kMostQueues = 20'000;
constexpr std::size_t kMostReferences = 200'000;
constexpr std::size_t kMostDescriptions = 1'000;  // per queue, that wait for its first page
constexpr base::Duration kIdleQueue = 5min;       // unloaded after this (MA-09)
constexpr int kShrinkSteps = 16;                  // queues looked at when there is no room

}  // namespace

std::size_t QueueKeyHash::operator()(const QueueKey& key) const {
  const std::hash<std::string> hash;
  return (hash(key.namespace_id) * 31 + hash(key.name)) * 31 + static_cast<std::size_t>(key.kind);
}

void Queue::fire(base::Time now) {
  home.look_at(*this, now);
}

// A store that holds something served polls in an earlier life: for one period, no poll seen means nothing (E16).
Matching::Home::Home(Matching& matching, base::Executor& executor, std::uint64_t seed)
    : matching_(matching),
      options_(matching.options_),
      executor_(executor),
      random_(seed),
      unknown_until_(now()) {
  if (options_.store != nullptr &&
      (options_.store->cursor() > 0 || options_.store->statistics().unprojected_bytes > 0)) {
    unknown_until_ = base::add(unknown_until_, options_.sticky_availability);
  }
}

// Alarms die before the heap that knows them does.
Matching::Home::~Home() = default;

// ---- queues ---------------------------------------------------------------------------------------------------------------------

Queue* Matching::Home::find(const QueueKey& key) {
  const auto found = queues_.find(key);
  return found == queues_.end() ? nullptr : found->second.get();
}

Queue& Matching::Home::open(QueueKey key) {
  if (Queue* queue = find(key)) {
    used(*queue);
    return *queue;
  }
  const core::TaskWindow::Bounds bounds{.held = options_.window};
  const bool doubt = lost_at_ && now() < base::add(*lost_at_, bounds.doubt);
  auto made = std::make_unique<Queue>(*this, key, bounds, doubt ? lost_at_ : std::nullopt);
  Queue& queue = *made;
  queue.by_use = by_use_.insert(by_use_.end(), &queue);
  queue.last_used = now();
  queues_.emplace(std::move(key), std::move(made));
  return queue;
}

void Matching::Home::used(Queue& queue) {
  queue.last_used = now();
  by_use_.splice(by_use_.end(), by_use_, queue.by_use);
}

void Matching::Home::close(Queue& queue) {
  CHECK(!queue.busy());
  alarms_.cancel(queue);
  references_ -= queue.counted;
  by_use_.erase(queue.by_use);
  queues_.erase(queue.key);
}

void Matching::Home::count(Queue& queue) {
  const std::size_t size = queue.value.window().size();
  references_ += size - queue.counted;
  queue.counted = size;
}

// Forgets what was not used for longest; what is in use keeps a part.
void Matching::Home::keep_bounds() {
  for (int step = 0; step < kShrinkSteps; ++step) {
    if (by_use_.empty() || (queues_.size() <= kMostQueues && references_ <= kMostReferences)) return;
    Queue& queue = *by_use_.front();
    lost_at_ = now();
    if (!queue.busy()) {
      close(queue);
      continue;
    }
    queue.value.window().shrink(options_.window / 10, now());
    count(queue);
    by_use_.splice(by_use_.end(), by_use_, queue.by_use);
  }
}

void Matching::Home::look_at(Queue& queue, Time now) {
  if (!queue.busy() && base::add(queue.last_used, kIdleQueue) <= now) return close(queue);
  pump(queue);
}

// When the queue must be looked at without anything new.
void Matching::Home::arm(Queue& queue) {
  Time when = base::kNever;
  const Time at = now();
  if (queue.value.idle() > 0) when = queue.value.next_look(at);
  if (queue.sticky && queue.live == 0 && queue.value.window().waiting() > 0) {
    Time absent = unknown_until_;
    if (const auto last = queue.value.last_poll())
      absent = std::max(absent, base::add(*last, options_.sticky_availability + 1ns));
    when = std::min(when, absent);
  }
  if (!queue.in_use()) when = std::min(when, base::add(queue.last_used, kIdleQueue));
  if (when == base::kNever) return alarms_.cancel(queue);
  when = std::max(when, at + 1ms);  // what can be done now was done
  // an alarm that comes early sets itself again
  if (!queue.set() || when < queue.when()) alarms_.set(queue, when);
}

// ---- the one timer --------------------------------------------------------------------------------------------------------------

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
  const Time at = now();
  while (Alarm* alarm = alarms_.pop_due(at)) alarm->fire(at);
  arm_timer();
}

// ---- offers ---------------------------------------------------------------------------------------------------------------------

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

// The log has a new stream: what an older one offered is not true any more (E16). All queues read the index again.
void Matching::Home::enter_stream(std::uint64_t stream) {
  if (stream_ != 0) {
    for (Queue* queue : by_use_) {
      queue->value.window().forget(now());
      count(*queue);
    }
  }
  stream_ = stream;
}

void Matching::Home::offer(Offer offer) {
  if (offer.stream < stream_) return;
  if (offer.stream > stream_) enter_stream(offer.stream);
  QueueKey key{offer.unit.namespace_id, offer.task.kind, offer.task.queue};
  if (offer.task.sticky) {
    const Queue* known = find(key);
    if (known != nullptr ? sticky_absent(*known, now()) : now() >= unknown_until_) {
      return options_.starter->sticky_unavailable(offer);
    }
  }
  Queue& queue = open(std::move(key));
  queue.sticky = offer.task.sticky;
  queue.value.offer({.priority = offer.task.priority,
                     .time = offer.task.ready_time,
                     .unit_kind = static_cast<std::uint8_t>(offer.unit.kind),
                     .unit_id = std::move(offer.unit.id),
                     .run_id = std::move(offer.run_id),
                     .task_id = offer.task.scheduled_id,
                     .attempt = offer.task.attempt},
                    now());
  pump(queue);
  keep_bounds();
}

// ---- pages of the ready index (E6) ----------------------------------------------------------------------------------------------

void Matching::Home::read_page(Queue& queue) {
  if (queue.value.idle() == 0 && queue.descriptions.empty()) return;
  const auto wanted = queue.value.window().wanted_page(now());
  if (!wanted) return;
  if (options_.store == nullptr) return page_read(queue, std::vector<store::ReadyEntry>());
  const std::string index = ready_key(queue.key);
  std::optional<store::ReadyEntry> after;
  if (wanted->after) {
    const core::TaskReference& mark = *wanted->after;
    after = {{queue.key.namespace_id, static_cast<store::Kind>(mark.unit_kind), mark.unit_id},
             {index, mark.priority, mark.time, mark.run_id, mark.task_id}};
  }
  // The queue stays while a page is under way.
  options_.store->scan_ready(
      index, std::move(after), wanted->limit,
      [weak = weak_from_this(), &queue](Result<std::vector<store::ReadyEntry>> page) mutable {
        const auto home = weak.lock();
        if (!home) return;
        home->run(base::Lane::kCompletion, 0, [&queue, page = std::move(page)](Home& home) mutable {
          home.page_read(queue, std::move(page));
        });
      });
}

void Matching::Home::page_read(Queue& queue, Result<std::vector<store::ReadyEntry>> page) {
  if (page) {
    std::vector<core::TaskReference> rows;
    rows.reserve(page->size());
    for (store::ReadyEntry& entry : *page) {
      rows.push_back({.priority = entry.task.priority,
                      .time = entry.task.time,
                      .unit_kind = static_cast<std::uint8_t>(entry.key.kind),
                      .unit_id = std::move(entry.key.id),
                      .run_id = std::move(entry.task.run_id),
                      .task_id = entry.task.task_id});
    }
    queue.value.window().loaded(std::move(rows), now());
  } else {
    queue.value.window().load_failed(now());
  }
  pump(queue);
  keep_bounds();
}

// ---- describe -------------------------------------------------------------------------------------------------------------------

void Matching::Home::describe(QueueKey key, Done<QueueDescription> done) {
  Queue& queue = open(std::move(key));
  if (queue.descriptions.size() >= kMostDescriptions) {
    return done(std::unexpected(core::overloaded("too many requests wait for the task queue")));
  }
  queue.descriptions.push_back(std::move(done));
  pump(queue);
  keep_bounds();
}

void Matching::Home::answer_descriptions(Queue& queue) {
  if (queue.descriptions.empty() || queue.value.window().loading()) return;
  const QueueDescription answer = description(queue);
  for (auto& done : std::exchange(queue.descriptions, {})) done(answer);
}

QueueDescription Matching::Home::description(const Queue& queue) const {
  QueueDescription found;
  for (const core::PollerSeen& poller : queue.value.pollers(now())) {
    auto& info = found.pollers.emplace_back();
    info.set_identity(poller.identity);
    info.set_rate_per_second(poller.max_tasks_per_second.value_or(core::TokenBucket::kUnlimited));
    const auto since = poller.last_access.time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
    info.mutable_last_access_time()->set_seconds(seconds.count());
    info.mutable_last_access_time()->set_nanos(static_cast<int>((since - seconds).count()));
    if (!poller.deployment.empty()) {
      info.mutable_deployment_options()->set_deployment_name(poller.deployment);
      info.mutable_deployment_options()->set_build_id(poller.build_id);
    } else if (!poller.build_id.empty()) {
      info.mutable_worker_version_capabilities()->set_build_id(poller.build_id);
    }
  }
  const core::QueueFigures figures = queue.value.figures(now());
  found.backlog = figures.backlog;
  found.backlog_age = figures.backlog_age;
  found.add_rate = figures.add_rate;
  found.dispatch_rate = figures.dispatch_rate;
  found.max_tasks_per_second = queue.value.max_tasks_per_second();
  for (const core::PriorityFigures& figure : figures.priorities) {
    found.priorities.push_back({.priority = figure.priority,
                                .backlog = figure.backlog,
                                .backlog_age = figure.backlog_age,
                                .add_rate = figure.add_rate,
                                .dispatch_rate = figure.dispatch_rate});
  }
  return found;
}

}  // namespace perdure::matching
