// The workflow task of a run: none → scheduled → started → (completed | failed | timed out) → …   (semantics sheet, section 3)
//
//   state        event                         next
//   none         wake_workflow                 scheduled
//   scheduled    start (a poll took it)        started
//   scheduled    sticky timeout, unavailable   scheduled (normal queue)
//   started      completed                     none, or scheduled when something waits
//   started      failed, timed out             scheduled (attempt + 1 unless sticky)
//
// An attempt above 1 is transient: none of its events is written until it completes (WT-04).
#pragma once

#include "server/core/draft.h"
#include "temporal/api/enums/v1/failed_cause.pb.h"

namespace perdure::core {

// Something happened that the workflow must see: schedules a workflow task, unless one is pending or the first backoff runs.
void wake_workflow(RunDraft& run, const Env& env);

// Schedules one; none may be pending. `first_scheduled`: of the first task in a row of heartbeats, 0 for a new row (WT-25).
void schedule_workflow_task(RunDraft& run, const Env& env, std::int64_t first_scheduled = 0);

struct TaskStart {
  std::string identity, request_id, build_id;
  bool sticky = false;  // taken from the sticky queue
  // handed out with the answer to the start: the history has no size yet
  bool eager = false;
};
// Starts the scheduled task; history in the answer begins where a caching worker left off when it is sticky.
WorkflowTaskStarted start_workflow_task_now(RunDraft& run, const TaskStart& start, const Env& env);

// The started task is done: writes its WorkflowTaskCompleted (and, of a transient attempt, what went before). Returns its event id.
std::int64_t write_task_completed(RunDraft& run, const wfs::RespondWorkflowTaskCompletedRequest& request,
                                  const Env& env);

struct TaskFailure {
  enums::WorkflowTaskFailedCause cause{};
  const temporal::api::failure::v1::Failure* failure = nullptr;
  std::string identity, binary_checksum;
};
// The started task failed: event 9 on a first attempt, flush, and the next attempt is scheduled (WT-03, WT-12).
void fail_workflow_task(RunDraft& run, const TaskFailure& failure, const Env& env);
// The same without a next attempt: the run is about to be closed. The buffer is written.
void fail_last_workflow_task(RunDraft& run, const TaskFailure& failure);
// Deadlines of the workflow task that are due at env.now. True: something happened.
bool workflow_task_deadline_passed(RunDraft& run, const Env& env);
// Before a close that does not wait for the worker: a started task is failed, the buffer is written (WT-13).
void force_close_workflow_task(RunDraft& run);
// The sticky worker is gone: the scheduled task moves to the normal queue (WT-06).
void move_to_normal_queue(RunDraft& run);
// The started task was not delivered: scheduled again, same attempt (rule E16).
void undo_workflow_task_start(RunDraft& run, std::uint64_t nonce, const Env& env);

// Events of a transient attempt in flight: not in the history, shown as its tail (WT-66). Empty otherwise.
std::vector<HistoryEvent> transient_tail(const RunState& run, bool with_identity);

}  // namespace perdure::core
