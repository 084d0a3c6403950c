// A Perdure server inside a program: workflows without a second process and without a port. Link Perdure::embedded.
//
//   Server server{{.data = "/var/lib/shop"}};
//   Worker worker{server.client(), {.task_queue = "orders"}};
//
// Any thread. Clients and workers of the server end before it; a call that is late is answered with an Error.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <perdure/client.h>

namespace perdure {
inline namespace v1 {

struct ServerOptions {
  std::string data;                     // a directory, made if need be; empty: everything is kept in memory
  std::vector<std::string> namespaces;  // besides "default"
  std::size_t cache_bytes = 64 << 20;   // of executions that are loaded
  int threads = 1;                      // that decide; one serves thousands of workflows a second
};

class Server {
 public:
  // Recovers what `data` holds, then serves. Throws Error: the directory cannot be had, is in use, or is damaged.
  explicit Server(ServerOptions options = {});
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  // Ends polls, refuses new work, writes everything behind.
  ~Server();

  // Speaks to this server by function calls. Of the options, namespace, identity and codec count.
  Client client(ClientOptions options = {}) const;

  // Also listens at "127.0.0.1:7233", without encryption or authorization, for workers and clients of any language;
  // returns the port ("…:0": any free one). Once. Throws Error.
  int serve(std::string_view address);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace v1
}  // namespace perdure
