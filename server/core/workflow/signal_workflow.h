// Signals: event 26, once per request id (TS-02).
#pragma once

#include <optional>

#include "server/core/draft.h"

namespace perdure::core {

// Not owning: everything must outlive deliver_signal.
struct Signal {
  std::string name, identity, request_id;
  const temporal::api::common::v1::Payloads* input = nullptr;
  const temporal::api::common::v1::Header* header = nullptr;
  const google::protobuf::RepeatedPtrField<temporal::api::common::v1::Link>* links = nullptr;
  // the sender, when it is a workflow
  const temporal::api::common::v1::WorkflowExecution* external = nullptr;
  std::int64_t external_initiated_id = 0;
};

// Writes (or buffers) the event; the run must be running. An error: refused, nothing written. Waking the
// workflow is up to the caller.
std::optional<Error> deliver_signal(RunDraft& run, const Signal& signal, const Env& env);

Decision signal_workflow(UnitDraft& unit, SignalWorkflow command);

}  // namespace perdure::core
