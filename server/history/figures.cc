#include "server/history/figures.h"

#include "server/history/loop.h"

namespace perdure::history {

void HistoryFigures::add(const HistoryFigures& other) {
  for (const auto& [id, counts] : other.closed) {
    auto& to = closed[id];
    for (std::size_t i = 0; i < kStatuses; ++i) to[i] += counts[i];
  }
  executions += other.executions;
  cached_bytes += other.cached_bytes;
  history_waiters += other.history_waiters;
  queries += other.queries;
  mailbox_bytes += other.mailbox_bytes;
  refused_mailbox += other.refused_mailbox;
  refused_unprojected += other.refused_unprojected;
  refused_low_space += other.refused_low_space;
  refused_execution += other.refused_execution;
}

HistoryFigures Loop::figures() const {
  HistoryFigures found = counted_;
  found.executions = units_.size();
  found.cached_bytes = cached_bytes_;
  found.history_waiters = static_cast<std::uint64_t>(waiting_);
  found.queries = queries_.size();
  return found;
}

void Loop::count_change(const Unit& unit, const core::RunState& before, const core::RunChange& change) {
  if (change.deleted || !change.after.exists() || change.after.running()) return;
  if (before.exists() && !before.running()) return;
  const auto status = static_cast<std::size_t>(change.after.progress.status());
  if (status < HistoryFigures::kStatuses) ++counted_.closed[unit.key.namespace_id][status];
}

}  // namespace perdure::history
