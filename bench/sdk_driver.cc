// The C++ SDK's side of sdk.py: what is measured, and what drives it.
//
//   perdure-sdk-bench history FILE LENGTH         the history of a chain of activities, as JSON
//   perdure-sdk-bench replay FILE SECONDS         replays it again and again; prints events and CPU seconds as JSON
//   perdure-sdk-bench worker QUEUE                until SIGTERM; says "ready"
//   perdure-sdk-bench drive QUEUE COUNT CLIENTS   workflows of one activity from start to result, so many at a time
//   perdure-sdk-bench fill QUEUE COUNT            workflows that wait, each known to have had its first task
//
// The server is that at TEMPORAL_ADDRESS.
#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "sdk/src/client/connection.h"

#include <google/protobuf/util/json_util.h>
#include <perdure/replayer.h>
#include <perdure/worker.h>
#include <temporal/api/workflowservice/v1/request_response.pb.h>

namespace perdure::bench {

inline constexpr Activity<int(int)> work{"work"};

// Activities have ids of ours: those that the SDKs give differ, and each replays only its own.
Task<int> chain(Context ctx, int length) {
  int sum = 0;
  for (int number = 0; number < length; ++number) {
    const std::string id = "step-" + std::to_string(number);
    const ActivityOptions options{.start_to_close_timeout = 1min, .activity_id = id};
    int result = co_await ctx.execute<&work>(options, number);
    sum += result;
  }
  co_return sum;
}

class Waits {
 public:
  static constexpr std::string_view workflow_name = "waits";
  Task<> run(Context ctx) {
    co_await ctx.until([this] { return ended_; });
  }
  void end() { ended_ = true; }
  using signals = handlers<&Waits::end>;

 private:
  bool ended_ = false;
};

namespace {

namespace service = temporal::api::workflowservice::v1;

int make_history(const std::string& file, int length) {
  const Client client = Client::connect();
  Worker worker(client, {.task_queue = "bench"});
  worker.add<&chain>().add<&work>([](int number) { return number + 1; });
  worker.start();
  (void)client.execute<&chain>({.id = "chain", .task_queue = "bench"}, length);
  temporal::api::history::v1::History history;
  service::GetWorkflowExecutionHistoryRequest request;
  request.set_namespace_("default");
  request.mutable_execution()->set_workflow_id("chain");
  do {
    auto page = client.connection()->call<service::GetWorkflowExecutionHistoryResponse>(
        "GetWorkflowExecutionHistory", request);
    for (auto& event : *page.mutable_history()->mutable_events()) *history.add_events() = std::move(event);
    request.set_next_page_token(page.next_page_token());
  } while (!request.next_page_token().empty());
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(history, &json).ok()) return 1;
  std::ofstream(file) << json;
  return 0;
}

int replay(const std::string& file, double seconds) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  temporal::api::history::v1::History history;
  if (!google::protobuf::util::JsonStringToMessage(text.str(), &history).ok()) return 1;
  const std::string bytes = history.SerializeAsString();
  Replayer replayer;
  replayer.add<&chain>();
  long events = 0;
  const base::Time end =
      base::system_clock().now() + std::chrono::microseconds(static_cast<long>(seconds * 1e6));
  while (base::system_clock().now() < end) {
    if (const auto wrong = replayer.replay(bytes)) {
      std::fprintf(stderr, "%s\n", wrong->c_str());
      return 1;
    }
    events += history.events_size();
  }
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const double cpu = static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                     static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  std::printf("{\"events\": %ld, \"cpu_seconds\": %f}\n", events, cpu);
  return 0;
}

int run_worker(const std::string& queue) {
  const std::stop_token stop = stop_on_signals();
  WorkerOptions options;
  options.task_queue = queue;
  options.cache_bytes = std::size_t{2} << 30;
  Worker worker(Client::connect(), options);
  worker.add<Waits>().add<&chain>().add<&work>([](int number) { return number + 1; });
  std::puts("ready");
  std::fflush(stdout);
  worker.run(stop);
  return 0;
}

StartOptions named(const std::string& queue, const std::string& what, int number) {
  StartOptions options;
  options.id = queue + "-" + what + "-" + std::to_string(number);
  options.task_queue = queue;
  return options;
}

// Each number once, by so many clients.
void share_out(int count, int clients, const std::function<void(int)>& use) {
  std::atomic<int> next{0};
  std::vector<std::unique_ptr<base::Executor>> threads;
  for (int i = 0; i < clients; ++i) {
    threads.push_back(base::make_thread_executor("client", base::system_clock()));
    threads.back()->post(base::Lane::kCompletion, 0, [&] {
      for (int number = next++; number < count; number = next++) use(number);
    });
  }
  threads.clear();
}

int drive(const std::string& queue, int count, int clients) {
  const Client client = Client::connect();
  const std::string what = "drive-" + std::to_string(count);
  share_out(count, clients, [&](int number) { (void)client.execute<&chain>(named(queue, what, number), 1); });
  return 0;
}

int fill(const std::string& queue, int count) {
  const Client client = Client::connect();
  share_out(count, 16, [&](int number) {
    auto handle = client.start<Waits>(named(queue, "fill", number));
    service::GetWorkflowExecutionHistoryRequest request;
    request.set_namespace_("default");
    request.mutable_execution()->set_workflow_id(handle.id());
    request.set_wait_new_event(true);
    for (int events = 0; events < 4;) {  // started, and one task
      const auto page = client.connection()->call<service::GetWorkflowExecutionHistoryResponse>(
          "GetWorkflowExecutionHistory", request, detail::Connection::kLongPollTimeout);
      events += page.history().events_size();
      request.set_next_page_token(page.next_page_token());
    }
  });
  return 0;
}

int run(const std::vector<std::string>& arguments) {
  const std::string mode = arguments.empty() ? "" : arguments[0];
  if (mode == "history" && arguments.size() == 3) return make_history(arguments[1], std::stoi(arguments[2]));
  if (mode == "replay" && arguments.size() == 3) return replay(arguments[1], std::stod(arguments[2]));
  if (mode == "worker" && arguments.size() == 2) return run_worker(arguments[1]);
  if (mode == "drive" && arguments.size() == 4)
    return drive(arguments[1], std::stoi(arguments[2]), std::stoi(arguments[3]));
  if (mode == "fill" && arguments.size() == 3) return fill(arguments[1], std::stoi(arguments[2]));
  std::fputs("perdure-sdk-bench history|replay|worker|drive|fill …\n", stderr);
  return 2;
}

}  // namespace
}  // namespace perdure::bench

int main(int count, char** arguments) {
  return perdure::bench::run(std::vector<std::string>(arguments + 1, arguments + count));
}
