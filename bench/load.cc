#include "bench/load.h"

#include <algorithm>

#include "base/clock.h"

namespace perdure::bench {
namespace {

namespace wf = temporal::api::workflowservice::v1;
constexpr base::Duration kTurn = std::chrono::milliseconds(5);
constexpr base::Duration kLongestWarmUp = std::chrono::seconds(20);
constexpr base::Duration kLongestPreparation = std::chrono::seconds(120);
constexpr base::Duration kLongestDrain = std::chrono::seconds(15);

base::Time now() {
  return base::system_clock().now();
}
double seconds(base::Duration duration) {
  return std::chrono::duration<double>(duration).count();
}
double ms(base::Duration duration) {
  return seconds(duration) * 1e3;
}
double us(base::Duration duration) {
  return seconds(duration) * 1e6;
}

// Runs the client until `met`, or says what was waited for.
template <class Condition>
base::Status turn_until(GrpcClient& client, base::Duration longest, std::string_view what, Condition met) {
  for (const auto end = now() + longest; !met();) {
    if (now() > end)
      return base::fail(base::Code::kDeadlineExceeded, std::string("waited too long for ").append(what));
    client.turn(kTurn);
  }
  return {};
}

// The closed loop: slots, each of which runs unit after unit.
class Loop {
 public:
  Loop(Workload& workload, std::size_t slots) : workload_(workload), slots_(slots) {}

  void begin() {
    for (std::size_t slot = 0; slot < slots_; ++slot) next(slot);
  }
  void open_window() {
    latencies_.clear();
    measuring_ = true;
  }
  void close_window() { measuring_ = false; }
  void stop() { stopping_ = true; }

  std::size_t ended() const { return ended_; }
  std::size_t under_way() const { return under_way_; }
  bool drained() const { return under_way_ == 0; }
  const base::Status& failure() const { return failure_; }
  std::vector<base::Duration>& latencies() { return latencies_; }

 private:
  void next(std::size_t slot) {
    ++under_way_;
    workload_.run(slot, [this, slot, begun = now()](base::Status status) {
      --under_way_;
      ++ended_;
      if (!status) {
        if (failure_) failure_ = std::move(status);
        stopping_ = true;
      }
      if (measuring_) latencies_.push_back(now() - begun);
      if (!stopping_) next(slot);
    });
  }

  Workload& workload_;
  std::size_t slots_;
  std::size_t under_way_ = 0;
  std::size_t ended_ = 0;
  bool measuring_ = false;
  bool stopping_ = false;
  base::Status failure_;
  std::vector<base::Duration> latencies_;
};

Figures figures(const Reading& from, const Reading& to, std::vector<base::Duration>& latencies) {
  Figures f;
  const auto units = static_cast<double>(std::max<std::size_t>(latencies.size(), 1));
  f.units = static_cast<std::int64_t>(latencies.size());
  f.seconds = seconds(to.at - from.at);
  f.per_s = static_cast<double>(latencies.size()) / f.seconds;
  f.server_cpu_us = us(to.server_cpu - from.server_cpu) / units;
  f.server_cpu_percent = 100 * seconds(to.server_cpu - from.server_cpu) / f.seconds;
  f.driver_cpu_percent = 100 * seconds(to.driver_cpu - from.driver_cpu) / f.seconds;
  f.other_cpu_percent = 100 * seconds(to.machine_cpu - from.machine_cpu) / f.seconds - f.server_cpu_percent -
                        f.driver_cpu_percent;
  f.p50_ms = ms(percentile(latencies, 50));
  f.p99_ms = ms(percentile(latencies, 99));
  for (const auto& [thread, cpu] : to.threads) {
    const auto before = from.threads.find(thread);
    f.cpu_us_by_thread[thread] =
        us(cpu - (before == from.threads.end() ? base::Duration::zero() : before->second)) / units;
  }
  if (from.fsyncs && to.fsyncs) f.fsyncs = (*to.fsyncs - *from.fsyncs) / units;
  if (from.log_bytes && to.log_bytes) f.log_bytes = (*to.log_bytes - *from.log_bytes) / units;
  if (from.wakes && to.wakes) f.wakes = (*to.wakes - *from.wakes) / units;
  f.rss_mib = static_cast<double>(to.rss_kib) / 1024;
  return f;
}

// GetSystemInfo, `count` times one after the other on all connections in turn.
base::Result<std::vector<base::Duration>> noop_latencies(Api& api, std::size_t count) {
  std::vector<base::Duration> latencies;
  base::Status failure;
  for (std::size_t i = 0; i < count && failure; ++i) {
    bool answered = false;
    const auto begun = now();
    api.call<wf::GetSystemInfoResponse>(i, path::kGetSystemInfo, wf::GetSystemInfoRequest(), kCallTimeout,
                                        [&](auto reply) {
                                          if (!reply) failure = std::unexpected(reply.error());
                                          latencies.push_back(now() - begun);
                                          answered = true;
                                        });
    TRY_VOID(turn_until(api.client(), kCallTimeout, "GetSystemInfo", [&] { return answered; }));
  }
  TRY_VOID(failure);
  return latencies;
}

// The server's CPU over the next `length`, in percent of a core.
base::Result<double> cpu_percent(Api& api, const Meter& meter, base::Duration length) {
  TRY(const auto from, meter.read());
  for (const auto end = now() + length; now() < end;) api.client().turn(kTurn);
  TRY(const auto to, meter.read());
  return 100 * seconds(to.server_cpu - from.server_cpu) / seconds(to.at - from.at);
}

}  // namespace

base::Result<double> run_units(Api& api, Workload& workload, std::size_t in_flight, std::size_t units) {
  Loop loop(workload, in_flight);
  const auto begun = now();
  loop.begin();
  while (loop.failure() && loop.ended() < units) api.client().turn(kTurn);
  loop.stop();
  TRY_VOID(turn_until(api.client(), kLongestDrain, "the last units", [&] { return loop.drained(); }));
  TRY_VOID(loop.failure());
  return static_cast<double>(loop.ended()) / seconds(now() - begun);
}

base::Result<Figures> run_load(Api& api, Workload& workload, const Meter& meter, const LoadOptions& options) {
  auto& client = api.client();
  std::optional<base::Status> prepared;
  workload.prepare([&](base::Status status) { prepared = std::move(status); });
  TRY_VOID(turn_until(client, kLongestPreparation, "the workload's preparation",
                      [&] { return prepared.has_value(); }));
  TRY_VOID(*prepared);

  Loop loop(workload, options.in_flight);
  const auto begun = now();
  loop.begin();
  const auto warm = [&] {
    const auto passed = now() - begun;
    return !loop.failure() || passed > kLongestWarmUp ||
           (passed > options.warm_up && loop.ended() >= 2 * options.in_flight);
  };
  while (!warm()) client.turn(kTurn);

  TRY(const auto from, meter.read());
  loop.open_window();
  while (loop.failure() && now() - from.at < options.window) client.turn(kTurn);
  loop.close_window();
  TRY(const auto to, meter.read());
  TRY_VOID(loop.failure());

  loop.stop();
  // A server may have lost a unit for longer than anybody wants to wait; that is told, and not an error of
  // the measurement.
  (void)turn_until(client, kLongestDrain, "the last units", [&] { return loop.drained(); });
  TRY_VOID(loop.failure());
  workload.stop();
  Figures f = figures(from, to, loop.latencies());
  f.unfinished = loop.under_way();
  f.worker_errors = workload.worker_errors();
  f.last_worker_error = workload.last_worker_error();
  return f;
}

base::Result<ParkedFigures> run_parked_polls(Api& api, const Meter& meter, const std::string& run_name,
                                             std::size_t polls, std::size_t queues) {
  constexpr std::size_t kBurst = 100;  // sent between two turns
  constexpr double kSettledPercent = 5;
  base::Status failure;
  TRY(const auto from, meter.read());
  for (std::size_t i = 0; i < polls; ++i) {
    wf::PollActivityTaskQueueRequest request;
    request.set_namespace_(api.name_space());
    request.mutable_task_queue()->set_name(run_name + "-" + std::to_string(i % queues));
    request.set_identity("perdure-bench-worker");
    api.call<wf::PollActivityTaskQueueResponse>(
        i, path::kPollActivityTask, request, kPollTimeout, [&](auto reply) {
          failure = reply ? base::fail(base::Code::kInternal, "a poll came back early")
                          : std::unexpected(reply.error());
        });
    if (i % kBurst == 0) api.client().turn(base::Duration::zero());
  }
  // A call behind the polls on each connection, and then quiet: all of them are in.
  TRY_VOID(noop_latencies(api, api.client().connections()));
  TRY(auto parked, meter.read());
  const auto limit = now() + std::chrono::seconds(20);
  for (double percent = 100; percent > kSettledPercent && now() < limit;) {
    TRY(percent, cpu_percent(api, meter, std::chrono::milliseconds(500)));
    if (percent > kSettledPercent) {
      TRY(parked, meter.read());
    }
  }
  ParkedFigures f;
  f.park_per_s = static_cast<double>(polls) / seconds(parked.at - from.at);
  TRY(f.idle_cpu_percent, cpu_percent(api, meter, std::chrono::seconds(2)));
  TRY(auto latencies, noop_latencies(api, 500));
  f.noop_p50_ms = ms(percentile(latencies, 50));
  f.noop_p99_ms = ms(percentile(latencies, 99));
  TRY(const auto to, meter.read());
  TRY_VOID(failure);
  f.server_cpu_us = us(parked.server_cpu - from.server_cpu) / static_cast<double>(polls);
  f.rss_mib = static_cast<double>(to.rss_kib) / 1024;
  f.kib_per_poll = static_cast<double>(to.rss_kib - from.rss_kib) / static_cast<double>(polls);
  return f;
}

}  // namespace perdure::bench
