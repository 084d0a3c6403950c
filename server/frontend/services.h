// What the handlers stand on: executions, task queues, the catalog and the store, behind interfaces so that a test can stand in.
//
// Thread rule: everything from any thread; `done` runs once, on an executor, and must not block.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/guarded.h"
#include "base/random.h"
#include "server/catalog/catalog.h"
#include "server/core/limits/limits.h"
#include "server/history/history.h"
#include "server/matching/matching.h"
#include "server/store/store.h"

namespace perdure::frontend {

namespace wfs = ::temporal::api::workflowservice::v1;
using base::Result;
using base::Status;
using base::Time;
using store::Done;
using store::UnitKey;

// As history::History: the contracts stand there.
class Executions {
 public:
  virtual ~Executions() = default;
  virtual void execute(UnitKey key, core::Command command, std::size_t bytes, Done<core::Reply> done) = 0;
  virtual void complete_workflow_task(UnitKey key, core::CompleteWorkflowTask command, std::size_t bytes,
                                      Done<std::string> done) = 0;
  virtual void start_workflow(UnitKey key, core::StartWorkflow command, std::size_t bytes,
                              Done<std::string> done) = 0;
  virtual std::uint64_t read_history(history::HistoryRequest request, Done<history::HistoryPage> done) = 0;
  virtual void leave_history(const UnitKey& key, std::uint64_t waiter) = 0;
  virtual void query(history::QueryRequest request, Done<wfs::QueryWorkflowResponse> done) = 0;
  virtual void answer_query(const std::string& query_id, wfs::RespondQueryTaskCompletedRequest request,
                            Done<void> done) = 0;
  virtual void await_visibility(Done<void> done) = 0;
};

// As matching::Matching.
class TaskQueues {
 public:
  virtual ~TaskQueues() = default;
  virtual std::uint64_t poll(matching::PollRequest request, matching::PollDone done) = 0;
  virtual void cancel_poll(const matching::QueueKey& queue, std::uint64_t poll_id) = 0;
  virtual void describe(matching::QueueKey queue, Done<matching::QueueDescription> done) = 0;
  virtual void shutdown_worker(const std::string& namespace_id, const std::string& sticky_queue,
                               const std::string& identity, const std::string& worker_instance_key) = 0;
};

// What GetClusterInfo tells about this process.
struct ServerInfo {
  std::string cluster_id;
  std::string store_name = "memory";
  std::uint32_t shards = 4096;
};
inline constexpr const char* kApiVersion = "1.32.0";  // of the API that is spoken: clients test ranges of it

// Everything outlives the method table that is made over it.
struct Services {
  catalog::CatalogStore& catalog;
  Executions& executions;
  TaskQueues& queues;
  store::Store& store;
  const base::Clock& clock;
  core::Limits limits;
  ServerInfo info;
  base::Duration history_long_poll = std::chrono::seconds(20);
  base::Guarded<base::Random> random{base::Random(0)};  // request ids that clients left out, namespace ids

  std::string uuid() {
    return random.with([](base::Random& source) { return source.uuid(); });
  }
};

}  // namespace perdure::frontend
