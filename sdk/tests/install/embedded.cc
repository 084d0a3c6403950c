// A server, a worker and a test's environment in one program.
#include <perdure/server.h>
#include <perdure/testing.h>

#include "workflows.h"

namespace {

// What the library throws is caught by its type here.
bool fails(const perdure::Client& client) {
  try {
    (void)client.execute<&greet>({.id = "fails", .task_queue = "installed"}, "");
    return false;
  } catch (const perdure::WorkflowFailed& failed) {
    try {
      std::rethrow_exception(failed.failure());
    } catch (const perdure::ActivityFailure& failure) {
      return perdure::describe(failure.cause()).find("nobody to greet") != std::string::npos;
    }
  }
}

}  // namespace

int main() {
  perdure::Server server;
  perdure::Worker worker(server.client(), {.task_queue = "installed"});
  worker.add<&greet, &compose>();
  worker.start();
  const std::string hello =
      server.client().execute<&greet>({.id = "installed", .task_queue = "installed"}, "Ann");
  if (!fails(server.client())) return 1;
  perdure::testing::Environment environment;
  environment.add<&greet>();
  environment.mock<&compose>([](std::string name) { return "Hello, " + name; });
  return environment.execute<&greet>("Ann") == hello ? 0 : 1;
}
