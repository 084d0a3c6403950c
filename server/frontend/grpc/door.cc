#include "server/frontend/grpc/door.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/io_loop.h"
#include "server/frontend/grpc/connection.h"
#include "server/frontend/grpc/health.h"
#include "server/frontend/grpc/reflection.h"

namespace perdure::frontend {
namespace {

// "temporal.api.workflowservice.v1.WorkflowService" and what else is served.
std::vector<std::string> services_of(const MethodTable& methods) {
  std::set<std::string> names{std::string(kHealthService), std::string(kReflectionService)};
  methods.each([&](const Method& method) {
    names.insert(method.full_name.substr(1, method.full_name.rfind('/') - 1));
  });
  return {names.begin(), names.end()};
}

// The connections of one loop.
class Connections {
 public:
  Connections(int index, std::shared_ptr<GrpcDoorState> door)
      : door_(std::move(door)),
        loop_(base::make_io_loop("grpc-" + std::to_string(index), base::system_clock())) {
    loop_->set_end_of_turn([this] { end_turn(); });
  }
  ~Connections() {
    loop_->run_and_wait([this] { all_.clear(); });
    loop_.reset();
  }

  base::IoLoop& loop() { return *loop_; }
  std::uint64_t wakes() const { return loop_->wakes(); }

  // On the loop.
  void add(int socket) {
    if (draining_) {
      ::close(socket);
      return;
    }
    const std::uint64_t id = ++last_id_;
    all_.emplace(
        id, std::make_unique<GrpcConnection>(socket, door_, *loop_, [this, id] { touched_.push_back(id); }));
    watch_deadlines();
  }
  std::size_t size() const { return count_.load(std::memory_order_relaxed); }

  // On the loop. `done` when the last connection is closed.
  void drain(base::Duration grace, std::function<void()> done) {
    draining_ = true;
    drained_ = std::move(done);
    for (const auto& [id, connection] : all_) connection->drain();
    loop_->call_at(loop_->clock().now() + grace, [this] {
      for (const auto& [id, connection] : all_) {
        connection->give_up({base::Code::kUnavailable, "the server is shutting down", {}});
      }
      closing_ = true;
    });
  }

 private:
  static constexpr base::Duration kDeadlineStep =
      std::chrono::seconds(1);  // how late a passed deadline may be noticed

  void end_turn() {
    for (const std::uint64_t id : std::exchange(touched_, {})) {
      const auto found = all_.find(id);
      if (found == all_.end()) continue;
      found->second->flush();
      if (found->second->over()) remove(found);
    }
    if (draining_ && drained_) close_idle();
    count_.store(all_.size(), std::memory_order_relaxed);
  }

  void close_idle() {
    for (auto next = all_.begin(); next != all_.end();) {
      const auto connection = next++;
      if (closing_ || connection->second->idle()) remove(connection);
    }
    if (all_.empty()) std::exchange(drained_, nullptr)();
  }

  void remove(std::unordered_map<std::uint64_t, std::unique_ptr<GrpcConnection>>::iterator at) {
    const std::unique_ptr<GrpcConnection> last = std::move(at->second);  // its calls may touch what is left
    all_.erase(at);
  }

  // Once a second while there is a connection.
  void watch_deadlines() {
    if (watching_) return;
    watching_ = true;
    loop_->call_at(loop_->clock().now() + kDeadlineStep, [this] {
      watching_ = false;
      if (all_.empty()) return;
      const base::Time now = loop_->clock().now();
      for (const auto& [id, connection] : all_) connection->expire(now);
      watch_deadlines();
    });
  }

  const std::shared_ptr<GrpcDoorState> door_;
  std::unordered_map<std::uint64_t, std::unique_ptr<GrpcConnection>> all_;
  std::vector<std::uint64_t> touched_;  // to be flushed at the end of the turn; some twice
  std::uint64_t last_id_ = 0;
  bool watching_ = false, draining_ = false, closing_ = false;
  std::function<void()> drained_;
  std::atomic<std::size_t> count_{0};
  std::unique_ptr<base::IoLoop> loop_;
};

base::Error cannot_listen(const GrpcDoorOptions& options, const std::string& why) {
  return {base::Code::kUnavailable,
          "cannot listen on " + options.ip + ":" + std::to_string(options.port) + ": " + why,
          {}};
}

base::Result<int> listening_socket(const GrpcDoorOptions& options) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(options.ip.c_str(), std::to_string(options.port).c_str(), &hints, &found);
  if (error != 0) return std::unexpected(cannot_listen(options, gai_strerror(error)));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> address(found, freeaddrinfo);
  const int socket = ::socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) return std::unexpected(cannot_listen(options, std::strerror(errno)));
  const int on = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(socket, address->ai_addr, address->ai_addrlen) != 0 || listen(socket, SOMAXCONN) != 0) {
    const int why = errno;
    ::close(socket);
    return std::unexpected(cannot_listen(
        options, why == EADDRINUSE ? "the port is taken; choose another with --port" : std::strerror(why)));
  }
  return socket;
}

int port_of(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<sockaddr_in&>(address).sin_port);
}

// Answers at once; a peer that vanished without a word, or takes nothing of what is sent, is noticed within two minutes.
void set_up(int socket) {
  const auto set = [socket](int option, int value) {
    setsockopt(socket, IPPROTO_TCP, option, &value, sizeof value);
  };
  const int on = 1;
  setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  set(TCP_NODELAY, 1);
  set(TCP_KEEPIDLE, 60);
  set(TCP_KEEPINTVL, 15);
  set(TCP_KEEPCNT, 4);
  set(TCP_USER_TIMEOUT, 120'000);
}

class Door final : public GrpcDoor {
 public:
  Door(const MethodTable& methods, GrpcDoorOptions options, int listener)
      : state_(new GrpcDoorState{.methods = methods,
                                 .options = std::move(options),
                                 .services = services_of(methods),
                                 .health = {}}),
        listener_(listener),
        port_(port_of(listener)) {
    state_->health = {std::string(kHealthCheck), Policy::kPublic, RateClass::kNone,
                      [&services = state_->services](const std::shared_ptr<Call>& call) {
                        call->finish(check_health(call->request(), services));
                      }};
    for (int i = 0; i < std::max(1, state_->options.loops); ++i) {
      sets_.push_back(std::make_unique<Connections>(i, state_));
    }
    sets_[0]->loop().run_and_wait([this] { listen_again(); });
  }
  ~Door() override {
    sets_[0]->loop().run_and_wait([this] { stop_listening(); });
    sets_.clear();
  }

  int port() const override { return port_; }
  std::uint64_t wakes() const override {
    std::uint64_t sum = 0;
    for (const auto& set : sets_) sum += set->wakes();
    return sum;
  }

  void close(base::Duration grace, std::function<void()> done) override {
    const auto left = std::make_shared<std::atomic<std::size_t>>(sets_.size());
    for (const auto& set : sets_) {
      set->loop().post(base::Lane::kCompletion, 0, [this, set = set.get(), grace, left, done] {
        if (set == sets_[0].get()) stop_listening();
        set->drain(grace, [left, done] {
          if (left->fetch_sub(1) == 1) done();
        });
      });
    }
  }

 private:
  void listen_again() {
    if (listener_ < 0) return;
    sets_[0]->loop().watch(listener_, base::IoLoop::kRead, [this](std::uint32_t) { accept_all(); });
  }
  void stop_listening() {
    if (listener_ < 0) return;
    sets_[0]->loop().unwatch(listener_);
    ::close(std::exchange(listener_, -1));
  }

  void accept_all() {
    constexpr base::Duration kPause = std::chrono::milliseconds(100);
    for (;;) {
      const int socket = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (socket < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
        // Out of descriptors: those who wait in the kernel's queue are taken when some are closed.
        base::IoLoop& loop = sets_[0]->loop();
        loop.unwatch(listener_);
        loop.call_at(loop.clock().now() + kPause, [this] { listen_again(); });
        return;
      }
      if (socket < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
      if (socket < 0) return;
      hand_over(socket);
    }
  }
  void hand_over(int socket) {
    std::size_t open = 0;
    for (const auto& set : sets_) open += set->size();
    if (open >= state_->options.max_connections) {
      ::close(socket);
      return;
    }
    set_up(socket);
    Connections& set = *sets_[next_++ % sets_.size()];
    if (!set.loop().post(base::Lane::kCompletion, 0, [&set, socket] { set.add(socket); })) ::close(socket);
  }

  const std::shared_ptr<GrpcDoorState> state_;
  int listener_;  // loop of the first set; -1: closed
  const int port_;
  std::size_t next_ = 0;
  std::vector<std::unique_ptr<Connections>> sets_;
};

}  // namespace

base::Result<std::unique_ptr<GrpcDoor>> GrpcDoor::open(const MethodTable& methods, GrpcDoorOptions options) {
  TRY(const int listener, listening_socket(options));
  return std::make_unique<Door>(methods, std::move(options), listener);
}

}  // namespace perdure::frontend
