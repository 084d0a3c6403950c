// Polls: arriving, being reserved, ending (E16, MA-05, MA-06, MA-16).
#include <algorithm>

#include "base/planted.h"
#include "server/core/errors.h"
#include "server/matching/home.h"
#include "server/matching/reply_hints.h"

namespace perdure::matching {
namespace {

using namespace std::chrono_literals;

constexpr base::Duration kLeastLeft = 1s;    // of a client's time, to be given a task (E16)
constexpr std::size_t kMostPolls = 200'000;  // per home
constexpr std::size_t kMostEarlyCancels = 1'000;
constexpr std::size_t kMostLeft = 50'000;  // workers that shut down, remembered per home
// no poll of theirs is under way for longer: a long poll and some more
constexpr base::Duration kLeftFor = 70s;

}  // namespace

void Poll::fire(base::Time now) {
  home_.end_of_poll(*this, now);
}

void Matching::Home::poll(std::shared_ptr<Poll> poll, PollRequest request) {
  const Time at = now();
  Queue& queue = open(std::move(request.queue));
  {
    const Hold hold(queue);
    take_poll(queue, std::move(poll), request, at);
    pump(queue);
  }
  keep_bounds();
}

void Matching::Home::take_poll(Queue& queue, std::shared_ptr<Poll> poll, const PollRequest& request,
                               Time at) {
  poll->queue = &queue;
  // without a trace: nobody polls here
  if (has_left(poll->poller, queue.key, at)) return poll->done(std::string());
  queue.value.saw_poller({.identity = poll->poller.identity,
                          .last_access = at,
                          .max_tasks_per_second = request.max_tasks_per_second,
                          .build_id = poll->poller.build_id,
                          .deployment = poll->poller.deployment});
  if (poll->poller.sticky) queue.sticky = true;
  queue.shut_down = false;
  poll->since = at;
  poll->deadline = request.deadline;
  poll->end = std::min(request.deadline - kLeastLeft, base::add(at, options_.long_poll));
  if (cancelled_early_.erase(poll->id) > 0 || draining_ || poll->end < at) {
    poll->done(std::string());
  } else if (polls_.size() >= kMostPolls) {
    ++counted_.refused_polls;
    poll->done(std::unexpected(core::overloaded("too many polls wait")));
  } else {
    ++queue.live;
    poll->place = queue.value.park({.id = poll->id, .since = at, .end = poll->end});
    alarms_.set(*poll, poll->end);
    polls_.emplace(poll->id, std::move(poll));
  }
}

// Hands out what can be handed out now. Calls outside may come back here on the same stack: the loop that runs takes over.
void Matching::Home::pump(Queue& queue) {
  if (queue.pumping) {
    queue.pump_again = true;
    return;
  }
  queue.pumping = true;
  do {
    queue.pump_again = false;
    give_up_sticky(queue, now());
    serve_queries(queue);
    while (const auto match = queue.value.match(now())) reserve(queue, *match);
    read_page(queue);
    answer_descriptions(queue);
  } while (queue.pump_again);
  queue.pumping = false;
  count(queue);
  arm(queue);
}

void Matching::Home::reserve(Queue& queue, const core::TaskQueue::Match& match) {
  // held: the answer may come at once and end it
  const std::shared_ptr<Poll> poll = polls_.at(match.poll.id);
  poll->reserved = true;
  poll->poller.request_id = random_.uuid();
  if (base::planted(base::Bug::kUnseeded))
    poll->poller.request_id = std::to_string(reinterpret_cast<std::uintptr_t>(poll.get()));
  alarms_.set(*poll, poll->deadline);
  const Offer offer = offer_of(queue, *match.task);
  // The queue stays while a start is under way.
  options_.starter->start_task(
      offer, poll->poller,
      [weak = weak_from_this(), &queue, idle = match.poll,
       task = core::TaskIdentity{offer.run_id, offer.task.scheduled_id}](Result<std::string> answer) mutable {
        const auto home = weak.lock();
        if (!home) return;
        const std::size_t bytes = answer ? answer->size() : 0;
        home->run(base::Lane::kCompletion, bytes,
                  [&queue, idle, task = std::move(task), answer = std::move(answer)](Home& home) mutable {
                    home.start_answered(queue, idle, task, std::move(answer));
                  });
      });
}

void Matching::Home::start_answered(Queue& queue, const core::IdlePoll& poll, const core::TaskIdentity& task,
                                    Result<std::string> answer) {
  const Hold hold(queue);
  if (answer) {
    deliver(queue, poll, task, std::move(*answer));
  } else {
    if (answer.error().code == base::Code::kNotFound) {
      queue.value.obsolete(task, now());
    } else {
      queue.value.failed(task, now());
    }
    park_again(queue, poll);
  }
  pump(queue);
}

void Matching::Home::deliver(Queue& queue, const core::IdlePoll& idle, const core::TaskIdentity& task,
                             std::string response) {
  const auto found = polls_.find(idle.id);
  if (found == polls_.end()) {  // its client left, or its time passed: nobody hears this
    const Offer offer = offer_of(queue, *queue.value.window().find_under_way(task));
    queue.value.undone(task, now());
    if (base::planted(base::Bug::kUndeliveredStart)) return;
    return options_.starter->undo_start(offer, response);
  }
  if (const core::TaskReference* due = queue.value.window().find_under_way(task))
    count_delivery(queue, idle, due->time);
  append_hints(response, queue.key.kind, queue.value.started(task, idle, now()));
  finish(found->second, std::move(response));
}

void Matching::Home::park_again(Queue& queue, const core::IdlePoll& idle) {
  const auto found = polls_.find(idle.id);
  if (found == polls_.end()) return;
  const std::shared_ptr<Poll> poll = found->second;
  if (draining_ || poll->end < now() || has_left(poll->poller, queue.key, now()))
    return finish(poll, std::string());
  if (base::planted(base::Bug::kLoseReservedPoll)) return alarms_.cancel(*poll);
  poll->reserved = false;
  poll->place = queue.value.park_first(idle);
  alarms_.set(*poll, poll->end);
}

// The poll is in no row any more. Its callback is the last thing that happens to it.
void Matching::Home::finish(std::shared_ptr<Poll> poll, Result<std::string> answer) {
  alarms_.cancel(*poll);
  polls_.erase(poll->id);
  Queue& queue = *poll->queue;
  --queue.live;
  queue.value.poll_ended(poll->poller.identity, now());
  if (answer && answer->empty()) ++counted_.counters[{queue.key.namespace_id, queue.key.kind}].timeouts;
  poll->done(std::move(answer));
}

// Of an idle poll, or of the patience of a reserved one's client.
void Matching::Home::end_of_poll(Poll& poll, Time) {
  Queue& queue = *poll.queue;
  const Hold hold(queue);
  if (!poll.reserved) queue.value.leave(poll.place);
  finish(polls_.at(poll.id), std::string());
  pump(queue);
}

void Matching::Home::cancel_poll(std::uint64_t id) {
  const auto found = polls_.find(id);
  if (found != polls_.end()) return end_of_poll(*found->second, now());
  cancelled_early_.insert(id);  // it may be on its way here still
  if (cancelled_early_.size() > kMostEarlyCancels) cancelled_early_.erase(cancelled_early_.begin());
}

// In order of arrival. A reserved poll is left alone: what is being started for it is delivered, or undone when its client goes.
void Matching::Home::end_idle_polls(const std::function<bool(const Poll&)>& which) {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, poll] : polls_) {
    if (!poll->reserved && which(*poll)) ids.push_back(id);
  }
  std::ranges::sort(ids);
  for (const std::uint64_t id : ids) {
    const auto found = polls_.find(id);  // a callback may have ended it
    if (found != polls_.end() && !found->second->reserved) end_of_poll(*found->second, now());
  }
}

void Matching::Home::shutdown_worker(const std::string& namespace_id, const std::string& identity,
                                     const std::string& worker_instance_key) {
  // A poll may arrive after the goodbye, or be reserved now and come back: it would be given work that nobody does (MA-16).
  if (!worker_instance_key.empty() && left_.emplace(namespace_id, worker_instance_key).second) {
    left_until_.emplace_back(base::add(now(), kLeftFor), std::pair(namespace_id, worker_instance_key));
    if (left_.size() > kMostLeft) forget_oldest_left();
  }
  end_idle_polls([&](const Poll& poll) {
    if (poll.queue->key.namespace_id != namespace_id) return false;
    if (!worker_instance_key.empty()) return poll.poller.worker_instance_key == worker_instance_key;
    return !identity.empty() && poll.poller.identity == identity;
  });
}

void Matching::Home::forget_oldest_left() {
  left_.erase(left_until_.front().second);
  left_until_.pop_front();
}

bool Matching::Home::has_left(const Poller& poller, const QueueKey& key, Time now) {
  while (!left_until_.empty() && left_until_.front().first < now) forget_oldest_left();
  if (left_.empty() || poller.worker_instance_key.empty()) return false;
  return left_.contains({key.namespace_id, poller.worker_instance_key});
}

void Matching::Home::forget_sticky_queue(QueueKey key) {
  Queue& queue = open(std::move(key));
  const Hold hold(queue);
  queue.sticky = true;
  end_idle_polls([&](const Poll& poll) { return poll.queue == &queue; });
  queue.shut_down = true;
  pump(queue);
  keep_bounds();
}

void Matching::Home::drain() {
  draining_ = true;
  end_idle_polls([](const Poll&) { return true; });
  std::vector<std::shared_ptr<Query>> waiting;
  for (Queue* queue : by_use_) waiting.insert(waiting.end(), queue->queries.begin(), queue->queries.end());
  for (const auto& query : waiting) {
    if (query->set())
      take_query(*query)->task.taken(base::fail(base::Code::kUnavailable, "the server is shutting down"));
  }
}

}  // namespace perdure::matching
