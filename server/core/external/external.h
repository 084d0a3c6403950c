// Effects of one id on another: external signal and cancel (rule E7).
//
//   sender                        receiver
//   initiated (22, 37) ──────────→ deliver: effect and outcome in one commit, remembered in the head
//   outcome recorded (23,24,38,39) ←
//   forget ──────────────────────→ forgotten
//   gone ←
//
// Every step is repeated until the next one is durable; each is harmless when repeated.
#pragma once

#include "server/core/draft.h"

namespace perdure::core {

inline constexpr int kExternalSignal = 1;
inline constexpr int kExternalCancel = 2;

// The receiver's memory of an effect.
std::string received_key(const std::string& sender_run_id, std::int64_t initiated_id);

Decision deliver_external(UnitDraft& unit, DeliverExternal command);
Decision record_external(UnitDraft& unit, RecordExternal command);
Decision forget_received(UnitDraft& unit, ForgetReceived command);
Decision forgotten_external(UnitDraft& unit, ForgottenExternal command);

}  // namespace perdure::core
