#include "sdk/src/embedded/simulated_server.h"

#include <algorithm>

#include "base/clock.h"

namespace perdure::embedded {
namespace {

// A month that is skipped costs a step for each of these.
constexpr base::Duration kRarely = std::chrono::hours(6);
constexpr base::Duration kAlways = std::chrono::hours(24 * 365 * 100);
// Of simulated time in which no worker had anything to do: nothing will happen any more.
constexpr base::Duration kMostIdle = std::chrono::hours(24 * 365 * 10);
constexpr char kEnded[] = "the test's environment has ended";
constexpr char kNothingHappens[] =
    "nothing happens any more: ten years have passed in the simulation, and whoever is waited for waits too; is a signal "
    "missing, a worker, an activity's mock?";

bool is_poll(const std::string& method) {
  return method.ends_with("/PollWorkflowTaskQueue") || method.ends_with("/PollActivityTaskQueue");
}

}  // namespace

class SimulatedServer::Handle final : public client::Transport::Call {
 public:
  Handle(std::shared_ptr<SimulatedServer> server, std::weak_ptr<InProcessCall> call)
      : server_(std::move(server)), call_(std::move(call)) {}
  void cancel() override {
    if (const auto call = call_.lock()) {
      server_->with_server(
          [&](Server&) { call->give_up({base::Code::kCancelled, "the call was cancelled"}); });
    }
  }

 private:
  std::shared_ptr<SimulatedServer> server_;
  std::weak_ptr<InProcessCall> call_;
};

class SimulatedServer::OpenTransport final : public client::Transport {
 public:
  explicit OpenTransport(std::shared_ptr<SimulatedServer> server) : server_(std::move(server)) {}
  std::shared_ptr<Call> call(const std::string& method, const std::string& request, base::Duration,
                             std::function<void(client::Reply)> done) override {
    return std::make_shared<Handle>(server_, server_->call(method, request, std::move(done)));
  }

 private:
  std::shared_ptr<SimulatedServer> server_;
};

SimulatedServer::SimulatedServer(base::Time start) {
  server_.with([&](Server& server) {
    inside_ = &server;
    server.clock = std::make_unique<base::ManualClock>(start);
    server.scheduler = std::make_unique<base::SimScheduler>(*server.clock);
    server::InProcessOptions options;
    options.rhythm = {.poll = kAlways, .history_poll = kAlways, .wake_scan = kRarely, .sweep = kRarely};
    server.server = std::make_unique<server::InProcessServer>(*server.scheduler, options);
    server.last_task = start;
  });
  time_ = base::make_thread_executor("simulated-time", base::system_clock());
}

SimulatedServer::~SimulatedServer() = default;

std::unique_ptr<client::Transport> SimulatedServer::transport() {
  return std::make_unique<OpenTransport>(shared_from_this());
}

void SimulatedServer::set_hooks(AtRest at_rest, Inspect inspect) {
  at_rest_ = std::move(at_rest);
  inspect_ = std::move(inspect);
}

base::Time SimulatedServer::now() const {
  return server_.with([](const Server& server) { return server.clock->now(); });
}

// Lets the server do all that it can at the present time, then gives the replies out.
template <class Use>
void SimulatedServer::with_server(Use use) {
  std::vector<Reply> replies;
  server_.with([&](Server& server) {
    use(server);
    server.scheduler->run_until_idle();
    replies = std::exchange(server.replies, {});
  });
  for (Reply& one : replies) one.done(std::move(one.reply));
}

std::shared_ptr<InProcessCall> SimulatedServer::call(const std::string& method, const std::string& request,
                                                     InProcessCall::Done done) {
  std::shared_ptr<InProcessCall> call;
  bool waits = false;
  with_server([&](Server& server) {
    const std::uint64_t id = ++server.last_call;
    auto& waiting = is_poll(method) ? server.polls : server.clients;
    const base::Time deadline = is_poll(method) ? base::add(server.clock->now(), kAlways) : base::kNever;
    // Runs inside the lock, whoever finishes or gives up the call.
    auto finished = [this, id, method, request, done = std::move(done)](client::Reply reply) {
      auto give = [this, method, request, done](client::Reply given) {
        done(inspect_ ? inspect_(method, request, std::move(given)) : std::move(given));
      };
      Server& inside = *inside_;
      inside.clients.erase(id);
      if (inside.polls.erase(id) > 0 && reply && !reply->empty()) inside.last_task = inside.clock->now();
      inside.replies.push_back({std::move(give), std::move(reply)});
    };
    call = std::make_shared<InProcessCall>(request, "default", deadline, std::move(finished));
    waiting.emplace(id, call);
    server.server->methods().dispatch(method, call);
    server.scheduler->run_until_idle();
    waits = server.clients.contains(id);
    if (waits && server.closed) call->give_up({base::Code::kFailedPrecondition, kEnded});
    if (waits && !server.failure.empty()) call->give_up({base::Code::kFailedPrecondition, server.failure});
  });
  if (waits) look_again();
  return call;
}

client::Reply SimulatedServer::ask(const std::string& method, const std::string& request) {
  client::Reply answer = base::fail(base::Code::kInternal, "not answered at once");
  std::shared_ptr<InProcessCall> call;
  server_.with([&](Server& server) {
    call = std::make_shared<InProcessCall>(request, "default", base::kNever,
                                           [&](client::Reply reply) { answer = std::move(reply); });
    server.server->methods().dispatch(method, call);
    server.scheduler->run_until_idle();
    call->give_up({base::Code::kInternal, "not answered at once"});
  });
  return answer;
}

void SimulatedServer::fail_waiters(std::string why) {
  with_server([&](Server& server) {
    if (server.failure.empty()) server.failure = std::move(why);
    const auto waiting = server.clients;
    for (const auto& [id, call] : waiting) call->give_up({base::Code::kFailedPrecondition, server.failure});
    for (const auto& goal : server.goals) {
      goal->reached.set_exception(std::make_exception_ptr(Error(server.failure)));
    }
    server.goals.clear();
  });
}

// ---- time

void SimulatedServer::look_again() {
  time_->post(base::Lane::kCompletion, 0, [this] { consider(); });
}

// The polls are counted inside the same lock in which the clock moves: whoever was given a task since the
// worker was asked has one poll less, or has called again.
void SimulatedServer::consider() {
  const std::optional<std::uint64_t> last_call =
      server_.with([](const Server& server) -> std::optional<std::uint64_t> {
        if (server.closed || (server.clients.empty() && server.goals.empty())) return std::nullopt;
        return server.last_call;
      });
  if (!last_call) return;
  const std::optional<Rest> rest = at_rest_ ? at_rest_() : Rest{};
  if (!rest) return;  // its end will be told
  bool again = false;
  with_server([&](Server& server) { again = server.last_call != *last_call || step(server, *rest); });
  if (again) look_again();
}

// One jump, if all rests and somebody waits; whether another one may follow.
bool SimulatedServer::step(Server& server, const Rest& rest) {
  if (server.closed || static_cast<int>(server.polls.size()) != rest.polls) return false;
  if (static_cast<int>(server.sleepers.size()) != rest.activities) return false;
  const base::Time now = server.clock->now();
  std::erase_if(server.goals, [&](const std::unique_ptr<Goal>& goal) {
    if (goal->time > now) return false;
    goal->reached.set_value();
    return true;
  });
  if (server.clients.empty() && server.goals.empty()) return false;
  base::Time next = server.scheduler->next_timer();
  if (!server.sleepers.empty()) next = std::min(next, server.sleepers.begin()->first);
  for (const auto& goal : server.goals) next = std::min(next, goal->time);
  if (server.goals.empty() && (next == base::kNever || next - server.last_task > kMostIdle)) {
    const auto waiting = server.clients;
    for (const auto& [id, call] : waiting) call->give_up({base::Code::kFailedPrecondition, kNothingHappens});
    return false;
  }
  server.scheduler->advance_to(std::max(next, now));
  wake_sleepers(server);
  return true;
}

void SimulatedServer::wake_sleepers(Server& server) {
  while (!server.sleepers.empty() && server.sleepers.begin()->first <= server.clock->now()) {
    server.sleepers.begin()->second->set_value();
    server.sleepers.erase(server.sleepers.begin());
  }
}

void SimulatedServer::advance(base::Duration by) {
  std::future<void> reached;
  server_.with([&](Server& server) {
    auto& goal = server.goals.emplace_back(std::make_unique<Goal>());
    goal->time = base::add(server.clock->now(), by);
    reached = goal->reached.get_future();
    if (!server.failure.empty()) {
      goal->reached.set_exception(std::make_exception_ptr(Error(server.failure)));
      server.goals.pop_back();
    }
  });
  look_again();
  reached.get();
}

bool SimulatedServer::pass(base::Duration by, std::stop_token stop) {
  std::promise<void> woken;
  std::future<void> awake = woken.get_future();
  server_.with([&](Server& server) { server.sleepers.emplace(base::add(server.clock->now(), by), &woken); });
  look_again();
  {
    const std::stop_callback on_stop(stop, [&] {
      server_.with([&](Server& server) {
        const bool asleep =
            std::erase_if(server.sleepers, [&](const auto& one) { return one.second == &woken; }) > 0;
        if (asleep) woken.set_value();
      });
    });
    awake.wait();
  }
  return !stop.stop_requested();
}

void SimulatedServer::close() {
  with_server([&](Server& server) {
    server.closed = true;
    auto waiting = std::exchange(server.clients, {});
    for (const auto& [id, call] : waiting) {
      call->give_up({base::Code::kFailedPrecondition, kEnded});
    }
    while (!server.sleepers.empty()) {
      server.sleepers.begin()->second->set_value();
      server.sleepers.erase(server.sleepers.begin());
    }
  });
  time_->run_and_wait([] {});  // who looks just now is done with the workers
}

}  // namespace perdure::embedded
