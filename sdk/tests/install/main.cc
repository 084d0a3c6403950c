// Links against everything that is installed; without a server it can say only that there is none.
#include <perdure/client.h>
#include <perdure/replayer.h>
#include <perdure/worker.h>

#include <cstdio>

#include "workflows.h"

int main() {
  perdure::Replayer replayer;
  replayer.add<&greet>();
  try {
    (void)replayer.replay("{}");
  } catch (const std::invalid_argument& error) {
    std::puts(error.what());
  }
  if (std::getenv("TEMPORAL_ADDRESS") == nullptr) return 0;
  perdure::Client client = perdure::Client::connect();
  perdure::Worker worker(client, {.task_queue = "installed"});
  worker.add<&greet, &compose>();
  worker.start();
  std::puts(client.execute<&greet>({.id = "installed", .task_queue = "installed"}, "Ann").c_str());
}
