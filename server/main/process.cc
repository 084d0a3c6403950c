#include "server/main/process.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <future>
#include <memory>
#include <thread>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "base/signals.h"
#include "server/frontend/grpc_door.h"
#include "server/main/data_directory.h"
#include "server/main/wiring.h"

namespace perdure::server {
namespace {

using std::chrono::seconds;

constexpr base::Duration kDrain = std::chrono::milliseconds(900);  // the log, and then the calls under way, have this long to end

int complain(const std::string& what, int exit) {
  std::fprintf(stderr, "perdure: %s\n", what.c_str());
  return exit;
}

int exit_of(const base::Error& error) {
  return error.code == base::Code::kDataLoss ? kExitDataLoss : kExitUnavailable;
}

void banner(const ServerOptions& options, int port, const DataDirectory& data) {
  std::printf("perdure %s (Temporal API %s)\n", kVersion, kApiVersionText);
  std::printf("gRPC     %s:%d\n", options.ip.c_str(), port);
  if (options.metrics_port != 0) std::printf("metrics  http://%s:%d/metrics\n", options.ip.c_str(), options.metrics_port);
  std::printf("data     %s%s\n", data.path().c_str(), data.temporary() ? " (temporary, removed at the end)" : "");
  for (const std::string& line : options.ignored) std::fprintf(stderr, "warning: %s\n", line.c_str());
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

base::Status register_namespaces(Wiring& wiring, const ServerOptions& options) {
  std::vector<std::string> names{"default"};
  for (const std::string& name : options.namespaces) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  for (const std::string& name : names) {
    std::promise<base::Status> promise;
    std::future<base::Status> done = promise.get_future();
    wiring.ensure_namespace(name, std::chrono::hours(24), [&](base::Status status) { promise.set_value(std::move(status)); });
    TRY_VOID(done.get());
  }
  return {};
}

}  // namespace

int serve(const ServerOptions& options) {
  base::block_stop_signals();
  auto data = DataDirectory::open(options);
  if (!data) return complain(data.error().message, exit_of(data.error()));
  const base::Clock& clock = base::system_clock();
  std::vector<std::unique_ptr<base::Executor>> executors;
  const unsigned count = std::max(1u, std::thread::hardware_concurrency() > 1 ? std::thread::hardware_concurrency() - 1 : 1);
  for (unsigned i = 0; i < count; ++i) executors.push_back(base::make_thread_executor("loop-" + std::to_string(i), clock));
  std::atomic<bool> log_lost{false};
  WiringOptions wiring_options{.clock = &clock,
                               .store = &(*data)->store(),
                               .seed = static_cast<std::uint64_t>(clock.now().time_since_epoch().count()),
                               .store_name = "local",
                               .on_fatal = [&](const base::Error& error) {
                                 std::fprintf(stderr, "perdure: the log cannot be written (%s): stopping\n", error.message.c_str());
                                 log_lost = true;
                                 base::raise_stop();
                               }};
  for (const auto& executor : executors) wiring_options.executors.push_back(executor.get());
  auto wiring = std::make_unique<Wiring>(std::move(wiring_options));
  if (auto started = wiring->start(); !started) return complain(started.error().message, exit_of(started.error()));
  if (auto named = register_namespaces(*wiring, options); !named) return complain(named.error().message, exit_of(named.error()));
  auto door = frontend::GrpcDoor::open(wiring->methods(), {.ip = options.ip, .port = options.port});
  if (!door) return complain(door.error().message, kExitUnavailable);
  banner(options, (*door)->port(), **data);

  while (!base::wait_for_stop_signal(seconds(3600))) {
  }
  if (log_lost) _exit(kExitLogLost);  // nothing of memory may be answered or written any more
  std::promise<void> promise;
  std::future<void> stopped = promise.get_future();
  wiring->stop([&](base::Status) { promise.set_value(); });
  std::promise<void> shut;
  std::future<void> closed = shut.get_future();
  std::thread closing([&] {
    (*door)->close(kDrain);
    shut.set_value();
  });
  const bool clean = wait_or_signal(stopped, kDrain) && wait_or_signal(closed, kDrain);
  if (!clean || log_lost) _exit(log_lost ? kExitLogLost : kExitOk);  // what was acknowledged is in the log
  closing.join();
  for (auto& executor : executors) executor.reset();
  (*data)->close();
  return kExitOk;
}

}  // namespace perdure::server
