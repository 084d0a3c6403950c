// Program: a random workflow as a worker runs it, and the replay that an SDK would do.
//
// The whole program is a function of the input of its run: any worker that sees the history comes to the same
// commands, or says that the history cannot be the one it made (what an SDK calls a determinism error).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "temporal/api/workflowservice/v1/request_response.pb.h"
#include "tests/sim/plan.h"

namespace perdure::sim {

namespace wfs = ::temporal::api::workflowservice::v1;
namespace enums = ::temporal::api::enums::v1;
using temporal::api::command::v1::Command;
using temporal::api::history::v1::HistoryEvent;

temporal::api::common::v1::Payloads text_payloads(const std::string& text);
std::string text_of(const temporal::api::common::v1::Payloads& payloads);
std::string workflow_id(std::uint64_t number);

// What a start passes to the program: "seed/rest/features/ids/label". `rest`: how often it may continue as
// new. `label` names the request that started it.
struct Input {
  std::uint64_t seed = 0;
  int rest = 0;
  std::uint64_t features = 0;
  int ids = 1;
  std::string label;
  std::string text() const;
  static Input parse(const std::string& text);
  bool has(Feature feature) const { return (features >> static_cast<unsigned>(feature)) & 1; }
};

// How an activity behaves: "behaviour/number/label", passed as its input.
struct ActivityInput {
  enum class How : std::uint8_t {
    kSucceeds,
    kFailsFirst,
    kFailsForGood,
    kHangsFirst,
    kBeats,
    kStopsBeating,
    kHangs
  };
  How how = How::kSucceeds;
  int number = 0;
  std::string label;
  std::string text() const;
  static ActivityInput parse(const std::string& text);
};

class Program {
 public:
  explicit Program(const std::string& input);

  void feed(const HistoryEvent& event);
  // What the workflow does now that it has seen everything fed, until it waits again. Empty when it waits for
  // what it did before.
  std::vector<Command> go_on();
  bool done() const { return done_; }
  // What a query tells: the number of signals seen.
  std::string status() const;

 private:
  enum class PartKind : std::uint8_t { kActivity, kTimer, kSignal, kExternal };
  struct Part {
    PartKind kind{};
    std::string id;
    bool done = false;
    bool started = false;
  };
  void begin_stage(std::vector<Command>& commands);
  void start_activity(std::vector<Command>& commands);
  void start_timer(std::vector<Command>& commands, std::uint64_t milliseconds);
  void external(std::vector<Command>& commands);
  void note(std::vector<Command>& commands);
  void leave_stage(std::vector<Command>& commands);
  void close(std::vector<Command>& commands);
  void told(std::int64_t initiated);  // what became of an effect on another id
  Part* part(PartKind kind, const std::string& id);
  std::uint64_t draw(std::uint64_t bound) { return random_.below(bound); }
  std::string next_name();

  Input input_;
  base::Random random_;
  int stages_ = 1, stage_ = 0, names_ = 0;
  bool in_stage_ = false, first_wins_ = false, heeds_cancel_ = true, cancel_requested_ = false, done_ = false;
  std::vector<Part> parts_;
  std::map<std::int64_t, std::string> activity_ids_;  // by scheduled event id
  std::map<std::int64_t, std::string> externals_;     // by initiated event id
  int signals_ = 0, signals_taken_ = 0;
  std::string run_id_;
};

// A run as a worker knows it: the program, and how far its history was replayed.
class Execution {
 public:
  // Feeds the events of a task (they begin where the last ones ended, or at 1) and returns the commands that
  // answer it; empty optional: `wrong` says why this cannot be the history of this program.
  std::optional<std::vector<Command>> replay(const std::vector<HistoryEvent>& events, std::string& wrong);
  std::int64_t next_event_id() const { return next_event_id_; }
  std::int64_t started_id() const { return started_id_; }
  const Program& program() const { return *program_; }
  bool begun() const { return program_.has_value(); }

 private:
  std::string check_commands(const std::vector<HistoryEvent>& events, std::size_t completed);

  std::optional<Program> program_;
  std::vector<Command> commands_;  // of the last task, until the history shows what became of them
  std::int64_t next_event_id_ = 1;
  std::int64_t started_id_ = 0;
};

}  // namespace perdure::sim
