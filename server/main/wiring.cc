#include "server/main/wiring.h"

#include "server/catalog/catalog.h"
#include "server/frontend/api.h"
#include "server/history/history.h"
#include "server/matching/matching.h"

namespace perdure::server {
namespace {

class HistoryExecutions : public frontend::Executions {
 public:
  explicit HistoryExecutions(history::History& history) : history_(history) {}

  void execute(store::UnitKey key, core::Command command, std::size_t bytes,
               store::Done<core::Reply> done) override {
    history_.execute(std::move(key), std::move(command), bytes, std::move(done));
  }
  void complete_workflow_task(store::UnitKey key, core::CompleteWorkflowTask command, std::size_t bytes,
                              store::Done<std::string> done) override {
    history_.complete_workflow_task(std::move(key), std::move(command), bytes, std::move(done));
  }
  void start_workflow(store::UnitKey key, core::StartWorkflow command, std::size_t bytes,
                      store::Done<std::string> done) override {
    history_.start_workflow(std::move(key), std::move(command), bytes, std::move(done));
  }
  std::uint64_t read_history(history::HistoryRequest request,
                             store::Done<history::HistoryPage> done) override {
    return history_.read_history(std::move(request), std::move(done));
  }
  void leave_history(const store::UnitKey& key, std::uint64_t waiter) override {
    history_.leave_history(key, waiter);
  }
  void query(history::QueryRequest request, store::Done<frontend::wfs::QueryWorkflowResponse> done) override {
    history_.query(std::move(request), std::move(done));
  }
  void answer_query(const std::string& id, frontend::wfs::RespondQueryTaskCompletedRequest request,
                    store::Done<void> done) override {
    history_.answer_query(id, std::move(request), std::move(done));
  }
  void await_visibility(store::Done<void> done) override { history_.await_visibility(std::move(done)); }

 private:
  history::History& history_;
};

class MatchingQueues : public frontend::TaskQueues {
 public:
  explicit MatchingQueues(matching::Matching& matching) : matching_(matching) {}

  std::uint64_t poll(matching::PollRequest request, matching::PollDone done) override {
    return matching_.poll(std::move(request), std::move(done));
  }
  void cancel_poll(const matching::QueueKey& queue, std::uint64_t id) override {
    matching_.cancel_poll(queue, id);
  }
  void describe(matching::QueueKey queue, store::Done<matching::QueueDescription> done) override {
    matching_.describe(std::move(queue), std::move(done));
  }
  void shutdown_worker(const std::string& namespace_id, const std::string& sticky_queue,
                       const std::string& identity, const std::string& worker_instance_key) override {
    matching_.shutdown_worker(namespace_id, sticky_queue, identity, worker_instance_key);
  }

 private:
  matching::Matching& matching_;
};

history::HistoryOptions history_options(const WiringOptions& options, catalog::CatalogStore& catalog) {
  history::HistoryOptions history;
  history.executors = options.executors;
  history.store = options.store;
  history.catalog = &catalog;
  history.seed = options.seed;
  history.limits = options.limits;
  history.cache_bytes = options.cache_bytes;
  history.wake_scan = options.rhythm.wake_scan;
  history.sweep = options.rhythm.sweep;
  history.refuse_bytes = options.refuse_bytes.value_or(history.refuse_bytes);
  history.replay_bytes = options.replay_bytes.value_or(history.replay_bytes);
  history.on_fatal = options.on_fatal;
  history.on_quarantine = options.on_quarantine;
  return history;
}

matching::MatchingOptions matching_options(const WiringOptions& options, matching::TaskStarter& starter) {
  matching::MatchingOptions matching;
  matching.executors = options.executors;
  matching.store = options.store;
  matching.starter = &starter;
  matching.seed = options.seed;
  matching.long_poll = options.rhythm.poll;
  return matching;
}

}  // namespace

struct Wiring::Parts {
  explicit Parts(WiringOptions given)
      : options(std::move(given)),
        history(history_options(options, catalog)),
        matching(matching_options(options, history)),
        executions(history),
        queues(matching),
        services{.catalog = catalog,
                 .executions = executions,
                 .queues = queues,
                 .store = *options.store,
                 .clock = *options.clock,
                 .limits = options.limits} {
    services.random.with(
        [&](base::Random& random) { random = base::Random(base::derive_seed(options.seed, 0x300)); });
    services.info.store_name = options.store_name;
    services.history_long_poll = options.rhythm.history_poll;
  }

  WiringOptions options;
  catalog::CatalogStore catalog;
  history::History history;
  matching::Matching matching;
  HistoryExecutions executions;
  MatchingQueues queues;
  frontend::Services services;
  frontend::MethodTable methods;
};

Wiring::Wiring(WiringOptions options) : parts_(std::make_unique<Parts>(std::move(options))) {
  frontend::add_api(parts_->methods, parts_->services);
}

Wiring::~Wiring() = default;

base::Status Wiring::start() {
  TRY_VOID(parts_->history.start(parts_->matching));
  return {};
}

void Wiring::ensure_namespace(const std::string& name, base::Duration retention, store::Done<void> done) {
  parts_->catalog.update(
      [this, name,
       retention](const core::Catalog& catalog) -> base::Result<std::vector<store::CatalogEntry>> {
        std::vector<store::CatalogEntry> entries;
        if (catalog.token_key.empty())
          entries.push_back({catalog::kTokenKey, parts_->options.secure_bytes(32)});
        if (!name.empty() && !catalog.find_by_name(name)) {
          entries.push_back(catalog::namespace_entry(parts_->services.random.with(
              [&](base::Random& random) { return catalog::make_namespace(name, retention, random); })));
        }
        return entries;
      },
      std::move(done));
}

void Wiring::stop(store::Done<void> done) {
  parts_->matching.drain();
  parts_->history.stop(std::move(done));
}

history::HistoryFigures Wiring::history_figures() const {
  return parts_->history.figures();
}
matching::MatchingFigures Wiring::matching_figures() const {
  return parts_->matching.figures();
}
std::shared_ptr<const core::Catalog> Wiring::catalog() const {
  return parts_->catalog.snapshot();
}

const frontend::MethodTable& Wiring::methods() const {
  return parts_->methods;
}
std::uint64_t Wiring::quarantined() const {
  return parts_->history.quarantined();
}

}  // namespace perdure::server
