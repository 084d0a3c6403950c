#include <perdure/testing.h>

#include "base/sim_scheduler.h"
#include "sdk/src/client/connection.h"
#include "sdk/src/embedded/simulated_server.h"
#include "sdk/src/payload/convert.h"
#include "sdk/src/worker/activity_task.h"
#include "sdk/src/worker/core.h"

#include <temporal/api/workflowservice/v1/request_response.pb.h>

namespace perdure {
inline namespace v1 {
namespace testing {

namespace service = temporal::api::workflowservice::v1;
namespace enums = temporal::api::enums::v1;
using embedded::SimulatedServer;

struct Environment::Parts {
  EnvironmentOptions options;
  std::shared_ptr<SimulatedServer> server;
  std::shared_ptr<detail::Connection> connection;
  detail::Simulation simulation;
  std::map<std::string, std::shared_ptr<base::Guarded<detail::ActivityBody>>> mocks;
  std::vector<detail::WorkerCore*> cores;
  const Replayer* replayer = nullptr;
  bool started = false;
  int last_id = 0;

  std::optional<SimulatedServer::Rest> at_rest() const;
  client::Reply inspect(const std::string& method, const std::string& request, client::Reply reply) const;
  client::Reply replayed(const std::string& request, client::Reply reply) const;
};

std::optional<SimulatedServer::Rest> Environment::Parts::at_rest() const {
  SimulatedServer::Rest all;
  if (!started) return all;
  for (detail::WorkerCore* core : cores) {
    const auto rest = core->at_rest();
    if (!rest) return std::nullopt;
    all.polls += rest->polls;
    all.activities += rest->activities;
  }
  return all;
}

namespace {

// The server refused what a workflow task asked for. Not so when something has come meanwhile that the code must see
// before it ends: then the task is done again.
bool is_refusal(const std::string& method, const client::Reply& reply) {
  return method.ends_with("/RespondWorkflowTaskCompleted") && !reply &&
         reply.error().code == base::Code::kInvalidArgument &&
         !reply.error().message.starts_with("UnhandledCommand");
}

}  // namespace

client::Reply Environment::Parts::inspect(const std::string& method, const std::string& request,
                                          client::Reply reply) const {
  if (method.ends_with("/RespondWorkflowTaskFailed") && !options.allow_task_failures) {
    service::RespondWorkflowTaskFailedRequest failed;
    failed.ParseFromString(request);
    server->fail_waiters("a workflow task failed: " + failed.failure().message());
  }
  if (is_refusal(method, reply) && !options.allow_task_failures)
    server->fail_waiters("the server refuses what a workflow task asks for: " + reply.error().message);
  if (method.ends_with("/GetWorkflowExecutionHistory") && options.replay)
    return replayed(request, std::move(reply));
  return reply;
}

// A result is read: the run must do again what it did.
client::Reply Environment::Parts::replayed(const std::string& request, client::Reply reply) const {
  service::GetWorkflowExecutionHistoryRequest asked;
  service::GetWorkflowExecutionHistoryResponse page;
  if (!reply || !asked.ParseFromString(request) || !page.ParseFromString(*reply)) return reply;
  if (asked.history_event_filter_type() != enums::HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT) return reply;
  if (page.history().events().empty()) return reply;
  service::GetWorkflowExecutionHistoryRequest all;
  all.set_namespace_(asked.namespace_());
  *all.mutable_execution() = asked.execution();
  temporal::api::history::v1::History history;
  do {
    const client::Reply answer =
        server->ask(detail::Connection::path("GetWorkflowExecutionHistory"), all.SerializeAsString());
    if (!answer || !page.ParseFromString(*answer)) return reply;
    for (auto& event : *page.mutable_history()->mutable_events()) *history.add_events() = std::move(event);
    all.set_next_page_token(page.next_page_token());
  } while (!page.next_page_token().empty());
  const auto wrong = replayer->replay(history.SerializeAsString());
  if (!wrong) return reply;
  return base::fail(
      base::Code::kFailedPrecondition,
      "replayed from its history, workflow '" + asked.execution().workflow_id() + "' differs: " + *wrong);
}

Environment::Environment(EnvironmentOptions options)
    : parts_(std::make_unique<Parts>()), replayer_(options.failure_converter) {
  Parts* parts = parts_.get();
  if (options.task_queues.empty()) options.task_queues = EnvironmentOptions().task_queues;
  parts->options = std::move(options);
  parts->server =
      std::make_shared<SimulatedServer>(std::chrono::time_point_cast<base::Duration>(parts->options.start));
  parts->replayer = &replayer_;
  parts->simulation.sleep = [server = parts->server.get()](Duration by, std::stop_token stop) {
    return server->pass(by, std::move(stop));
  };
  parts->server->set_hooks(
      [parts] { return parts->at_rest(); },
      [parts](const std::string& method, const std::string& request, client::Reply reply) {
        return parts->inspect(method, request, std::move(reply));
      });
  parts->simulation.evict_after = parts->options.evict_after;
  ClientOptions client;
  client.identity = "test";
  client.failure_converter = parts->options.failure_converter;
  parts->connection = std::make_shared<detail::Connection>(client, parts->server->transport());
  for (const std::string& queue : parts->options.task_queues) {
    WorkerOptions worker;
    worker.task_queue = queue;
    worker.graceful_shutdown = {};
    worker.deadlock_timeout = 30s;  // a starved machine is no deadlock
    if (parts->options.replay) worker.cache_bytes = 0;
    workers_.push_back(std::make_unique<Worker>(detail::ClientAccess::make(parts->connection), worker));
    parts->cores.push_back(workers_.back()->core_.get());
    parts->cores.back()->simulate(&parts->simulation,
                                  [server = parts->server.get()] { server->look_again(); });
  }
}

Environment::~Environment() {
  parts_->server->close();
  workers_.clear();
}

void Environment::set_mock(std::string name, detail::ActivityBody body) {
  auto& slot = parts_->mocks[name];
  if (slot) return slot->with([&](detail::ActivityBody& now) { now = std::move(body); });
  if (parts_->started)
    throw std::logic_error("the first mock of " + name + " comes before the first workflow is started");
  slot = std::make_shared<base::Guarded<detail::ActivityBody>>(std::move(body));
  for (detail::WorkerCore* core : parts_->cores) {
    core->replace({name, [slot](detail::ActivityTask& task, const Payloads& arguments) {
                     const detail::ActivityBody fake =
                         slot->with([](const detail::ActivityBody& now) { return now; });
                     return fake(task, arguments);
                   }});
  }
}

StartOptions Environment::completed(StartOptions options) {
  if (options.id.empty()) options.id = "workflow-" + std::to_string(++parts_->last_id);
  if (options.task_queue.empty()) options.task_queue = parts_->options.task_queues.front();
  return options;
}

Client Environment::client() {
  if (!std::exchange(parts_->started, true)) {
    for (const auto& worker : workers_) worker->start();
  }
  return detail::ClientAccess::make(parts_->connection);
}

void Environment::advance(Duration by) {
  parts_->server->advance(by);
}

TimePoint Environment::now() const {
  return std::chrono::time_point_cast<TimePoint::duration>(parts_->server->now());
}

// ---- activities alone

struct ActivityEnvironment::Parts {
  // Calls that no activity makes here.
  class NoServer final : public client::Transport {
   public:
    std::shared_ptr<Call> call(const std::string&, const std::string&, base::Duration,
                               std::function<void(client::Reply)> done) override {
      done(base::fail(base::Code::kUnimplemented, "there is no server here"));
      return nullptr;
    }
  };

  base::ManualClock clock;
  base::SimScheduler scheduler{clock};
  std::unique_ptr<base::Executor> timers = scheduler.make_executor("timers");
  detail::Connection connection{ClientOptions(), std::make_unique<NoServer>()};
  detail::Simulation simulation;
  std::vector<Payloads> heartbeats;
  Duration slept{};
  std::shared_ptr<detail::ActivityTask> task;
  std::optional<ActivityContext> context;
};

ActivityEnvironment::ActivityEnvironment(ActivityInfo info)
    : ActivityEnvironment(std::move(info), Payloads()) {}

ActivityEnvironment::ActivityEnvironment(ActivityInfo info, Payloads last_heartbeat)
    : parts_(std::make_unique<Parts>()) {
  Parts* parts = parts_.get();
  service::PollActivityTaskQueueResponse task;
  task.set_activity_id(info.activity_id);
  task.mutable_activity_type()->set_name(info.activity_type);
  task.set_task_token(info.task_token);
  task.mutable_workflow_execution()->set_workflow_id(info.workflow_id);
  task.mutable_workflow_execution()->set_run_id(info.run_id);
  task.mutable_workflow_type()->set_name(info.workflow_type);
  task.set_attempt(info.attempt);
  convert::to_wire(info.heartbeat_timeout, task.mutable_heartbeat_timeout());
  convert::to_wire(info.start_to_close_timeout, task.mutable_start_to_close_timeout());
  convert::to_wire(info.schedule_to_close_timeout, task.mutable_schedule_to_close_timeout());
  convert::to_wire(last_heartbeat, task.mutable_heartbeat_details());
  detail::ActivityTask::Settings settings;
  settings.connection = &parts->connection;
  settings.timers = parts->timers.get();
  settings.identity = "test";
  settings.task_queue = info.task_queue;
  parts->task = std::make_shared<detail::ActivityTask>(settings, task);
  parts->task->read();
  parts->simulation.sleep = [parts](Duration by, std::stop_token stop) {
    parts->slept += by;
    return !stop.stop_requested();
  };
  parts->simulation.heartbeat = [parts](const Payloads& details) { parts->heartbeats.push_back(details); };
  parts->task->simulate(&parts->simulation);
  parts->context.emplace(*parts->task);
}

ActivityEnvironment::ActivityEnvironment(ActivityEnvironment&&) noexcept = default;
ActivityEnvironment::~ActivityEnvironment() = default;

ActivityContext& ActivityEnvironment::context() {
  return *parts_->context;
}
void ActivityEnvironment::cancel(CancelReason reason) {
  parts_->task->stop(reason);
}
const std::vector<Payloads>& ActivityEnvironment::recorded() const {
  return parts_->heartbeats;
}
Duration ActivityEnvironment::slept() const {
  return parts_->slept;
}

}  // namespace testing
}  // namespace v1
}  // namespace perdure
