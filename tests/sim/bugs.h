// The planted bugs by name: which rule each breaks, and how (base/planted.h).
#pragma once

#include <array>

#include "base/planted.h"

namespace perdure::sim {

struct PlantedBug {
  base::Bug bug;
  const char* rule;
  const char* what;
};

inline constexpr std::array kBugs = {
    PlantedBug{base::Bug::kAckBeforeSync, "E1", "an answer leaves as soon as it is decided"},
    PlantedBug{base::Bug::kReadDoesNotWait, "E1", "a history shows what is not durable"},
    PlantedBug{base::Bug::kErrorDoesNotWait, "E1", "a refusal leaves before what it says is durable"},
    PlantedBug{base::Bug::kFailedSyncIgnored, "E2",
               "a group whose sync failed counts as durable, and later ones follow (no fence)"},
    PlantedBug{base::Bug::kCursorPassesUnwritten, "E3",
               "the cursor of the projection passes what is not in it"},
    PlantedBug{base::Bug::kDropLastRecord, "E4", "the last record of a group is not written"},
    PlantedBug{base::Bug::kReuseEventId, "E4", "an event that was buffered gets the id of the one before"},
    PlantedBug{base::Bug::kTwoOpenRuns, "E4", "a run that is to be replaced stays open"},
    PlantedBug{base::Bug::kUnpinnedWaiter, "E5",
               "a run that somebody waits for may be unloaded; nobody tells the waiter"},
    PlantedBug{base::Bug::kForgetWake, "E6", "the stored wake time is left out"},
    PlantedBug{base::Bug::kLateWake, "E6", "the stored wake time is later than the true one"},
    PlantedBug{base::Bug::kForgetReady, "E6", "waiting activities are not in the ready index"},
    PlantedBug{base::Bug::kEarlyTimer, "E6", "timers fire up to a second early"},
    PlantedBug{base::Bug::kDeliverTwice, "E7", "a repeated delivery takes effect again"},
    PlantedBug{base::Bug::kObligationForgotten, "E7", "what a run owed before a restart is not paid"},
    PlantedBug{base::Bug::kForgetTooEarly, "E7",
               "the receiver is told to forget before the sender's record is durable"},
    PlantedBug{base::Bug::kEndedStillAnswers, "E8", "memory answers on after the stream has ended"},
    PlantedBug{base::Bug::kTailNotSynced, "E9", "recovery does not make the tail durable before it speaks"},
    PlantedBug{base::Bug::kApplyTwice, "E9", "recovery applies what the projection has already"},
    PlantedBug{base::Bug::kChecksumIgnored, "E9", "a torn block is taken for a good one"},
    PlantedBug{base::Bug::kTrimTooFar, "E10", "the log is trimmed up to what is projected, synced or not"},
    PlantedBug{base::Bug::kCheckpointNotSynced, "E10",
               "the database is not synced before the log is trimmed"},
    PlantedBug{base::Bug::kListDoesNotWait, "E11", "a list does not wait for the rows"},
    PlantedBug{base::Bug::kRowForgotten, "E11", "what recovery finds is not listed"},
    PlantedBug{base::Bug::kHealthyQuarantined, "E12", "recovery quarantines an id that is well"},
    PlantedBug{base::Bug::kCatalogNotWritten, "E13", "changes of the catalog live in the log only"},
    PlantedBug{base::Bug::kTimeGoesBack, "E14", "a decision is dated before what it follows"},
    PlantedBug{base::Bug::kRefusedEffectLost, "E15", "an effect that a full lane refused is not tried again"},
    PlantedBug{base::Bug::kLoseReservedPoll, "E16", "a poll whose start came to nothing is never answered"},
    PlantedBug{base::Bug::kUndeliveredStart, "E16", "a started task whose poll is gone is not offered again"},
    PlantedBug{base::Bug::kOldToken, "E17", "a token of an earlier attempt is accepted"},
    PlantedBug{base::Bug::kUnseeded, "E18", "an order that differs from process to process"},
    PlantedBug{base::Bug::kBufferReversed, "E4", "buffered events are written in the wrong order"},
    PlantedBug{base::Bug::kSignalTwice, "E4", "the request id of a signal is not remembered"},
    PlantedBug{base::Bug::kHeartbeatNotWritten, "E1", "a heartbeat is acknowledged and never written"},
    PlantedBug{base::Bug::kBufferLost, "E4", "what is buffered is lost with a failed task"},
};

}  // namespace perdure::sim
