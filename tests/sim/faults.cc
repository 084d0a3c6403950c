// What goes wrong, and how the server comes back.
#include "tests/sim/simulation.h"

namespace perdure::sim {
namespace {

using base::Crash;
using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

std::vector<Fault> Simulation::enabled() const {
  std::vector<Fault> faults;
  for (const Fault fault : {Fault::kKill, Fault::kPowerLoss, Fault::kTornWrites, Fault::kMidOperation,
                            Fault::kSyncError, Fault::kDiskFull, Fault::kSlowDisk, Fault::kClientDeath,
                            Fault::kWorkerDeath, Fault::kPause, Fault::kSlowThread, Fault::kClockJump}) {
    // A database has its own disk.
    const bool of_disk = fault == Fault::kPowerLoss || fault == Fault::kTornWrites ||
                         fault == Fault::kMidOperation || fault == Fault::kDiskFull;
    if (plan_.has(fault) && !(plan_.remote && of_disk)) faults.push_back(fault);
  }
  return faults;
}

void Simulation::strike() {
  const std::vector<Fault> faults = enabled();
  if (faults.empty() || strikes_left_-- <= 0) return;
  until_strike_ = 20 + random_.below(900);
  if (!alive_) return;
  const Fault fault = faults[random_.below(faults.size())];
  coverage_.saw(fault);
  trace_.note("fault", name_of(fault));
  switch (fault) {
    case Fault::kKill: return crash(Crash::kKeepAll);
    case Fault::kPowerLoss: return crash(Crash::kDropUnsynced);
    case Fault::kTornWrites: return crash(Crash::kRandom);
    case Fault::kMidOperation: return stop_in_the_middle();
    case Fault::kSyncError: return plan_.remote ? remote_->seal() : world_.disk().fail_next_sync();
    case Fault::kDiskFull: return fill_disk();
    case Fault::kSlowDisk: return slow_disk();
    case Fault::kClientDeath: return clients_[random_.below(clients_.size())]->die();
    case Fault::kWorkerDeath: return kill_worker();
    case Fault::kPause: return pause_process();
    case Fault::kSlowThread: return hold_thread();
    case Fault::kClockJump: return jump_clock();
    default: return;
  }
}

void Simulation::crash(Crash kind) {
  die(kind);
  events_.after(milliseconds(random_.below(3000)), [this] { revive(); });
}

// The disk stops at one of its next operations; the server goes on until it notices.
void Simulation::stop_in_the_middle() {
  stopping_ = true;
  stopping_kind_ = random_.below(2) == 0 ? Crash::kDropUnsynced : Crash::kRandom;
  world_.disk().stop_at(world_.disk().operations() + 1 + random_.below(40), random_.below(2) == 0);
  disturb(server_now() + seconds(2));
  events_.after(milliseconds(random_.below(1500)), [this, life = life_] {
    if (!alive_ || life != life_) return;
    crash(stopping_kind_);
  });
}

void Simulation::die(Crash kind) {
  trace_.note("dies", std::to_string(static_cast<int>(kind)));
  ++crashes_;
  ++life_;
  alive_ = stopping_ = false;
  lingers_ = 0;
  died_ = server_now();
  slow_until_ = paused_until_ = {};
  network_.server_died();
  oracle_.server_died(died_);
  world_.die(kind);
}

void Simulation::begin() {
  base::Status begun = world_.begin();
  if (begun && !world_.fatal()) {
    alive_ = true;
    healed_ = server_now();
    trace_.note("begins", std::to_string(life_));
    oracle_.disturbed(died_, server_now());
    disturb(server_now() + seconds(1));
    return;
  }
  const std::string why = begun ? world_.fatal()->message : begun.error().message;
  world_.die(Crash::kKeepAll);
  if (!plan_.remote &&
      world_.disk().free_bytes("data").value_or(0) < (1 << 20)) {  // no space: somebody makes room
    world_.disk().set_capacity(UINT64_MAX / 2);
    return revive();
  }
  oracle_.violated("E9: the server does not start: " + why);
}

void Simulation::revive() {
  if (alive_ || failed()) return;
  if (plan_.has(Fault::kCrashInRecovery) && !plan_.remote && busy_ && random_.below(2) == 0) {
    coverage_.saw(Fault::kCrashInRecovery);
    trace_.note("fault", name_of(Fault::kCrashInRecovery));
    world_.disk().stop_at(world_.disk().operations() + 1 + random_.below(30), random_.below(2) == 0);
    static_cast<void>(world_.begin());
    world_.die(random_.below(2) == 0 ? Crash::kDropUnsynced : Crash::kRandom);
  }
  if (plan_.has(Fault::kClockJump) && busy_ &&
      random_.below(2) == 0) {  // the next process may find the clock set back
    const base::Duration back = milliseconds(random_.below(60'000));
    offset_ -= back;
    world_.clock.advance(-back);
    calm_since_ = base::kNever;
    oracle_.clock_was_set();
  }
  begin();
}

void Simulation::disturb(base::Time until) {
  oracle_.disturbed(server_now(), until);
  calm_since_ = std::max(calm_since_, until - offset_);
}

void Simulation::pause_process() {
  paused_until_ = events_.now() + milliseconds(100 + random_.below(30'000));
  disturb(paused_until_ + offset_);
  oracle_.interrupted(server_now());
}

void Simulation::fill_disk() {
  world_.disk().set_capacity(world_.disk().used() + random_.below(64 << 10));
  disturb(server_now() + seconds(10));
  events_.after(milliseconds(100 + random_.below(5000)),
                [this] { world_.disk().set_capacity(UINT64_MAX / 2); });
}

void Simulation::slow_disk() {
  slow_until_ = events_.now() + milliseconds(100 + random_.below(5000));
  disturb(slow_until_ + offset_);
}

void Simulation::hold_thread() {
  static const char* const kThreads[] = {"loop-0", "loop-1", "log", "projection", "reads", "lists"};
  const base::Time until = server_now() + milliseconds(10 + random_.below(4000));
  world_.scheduler.hold(kThreads[random_.below(std::size(kThreads))], until);
  disturb(until);
  oracle_.interrupted(server_now());
  oracle_.interrupted(until);
}

void Simulation::jump_clock() {
  offset_ += milliseconds(random_.below(120'000));
  world_.clock.set(server_now());
  calm_since_ = base::kNever;  // nobody knows what time it is
  oracle_.clock_was_set();
}

void Simulation::kill_worker() {
  Worker& worker = *workers_[random_.below(workers_.size())];
  if (!worker.alive()) return;
  worker.die();
  events_.after(milliseconds(random_.below(6000)), [&worker] {
    if (!worker.alive()) worker.start();
  });
}

}  // namespace perdure::sim
