// Overload: an open loop of clients that do not care how the server is, against the whole server on the local store, with a model
// of CPU time: every task of an executor costs simulated time, as does every request at the door.
//
// Times and bounds are twenty times those of a real core: a workflow from start to end costs a few milliseconds instead of 200 µs,
// and what may wait is a twentieth. Executors have a core each (base/sim_scheduler.h).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/engine/world.h"
#include "tests/sim/events.h"

namespace perdure::sim {

// What was seen in a time of load.
struct Window {
  double offered_per_s = 0;    // starts
  double goodput_per_s = 0;    // workflows that ended within the patience of who started them
  std::uint64_t accepted = 0;  // starts that were acknowledged in time
  std::uint64_t refused = 0;   // RESOURCE_EXHAUSTED
  std::uint64_t late = 0;      // not answered in time
  std::uint64_t other = 0;     // any other error
  base::Duration p99{};        // from start to end, of workflows that ended
  std::size_t most_calls = 0, most_mailbox_bytes = 0, most_cached_bytes = 0;
};

class Overload {
 public:
  static constexpr std::size_t kMostCalls = 5'000;         // a twentieth of the door's
  static constexpr std::size_t kMailboxBytes = 3'355'443;  // of an executor's lane,
  static constexpr std::size_t kCacheBytes = 64 << 20;     // and of loaded executions

  explicit Overload(std::uint64_t seed);
  ~Overload();

  // As many workflows under way as given, one after another.
  Window closed_loop(std::size_t in_flight, base::Duration time);
  // That many starts a second, whatever becomes of them.
  Window open_loop(double per_second, base::Duration time);

 private:
  using Heard = std::move_only_function<void(base::Result<std::string>)>;
  class Call;

  Window run(base::Duration time);
  void step();
  void call(std::string method, const google::protobuf::MessageLite& request, base::Duration patience,
            Heard heard);
  void arrive(const std::shared_ptr<Call>& call);
  void start_one();
  void poll(base::Duration pause);
  void complete(std::string token, std::string workflow_id, base::Duration pause);
  void ended(const std::string& workflow_id);
  void next_arrival();

  base::Random random_;
  Events events_;
  engine::World world_;
  std::unique_ptr<base::Executor> door_;
  std::size_t calls_ = 0;  // at the server
  std::uint64_t last_ = 0;
  bool closed_loop_ = false;
  double rate_ = 0;
  std::uint64_t load_ = 0;  // which load the next arrival belongs to
  std::map<std::string, base::Time> begun_;
  Window window_;
  std::uint64_t good_ = 0;
  std::vector<base::Duration> latencies_;
};

}  // namespace perdure::sim
