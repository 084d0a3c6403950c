// What arrives on a connection of the gRPC door. An input is a byte that says how much arrives at once, then what a client sends.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <deque>

#include "base/check.h"
#include "server/frontend/grpc/connection.h"
#include "server/frontend/grpc/health.h"
#include "server/frontend/grpc/reflection.h"
#include "tests/fuzz/input.h"

namespace perdure::fuzz {
namespace {

using frontend::Call;

// A loop that runs when it is told to.
class Loop final : public base::IoLoop {
 public:
  bool post(base::Lane, std::size_t, base::Task task) override {
    tasks_.push_back(std::move(task));
    return true;
  }
  bool is_current() const override { return true; }
  base::TimerId call_at(base::Time, base::Task) override { return 1; }
  void cancel(base::TimerId) override {}
  void run_and_wait(base::Task task) override { task(); }
  void set_end_of_turn(std::function<void()>) override {}
  const base::Clock& clock() const override { return now; }
  std::uint64_t wakes() const override { return 0; }
  void watch(int, std::uint32_t, std::function<void(std::uint32_t)> ready) override {
    ready_ = std::move(ready);
  }
  void change(int, std::uint32_t events) override { events_ = events; }
  void unwatch(int) override { ready_ = nullptr; }

  void turn() {
    if (ready_) ready_(events_);
    for (; !tasks_.empty(); tasks_.pop_front()) tasks_.front()();
  }
  base::ManualClock now{base::Time(std::chrono::seconds(1'700'000'000))};

 private:
  std::function<void(std::uint32_t)> ready_;
  std::uint32_t events_ = kRead;
  std::deque<base::Task> tasks_;
};

// Methods that answer at once, with an error, with much, and not at all.
struct Methods {
  frontend::MethodTable table;
  std::vector<std::shared_ptr<Call>> waiting;
  int handled = 0, gone = 0;

  Methods() {
    add("Echo", [](const std::shared_ptr<Call>& call) { call->finish(std::string(call->request())); });
    add("Fail", [](const std::shared_ptr<Call>& call) {
      call->finish(
          std::unexpected(base::Error{base::Code::kNotFound, "no\n\xc3\xa9%", "\x0a\x03t/x\x12\x01z"}));
    });
    add("Much", [](const std::shared_ptr<Call>& call) { call->finish(std::string(300 << 10, 'x')); });
    add("Wait", [this](const std::shared_ptr<Call>& call) {
      waiting.push_back(call);
      call->on_client_gone([this] { ++gone; });
    });
  }
  void add(const std::string& name, std::function<void(const std::shared_ptr<Call>&)> handler) {
    table.add({"/s/" + name, frontend::Policy::kPublic, frontend::RateClass::kNone,
               [this, handler = std::move(handler)](const std::shared_ptr<Call>& call) {
                 ++handled;
                 (void)call->header("x");
                 handler(call);
               }});
  }
};

std::shared_ptr<frontend::GrpcDoorState> door(const Methods& methods) {
  frontend::GrpcDoorOptions options;
  options.max_message_bytes = 64 << 10;
  options.max_calls = 8;
  options.max_unread_bytes = 100 << 10;
  std::shared_ptr<frontend::GrpcDoorState> state(
      new frontend::GrpcDoorState{.methods = methods.table,
                                  .options = options,
                                  .services = {"s", std::string(frontend::kHealthService)},
                                  .health = {}});
  state->health = {std::string(frontend::kHealthCheck), frontend::Policy::kPublic, frontend::RateClass::kNone,
                   [services = state->services](const std::shared_ptr<Call>& call) {
                     call->finish(frontend::check_health(call->request(), services));
                   }};
  return state;
}

void drain(int socket) {
  std::array<char, 64 << 10> bytes;
  while (recv(socket, bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) {
  }
}

void talk(std::uint8_t head, Input input) {
  std::array<int, 2> ends{};
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
  Methods methods;
  const auto state = door(methods);
  Loop loop;
  {
    frontend::GrpcConnection connection(ends[0], state, loop, [] {});
    const std::size_t piece = head < 64 ? 1 + std::size_t{head} : 64 << 10;
    while (!input.empty() && !connection.over()) {
      const std::string_view bytes = input.take(piece);
      (void)!send(ends[1], bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      loop.turn();
      connection.flush();
      drain(ends[1]);
    }
    for (int i = 0; i < 4 && !connection.over(); ++i) {
      if (i == 1 && !methods.waiting.empty()) methods.waiting.front()->finish(std::string("late"));
      if (i == 2) connection.expire(loop.now.now() + std::chrono::hours(1));
      if (i == 3) connection.drain();
      loop.turn();
      connection.flush();
      drain(ends[1]);
    }
    if (head % 2 != 0) connection.give_up({base::Code::kUnavailable, "the server is shutting down", {}});
    if (!connection.over()) connection.flush();
  }
  for (const auto& call : methods.waiting) call->finish(std::string("nobody hears it"));
  loop.turn();
  methods.waiting.clear();
  CHECK(state->calls == 0 && state->request_bytes == 0);
  close(ends[1]);
}

}  // namespace
}  // namespace perdure::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  perdure::fuzz::Input input(data, size);
  const std::uint8_t head = input.byte();
  perdure::fuzz::talk(head, input);
  return 0;
}
