// Server, worker and client in one program: no second process, no port.
#include <cstdio>

#include <perdure/server.h>
#include <perdure/worker.h>

#include "examples/hello/hello.h"

int main(int count, char** arguments) {
  perdure::Server server;
  perdure::Worker worker(server.client(), {.task_queue = "greetings"});
  worker.add<&hello::greet, &hello::compose>();
  worker.start();

  const std::string name = count > 1 ? arguments[1] : "world";
  perdure::Client client = server.client();
  const std::string greeting =
      client.execute<&hello::greet>({.id = "hello-1", .task_queue = "greetings"}, name);
  std::puts(greeting.c_str());
}
