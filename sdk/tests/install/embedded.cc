// A server, a worker and a test's environment in one program.
#include <perdure/server.h>
#include <perdure/testing.h>

#include "workflows.h"

int main() {
  perdure::Server server;
  perdure::Worker worker(server.client(), {.task_queue = "installed"});
  worker.add<&greet, &compose>();
  worker.start();
  const std::string hello = server.client().execute<&greet>({.id = "installed", .task_queue = "installed"}, "Ann");
  perdure::testing::Environment environment;
  environment.add<&greet>();
  environment.mock<&compose>([](std::string name) { return "Hello, " + name; });
  return environment.execute<&greet>("Ann") == hello ? 0 : 1;
}
