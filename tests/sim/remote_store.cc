#include "tests/sim/remote_store.h"

#include <chrono>

namespace perdure::sim {
namespace {

using std::chrono::milliseconds;

}  // namespace

RemoteStore::RemoteStore(base::Executor& executor, std::shared_ptr<store::MemoryContent> content,
                         RemoteHooks hooks)
    : MemoryStore(executor, std::move(content)), hooks_(std::move(hooks)) {}

base::Duration RemoteStore::latency() {
  if (lost(4)) return milliseconds(hooks_.random->below(300));
  return std::chrono::microseconds(200 + hooks_.random->below(1500));
}

void RemoteStore::append(store::GroupNumber number, std::string bytes, store::Done<void> done) {
  if (hooks_.instant()) {
    arrived_ = landed_ = number;
    return MemoryStore::append(number, std::move(bytes), std::move(done));
  }
  if (arrived_ == 0) arrived_ = landed_ = number - 1;
  groups_[number] = {std::move(bytes), std::move(done)};
  send(number);
}

// Again and again until an answer is heard.
void RemoteStore::send(store::GroupNumber number) {
  if (!groups_.contains(number) || groups_.at(number).durable) return;
  if (!lost(6)) hooks_.later(latency(), [this, number] { arrive(number); });
  hooks_.later(milliseconds(400), [this, number] { send(number); });
}

void RemoteStore::arrive(store::GroupNumber number) {
  const auto found = groups_.find(number);
  if (found == groups_.end()) return;
  if (number > arrived_ + 1) {  // the fence: its predecessor is not there, and it is sent again
    hooks_.later(latency(), [this, number] { arrive(number); });
    return;
  }
  const auto answered = [this, number](base::Status status) {
    if (!lost(6))
      hooks_.later(latency(), [this, number, status = std::move(status)]() mutable {
        answer(number, std::move(status));
      });
  };
  if (number <= landed_) return answered({});
  if (number <= arrived_) return;  // it is being written
  arrived_ = number;
  MemoryStore::append(number, found->second.bytes, [this, number, answered](base::Status status) {
    if (status) landed_ = number;
    answered(std::move(status));
  });
}

// Told in order, however the answers came.
void RemoteStore::answer(store::GroupNumber number, base::Status status) {
  const auto found = groups_.find(number);
  if (found == groups_.end()) return;
  if (!status) {
    for (auto& [sealed, group] : std::exchange(groups_, {})) group.done(std::unexpected(status.error()));
    return;
  }
  found->second.durable = true;
  while (!groups_.empty() && groups_.begin()->second.durable) {
    auto first = groups_.extract(groups_.begin());
    first.mapped().done({});
  }
}

}  // namespace perdure::sim
