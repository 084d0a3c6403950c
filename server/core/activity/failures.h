// Failures that the server itself makes, and the shortening of foreign ones.
#pragma once

#include <cstddef>
#include <string>

#include "temporal/api/enums/v1/workflow.pb.h"
#include "temporal/api/failure/v1/message.pb.h"

namespace perdure::core {

using temporal::api::failure::v1::Failure;

// A server failure; shown to the workflow in place of what a worker sent.
Failure server_failure(std::string message, bool non_retryable);
// "activity StartToClose timeout" and its kin (AC-07).
Failure activity_timeout_failure(temporal::api::enums::v1::TimeoutType type);
// "StartToClose", "Heartbeat", …
const char* timeout_name(temporal::api::enums::v1::TimeoutType type);

// The failure if it has at most `limit` bytes; otherwise what matters of it: type, retryability, and the beginnings of message
// and stack trace (AC-10). Text is cut between characters.
Failure shortened(const Failure& failure, std::size_t limit);

}  // namespace perdure::core
