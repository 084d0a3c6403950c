#include "server/matching/matching.h"

#include "base/check.h"
#include "base/random.h"
#include "server/core/errors.h"
#include "server/matching/home.h"

namespace perdure::matching {

std::string ready_key(const QueueKey& key) {
  return key.namespace_id + (key.kind == core::TaskKind::kWorkflow ? "/w/" : "/a/") + key.name;
}

Matching::Matching(MatchingOptions options) : options_(std::move(options)) {
  CHECK(!options_.executors.empty() && options_.starter);
  for (base::Executor* executor : options_.executors) {
    homes_.push_back(
        std::make_shared<Home>(*this, *executor, base::derive_seed(options_.seed, 0x200 + homes_.size())));
  }
}

Matching::~Matching() = default;

Matching::Home& Matching::home(const QueueKey& key) {
  return *homes_[QueueKeyHash()(key) % homes_.size()];
}

void Matching::offer(Offer offer) {
  const QueueKey key{offer.unit.namespace_id, offer.task.kind, offer.task.queue};
  const std::size_t bytes = sizeof(Offer) + offer.unit.id.size();
  // Never refused: what one command leads to is bounded, and commands are.
  home(key).run(base::Lane::kCompletion, bytes,
                [offer = std::move(offer)](Home& home) mutable { home.offer(std::move(offer)); });
}

std::uint64_t Matching::poll(PollRequest request, PollDone done) {
  const std::uint64_t id = last_poll_.fetch_add(1, std::memory_order_relaxed) + 1;
  Home& at = home(request.queue);
  auto poll = std::make_shared<Poll>(at, id, std::move(request.poller), std::move(done));
  const std::size_t bytes = sizeof(Poll) + request.queue.name.size() + poll->poller.identity.size();
  // Before new work: a poll brings no work, it takes some away, and must not wait behind what only workers can end.
  const bool taken =
      at.run(base::Lane::kInternal, bytes, [poll, request = std::move(request)](Home& home) mutable {
        home.poll(std::move(poll), std::move(request));
      });
  if (!taken) poll->done(std::unexpected(core::overloaded("too many requests wait")));
  return id;
}

void Matching::cancel_poll(const QueueKey& queue, std::uint64_t poll_id) {
  home(queue).run(base::Lane::kCompletion, 0, [poll_id](Home& home) { home.cancel_poll(poll_id); });
}

void Matching::query(QueryTask task) {
  const std::size_t bytes = sizeof(QueryTask) + task.response.size() + task.fallback_response.size();
  auto held = std::make_shared<QueryTask>(std::move(task));  // lives on when the post is refused
  const bool taken = home(held->queue).run(base::Lane::kInternal, bytes, [held](Home& home) {
    home.query(std::move(*held));
  });
  if (!taken) held->taken(std::unexpected(core::overloaded("too many queries wait")));
}

void Matching::describe(QueueKey queue, Done<QueueDescription> done) {
  auto held = std::make_shared<Done<QueueDescription>>(std::move(done));
  Home& at = home(queue);
  const std::size_t bytes = sizeof(QueueKey) + queue.name.size();
  const bool taken =
      at.run(base::Lane::kNewWork, bytes, [held, queue = std::move(queue)](Home& home) mutable {
        home.describe(std::move(queue), std::move(*held));
      });
  if (!taken) (*held)(std::unexpected(core::overloaded("too many requests wait")));
}

void Matching::shutdown_worker(const std::string& namespace_id, const std::string& sticky_queue,
                               const std::string& identity, const std::string& worker_instance_key) {
  for (const auto& at : homes_) {
    at->run(base::Lane::kCompletion, 0,
            [=](Home& home) { home.shutdown_worker(namespace_id, identity, worker_instance_key); });
  }
  if (sticky_queue.empty()) return;
  const QueueKey key{namespace_id, core::TaskKind::kWorkflow, sticky_queue};
  home(key).run(base::Lane::kCompletion, 0, [key](Home& home) { home.forget_sticky_queue(key); });
}

void Matching::drain() {
  for (const auto& at : homes_) {
    at->run(base::Lane::kCompletion, 0, [](Home& home) { home.drain(); });
  }
}

}  // namespace perdure::matching
