#include "sdk/src/worker/core.h"

#include <algorithm>
#include <cstdio>

#include "base/clock.h"
#include "base/random.h"
#include "base/signals.h"
#include "sdk/src/payload/convert.h"

namespace perdure {
inline namespace v1 {
namespace detail {

namespace service = temporal::api::workflowservice::v1;
namespace enums = temporal::api::enums::v1;

namespace {

constexpr base::Duration kFirstBackoff = std::chrono::milliseconds(100),
                         kMostBackoff = std::chrono::seconds(10);
constexpr int kDefaultLanes = 2;

void log_to_stderr(const char* level, std::string_view event, std::initializer_list<LogField> fields) {
  std::string line(level);
  line.append(" ").append(event);
  for (const LogField& field : fields) line.append(" ").append(field.key).append("=").append(field.value);
  line += '\n';
  std::fputs(line.c_str(), stderr);
}

// Not by operator+, about which g++ 12 warns without reason.
std::string text(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const std::string_view part : parts) all.append(part);
  return all;
}

}  // namespace

WorkerCore::WorkerCore(std::shared_ptr<Connection> connection, WorkerOptions options)
    : connection_(std::move(connection)), options_(std::move(options)) {
  if (options_.task_queue.empty()) throw std::invalid_argument("a worker needs a task queue");
  if (options_.identity.empty()) options_.identity = connection_->identity();
}

WorkerCore::~WorkerCore() {
  stop();
}

void WorkerCore::add(WorkflowDefinition definition) {
  std::string name = definition.name;
  if (!workflows_.emplace(name, std::move(definition)).second)
    throw std::logic_error(text({"workflow '", name, "' is added twice"}));
}
void WorkerCore::add(ActivityDefinition definition) {
  std::string name = definition.name;
  if (!activities_.emplace(name, std::move(definition)).second)
    throw std::logic_error(text({"activity '", name, "' is added twice"}));
}

void WorkerCore::replace(ActivityDefinition definition) {
  std::string name = definition.name;
  activities_.insert_or_assign(name, std::move(definition));
}

void WorkerCore::simulate(const Simulation* simulation, std::function<void()> changed) {
  simulation_ = simulation;
  changed_ = std::move(changed);
}

std::optional<WorkerCore::Rest> WorkerCore::at_rest() {
  std::optional<Rest> rest;
  control_->run_and_wait([&] {
    int polls = 0;
    for (const Queue queue : {Queue::kWorkflow, Queue::kSticky, Queue::kActivity}) polls += polling_[queue];
    const bool resting = workflow_tasks_ == 0 && polls == static_cast<int>(polls_.size());
    if (resting) rest = Rest{polls, static_cast<int>(running_.size())};
  });
  return rest;
}

void WorkerCore::start() {
  if (started_) throw std::logic_error("the worker is running");
  started_ = true;
  stopping_ = over_ = false;
  ended_ = {};
  control_ = base::make_thread_executor("perdure-worker", base::system_clock());
  if (!workflows_.empty()) open_lanes();
  control_->run_and_wait([this] {
    for (const Queue queue : {Queue::kWorkflow, Queue::kSticky, Queue::kActivity}) {
      backoff_[queue] = kFirstBackoff;
      fill(queue);
    }
  });
}

void WorkerCore::open_lanes() {
  base::Random random(base::random_seed());
  sticky_queue_ = options_.cache_bytes > 0 ? text({options_.identity, "-", random.uuid()}) : "";
  const int count = options_.workflow_threads > 0 ? options_.workflow_threads : kDefaultLanes;
  for (int i = 0; i < count; ++i) {
    worker::LaneSettings settings;
    settings.connection = connection_.get();
    settings.definitions = &workflows_;
    settings.timers = control_.get();
    settings.identity = options_.identity;
    settings.sticky_queue = sticky_queue_;
    settings.sticky_timeout = options_.sticky_timeout;
    settings.cache_bytes = options_.cache_bytes / static_cast<std::size_t>(count);
    settings.log = log_to_stderr;
    lanes_.push_back(
        std::make_unique<worker::WorkflowLane>(text({"workflow-", std::to_string(i)}), std::move(settings)));
  }
}

int WorkerCore::pollers(Queue queue) const {
  switch (queue) {
    case Queue::kWorkflow: return workflows_.empty() ? 0 : options_.workflow_pollers;
    case Queue::kSticky: return sticky_queue_.empty() ? 0 : options_.workflow_pollers;
    case Queue::kActivity: return activities_.empty() ? 0 : options_.activity_pollers;
  }
  return 0;
}

// A poll is only sent when there is room for what it may bring.
bool WorkerCore::has_slot(Queue queue) const {
  const auto count = [&](Queue one) {
    const auto found = polling_.find(one);
    return found == polling_.end() ? 0 : found->second;
  };
  if (queue == Queue::kActivity) {
    return static_cast<int>(running_.size()) + count(Queue::kActivity) < options_.max_concurrent_activities;
  }
  // One is kept for each of the two queues.
  return workflow_tasks_ + count(queue) < std::max(options_.max_concurrent_workflow_tasks, 1);
}

void WorkerCore::fill(Queue queue) {
  while (!stopping_ && polling_[queue] < pollers(queue) && has_slot(queue)) poll(queue);
}

std::string WorkerCore::poll_request(Queue queue) const {
  const auto fill = [&](auto request) {
    request.set_namespace_(connection_->ns());
    request.set_identity(options_.identity);
    request.mutable_task_queue()->set_name(queue == Queue::kSticky ? sticky_queue_ : options_.task_queue);
    request.mutable_task_queue()->set_kind(queue == Queue::kSticky ? enums::TASK_QUEUE_KIND_STICKY
                                                                   : enums::TASK_QUEUE_KIND_NORMAL);
    if (queue == Queue::kSticky) request.mutable_task_queue()->set_normal_name(options_.task_queue);
    return request.SerializeAsString();
  };
  if (queue == Queue::kActivity) return fill(service::PollActivityTaskQueueRequest());
  return fill(service::PollWorkflowTaskQueueRequest());
}

void WorkerCore::poll(Queue queue) {
  ++polling_[queue];
  const std::uint64_t id = ++last_poll_;
  const char* method = queue == Queue::kActivity ? "PollActivityTaskQueue" : "PollWorkflowTaskQueue";
  polls_[id] = connection_->transport().call(
      Connection::path(method), poll_request(queue), Connection::kLongPollTimeout,
      [this, queue, id](client::Reply reply) {
        auto shared = std::make_shared<client::Reply>(std::move(reply));
        control_->post(base::Lane::kCompletion, 0,
                       [this, queue, id, shared] { polled(queue, id, std::move(*shared)); });
      });
}

void WorkerCore::polled(Queue queue, std::uint64_t poll, client::Reply reply) {
  polls_.erase(poll);
  if (reply || reply.error().code == base::Code::kDeadlineExceeded) {
    --polling_[queue];
    backoff_[queue] = kFirstBackoff;
    if (reply) queue == Queue::kActivity ? activity_task(*reply) : workflow_task(*reply);
    fill(queue);
    return check_ended();
  }
  if (!stopping_) {
    log_to_stderr("warn", "poll_failed",
                  {{"task_queue", options_.task_queue}, {"error", reply.error().message}});
    const base::Duration pause = backoff_[queue];
    backoff_[queue] = std::min(pause * 2, kMostBackoff);
    control_->call_at(base::add(control_->clock().now(), pause), [this, queue] {
      --polling_[queue];
      fill(queue);
      check_ended();
    });
    return;
  }
  --polling_[queue];
  check_ended();
}

void WorkerCore::workflow_task(const std::string& bytes) {
  auto task = std::make_shared<service::PollWorkflowTaskQueueResponse>();
  if (!task->ParseFromString(bytes) || task->task_token().empty()) return;
  ++workflow_tasks_;
  const std::size_t lane = std::hash<std::string>()(task->workflow_execution().run_id()) % lanes_.size();
  lanes_[lane]->post(std::move(task), [this] {
    control_->post(base::Lane::kCompletion, 0, [this] {
      --workflow_tasks_;
      fill(Queue::kWorkflow);
      fill(Queue::kSticky);
      check_ended();
    });
  });
}

void WorkerCore::activity_task(const std::string& bytes) {
  service::PollActivityTaskQueueResponse response;
  if (!response.ParseFromString(bytes) || response.task_token().empty()) return;
  auto task = std::make_shared<ActivityTask>(*connection_, *control_, options_.identity, response);
  task->simulate(simulation_);
  running_.insert(task);
  const auto found = activities_.find(task->info().activity_type);
  const ActivityBody* body = found == activities_.end() ? nullptr : &found->second.body;
  auto idle =
      std::find_if(threads_.begin(), threads_.end(), [](const auto& thread) { return !thread->busy; });
  if (idle == threads_.end()) {
    auto thread = std::make_unique<ActivityThread>();
    thread->executor = base::make_thread_executor("activity", base::system_clock());
    threads_.push_back(std::move(thread));
    idle = std::prev(threads_.end());
  }
  ActivityThread* thread = idle->get();
  thread->busy = true;
  thread->executor->post(base::Lane::kCompletion, 0, [this, task, body, thread] {
    task->run(body, [this, task] {
      control_->post(base::Lane::kCompletion, 0, [this, task] {
        running_.erase(task);
        fill(Queue::kActivity);
        check_ended();
      });
    });
    control_->post(base::Lane::kCompletion, 0, [thread] { thread->busy = false; });
  });
}

// ---- the end: polls are given up, what runs may finish, then is asked to, and is waited for

void WorkerCore::stop() {
  if (!started_) return;
  auto ended = ended_.get_future();
  control_->post(base::Lane::kCompletion, 0, [this] { begin_stop(); });
  ended.wait();
  lanes_.clear();
  threads_.clear();
  tell_server_of_end();
  control_.reset();
  started_ = false;
}

void WorkerCore::begin_stop() {
  stopping_ = true;
  for (const auto& [id, call] : polls_) call->cancel();
  control_->call_at(base::add(control_->clock().now(), options_.graceful_shutdown),
                    [this] { stop_activities(); });
  check_ended();
}

void WorkerCore::stop_activities() {
  for (const auto& task : running_) task->stop(CancelReason::kWorkerShutdown);
}

void WorkerCore::check_ended() {
  if (changed_) changed_();
  if (!stopping_ || over_ || !polls_.empty() || workflow_tasks_ > 0 || !running_.empty()) return;
  if (std::any_of(polling_.begin(), polling_.end(), [](const auto& one) { return one.second > 0; })) return;
  over_ = true;
  ended_.set_value();
}

// So that tasks of the sticky queue go elsewhere at once. Nothing depends on it.
void WorkerCore::tell_server_of_end() {
  if (sticky_queue_.empty()) return;
  service::ShutdownWorkerRequest request;
  request.set_namespace_(connection_->ns());
  request.set_sticky_task_queue(sticky_queue_);
  request.set_identity(options_.identity);
  request.set_reason("worker stops");
  std::promise<void> answered;
  connection_->transport().call(Connection::path("ShutdownWorker"), request.SerializeAsString(),
                                std::chrono::seconds(2), [&](const client::Reply&) { answered.set_value(); });
  answered.get_future().wait();
}

}  // namespace detail

Worker::Worker(Client client, WorkerOptions options)
    : core_(std::make_unique<detail::WorkerCore>(client.connection(), std::move(options))) {}
Worker::~Worker() = default;
void Worker::add_workflow(detail::WorkflowDefinition definition) {
  core_->add(std::move(definition));
}
void Worker::add_activity(detail::ActivityDefinition definition) {
  core_->add(std::move(definition));
}
void Worker::start() {
  core_->start();
}
void Worker::stop() {
  core_->stop();
}

void Worker::run(std::stop_token stop) {
  std::promise<void> asked;
  const auto woken = asked.get_future();
  start();
  {
    const std::stop_callback on_stop(stop, [&] { asked.set_value(); });
    woken.wait();
  }
  core_->stop();
}

std::stop_token stop_on_signals() {
  struct Waiter {
    std::stop_source source;
    std::unique_ptr<base::Executor> thread;
    Waiter() {
      base::block_stop_signals();
      thread = base::make_thread_executor("signals", base::system_clock());
      thread->post(base::Lane::kCompletion, 0, [this] {
        (void)base::wait_for_stop_signal(base::Duration::max());
        source.request_stop();
      });
    }
    ~Waiter() { base::raise_stop(); }
  };
  static Waiter waiter;
  return waiter.source.get_token();
}

}  // namespace v1
}  // namespace perdure
