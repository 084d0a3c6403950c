#include "sdk/src/embedded/door.h"

#include <future>
#include <vector>

namespace perdure::embedded {
namespace {

// how late a passed deadline may be noticed
constexpr base::Duration kDeadlineStep = std::chrono::seconds(1);

class Handle final : public client::Transport::Call {
 public:
  explicit Handle(std::weak_ptr<InProcessCall> call) : call_(std::move(call)) {}
  void cancel() override {
    if (const auto call = call_.lock()) call->give_up({base::Code::kCancelled, "the call was cancelled"});
  }

 private:
  std::weak_ptr<InProcessCall> call_;
};

base::Error closed() {
  return {base::Code::kUnavailable, "the server in this process has ended"};
}

}  // namespace

class Door::OpenTransport final : public client::Transport {
 public:
  OpenTransport(std::shared_ptr<Door> door, std::string ns) : door_(std::move(door)), ns_(std::move(ns)) {}
  std::shared_ptr<Call> call(const std::string& method, const std::string& request, base::Duration timeout,
                             std::function<void(client::Reply)> done) override {
    return std::make_shared<Handle>(door_->call(ns_, method, request, timeout, std::move(done)));
  }

 private:
  std::shared_ptr<Door> door_;
  const std::string ns_;
};

Door::Door(const frontend::MethodTable& methods, const base::Clock& clock)
    : clock_(clock), timer_(base::make_thread_executor("deadlines", clock)) {
  state_.with([&](State& state) { state.methods = &methods; });
}

Door::~Door() = default;

std::unique_ptr<client::Transport> Door::transport(std::string ns) {
  return std::make_unique<OpenTransport>(shared_from_this(), std::move(ns));
}

std::shared_ptr<InProcessCall> Door::call(const std::string& ns, const std::string& method,
                                          const std::string& request, base::Duration timeout,
                                          InProcessCall::Done done) {
  const base::Time deadline = base::add(clock_.now(), timeout);
  bool watch = false;
  Key key;
  const frontend::MethodTable* methods = state_.with([&](State& state) {
    key = {deadline, ++state.last};
    if (!state.methods) return state.methods;
    ++state.inside;
    watch = !std::exchange(state.watching, true);
    return state.methods;
  });
  auto finished = [weak = weak_from_this(), key, done = std::move(done)](client::Reply reply) {
    if (const auto door = weak.lock()) door->state_.with([&](State& state) { state.open.erase(key); });
    done(std::move(reply));
  };
  auto call = std::make_shared<InProcessCall>(request, ns, deadline, std::move(finished));
  if (!methods) {
    call->finish(std::unexpected(closed()));
    return call;
  }
  state_.with([&](State& state) { state.open.emplace(key, call); });
  if (watch) timer_->post(base::Lane::kCompletion, 0, [this] { watch_deadlines(); });
  methods->dispatch(method, call);
  left();
  return call;
}

void Door::left() {
  const auto done = state_.with(
      [](State& state) { return --state.inside == 0 ? std::exchange(state.on_empty, nullptr) : nullptr; });
  if (done) done();
}

void Door::watch_deadlines() {
  std::vector<std::shared_ptr<InProcessCall>> late;
  const bool more = state_.with([&](State& state) {
    const base::Time now = clock_.now();
    for (const auto& [key, call] : state.open) {
      if (key.first > now) break;
      if (auto held = call.lock()) late.push_back(std::move(held));
    }
    return state.watching = !state.open.empty() && state.methods;
  });
  for (const auto& call : late) call->give_up({base::Code::kDeadlineExceeded, "Deadline Exceeded"});
  if (more) timer_->call_at(base::add(clock_.now(), kDeadlineStep), [this] { watch_deadlines(); });
}

void Door::close() {
  std::promise<void> empty;
  std::vector<std::shared_ptr<InProcessCall>> open;
  const bool wait = state_.with([&](State& state) {
    state.methods = nullptr;
    for (const auto& [key, call] : state.open) {
      if (auto held = call.lock()) open.push_back(std::move(held));
    }
    if (state.inside > 0) state.on_empty = [&] { empty.set_value(); };
    return state.inside > 0;
  });
  for (const auto& call : open) call->give_up(closed());
  if (wait) empty.get_future().wait();
}

}  // namespace perdure::embedded
