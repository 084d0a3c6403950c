// Activities of a run (semantics sheet, section 4). One event when scheduled; attempts leave no event (EV-20): Started is written
// together with the result.
//
//   scheduled → started → (completed | failed for good | canceled | timed out for good)
//                 ↓ failed or timed out, retry allowed
//              backoff → scheduled (attempt + 1)
#pragma once

#include "server/core/draft.h"

namespace perdure::core {

Decision start_activity_task(UnitDraft& unit, StartActivityTask command);
Decision complete_activity(UnitDraft& unit, CompleteActivity command);
Decision fail_activity(UnitDraft& unit, FailActivity command);
Decision cancel_activity(UnitDraft& unit, CancelActivity command);
Decision heartbeat_activity(UnitDraft& unit, HeartbeatActivity command);
// The started attempt was not delivered: back to scheduled, same attempt (rule E16).
void undo_activity_start(RunDraft& run, std::int64_t scheduled_id, std::uint64_t nonce);

// Marks the attempt started and returns what the poll reply needs; used by polls and by eager dispatch.
ActivityTaskStarted start_activity_now(RunDraft& run, std::int64_t scheduled_id, const std::string& identity,
                                       const std::string& request_id, const std::string& build_id,
                                       const Env& env);

// Everything of the run's activities that is due at env.now: timeouts (with retry), ended backoffs. True: the workflow must wake.
bool activity_deadlines_passed(RunDraft& run, const Env& env);

// Pure retry arithmetic, shared with workflow retry (AC-02…04). `attempt` is the one that just failed.
struct RetryDecision {
  enums::RetryState state{};  // IN_PROGRESS: retry after `delay`
  Duration delay{};
};
RetryDecision decide_retry(const temporal::api::common::v1::RetryPolicy* policy, int attempt,
                           const temporal::api::failure::v1::Failure& failure, Time now, Time expiration);
// Fills what is missing with the defaults; empty result: fine; otherwise what is wrong with it.
std::string normalise_retry_policy(temporal::api::common::v1::RetryPolicy& policy);

}  // namespace perdure::core
