// Simulation: the whole system of one seed in one thread. The server that ships (frontend, history, matching,
// the local store with its log and SQLite) on a simulated disk; workers, clients and a network; a clock that
// moves only when nobody has anything to do.
//
//   busy      clients act, faults strike: whatever the plan of the seed has
//   healing   nothing is lost any more; everything must come to its end by itself
//   the end   everything is read, the server dies once more, everything is read again, and the oracle judges
//
// What happens next is always drawn from the seed. Two runs of a seed are the same to the last byte.
#pragma once

#include <cstdio>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/engine/world.h"
#include "tests/sim/client.h"
#include "tests/sim/disk.h"
#include "tests/sim/network.h"
#include "tests/sim/oracle.h"
#include "tests/sim/plan.h"
#include "tests/sim/remote_store.h"
#include "tests/sim/worker.h"

namespace perdure::sim {

struct Outcome {
  std::uint64_t seed = 0;
  std::uint64_t hash = 0;  // of everything that happened
  std::uint64_t notes = 0, answers = 0, acknowledged = 0, crashes = 0, steps = 0;
  base::Duration simulated{};
  Coverage coverage;
  bool reached = false;  // the crash point of the plan
  std::vector<std::string> violations;
};

class Simulation {
 public:
  // `trace`: where to write what happens, line by line; nullptr: nowhere.
  explicit Simulation(Plan plan, std::FILE* trace = nullptr);
  Outcome run();
  // After run(), what is left on the disk: after an orderly end, or as power was lost. The simulation is over
  // with it.
  std::shared_ptr<base::SimDisk> leave_disk(bool orderly);
  std::vector<Oracle::RunName> runs() const { return oracle_.all_runs(); }
  base::Time clock() const { return server_now(); }

 private:
  bool step();
  bool server_can_step() const;
  void run_for(base::Duration time);
  bool failed() const { return !oracle_.violations().empty(); }
  base::Time server_now() const { return events_.now() + offset_; }
  void advance_to(base::Time now);

  // faults.cc
  void strike();
  void crash(base::Crash kind);
  void stop_in_the_middle();
  void die(base::Crash kind);
  void revive();
  void begin();
  bool answering();
  // The server may be late until then, by its own clock.
  void disturb(base::Time until);
  void pause_process();
  void fill_disk();
  void slow_disk();
  void hold_thread();
  void jump_clock();
  void kill_worker();
  std::vector<Fault> enabled() const;

  // ending.cc
  void heal();
  void check_progress();
  void check_indexes();
  base::Time earliest_timer(const std::string& id, const std::string& run_id);
  void end_repeating();
  bool all_closed();
  void read_everything();
  std::string described();
  std::optional<std::string> ask(const std::string& method, const google::protobuf::Message& request,
                                 bool may_fail = false);
  template <class Response>
  std::optional<Response> ask_for(const std::string& method, const google::protobuf::Message& request,
                                  bool may_fail = false) {
    const auto answer = ask(method, request, may_fail);
    if (!answer) return std::nullopt;
    Response response;
    response.ParseFromString(*answer);
    return response;
  }
  void count_features(const Oracle::History& history);

  engine::WorldOptions world_options();
  RemoteHooks remote_hooks();
  void later(base::Duration delay, std::move_only_function<void()> action);

  const Plan plan_;
  base::Random random_;  // the order of things
  base::Random keys_;
  Trace trace_;
  Coverage coverage_;
  Events events_;
  base::Duration offset_{};  // of the server's clock
  Oracle oracle_;
  base::Time slow_until_{}, paused_until_{}, calm_since_{};
  std::uint64_t life_ = 0;
  bool alive_ = false;
  std::uint64_t lingers_ = 0;  // steps that a server whose log has ended still lives
  RemoteStore* remote_ = nullptr;
  engine::World world_;
  Network network_;
  Crowd crowd_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::shared_ptr<Sender> reader_ = std::make_shared<Sender>();

  bool busy_ = true;
  bool stopping_ = false;  // the disk has been told to stop in the middle of something
  base::Crash stopping_kind_ = base::Crash::kRandom;
  std::uint64_t until_strike_ = 0;  // steps
  int strikes_left_ = 0;
  base::Time died_{};
  base::Time healed_{};
  bool stop_seen_ = false;  // the disk has stopped, and the server will die soon
  bool reached_ = false;    // the crash point of the plan
  bool crash_now_ = false;  // before the next step
  bool dead_before_answer_ = false;
  std::uint64_t operations_before_ = 0;
  std::uint64_t crashes_ = 0, steps_ = 0, answers_ = 0;
};

Outcome simulate(std::uint64_t seed, std::FILE* trace = nullptr);

}  // namespace perdure::sim
