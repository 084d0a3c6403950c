#include "server/history/unit.h"

#include "base/planted.h"

namespace perdure::history {

void EventCache::prepend(const std::vector<store::StoredEvent>& older) {
  for (auto event = older.rbegin(); event != older.rend(); ++event) {
    if (event->event_id >= first_) continue;
    if (event->event_id + 1 != first_) return;
    bytes_ += event->bytes->size();
    events_.push_front(event->bytes);
    --first_;
  }
}

std::size_t Unit::bytes() const {
  std::size_t total = 1024;
  for (const auto& [id, run] : runs) total += 2048 + run.events.bytes() + 512 * run.state.activities.size();
  return total;
}

bool Unit::evictable() const {
  if (dirty || writing > 0 || loads > 0 || pins > 0 || !waiting.empty() || !tail.empty() || visibility_wiped)
    return false;
  for (const auto& [id, run] : runs) {
    if ((run.pinned() && !base::planted(base::Bug::kUnpinnedWaiter)) || run.visibility_dirty) return false;
  }
  return true;
}

}  // namespace perdure::history
