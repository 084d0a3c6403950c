#include "server/main/process.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/log.h"
#include "base/random.h"
#include "base/signals.h"
#include "server/frontend/grpc/door.h"
#include "server/gateway/http_listener.h"
#include "server/gateway/metrics.h"
#include "server/main/data_directory.h"
#include "server/main/setup.h"
#include "server/main/wiring.h"
#include "server/store/measured_store.h"

namespace perdure::server {
namespace {

using std::chrono::seconds;

constexpr base::Duration kGrace = std::chrono::milliseconds(1000);  // calls under way have this long to end
constexpr base::Duration kMost = std::chrono::milliseconds(1700);   // and the whole end takes no longer

// People get a sentence, programs that read the log get an event.
void tell(const ServerOptions& options, base::LogLevel level, const char* event, const std::string& what) {
  if (options.log_format == base::LogFormat::kJson) {
    if (base::logs(level)) base::log_line(level, event, {{"reason", what}});
  } else {
    std::fprintf(stderr, "%s: %s\n", level == base::LogLevel::kWarn ? "warning" : "perdure", what.c_str());
  }
}

int exit_of(const base::Error& error) {
  if (error.code == base::Code::kInvalidArgument) return kExitUsage;
  return error.code == base::Code::kDataLoss ? kExitDataLoss : kExitUnavailable;
}

void banner(const ServerOptions& options, int port, const DataDirectory& data, std::uint64_t quarantined) {
  std::printf("perdure %s (Temporal API %s)\n", kVersion, kApiVersionText);
  std::printf("gRPC     %s:%d\n", options.ip.c_str(), port);
  if (options.metrics_port != 0)
    std::printf("metrics  http://%s:%d/metrics\n", options.ip.c_str(), options.metrics_port);
  std::printf("data     %s%s\n", data.path().c_str(),
              data.temporary() ? " (temporary, removed at the end)" : "");
  if (quarantined > 0) {
    std::printf("warning  %llu quarantined workflow IDs: see TemporalReportedProblems in their lists\n",
                static_cast<unsigned long long>(quarantined));
  }
  for (const std::string& line : options.ignored) tell(options, base::LogLevel::kWarn, "flag_ignored", line);
  std::fflush(stdout);
}

// Waits for a callback on this thread; false when it takes longer than `most`, or a second signal comes.
bool wait_or_signal(std::future<void>& done, base::Duration most) {
  const auto step = std::chrono::milliseconds(20);
  for (base::Duration waited{}; waited < most; waited += step) {
    if (done.wait_for(std::chrono::seconds(0)) == std::future_status::ready) return true;
    if (base::wait_for_stop_signal(step)) return false;
  }
  return done.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

// Metrics and liveness over HTTP; nullptr when they are not asked for.
base::Result<std::unique_ptr<gateway::HttpListener>> open_metrics(const ServerOptions& options,
                                                                  gateway::MetricSources sources) {
  if (options.metrics_port == 0) return nullptr;
  return gateway::HttpListener::open(options.ip, options.metrics_port,
                                     {{"/metrics", [sources] { return gateway::metrics_text(sources); }},
                                      {"/healthz", [] { return std::string("ok\n"); }}});
}

// Half of what there is: a call costs about as much at the door as behind it.
int door_loops() {
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency() / 2));
}

// What runs, in the order in which it may be destroyed from the end.
struct Running {
  const ServerOptions& options;
  std::optional<store::MeasuredStore> measured;  // what data holds, counted; told until data is closed
  std::unique_ptr<DataDirectory> data;
  std::vector<std::unique_ptr<base::Executor>> executors;
  std::atomic<bool> log_lost{false};
  std::unique_ptr<Wiring> wiring;
  bool recovered = false;
  std::unique_ptr<frontend::CallMetrics> calls;
  std::unique_ptr<frontend::GrpcDoor> door;
  std::unique_ptr<gateway::HttpListener> metrics;

  base::Status start();
  // Drains, writes everything behind, closes. What does not end in time, or is told to end at once, is left
  // as it is: what was acknowledged is in the log.
  int stop(int exit);

 private:
  void close_all();
  [[noreturn]] void end_at_once(int exit);
};

base::Status Running::start() {
  TRY(data, DataDirectory::open(options));
  const base::Clock& clock = base::system_clock();
  measured.emplace(data->store(), clock);
  const unsigned count = std::max(2u, std::thread::hardware_concurrency()) - 1;
  for (unsigned i = 0; i < count; ++i)
    executors.push_back(base::make_thread_executor("loop-" + std::to_string(i), clock));
  WiringOptions wired{
      .clock = &clock,
      .store = &*measured,
      .seed = static_cast<std::uint64_t>(clock.now().time_since_epoch().count()),
      .store_name = "local",
      .on_fatal =
          [this](const base::Error& error) {
            tell(options, base::LogLevel::kError, "log_lost",
                 "the log cannot be written (" + error.message + "): stopping");
            log_lost = true;
            base::raise_stop();
          },
      .on_quarantine =
          [this](const store::UnitKey& key, const std::string& why) {
            tell(options, base::LogLevel::kError, "quarantined",
                 "workflow ID " + key.id + " of namespace " + key.namespace_id + " is quarantined: " + why);
          }};
  for (const auto& executor : executors) wired.executors.push_back(executor.get());
  wiring = std::make_unique<Wiring>(std::move(wired));
  TRY_VOID(wiring->start());
  recovered = true;
  TRY_VOID(set_up(*wiring, options));
  calls = std::make_unique<frontend::CallMetrics>(wiring->methods());
  TRY(door, frontend::GrpcDoor::open(
                wiring->methods(),
                {.ip = options.ip, .port = options.port, .loops = door_loops(), .metrics = calls.get()}));
  const auto wakes = [this] {
    std::uint64_t sum = door->wakes() + data->wakes();
    for (const auto& executor : executors) sum += executor->wakes();
    return sum;
  };
  gateway::MetricSources sources{calls.get(), &data->store(), kVersion, wakes};
  sources.operations = &*measured;
  sources.history = [this] { return wiring->history_figures(); };
  sources.matching = [this] { return wiring->matching_figures(); };
  sources.namespace_name = [this](const std::string& id) {
    const auto catalog = wiring->catalog();
    const core::Namespace* found = catalog->find_by_id(id);
    return found ? found->name() : std::string();
  };
  sources.quarantined = [this] { return wiring->quarantined(); };
  TRY(metrics, open_metrics(options, std::move(sources)));
  return {};
}

int Running::stop(int exit) {
  if (log_lost) end_at_once(kExitLogLost);  // nothing of memory may be answered or written any more
  std::promise<void> promise;
  std::future<void> closed = promise.get_future();
  std::thread closing([&] {
    close_all();
    promise.set_value();
  });
  if (!wait_or_signal(closed, kMost)) end_at_once(exit);
  closing.join();
  LOG(kInfo, "stopped");
  return log_lost ? kExitLogLost : exit;
}

void Running::close_all() {
  if (recovered) {
    std::promise<void> stopped, closed;
    wiring->stop([&](base::Status) { stopped.set_value(); });
    if (door) {
      door->close(kGrace, [&] { closed.set_value(); });
      closed.get_future().wait();
    }
    stopped.get_future().wait();
  }
  metrics.reset();
  executors.clear();
  if (data) data->close();
}

void Running::end_at_once(int exit) {
  LOG(kInfo, "stopped_at_once");
  const int status = log_lost ? kExitLogLost : exit;  // before the log misses its directory
  if (data) data->abandon();
  _exit(status);
}

}  // namespace

int serve(const ServerOptions& options) {
  base::block_stop_signals();
  Running running{.options = options};
  base::start_log(options.log_level, options.log_format, base::system_clock());
  LOG(kInfo, "starting", {{"version", kVersion}, {"api_version", kApiVersionText}});
  if (const base::Status started = running.start(); !started) {
    tell(options, base::LogLevel::kError, "start_failed", started.error().message);
    return running.stop(exit_of(started.error()));
  }
  banner(options, running.door->port(), *running.data, running.wiring->quarantined());
  LOG(kInfo, "started", {{"ip", options.ip}, {"port", running.door->port()}, {"data", running.data->path()}});
  while (!base::wait_for_stop_signal(seconds(3600))) {
  }
  LOG(kInfo, "stopping");
  return running.stop(kExitOk);
}

}  // namespace perdure::server
