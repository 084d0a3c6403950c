#include "bench/overload.h"

#include <sys/resource.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "base/clock.h"
#include "bench/api.h"
#include "bench/workloads.h"
#include "temporal/api/workflowservice/v1/request_response.pb.h"

namespace perdure::bench {
namespace {

namespace wf = temporal::api::workflowservice::v1;
namespace enums = temporal::api::enums::v1;
constexpr base::Duration kTurn = std::chrono::milliseconds(1);
constexpr base::Duration kPatience = std::chrono::seconds(10);  // the SDKs' default
constexpr base::Duration kFirstPause = std::chrono::milliseconds(200),
                         kLongestPause = std::chrono::seconds(2);
constexpr base::Duration kRest = std::chrono::seconds(9);  // after the overload, before the last window

base::Time now() {
  return base::system_clock().now();
}
double seconds(base::Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// Clients that start workflows, and the worker that ends them.
class Crowd {
 public:
  Crowd(Api& api, const OverloadOptions& options) : api_(api), options_(options) {
    for (std::size_t i = 0; i < options_.pollers; ++i) poll(i, kFirstPause);
  }

  void open(OverloadWindow& window) {
    window_ = &window;
    latencies_.clear();
    good_ = refused_ = 0;
  }
  void close(base::Duration time) {
    window_->goodput_per_s = static_cast<double>(good_) / seconds(time);
    window_->refused_per_s = static_cast<double>(refused_) / seconds(time);
    window_->p50_ms = seconds(percentile(latencies_, 50)) * 1e3;
    window_->p99_ms = seconds(percentile(latencies_, 99)) * 1e3;
  }
  void keep_in_flight(std::size_t count) {
    wanted_ = count;
    while (closed_ < wanted_) start_one(true);
  }
  void start_one(bool again = false) {
    closed_ += again;
    const std::string id = options_.run_name + "-" + std::to_string(++last_);
    begun_.emplace(id, Begun{now(), again});
    start_workflow(
        api_, last_, id, "overload", options_.run_name,
        [this, id](const base::Result<std::string>& run_id) {
          if (!run_id) not_started(id, run_id.error());
        },
        kPatience);
  }
  void turn() {
    api_.client().turn(kTurn);
    while (!later_.empty() && later_.begin()->first <= now()) later_.extract(later_.begin()).mapped()();
  }

 private:
  struct Begun {
    base::Time at;
    bool again = false;
  };

  void not_started(const std::string& id, const base::Error& error) {
    if (error.code == base::Code::kResourceExhausted) {
      ++refused_;
    } else if (error.code == base::Code::kDeadlineExceeded) {
      ++window_->late;
    } else {
      ++window_->failed;
      window_->last_error = error.message;
    }
    forget(id);
  }
  void forget(const std::string& id) {
    const auto found = begun_.find(id);
    if (found == begun_.end()) return;
    const bool again = found->second.again;
    begun_.erase(found);
    closed_ -= again;
    if (again && closed_ < wanted_) start_one(true);
  }
  void ended(const std::string& id) {
    const auto found = begun_.find(id);
    if (found == begun_.end()) return;
    latencies_.push_back(now() - found->second.at);
    if (latencies_.back() <= kPatience) ++good_;
    forget(id);
  }

  void poll(std::size_t connection, base::Duration pause) {
    wf::PollWorkflowTaskQueueRequest request;
    request.set_namespace_(api_.name_space());
    request.mutable_task_queue()->set_name(options_.run_name);
    request.set_identity("perdure-bench-worker");
    api_.call<wf::PollWorkflowTaskQueueResponse>(
        connection, path::kPollWorkflowTask, request, kPollTimeout, [this, connection, pause](auto reply) {
          if (!reply)
            return later(pause, [=, this] { poll(connection, std::min(2 * pause, kLongestPause)); });
          poll(connection, kFirstPause);
          if (!(*reply)->task_token().empty())
            complete(connection, (*reply)->task_token(), (*reply)->workflow_execution().workflow_id(),
                     kFirstPause);
        });
  }
  void complete(std::size_t connection, std::string token, std::string id, base::Duration pause) {
    wf::RespondWorkflowTaskCompletedRequest request;
    request.set_namespace_(api_.name_space());
    request.set_task_token(token);
    auto& command = *request.add_commands();
    command.set_command_type(enums::COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION);
    command.mutable_complete_workflow_execution_command_attributes();
    api_.call<wf::RespondWorkflowTaskCompletedResponse>(
        connection, path::kRespondWorkflowTask, request, kPatience,
        [this, connection, token = std::move(token), id = std::move(id), pause](auto reply) mutable {
          if (reply) return ended(id);
          if (reply.error().code == base::Code::kNotFound) return forget(id);  // the task has timed out
          later(pause, [this, connection, token = std::move(token), id = std::move(id), pause]() mutable {
            complete(connection, std::move(token), std::move(id), std::min(2 * pause, kLongestPause));
          });
        });
  }
  void later(base::Duration pause, std::move_only_function<void()> action) {
    later_.emplace(now() + pause, std::move(action));
  }

  Api& api_;
  const OverloadOptions& options_;
  OverloadWindow* window_ = nullptr;
  std::unordered_map<std::string, Begun> begun_;
  std::multimap<base::Time, std::move_only_function<void()>> later_;
  std::vector<base::Duration> latencies_;
  std::size_t last_ = 0, good_ = 0, refused_ = 0, closed_ = 0, wanted_ = 0;
};

// `per_second` starts; 0: only what keep_in_flight() keeps up.
base::Status load(Crowd& crowd, const Meter& meter, double per_second, base::Duration time,
                  OverloadWindow& window) {
  TRY(const auto from, meter.read());
  window.offered_per_s = per_second;
  crowd.open(window);
  std::uint64_t sent = 0;
  while (now() - from.at < time) {
    const auto due = static_cast<std::uint64_t>(per_second * seconds(now() - from.at));
    for (int burst = 0; sent < due && burst < 200; ++burst, ++sent) crowd.start_one();
    crowd.turn();
  }
  TRY(const auto to, meter.read());
  crowd.close(to.at - from.at);
  window.rss_mib = static_cast<double>(to.rss_kib) / 1024;
  window.server_cpu_percent = 100 * seconds(to.server_cpu - from.server_cpu) / seconds(to.at - from.at);
  window.driver_cpu_percent = 100 * seconds(to.driver_cpu - from.driver_cpu) / seconds(to.at - from.at);
  return {};
}

// As many descriptors as this process may have.
void raise_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

// A workflow whose history is 64 KiB long.
base::Status start_large(Api& api, const std::string& id) {
  wf::StartWorkflowExecutionRequest request;
  request.set_namespace_(api.name_space());
  request.set_workflow_id(id);
  request.set_request_id(id);
  request.mutable_workflow_type()->set_name("large");
  request.mutable_task_queue()->set_name(id);
  request.mutable_input()->add_payloads()->set_data(std::string(64 << 10, 'x'));
  std::optional<base::Status> answered;
  api.call<wf::StartWorkflowExecutionResponse>(
      0, path::kStartWorkflow, request, kCallTimeout,
      [&](auto reply) { answered = reply ? base::Status() : base::Status(std::unexpected(reply.error())); });
  while (!answered) api.client().turn(kTurn);
  return *answered;
}

// Sends what is asked and reads nothing ever after.
base::Status stall(GrpcClient& client, const std::string& name_space, const std::string& id,
                   std::size_t questions) {
  Api api(client, name_space);
  wf::GetWorkflowExecutionHistoryRequest request;
  request.set_namespace_(name_space);
  request.mutable_execution()->set_workflow_id(id);
  for (std::size_t i = 0; i < questions * client.connections(); ++i) {
    api.call<wf::GetWorkflowExecutionHistoryResponse>(i, path::kGetHistory, request, kCallTimeout,
                                                      [](auto) {});
  }
  client.turn(base::Duration::zero());
  return {};
}

}  // namespace

base::Result<std::vector<OverloadWindow>> run_overload(const Meter& meter, const OverloadOptions& options) {
  raise_limit();
  TRY(auto client, GrpcClient::connect(options.address, options.connections));
  Api api(*client, options.name_space);
  TRY_VOID(start_large(api, options.run_name + "-large"));
  Crowd crowd(api, options);
  std::vector<OverloadWindow> windows(4);
  windows[0].name = "what it can do";
  crowd.open(windows[0]);
  crowd.keep_in_flight(options.in_flight);
  for (const auto end = now() + options.window / 4; now() < end;) crowd.turn();
  TRY_VOID(load(crowd, meter, 0, options.window, windows[0]));
  crowd.keep_in_flight(0);
  const double capacity = windows[0].offered_per_s = windows[0].goodput_per_s;

  windows[1].name = "overload";
  TRY_VOID(load(crowd, meter, options.times * capacity, 2 * options.window, windows[1]));
  windows[2].name = "and idle and stalled clients";
  TRY(const auto idle, GrpcClient::connect(options.address, std::max<std::size_t>(options.idle, 1)));
  idle->turn(base::Duration::zero());
  TRY(const auto stalled, GrpcClient::connect(options.address, std::max<std::size_t>(options.stalled, 1)));
  TRY_VOID(stall(*stalled, options.name_space, options.run_name + "-large", options.questions));
  TRY_VOID(load(crowd, meter, options.times * capacity, 2 * options.window, windows[2]));

  OverloadWindow between;  // what is left of it
  TRY_VOID(load(crowd, meter, 0.5 * capacity, kRest, between));
  windows[3].name = "half, ten seconds later";
  TRY_VOID(load(crowd, meter, 0.5 * capacity, options.window / 2, windows[3]));
  client.reset();  // its calls refer to the crowd
  return windows;
}

}  // namespace perdure::bench
