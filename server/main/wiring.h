// The components of one server process, put together: what the binary and the in-process server share.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "server/core/catalog.h"
#include "server/core/limits/limits.h"
#include "server/frontend/method_table.h"
#include "server/history/figures.h"
#include "server/matching/figures.h"
#include "server/store/store.h"

namespace perdure::server {

// What a server does because time passes, not because it is asked. One on a simulated clock does it rarely: a month that is skipped
// costs a step for each.
struct Rhythm {
  base::Duration poll = std::chrono::minutes(1);           // the longest poll of a worker
  base::Duration history_poll = std::chrono::seconds(20);  // the longest wait for new events
  base::Duration wake_scan = std::chrono::seconds(5);
  base::Duration sweep = std::chrono::seconds(30);
};

struct WiringOptions {
  std::vector<base::Executor*> executors;  // history and matching; outlive the server
  const base::Clock* clock = nullptr;
  store::Store* store = nullptr;  // outlives the server
  // names this process life: greater than that of any life before on the same store
  std::uint64_t seed = 0;
  core::Limits limits;
  std::string store_name = "memory";
  Rhythm rhythm;
  std::size_t cache_bytes = 256 << 20;  // of loaded executions, in all
  // as history::HistoryOptions has them, unless given
  std::optional<std::uint64_t> refuse_bytes, replay_bytes;
  // for keys; tests repeat themselves
  std::function<std::string(std::size_t)> secure_bytes = base::secure_bytes;
  std::function<void(const base::Error&)> on_fatal;
  // of each id that is found broken (rule E12)
  std::function<void(const store::UnitKey&, const std::string& why)> on_quarantine;
};

class Wiring {
 public:
  explicit Wiring(WiringOptions options);
  ~Wiring();

  // Recovers from the log (blocking), then serves. Once.
  base::Status start();
  // Registers the namespace unless it is there; `done` when it is durable.
  void ensure_namespace(const std::string& name, base::Duration retention, store::Done<void> done);
  // Polls end empty, new work is refused, everything is written behind; then `done`.
  void stop(store::Done<void> done);

  const frontend::MethodTable& methods() const;
  // For the metrics. They wait for the executors: not from one of several.
  history::HistoryFigures history_figures() const;
  matching::MatchingFigures matching_figures() const;
  // The catalog as it is now: any thread.
  std::shared_ptr<const core::Catalog> catalog() const;
  // Ids that are quarantined, now. Any thread.
  std::uint64_t quarantined() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace perdure::server
