// A random load of clients and workers on a World, and an oracle that watches what it is told.
//
// Clients start workflows and signal them, again with the same request id when an answer is lost; workers run a small program;
// readers look at histories. In between the server is killed, or its disk stops in the middle of something. The oracle (rules E1,
// E4, E7, E9): what was acknowledged is there, what was shown is never taken back, histories have no gap and one close, every
// workflow ends right, and an effect on another id happens once.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/engine/requests.h"
#include "tests/engine/world.h"

namespace perdure::engine {

struct LoadOptions {
  std::uint64_t seed = 1;
  int workflows = 24;
  int steps = 400;
  int crashes = 6;
  std::vector<base::Crash> kinds = {base::Crash::kDropUnsynced, base::Crash::kRandom};
};

class Load {
 public:
  Load(World& world, LoadOptions options);

  // The whole of it: random steps with crashes, then everything is brought to its end and looked at, twice.
  void run();

  // What broke a rule, in words; empty when nothing did.
  const std::vector<std::string>& violations() const { return violations_; }
  int acknowledged() const { return acknowledged_; }
  int crashes() const { return crashes_; }
  int lost_calls() const { return lost_calls_; }

 private:
  enum class Program : std::uint8_t { kPlain, kContinuesAsNew, kSignalsTheSink };
  struct Workflow {
    std::string id;
    Program program{};
    int signals = 0;  // it waits for that many
    bool starting = false, started = false;
    std::string run_id;  // as acknowledged
    std::set<int> signalling, signalled;
  };
  using Answered = std::function<void(const base::Result<std::string>&)>;
  struct Pending {
    std::shared_ptr<ClientCall> call;
    Answered answered;
    std::function<void()> lost;
  };
  struct HeldTask {
    std::string method, request;
  };

  void step();
  void issue(std::string_view method, const google::protobuf::MessageLite& request, Answered answered,
             std::function<void()> lost = {});
  void collect();
  void crash();
  void restart(base::Crash kind);
  void violated(const std::string& what);

  void start_workflow(Workflow& workflow);
  void signal_workflow(Workflow& workflow, int signal);
  void read(Workflow& workflow);
  void poll_workflow_tasks();
  void poll_activities();
  void respond();
  void work_on(const wfs::PollWorkflowTaskQueueResponse& task);
  void work_on(const wfs::PollActivityTaskQueueResponse& task);
  void keep_going();

  void saw(const std::string& run_id, const temporal::api::history::v1::History& history);
  void finish();
  void verify();
  void verify(const Workflow& workflow);
  void check_history(const Workflow& workflow, const std::string& run_id, bool continued,
                     temporal::api::history::v1::History* whole);

  World& world_;
  const LoadOptions options_;
  base::Random random_;
  std::map<std::string, Workflow> workflows_;
  std::deque<Pending> pending_;
  std::deque<HeldTask> held_;
  int workflow_polls_ = 0, activity_polls_ = 0;
  std::map<std::string, std::vector<std::string>> seen_;  // by run: the longest history that was shown
  std::vector<std::string> violations_;
  int acknowledged_ = 0, crashes_ = 0, lost_calls_ = 0;
  bool dead_ = false;  // the server does not start any more
};

}  // namespace perdure::engine
