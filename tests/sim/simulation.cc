#include "tests/sim/simulation.h"

#include <google/protobuf/io/coded_stream.h>
#include <sqlite3.h>

#include "base/check.h"

namespace google::protobuf::internal {
// protobuf writes maps in an order of its own per process, unless told otherwise; only this function of its
// tests may tell it.
void MapTestForceDeterministic() {
  io::CodedOutputStream::SetDefaultSerializationDeterministic();
}
}  // namespace google::protobuf::internal

namespace perdure::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string bytes_of(base::Random& random, std::size_t count) {
  std::string bytes;
  while (bytes.size() < count) bytes.push_back(static_cast<char>(random.below(256)));
  return bytes;
}

// What libraries keep per process starts anew with each run.
Plan begin_run(Plan plan) {
  google::protobuf::internal::MapTestForceDeterministic();
  sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, static_cast<int>(plan.seed | 1), nullptr);
  return plan;
}

}  // namespace

Simulation::Simulation(Plan plan, std::FILE* trace)
    : plan_(begin_run(plan)),
      random_(base::derive_seed(plan.seed, 1)),
      keys_(base::derive_seed(plan.seed, 2)),
      trace_(trace),
      world_(world_options()),
      network_({.events = events_,
                .oracle = oracle_,
                .trace = trace_,
                .plan = plan_,
                .coverage = coverage_,
                .server = [this] { return alive_ ? &world_.methods() : nullptr; },
                .answering = [this] { return answering(); },
                .paused_until = [this] { return paused_until_; },
                .calm_since = [this] { return calm_since_; },
                .clock_offset = [this] { return offset_; }},
               base::derive_seed(plan.seed, 3)) {
  alive_ = true;
  if (plan_.has(Fault::kColdCache)) coverage_.saw(Fault::kColdCache);
  crowd_.actions_left = plan_.actions;
  const WorkerParts worker{events_, network_, oracle_, trace_, plan_, coverage_};
  for (int n = 0; n < plan_.workers; ++n) {
    workers_.push_back(std::make_unique<Worker>(
        worker, n, base::derive_seed(plan_.seed, 100 + static_cast<std::uint64_t>(n))));
  }
  const ClientParts client{events_, network_, plan_, coverage_, crowd_};
  for (int n = 0; n < plan_.clients; ++n) {
    clients_.push_back(std::make_unique<Client>(
        client, n, base::derive_seed(plan_.seed, 200 + static_cast<std::uint64_t>(n))));
  }
}

// Nothing that the server does outlives it.
void Simulation::later(base::Duration delay, std::move_only_function<void()> action) {
  events_.after(delay, [this, life = life_, action = std::move(action)]() mutable {
    if (life == life_) action();
  });
}

RemoteHooks Simulation::remote_hooks() {
  return {.random = &random_,
          .instant = [this] { return !alive_; },
          .unreliable = [this] { return busy_ && alive_ && slow_until_ > events_.now(); },
          .later = [this](base::Duration delay,
                          std::move_only_function<void()> action) { later(delay, std::move(action)); }};
}

engine::WorldOptions Simulation::world_options() {
  engine::WorldOptions options{.local = !plan_.remote,
                               .seed = plan_.seed,
                               .loops = plan_.loops,
                               .mailbox = plan_.mailbox,
                               .cache_bytes = plan_.cache_bytes,
                               .start = events_.now(),
                               .segment_bytes = plan_.segment_bytes,
                               .checkpoint_bytes = plan_.checkpoint_bytes};
  options.secure_bytes = [this](std::size_t count) { return bytes_of(keys_, count); };
  options.make_memory = [this](base::Executor& executor, std::shared_ptr<store::MemoryContent> content) {
    auto store = std::make_unique<RemoteStore>(executor, std::move(content), remote_hooks());
    remote_ = store.get();
    return store;
  };
  const auto sync_takes = [this]() -> base::Duration {
    if (slow_until_ <= events_.now()) return {};
    return milliseconds(1 + random_.below(400));
  };
  const auto run_later = [this](base::Duration delay, std::move_only_function<void()> action) {
    later(delay, std::move(action));
  };
  options.wrap = [this, sync_takes, run_later](base::SimDisk& disk) {
    return make_traced_disk(disk, {.trace = &trace_, .sync_takes = sync_takes, .later = run_later});
  };
  return options;
}

void Simulation::advance_to(base::Time now) {
  events_.advance_to(now);
  world_.clock.set(server_now());
  trace_.at(now);
}

bool Simulation::server_can_step() const {
  return alive_ && paused_until_ <= events_.now() && world_.scheduler.next_step() <= world_.clock.now();
}

// One thing happens. False: nothing is left that could.
bool Simulation::step() {
  ++steps_;
  if (stopping_ && plan_.crash.at != CrashPoint::At::kNowhere && !stop_seen_ &&
      world_.disk().operations() >= operations_before_ + plan_.crash.number) {
    // A server that writes nothing would not notice that its disk has stopped.
    stop_seen_ = true;
    disturb(server_now() + seconds(3));
    events_.after(milliseconds(1000), [this, life = life_] {
      if (alive_ && life == life_) crash(stopping_kind_);
    });
  }
  if (crash_now_) {
    crash_now_ = dead_before_answer_ = false;
    crash(base::Crash::kDropUnsynced);
  }
  if (alive_ && world_.fatal()) {
    const auto end = [this] {
      die(stopping_ ? stopping_kind_ : base::Crash::kKeepAll);
      events_.after(milliseconds(random_.below(2000)), [this] { revive(); });
    };
    if (lingers_ == 0) {
      lingers_ = 1 + (random_.below(2) == 0 ? 0 : random_.below(300));
      disturb(server_now() + seconds(1));
      events_.after(seconds(1), [this, end, life = life_] {
        if (alive_ && life == life_) end();
      });
    }
    if (--lingers_ == 0) end();
  }
  const bool event_due = events_.next() <= events_.now();
  const bool server = server_can_step();
  if (event_due && (!server || random_.below(2) == 0)) {
    events_.run_next();
  } else if (server) {
    world_.scheduler.step(random_);
  } else {
    base::Time next = events_.next();
    if (alive_ && world_.scheduler.next_step() != base::kNever)
      next = std::min(next, std::max(paused_until_, world_.scheduler.next_step() - offset_));
    if (next == base::kNever) return false;
    advance_to(std::max(next, events_.now()));
    return true;
  }
  if (busy_ && until_strike_ > 0 && --until_strike_ == 0) strike();
  return true;
}

// A crash point at an answer: the process ends with the present step, and says nothing more.
bool Simulation::answering() {
  if (dead_before_answer_) return false;
  const CrashPoint& point = plan_.crash;
  const bool before = point.at == CrashPoint::At::kBeforeAnswer;
  if (!before && point.at != CrashPoint::At::kAfterAnswer) return true;
  if (++answers_ != point.number) return true;
  crash_now_ = reached_ = true;
  dead_before_answer_ = before;
  return !before;
}

void Simulation::run_for(base::Duration time) {
  bool over = false;
  events_.after(time, [&over] { over = true; });
  while (!over && !failed()) step();
}

Outcome Simulation::run() {
  const base::Time begin = events_.now();
  trace_.at(begin);
  trace_.remark("seed " + std::to_string(plan_.seed));
  for (std::size_t i = 0; i < kFeatures; ++i) {
    if (plan_.features[i]) trace_.remark("feature " + std::string(name_of(static_cast<Feature>(i))));
  }
  for (std::size_t i = 0; i < kFaults; ++i) {
    if (plan_.faults[i]) trace_.remark("fault " + std::string(name_of(static_cast<Fault>(i))));
  }
  if (plan_.crash.at == CrashPoint::At::kOperation || plan_.crash.at == CrashPoint::At::kTornOperation) {
    const bool torn = plan_.crash.at == CrashPoint::At::kTornOperation;
    stopping_ = true;
    stopping_kind_ = torn ? base::Crash::kRandom : base::Crash::kDropUnsynced;
    operations_before_ = world_.disk().operations();
    world_.disk().stop_at(operations_before_ + plan_.crash.number, torn);
  }
  for (const auto& worker : workers_) worker->start();
  for (const auto& client : clients_) client->go_on();
  strikes_left_ = 1 + static_cast<int>(random_.below(5));
  until_strike_ = 50 + random_.below(600);
  const auto acting = [this] {
    return crowd_.actions_left > 0 ||
           std::ranges::any_of(clients_, [](const auto& client) { return !client->idle(); });
  };
  constexpr std::uint64_t kMostSteps = 400'000;
  while (acting() && steps_ < kMostSteps && !failed()) step();
  if (steps_ >= kMostSteps) oracle_.violated("the system does not come to rest");
  if (!failed()) heal();
  if (!failed()) read_everything();
  for (const std::string& violation : oracle_.violations()) trace_.remark("VIOLATION: " + violation);
  if (plan_.crash.at == CrashPoint::At::kOperation || plan_.crash.at == CrashPoint::At::kTornOperation)
    reached_ = world_.disk().operations() >= operations_before_ + plan_.crash.number;
  Outcome outcome{.seed = plan_.seed,
                  .hash = trace_.hash(),
                  .notes = trace_.notes(),
                  .answers = oracle_.answers(),
                  .acknowledged = oracle_.acknowledged(),
                  .crashes = crashes_,
                  .steps = steps_,
                  .simulated = events_.now() - begin,
                  .coverage = coverage_,
                  .reached = reached_,
                  .violations = oracle_.violations()};
  network_.server_died();
  return outcome;
}

Outcome simulate(std::uint64_t seed, std::FILE* trace) {
  return Simulation(plan_of(seed), trace).run();
}

}  // namespace perdure::sim
