// The workloads of the bench: what one unit of each is, seen from the client.
//
// A unit of a running workload ends when the client *knows*: the answer of the call, or, for a whole
// workflow, the close event from a long poll of GetWorkflowExecutionHistory (close-event filter), which is
// how SDKs wait for a result.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "bench/api.h"

namespace perdure::bench {

class Workload {
 public:
  using UnitDone = std::move_only_function<void(base::Status)>;

  virtual ~Workload() = default;
  // Called once before the first unit; `done` when units may start.
  virtual void prepare(UnitDone done) { done({}); }
  // Runs one unit; `slot` (0 … in flight - 1) has no other unit under way.
  virtual void run(std::size_t slot, UnitDone done) = 0;
  // Worker trouble to report beside the figures; empty when there was none.
  virtual std::size_t worker_errors() const { return 0; }
  virtual std::string last_worker_error() const { return {}; }
  // No new worker calls: the run is over.
  virtual void stop() {}
};

struct WorkloadOptions {
  std::string run_name;  // makes workflow ids and task queues unique to this run
  std::size_t in_flight = 128;
  std::size_t pollers = 32;  // of each kind
};

// "noop", "start", "signal", "start_complete", "one_activity", "three_activities"; null for another name.
std::unique_ptr<Workload> make_workload(std::string_view name, Api& api, const WorkloadOptions& options);

// Starts a workflow and hands on its run id, or the error after `timeout`.
void start_workflow(Api& api, std::size_t connection, const std::string& workflow_id,
                    const std::string& workflow_type, const std::string& task_queue,
                    std::move_only_function<void(base::Result<std::string>)> done,
                    base::Duration timeout = kCallTimeout);

}  // namespace perdure::bench
