// The binary: command line, data directory, listeners, signals.
#include <google/protobuf/stubs/logging.h>

#include "server/main/options.h"
#include "server/main/process.h"

int main(int count, char** arguments) {
  google::protobuf::SetLogHandler(nullptr);  // what a client sends wrong is told to that client
  const perdure::server::Parsed parsed = perdure::server::parse_command_line(count, arguments);
  if (!parsed.serve) return parsed.exit;
  return perdure::server::serve(*parsed.serve);
}
