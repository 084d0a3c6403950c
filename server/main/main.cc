// The binary: command line, data directory, listeners, signals.
#include <google/protobuf/stubs/logging.h>
#include <sys/resource.h>

#include "server/main/options.h"
#include "server/main/process.h"

namespace {

// A connection is a descriptor: as many as the system allows, not the 1,024 that shells give.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);  // a system that refuses it leaves it as it was
}

}  // namespace

int main(int count, char** arguments) {
  google::protobuf::SetLogHandler(nullptr);  // what a client sends wrong is told to that client
  const perdure::server::Parsed parsed = perdure::server::parse_command_line(count, arguments);
  if (!parsed.serve) return parsed.exit;
  raise_descriptor_limit();
  return perdure::server::serve(*parsed.serve);
}
