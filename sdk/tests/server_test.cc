// A server inside the program: no port, memory or a directory; and a port on request.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include <perdure/server.h>
#include <perdure/worker.h>

#include "examples/hello/hello.h"

namespace embedded_server {

using namespace perdure;
using namespace hello;

class Folder {
 public:
  Folder() {
    std::string path = (std::filesystem::temp_directory_path() / "perdure-embedded-XXXXXX").string();
    path_ = mkdtemp(path.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string data() const { return path_ + "/data"; }

 private:
  std::string path_;
};

Task<std::string> waits(Context ctx) {
  co_await ctx.sleep(1ms);
  co_return "woken";
}

TEST(Server, runs_workflows_in_memory) {
  Server server;
  Worker worker(server.client(), {.task_queue = "queue"});
  worker.add<&greet, &compose, &waits>();
  worker.start();
  Client client = server.client();
  EXPECT_EQ(client.execute<&greet>({.id = "hello", .task_queue = "queue"}, "Ann"), "Hello, Ann!");
  EXPECT_EQ(client.execute<&waits>({.id = "waits", .task_queue = "queue"}), "woken");
}

TEST(Server, errors_are_the_same_as_over_grpc) {
  Server server({.namespaces = {"other"}});
  Client client = server.client();
  EXPECT_THROW(client.handle("nobody").signal("x"), WorkflowNotFound);
  (void)client.start<&greet>({.id = "twice", .task_queue = "queue"}, "Ann");
  try {
    (void)client.start<&greet>({.id = "twice", .task_queue = "queue"}, "Ann");
    FAIL() << "it runs already";
  } catch (const WorkflowAlreadyStarted& error) {
    EXPECT_FALSE(error.run_id().empty());
  }
  ClientOptions other;
  other.ns = "other";
  EXPECT_NO_THROW((void)server.client(other).start<&greet>({.id = "twice", .task_queue = "queue"}, "Ann"));
  other.ns = "missing";
  EXPECT_THROW((void)server.client(other).start<&greet>({.id = "twice", .task_queue = "queue"}, "Ann"),
               Error);
}

TEST(Server, what_is_in_a_directory_is_there_again) {
  Folder folder;
  {
    Server server({.data = folder.data()});
    (void)server.client().start<&greet>({.id = "kept", .task_queue = "queue"}, "Ann");
  }
  Server server({.data = folder.data()});
  Worker worker(server.client(), {.task_queue = "queue"});
  worker.add<&greet, &compose>();
  worker.start();
  EXPECT_EQ(server.client().handle("kept").result<std::string>(), "Hello, Ann!");
}

TEST(Server, a_directory_has_one_server) {
  Folder folder;
  Server server({.data = folder.data()});
  EXPECT_THROW(Server({.data = folder.data()}), Error);
}

TEST(Server, listens_when_it_is_told_to) {
  Server server;
  const int port = server.serve("127.0.0.1:0");
  ClientOptions options;
  options.address = "127.0.0.1:" + std::to_string(port);
  Client client = Client::connect(options);
  Worker worker(client, {.task_queue = "queue"});
  worker.add<&greet, &compose>();
  worker.start();
  EXPECT_EQ(server.client().execute<&greet>({.id = "mixed", .task_queue = "queue"}, "Ann"), "Hello, Ann!");
  worker.stop();
  EXPECT_THROW(server.serve("127.0.0.1:0"), Error);
  EXPECT_THROW(Server().serve("nowhere"), Error);
}

TEST(Server, calls_after_its_end_are_errors) {
  auto server = std::make_unique<Server>();
  Client client = server->client();
  (void)client.start<&greet>({.id = "left", .task_queue = "queue"}, "Ann");
  server.reset();
  SUCCEED();  // a client may outlive it
}

}  // namespace embedded_server
