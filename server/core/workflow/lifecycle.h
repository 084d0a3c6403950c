// How runs begin, end and follow one another: shared by start, close, retry, cron and continue-as-new.
#pragma once

#include "server/core/draft.h"

namespace perdure::core {

using StartedAttributes = temporal::api::history::v1::WorkflowExecutionStartedEventAttributes;

// ---- beginning -----------------------------------------------------------------------------------------------------------------

struct NewRun {
  std::string run_id, request_id;
  // of event 1; ids, times and backoff are filled in by begin_run
  StartedAttributes attributes;
  std::string workflow_type, task_queue;
  Duration backoff{};  // before the first workflow task
  std::int64_t run_timeout = 0, execution_timeout = 0, task_timeout = 0;
  std::int64_t execution_expiration = 0;       // carried along a chain; 0: from the execution timeout
  std::string first_run_id, continued_run_id;  // of the chain; empty: this run begins it
  std::int64_t chain_start_time = 0;
  int attempt = 1;
  temporal::api::workflow::v1::ResetPoints reset_points;
  bool has_reset_points = false;
  // a backoff of nothing is told as 0s; not by a run that continues as new
  bool shows_no_backoff = true;
  temporal::api::sdk::v1::UserMetadata user_metadata;
  bool has_user_metadata = false;
  std::vector<temporal::api::common::v1::Link> links;
};

// The run that a start request asks for. Fields are normalised already (frontend): timeouts capped, retry policy filled in.
NewRun new_run_from(const wfs::StartWorkflowExecutionRequest& request, std::string run_id, const Env& env);
// Creates the run, writes event 1, makes it current. Its first workflow task: schedule_first_task.
RunDraft& begin_run(UnitDraft& unit, NewRun run);
// Unless a backoff is in force.
void schedule_first_task(RunDraft& run, const Env& env);

// ---- ending --------------------------------------------------------------------------------------------------------------------

// After the close event was appended: the run is closed with that status, the head knows.
void close_run(UnitDraft& unit, RunDraft& run, enums::WorkflowExecutionStatus status,
               const std::string& new_run_id = {});
// Writes WorkflowExecutionTerminated after a started task was failed and the buffer written (WT-13).
void terminate_run(UnitDraft& unit, RunDraft& run, const std::string& reason, const std::string& identity,
                   const temporal::api::common::v1::Payloads* details);

// ---- following -----------------------------------------------------------------------------------------------------------------

// Whether and how a failed or timed-out run is followed by another (TM-02…04).
struct Follow {
  bool follows = false;
  enums::ContinueAsNewInitiator initiator{};
  Duration backoff{};
  int attempt = 1;
  enums::RetryState retry_state{};
};
Follow after_failure(const RunDraft& run, const temporal::api::failure::v1::Failure& failure, const Env& env);
Follow after_completion(const RunDraft& run, const Env& env);  // cron only

// The run that follows by retry or cron: a copy of the old one's event 1. The old run's close event is written by the caller
// before, naming `new_run_id`. False: event 1 of the old run is not loaded (the caller must ask for it in needs()).
bool follow_run(UnitDraft& unit, RunDraft& old_run, const Follow& follow, const std::string& new_run_id,
                const temporal::api::common::v1::Payloads* last_result,
                const temporal::api::failure::v1::Failure* failure);

// The first event of a run: drafted now or written before.
std::shared_ptr<const HistoryEvent> first_event(UnitDraft& unit, const RunDraft& run);

}  // namespace perdure::core
