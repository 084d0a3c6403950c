// What a workflow's code asks with: the options of its verbs; and what it knows of itself.
//
// Options are views: what they point to lives as long as the call. Values; any thread.
#pragma once

#include <exception>
#include <map>
#include <optional>
#include <source_location>
#include <span>
#include <string>

#include <perdure/attributes.h>
#include <perdure/detail/base.h>

namespace perdure {
inline namespace v1 {

struct RetryPolicy {
  Duration initial_interval{1s};
  double backoff_coefficient = 2.0;
  Duration maximum_interval{};                        // 0: a hundred times the initial one
  int maximum_attempts = 0;                           // 0: no limit
  std::span<const Text> non_retryable_error_types{};  // must live as long as the options
};

enum class CancellationType {
  kTryCancel,      // ask, and end with a failure at once
  kWaitCompleted,  // ask, and wait for how it really ends
  kAbandon,        // end with a failure at once, ask nobody
};

// Within a task queue; 0: the default. Fairness shares a queue out among keys, by weight.
struct Priority {
  int key = 0;  // 1 is the most urgent
  Text fairness_key{};
  float fairness_weight = 0;
};

struct ActivityOptions {  // start_to_close or schedule_to_close is needed
  Duration start_to_close_timeout{}, schedule_to_close_timeout{}, schedule_to_start_timeout{},
      heartbeat_timeout{};
  RetryPolicy retry{};
  Text task_queue{};  // empty: the workflow's
  CancellationType cancellation = CancellationType::kTryCancel;
  Text activity_id{}, summary{};
  Priority priority{};
  std::source_location where = std::source_location::current();
};
static_assert(std::is_trivially_copyable_v<ActivityOptions> && std::is_aggregate_v<ActivityOptions>);

// Of a timer: what people see of it in the history.
struct TimerOptions {
  Text summary{};
  std::source_location where = std::source_location::current();
};

// Runs on the worker that runs the workflow, inside its workflow task: for what takes seconds at most. A
// retry that is further away than local_retry_threshold waits for a timer of the workflow.
struct LocalActivityOptions {  // start_to_close or schedule_to_close is needed
  Duration start_to_close_timeout{}, schedule_to_close_timeout{};
  RetryPolicy retry{};
  Duration local_retry_threshold{1min};
  CancellationType cancellation = CancellationType::kTryCancel;
  Text activity_id{}, summary{};
  std::source_location where = std::source_location::current();
};
static_assert(std::is_trivially_copyable_v<LocalActivityOptions>);

enum class IdReusePolicy { kAllowDuplicate = 1, kAllowDuplicateFailedOnly = 2, kRejectDuplicate = 3 };
enum class ParentClosePolicy { kTerminate = 1, kAbandon = 2, kRequestCancel = 3 };

struct ChildOptions {
  Text id{}, task_queue{};  // empty: made from the run id; the workflow's
  Duration execution_timeout{}, run_timeout{}, task_timeout{};
  std::optional<RetryPolicy> retry{};
  ParentClosePolicy parent_close = ParentClosePolicy::kTerminate;
  CancellationType cancellation = CancellationType::kWaitCompleted;
  IdReusePolicy id_reuse = IdReusePolicy::kAllowDuplicate;
  const Memo* memo = nullptr;                           // as long as the options
  const SearchAttributes* search_attributes = nullptr;  // likewise
  Text summary{}, details{};  // for people: one line, and any number of them, in Markdown
  Priority priority{};
  std::source_location where = std::source_location::current();
};
static_assert(std::is_trivially_copyable_v<ChildOptions>);

// static constexpr Versioning versioning of a workflow class: what happens to its runs when a new version of
// the worker is deployed.
enum class Versioning { kUnspecified = 0, kPinned = 1, kAutoUpgrade = 2 };

using Headers = std::map<std::string, Payload>;

struct WorkflowInfo {
  std::string workflow_id, run_id, first_run_id, workflow_type, task_queue, ns, continued_run_id,
      cron_schedule;
  std::string parent_workflow_id, parent_run_id;
  std::string root_workflow_id, root_run_id;  // the workflow itself when it has no parent
  std::string build_id;  // of the worker that completed this workflow task, when it says one
  int attempt = 1;
  TimePoint start_time{};
  Memo memo;                           // with what the workflow has upserted since
  SearchAttributes search_attributes;  // likewise
  Headers headers;                     // that came with the start
  Payloads last_result;                // of the run before, of a cron schedule
  std::exception_ptr last_failure;     // of the run before
  Duration execution_timeout{}, run_timeout{}, task_timeout{};
  std::int64_t history_length = 0, history_bytes = 0;  // as of this workflow task
};

}  // namespace v1
}  // namespace perdure
