#include <perdure/server.h>

#include <charconv>
#include <future>

#include "base/clock.h"
#include "base/executor.h"
#include "sdk/src/client/connection.h"
#include "sdk/src/embedded/door.h"
#include "server/frontend/grpc/door.h"
#include "server/main/data_directory.h"
#include "server/main/setup.h"
#include "server/main/wiring.h"
#include "server/store/memory/memory_store.h"

namespace perdure {
inline namespace v1 {

namespace {

constexpr base::Duration kGrace = std::chrono::seconds(1);

Error error_of(const base::Error& error) {
  return Error("the server in this process: " + error.message);
}

}  // namespace

struct Server::Parts {
  std::vector<std::unique_ptr<base::Executor>> executors;
  std::unique_ptr<base::Executor> io;  // of the memory store
  std::unique_ptr<server::DataDirectory> data;
  std::unique_ptr<store::MemoryStore> memory;
  std::unique_ptr<server::Wiring> wiring;
  std::shared_ptr<embedded::Door> door;
  std::unique_ptr<frontend::GrpcDoor> listener;

  base::Status open(const ServerOptions& options);
  void close();
};

base::Status Server::Parts::open(const ServerOptions& options) {
  const base::Clock& clock = base::system_clock();
  server::ServerOptions paths;
  paths.data = options.data;
  paths.namespaces = options.namespaces;
  store::Store* store = nullptr;
  if (options.data.empty()) {
    io = base::make_thread_executor("memory", clock);
    memory = std::make_unique<store::MemoryStore>(*io);
    store = memory.get();
  } else {
    TRY(data, server::DataDirectory::open(paths));
    store = &data->store();
  }
  for (int i = 0; i < std::max(options.threads, 1); ++i)
    executors.push_back(base::make_thread_executor("server-" + std::to_string(i), clock));
  server::WiringOptions wired{.clock = &clock,
                              .store = store,
                              .seed = static_cast<std::uint64_t>(clock.now().time_since_epoch().count()),
                              .store_name = options.data.empty() ? "memory" : "local",
                              .cache_bytes = options.cache_bytes};
  for (const auto& executor : executors) wired.executors.push_back(executor.get());
  wiring = std::make_unique<server::Wiring>(std::move(wired));
  TRY_VOID(wiring->start());
  door = std::make_shared<embedded::Door>(wiring->methods(), clock);
  return server::set_up(*wiring, paths);
}

void Server::Parts::close() {
  if (door) {
    std::promise<void> stopped, closed;
    wiring->stop([&](base::Status) { stopped.set_value(); });
    if (listener) {
      listener->close(kGrace, [&] { closed.set_value(); });
      closed.get_future().wait();
    }
    stopped.get_future().wait();
    door->close();
  }
  listener.reset();
  executors.clear();
  wiring.reset();
  if (data) data->close();
}

Server::Server(ServerOptions options) : parts_(std::make_unique<Parts>()) {
  const base::Status opened = parts_->open(options);
  if (opened) return;
  parts_->close();
  throw error_of(opened.error());
}

Server::~Server() {
  parts_->close();
}

Client Server::client(ClientOptions options) const {
  auto transport = parts_->door->transport(options.ns);
  return detail::ClientAccess::make(
      std::make_shared<detail::Connection>(std::move(options), std::move(transport)));
}

int Server::serve(std::string_view address) {
  const std::size_t colon = address.rfind(':');
  frontend::GrpcDoorOptions options;
  const char* end = address.data() + address.size();
  if (colon == address.npos || std::from_chars(address.data() + colon + 1, end, options.port).ptr != end ||
      parts_->listener) {
    throw Error(parts_->listener ? "the server listens already" : "an address is IP:PORT");
  }
  options.ip = std::string(address.substr(0, colon));
  auto opened = frontend::GrpcDoor::open(parts_->wiring->methods(), options);
  if (!opened) throw error_of(opened.error());
  parts_->listener = std::move(*opened);
  return parts_->listener->port();
}

}  // namespace v1
}  // namespace perdure
