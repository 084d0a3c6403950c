// The binary: command line, data directory, listeners, signals.
#include <absl/synchronization/mutex.h>

#include "server/main/options.h"
#include "server/main/process.h"

int main(int count, char** arguments) {
  // Debian builds abseil with its deadlock detector on: a fifth of the cost of every call.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const perdure::server::Parsed parsed = perdure::server::parse_command_line(count, arguments);
  if (!parsed.serve) return parsed.exit;
  return perdure::server::serve(*parsed.serve);
}
