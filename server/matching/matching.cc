#include "server/matching/matching.h"

#include <atomic>

#include "base/check.h"
#include "server/matching/home.h"

namespace perdure::matching {

std::string ready_key(const QueueKey& key) {
  return key.namespace_id + (key.kind == core::TaskKind::kWorkflow ? "/w/" : "/a/") + key.name;
}

struct Matching::Ids {
  std::atomic<std::uint64_t> last_poll{0};
};

Matching::Matching(MatchingOptions options) : options_(std::move(options)), ids_(std::make_unique<Ids>()) {
  CHECK(!options_.executors.empty() && options_.starter);
  for (base::Executor* executor : options_.executors) {
    homes_.push_back(std::make_shared<Home>(options_, *executor, base::derive_seed(options_.seed, 0x200 + homes_.size())));
    homes_.back()->elsewhere([this](QueryTask task) { query(std::move(task)); });
  }
}

Matching::~Matching() = default;

Matching::Home& Matching::home_of(const QueueKey& key) const { return *homes_[QueueKeyHash{}(key) % homes_.size()]; }

void Matching::offer(Offer offer) {
  Home& home = home_of({offer.unit.namespace_id, offer.task.kind, offer.task.queue});
  // A lost offer is found again in the store's index; the lane never refuses it all the same.
  home.run(base::Lane::kCompletion, 0, [offer = std::move(offer)](Home& home) mutable { home.offer(std::move(offer)); });
}

std::uint64_t Matching::poll(PollRequest request, PollDone done) {
  const std::uint64_t id = ids_->last_poll.fetch_add(1) + 1;
  Home& home = home_of(request.queue);
  auto poll = std::make_shared<Poll>(home, id, request.poller, std::move(done));
  const bool posted = home.run(base::Lane::kNewWork, 512, [poll, request = std::move(request)](Home& home) mutable {
    home.poll(std::move(poll), std::move(request));
  });
  if (!posted) poll->done(std::unexpected(base::Error{base::Code::kResourceExhausted, "too many requests wait", {}}));
  return id;
}

void Matching::cancel_poll(const QueueKey& queue, std::uint64_t poll_id) {
  home_of(queue).run(base::Lane::kCompletion, 0, [poll_id](Home& home) { home.cancel_poll(poll_id); });
}

void Matching::query(QueryTask task) {
  Home& home = home_of(task.queue);
  home.run(base::Lane::kCompletion, 0, [task = std::move(task)](Home& home) mutable { home.query(std::move(task)); });
}

void Matching::describe(QueueKey queue, Done<QueueDescription> done) {
  Home& home = home_of(queue);
  home.run(base::Lane::kCompletion, 0, [queue = std::move(queue), done = std::move(done)](Home& home) mutable {
    home.describe(std::move(queue), std::move(done));
  });
}

void Matching::shutdown_worker(const std::string& namespace_id, const std::string& sticky_queue, const std::string& identity,
                               const std::string& worker_instance_key) {
  for (const auto& home : homes_) {
    home->run(base::Lane::kCompletion, 0,
              [=](Home& home) { home.shutdown_worker(namespace_id, identity, worker_instance_key); });
  }
  if (sticky_queue.empty()) return;
  const QueueKey key{namespace_id, core::TaskKind::kWorkflow, sticky_queue};
  home_of(key).run(base::Lane::kCompletion, 0, [key](Home& home) { home.forget_sticky_queue(key); });
}

void Matching::drain() {
  for (const auto& home : homes_) home->run(base::Lane::kCompletion, 0, [](Home& home) { home.drain(); });
}

}  // namespace perdure::matching
