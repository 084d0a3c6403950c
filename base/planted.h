// Planted bugs: the test of the tests. A build that is not for release can be told to make one mistake, by number, which the
// simulator must then find (docs/reference/testing.md says how soon it did). In a release the question is a constant, and the
// mistake is not in the binary.
//
// Thread rule: plant() before anything else runs; planted() from any thread.
#pragma once

namespace perdure::base {

// The rule that each breaks stands beside it. Numbers never change.
enum class Bug : int {
  kNone = 0,
  kAckBeforeSync = 1,          // E1: an answer leaves as soon as it is decided
  kReadDoesNotWait = 2,        // E1: a history shows what is not durable
  kErrorDoesNotWait = 3,       // E1: "exists" and "not there" leave before what they say is durable
  kFailedSyncIgnored = 4,      // E2: a group whose sync failed counts as durable; later ones follow
  kCursorPassesUnwritten = 5,  // E3: the cursor of the projection passes what is not in it
  kDropLastRecord = 6,         // E4: the last record of a group is not written
  kReuseEventId = 7,           // E4: an event that was buffered gets the id of the one before
  kTwoOpenRuns = 8,            // E4: a run that is to be replaced stays open
  kUnpinnedWaiter = 9,         // E5: a run that somebody waits for may be unloaded; nobody tells the waiter
  kForgetWake = 10,            // E6: the stored wake time is left out
  kLateWake = 11,              // E6: the stored wake time is later than the true one
  kForgetReady = 12,           // E6: waiting activities are not in the ready index
  kEarlyTimer = 13,            // E6: timers fire up to a second early
  kDeliverTwice = 14,          // E7: a repeated delivery takes effect again
  kObligationForgotten = 15,   // E7: what a run owed before a restart is not paid
  kForgetTooEarly = 16,        // E7: the receiver is told to forget before the sender's record is durable
  kEndedStillAnswers = 17,     // E8: memory answers on after the stream has ended
  kTailNotSynced = 18,         // E9: recovery does not make the tail durable before it speaks
  kApplyTwice = 19,            // E9: recovery applies what the projection has already
  kChecksumIgnored = 20,       // E9: a torn block is taken for a good one
  kTrimTooFar = 21,            // E10: the log is trimmed up to what is projected, synced or not
  kCheckpointNotSynced = 22,   // E10: the database is not synced before the log is trimmed
  kListDoesNotWait = 23,       // E11: a list does not wait for the rows
  kRowForgotten = 24,          // E11: what recovery finds is not listed
  kHealthyQuarantined = 25,    // E12: recovery quarantines an id that is well
  kCatalogNotWritten = 26,     // E13: changes of the catalog live in the log only
  kTimeGoesBack = 27,          // E14: a decision is dated before what it follows
  kRefusedEffectLost = 28,     // E15: an effect that a full lane refused is not tried again
  kLoseReservedPoll = 29,      // E16: a poll whose start came to nothing is never answered
  kUndeliveredStart = 30,      // E16: a started task whose poll is gone is not offered again
  kOldToken = 31,              // E17: a token of an earlier attempt is accepted
  kUnseeded = 32,              // E18: an order that differs from process to process
  kBufferReversed = 33,        // E4: buffered events are written in the wrong order
  kSignalTwice = 34,           // E4: the request id of a signal is not remembered
  kHeartbeatNotWritten = 35,   // E1: a heartbeat is acknowledged and never written
  kBufferLost = 36,            // E4: what is buffered is lost with a failed task
};

#ifndef PERDURE_RELEASE
inline Bug planted_bug = Bug::kNone;
inline void plant(Bug bug) {
  planted_bug = bug;
}
inline bool planted(Bug bug) {
  return planted_bug == bug;
}
#else
constexpr bool planted(Bug) {
  return false;
}
#endif

}  // namespace perdure::base
