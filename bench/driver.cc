// perdure-bench: puts one workload on a server that speaks Temporal's API, and prints its figures as JSON.
//
//   perdure-bench one_activity --address 127.0.0.1:7233 --server-pid 4711 [--metrics HOST:PORT]
//   perdure-bench first_answer --address …
//   perdure-bench prepare --address …
//
// first_answer waits for the first answered GetSystemInfo and prints when that was; prepare makes the
// namespace where it is missing and waits until it takes a workflow.
//
// bench/run.py starts the servers, runs this once per workload and repetition, and prints the table.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "bench/load.h"
#include "bench/overload.h"
#include "bench/workloads.h"

namespace perdure::bench {
namespace {

namespace wf = temporal::api::workflowservice::v1;
using nlohmann::json;

struct Settings {
  std::string workload;
  std::string address = "127.0.0.1:7233";
  std::string name_space = "default";
  std::string metrics;
  int server_pid = 0;
  std::size_t in_flight = 128;
  std::size_t pollers = 32;
  std::size_t connections = 4;
  std::size_t polls = 10'000;
  std::size_t queues = 100;
  std::size_t units = 100'000;
  std::size_t idle = 5'000;
  std::size_t stalled = 20;
  double times = 2;
  std::string name;
  double seconds = 3;
  double warm_up = 0.5;
  double patience = 60;  // for first_answer and prepare
};

base::Duration of_seconds(double seconds) {
  return base::Duration(static_cast<std::int64_t>(seconds * 1e9));
}

// One call, waited for.
template <class Response, class Request>
base::Status ask(Api& api, std::string_view path, const Request& request) {
  std::optional<base::Status> status;
  api.call<Response>(0, path, request, kCallTimeout, [&](auto reply) {
    status = reply ? base::Status() : base::Status(std::unexpected(reply.error()));
  });
  while (!status) api.client().turn(std::chrono::milliseconds(5));
  return *status;
}

base::Status read_workflow(Api& api, const std::string& id) {
  wf::GetWorkflowExecutionHistoryRequest request;
  request.set_namespace_(api.name_space());
  request.mutable_execution()->set_workflow_id(id);
  return ask<wf::GetWorkflowExecutionHistoryResponse>(api, path::kGetHistory, request);
}

// Connects and asks until there is an answer, to GetSystemInfo or to the read of a workflow's history.
base::Result<json> first_answer(const Settings& settings) {
  const auto end = base::system_clock().now() + of_seconds(settings.patience);
  std::string last_error;
  while (base::system_clock().now() < end) {
    auto client = GrpcClient::connect(settings.address, 1);
    base::Status answered;
    if (client) {
      Api api(**client, settings.name_space);
      answered = settings.name.empty()
                     ? ask<wf::GetSystemInfoResponse>(api, path::kGetSystemInfo, wf::GetSystemInfoRequest())
                     : read_workflow(api, settings.name);
    } else {
      answered = std::unexpected(client.error());
    }
    if (answered) return json{{"answered_at_ns", base::system_clock().now().time_since_epoch().count()}};
    if (answered.error().code != base::Code::kUnavailable) return std::unexpected(answered.error());
    last_error = answered.error().message;
    usleep(200);
  }
  return base::fail(base::Code::kDeadlineExceeded, "no answer: " + last_error);
}

// A server may need a while to see a namespace that it has just made.
base::Result<json> prepare(Api& api, const Settings& settings) {
  wf::DescribeNamespaceRequest describe;
  describe.set_namespace_(settings.name_space);
  bool made = false;
  if (const auto there = ask<wf::DescribeNamespaceResponse>(api, path::kDescribeNamespace, describe);
      !there) {
    if (there.error().code != base::Code::kNotFound) return std::unexpected(there.error());
    wf::RegisterNamespaceRequest request;
    request.set_namespace_(settings.name_space);
    request.mutable_workflow_execution_retention_period()->set_seconds(24 * 3600);
    TRY_VOID(ask<wf::RegisterNamespaceResponse>(api, path::kRegisterNamespace, request));
    made = true;
  }
  const auto end = base::system_clock().now() + of_seconds(settings.patience);
  for (int i = 0;; ++i) {
    base::Result<std::string> started = std::string();
    bool answered = false;
    const std::string id = "prepare-" + std::to_string(getpid()) + "-" + std::to_string(i);
    start_workflow(api, 0, id, "prepare", id, [&](auto run_id) {
      started = std::move(run_id);
      answered = true;
    });
    while (!answered) api.client().turn(std::chrono::milliseconds(5));
    if (started) return json{{"made_namespace", made}};
    if (base::system_clock().now() > end) return std::unexpected(started.error());
    usleep(100'000);
  }
}

json as_json(const Figures& f) {
  json out{{"units", f.units},
           {"seconds", f.seconds},
           {"per_s", f.per_s},
           {"cpu_us", f.server_cpu_us},
           {"server_cpu_percent", f.server_cpu_percent},
           {"driver_cpu_percent", f.driver_cpu_percent},
           {"other_cpu_percent", f.other_cpu_percent},
           {"p50_ms", f.p50_ms},
           {"p99_ms", f.p99_ms},
           {"cpu_us_by_thread", f.cpu_us_by_thread},
           {"fsyncs", nullptr},
           {"log_bytes", nullptr},
           {"wakes", nullptr},
           {"rss_mib", f.rss_mib},
           {"unfinished", f.unfinished},
           {"worker_errors", f.worker_errors},
           {"last_worker_error", f.last_worker_error}};
  if (f.fsyncs) out["fsyncs"] = *f.fsyncs;
  if (f.wakes) out["wakes"] = *f.wakes;
  if (f.log_bytes) out["log_bytes"] = *f.log_bytes;
  return out;
}

json as_json(const ParkedFigures& f) {
  return {{"per_s", f.park_per_s},
          {"cpu_us", f.server_cpu_us},
          {"p50_ms", f.noop_p50_ms},
          {"p99_ms", f.noop_p99_ms},
          {"rss_mib", f.rss_mib},
          {"kib_per_poll", f.kib_per_poll},
          {"idle_cpu_percent", f.idle_cpu_percent}};
}

base::Result<json> overload(const Settings& settings) {
  const Meter meter(settings.server_pid, settings.metrics);
  OverloadOptions options{
      .address = settings.address,
      .name_space = settings.name_space,
      .run_name = "overload-" + std::to_string(base::system_clock().now().time_since_epoch().count()),
      .window = of_seconds(settings.seconds)};
  options.idle = settings.idle;
  options.stalled = settings.stalled;
  options.times = settings.times;
  TRY(const auto windows, run_overload(meter, options));
  json out = json::array();
  for (const OverloadWindow& w : windows) {
    out.push_back({{"name", w.name},
                   {"offered_per_s", w.offered_per_s},
                   {"goodput_per_s", w.goodput_per_s},
                   {"refused_per_s", w.refused_per_s},
                   {"late", w.late},
                   {"failed", w.failed},
                   {"last_error", w.last_error},
                   {"p50_ms", w.p50_ms},
                   {"p99_ms", w.p99_ms},
                   {"rss_mib", w.rss_mib},
                   {"server_cpu_percent", w.server_cpu_percent},
                   {"driver_cpu_percent", w.driver_cpu_percent}});
  }
  return out;
}

base::Result<json> measure(const Settings& settings) {
  if (settings.workload == "overload") return overload(settings);
  if (settings.workload == "first_answer") return first_answer(settings);
  std::unique_ptr<Workload> workload;  // outlives the client, whose calls refer to it
  TRY(auto client, GrpcClient::connect(settings.address, settings.connections));
  Api api(*client, settings.name_space);
  if (settings.workload == "prepare") return prepare(api, settings);
  if (settings.workload == "fill") {
    workload = make_workload("start", api, {.run_name = settings.name});
    TRY(const double per_s, run_units(api, *workload, settings.in_flight, settings.units));
    return json{{"per_s", per_s}};
  }
  const Meter meter(settings.server_pid, settings.metrics);
  const std::string run_name =
      settings.workload + "-" + std::to_string(base::system_clock().now().time_since_epoch().count());
  if (settings.workload == "parked_polls") {
    TRY(const auto figures, run_parked_polls(api, meter, run_name, settings.polls, settings.queues));
    return as_json(figures);
  }
  workload =
      make_workload(settings.workload, api,
                    {.run_name = run_name, .in_flight = settings.in_flight, .pollers = settings.pollers});
  if (workload == nullptr) return base::invalid_argument("no workload of the name " + settings.workload);
  TRY(const auto figures, run_load(api, *workload, meter,
                                   {.in_flight = settings.in_flight,
                                    .warm_up = of_seconds(settings.warm_up),
                                    .window = of_seconds(settings.seconds)}));
  return as_json(figures);
}

int run(int argc, char** argv) {
  Settings s;
  CLI::App app("Puts one workload on a server that speaks Temporal's API, and prints its figures as JSON");
  app.add_option("workload", s.workload,
                 "noop, start, signal, start_complete, one_activity, three_activities, parked_polls, "
                 "overload, first_answer or prepare")
      ->required();
  app.add_option("--address", s.address, "the server's gRPC address, numeric");
  app.add_option("--namespace", s.name_space);
  app.add_option("--server-pid", s.server_pid, "whose CPU, memory and disk are measured");
  app.add_option("--metrics", s.metrics, "address of the server's Prometheus text");
  app.add_option("--in-flight", s.in_flight)->check(CLI::PositiveNumber);
  app.add_option("--pollers", s.pollers, "of each kind")->check(CLI::PositiveNumber);
  app.add_option("--connections", s.connections)->check(CLI::PositiveNumber);
  app.add_option("--polls", s.polls, "for parked_polls")->check(CLI::PositiveNumber);
  app.add_option("--queues", s.queues, "for parked_polls")->check(CLI::PositiveNumber);
  app.add_option("--units", s.units, "for fill: how many workflows")->check(CLI::PositiveNumber);
  app.add_option("--idle", s.idle, "for overload: connections that say nothing");
  app.add_option("--stalled", s.stalled, "for overload: clients that ask and never read");
  app.add_option("--times", s.times, "for overload: of what the server can do")->check(CLI::PositiveNumber);
  app.add_option("--name", s.name,
                 "for fill: workflows are called NAME-0, …; for first_answer: the one to read");
  app.add_option("--seconds", s.seconds, "length of the measured window")->check(CLI::PositiveNumber);
  app.add_option("--warm-up", s.warm_up, "seconds before it, at least");
  app.add_option("--patience", s.patience, "seconds that first_answer and prepare wait");
  CLI11_PARSE(app, argc, argv);
  const auto result = measure(s);
  if (!result) {
    std::cerr << "perdure-bench " << s.workload << ": code " << static_cast<int>(result.error().code) << ": "
              << result.error().message << "\n";
    return 1;
  }
  std::cout << result->dump() << "\n";
  return 0;
}

}  // namespace
}  // namespace perdure::bench

int main(int argc, char** argv) {
  return perdure::bench::run(argc, argv);
}
