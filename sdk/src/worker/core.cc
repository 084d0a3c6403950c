#include "sdk/src/worker/core.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "base/clock.h"
#include "base/random.h"
#include "base/signals.h"
#include "sdk/src/payload/convert.h"
#include "sdk/src/worker/deployment.h"
#include "sdk/src/worker/strand.h"

namespace perdure {
inline namespace v1 {
namespace detail {

namespace service = temporal::api::workflowservice::v1;
namespace enums = temporal::api::enums::v1;

namespace {

constexpr base::Duration kFirstBackoff = std::chrono::milliseconds(100),
                         kMostBackoff = std::chrono::seconds(10);
constexpr base::Duration kShutdownPollTime = std::chrono::seconds(5),
                         kShutdownCallTime = std::chrono::seconds(2);
constexpr int kDefaultLanes = 2;
constexpr std::size_t kMostGivenUp = 16;  // workflow threads that code holds

void log_to_stderr(const LogRecord& record) {
  if (record.level == LogLevel::kDebug) return;
  std::fputs((to_text(record) + "\n").c_str(), stderr);
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
  if (!options_.log) options_.log = log_to_stderr;
  if (std::getenv("TEMPORAL_DEBUG") != nullptr) options_.deadlock_timeout = Duration::zero();
  meter_ = observe::Meter(connection_->metrics(), connection_->ns(), options_.task_queue);
}

WorkerCore::~WorkerCore() {
  stop();
}

void WorkerCore::add(WorkflowDefinition definition) {
  std::string name = definition.name;
  if (!workflows_->emplace(name, std::move(definition)).second)
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
  ask_capabilities();
  started_ = true;
  stopping_ = over_ = waiting_for_rate_ = watching_ = false;
  failure_.clear();
  ended_ = {};
  instance_key_ = base::Random(base::random_seed()).uuid();
  activity_rate_ = worker::Rate(options_.max_activities_per_second);
  if (connection_->transport().has_own_threads()) {
    control_ = std::make_unique<worker::Strand>("perdure-worker", base::system_clock());
  } else {
    control_ = base::make_thread_executor("perdure-worker", base::system_clock());
  }
  open_locals();
  if (!workflows_->empty()) open_lanes();
  meter_.count(observe::metric::kWorkerStart);
  control_->run_and_wait([this] {
    for (const Queue queue : {Queue::kWorkflow, Queue::kSticky, Queue::kActivity}) {
      backoff_[queue] = kFirstBackoff;
      fill(queue);
    }
  });
}

// Also finds out at once that the namespace is not there.
void WorkerCore::ask_capabilities() {
  service::DescribeNamespaceRequest request;
  request.set_namespace_(connection_->ns());
  const auto answer = connection_->call<service::DescribeNamespaceResponse>("DescribeNamespace", request);
  server_ends_polls_ = answer.namespace_info().capabilities().worker_poll_complete_on_shutdown();
}

void WorkerCore::open_lanes() {
  base::Random random(base::random_seed());
  sticky_queue_ = options_.cache_bytes > 0 ? text({options_.identity, "-", random.uuid()}) : "";
  const int count = options_.workflow_threads > 0 ? options_.workflow_threads : kDefaultLanes;
  for (int i = 0; i < count; ++i) lanes_.push_back(nullptr);
  for (std::size_t i = 0; i < lanes_.size(); ++i) lanes_[i] = new_lane(i);
}

std::shared_ptr<worker::WorkflowLane> WorkerCore::new_lane(std::size_t index) {
  worker::LaneSettings settings;
  settings.connection = connection_;
  settings.definitions = workflows_;
  settings.timers = control_.get();
  settings.identity = options_.identity;
  settings.sticky_queue = sticky_queue_;
  settings.sticky_timeout = options_.sticky_timeout;
  settings.cache_bytes = options_.cache_bytes / lanes_.size();
  if (simulation_) settings.evict_after = simulation_->evict_after;
  settings.log = options_.log;
  settings.meter = meter_;
  settings.cached_runs = cached_runs_;
  settings.locals = locals_.get();
  settings.interceptors = options_.interceptors;
  settings.deployment = options_.deployment;
  if (options_.eager_activities && options_.max_activities_per_second <= 0) {
    settings.reserve_eager = [this](const std::string& type) { return reserve_eager(type); };
    settings.end_eager = [this](std::string task) { end_eager(std::move(task)); };
  }
  auto lane = std::make_shared<worker::WorkflowLane>(text({"workflow-", std::to_string(index)}), settings);
  if (stopping_) lane->begin_stop();
  return lane;
}

// ---- workflow threads that code does not give back

// While there are workflow tasks, four times in each deadlock_timeout.
void WorkerCore::watch_lanes() {
  if (options_.deadlock_timeout <= Duration::zero() || std::exchange(watching_, true)) return;
  control_->call_at(base::add(control_->clock().now(), options_.deadlock_timeout / 4), [this] {
    watching_ = false;
    if (over_) return;  // the lanes are not this thread's any more
    const base::Time since = control_->clock().now() - options_.deadlock_timeout;
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      if (auto stuck = lanes_[i]->give_up_if_stuck(since)) replace_lane(i, std::move(*stuck));
    }
    if (workflow_tasks_ > 0) watch_lanes();
  });
}

void WorkerCore::replace_lane(std::size_t index, worker::WorkflowLane::Stuck stuck) {
  const auto& task = *stuck.work.task;
  const std::string why =
      text({"[TMPRL1101] Potential deadlock detected: workflow '", task.workflow_type().name(),
            "' did not give its thread back within ", std::to_string(options_.deadlock_timeout.count()),
            " ms; it was last seen at ", stuck.place});
  std::erase_if(given_up_, [](const auto& lane) { return lane->came_back(); });
  given_up_.push_back(std::exchange(lanes_[index], new_lane(index)));
  lanes_[index]->post_failure(std::move(stuck.work), why);
  for (auto& work : stuck.waiting) lanes_[index]->post(std::move(work));
  if (given_up_.size() >= kMostGivenUp) {
    fail(text({std::to_string(given_up_.size()), " threads are held by workflow code; the last: ", why}));
  }
}

void WorkerCore::fail(std::string why) {
  if (!failure_.empty() || stopping_) return;
  options_.log({LogLevel::kError, "worker_failed", {{"error", why}}});
  failure_ = std::move(why);
  if (on_failure_) on_failure_();
}

// A thread that has not come back cannot be joined: it keeps its lane as long as the process lives.
void WorkerCore::drop_lanes() {
  using Lanes = std::vector<std::shared_ptr<worker::WorkflowLane>>;
  static auto* held = new base::Guarded<Lanes>;
  for (auto& lane : given_up_) {
    if (!lane->came_back()) held->with([&](Lanes& lanes) { lanes.push_back(std::move(lane)); });
  }
  given_up_.clear();
  lanes_.clear();
}

int WorkerCore::pollers(Queue queue) const {
  switch (queue) {
    case Queue::kWorkflow: return workflows_->empty() ? 0 : options_.workflow_pollers;
    case Queue::kSticky: return sticky_queue_.empty() ? 0 : options_.workflow_pollers;
    case Queue::kActivity: return activities_.empty() ? 0 : options_.activity_pollers;
  }
  return 0;
}

// A poll is only sent when there is room for what it may bring.
bool WorkerCore::take_slot(Queue queue) {
  if (queue == Queue::kActivity) return take_activity_slot();
  // One is kept for each of the two queues.
  return workflow_tasks_ + polling_[queue] < std::max(options_.max_concurrent_workflow_tasks, 1);
}

void WorkerCore::fill(Queue queue) {
  while (!stopping_ && polling_[queue] < pollers(queue) && take_slot(queue)) {
    if (queue == Queue::kActivity && !activity_rate_.take(control_->clock().now())) {
      activity_slots_.fetch_sub(1);
      return fill_when_rate_allows();
    }
    poll(queue);
  }
}

// An activity poll holds a start of the rate, until it came back without a task.
void WorkerCore::fill_when_rate_allows() {
  if (std::exchange(waiting_for_rate_, true)) return;
  control_->call_at(activity_rate_.next(control_->clock().now()), [this] {
    waiting_for_rate_ = false;
    fill(Queue::kActivity);
  });
}

std::string WorkerCore::poll_request(Queue queue) const {
  const auto fill = [&](auto request) {
    request.set_namespace_(connection_->ns());
    request.set_identity(options_.identity);
    request.set_worker_instance_key(instance_key_);
    request.mutable_task_queue()->set_name(queue == Queue::kSticky ? sticky_queue_ : options_.task_queue);
    request.mutable_task_queue()->set_kind(queue == Queue::kSticky ? enums::TASK_QUEUE_KIND_STICKY
                                                                   : enums::TASK_QUEUE_KIND_NORMAL);
    if (queue == Queue::kSticky) request.mutable_task_queue()->set_normal_name(options_.task_queue);
    if (options_.deployment) worker::to_wire(*options_.deployment, request.mutable_deployment_options());
    return request.SerializeAsString();
  };
  if (queue == Queue::kActivity) {
    service::PollActivityTaskQueueRequest request;
    if (options_.max_task_queue_activities_per_second > 0) {
      request.mutable_task_queue_metadata()->mutable_max_tasks_per_second()->set_value(
          options_.max_task_queue_activities_per_second);
    }
    return fill(std::move(request));
  }
  return fill(service::PollWorkflowTaskQueueRequest());
}

void WorkerCore::poll(Queue queue) {
  ++polling_[queue];
  show_pollers(queue);
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
    show_pollers(queue);
    backoff_[queue] = kFirstBackoff;
    show_slots();
    if (queue != Queue::kActivity) {
      count_poll(queue, reply && workflow_task(*reply));
    } else {
      const bool task = reply && activity_task(*reply);
      if (!task) give_back_activity_poll();
      count_poll(queue, task);
    }
    fill(queue);
    return check_ended();
  }
  if (queue == Queue::kActivity) give_back_activity_poll();
  if (!stopping_) {
    options_.log({LogLevel::kWarn,
                  "poll_failed",
                  {{"namespace", connection_->ns()},
                   {"task_queue", options_.task_queue},
                   {"error", reply.error().message}}});
    const base::Duration pause = backoff_[queue];
    backoff_[queue] = std::min(pause * 2, kMostBackoff);
    control_->call_at(base::add(control_->clock().now(), pause), [this, queue] {
      --polling_[queue];
      show_pollers(queue);
      fill(queue);
      check_ended();
    });
    return;
  }
  --polling_[queue];
  check_ended();
}

void WorkerCore::count_poll(Queue queue, bool task) const {
  if (queue == Queue::kActivity) {
    if (!task) meter_.count(observe::metric::kActivityPollNoTask);
  } else {
    meter_.count(task ? observe::metric::kWorkflowTaskPollSucceed : observe::metric::kWorkflowTaskPollEmpty);
  }
}

void WorkerCore::show_pollers(Queue queue) {
  meter_.gauge(observe::metric::kNumPollers, polling_[queue],
               {{"poller_type", queue == Queue::kActivity ? "activity_task"
                                : queue == Queue::kSticky ? "workflow_sticky_task"
                                                          : "workflow_task"}});
}

void WorkerCore::show_slots() const {
  const auto show = [&](const char* type, int used, int most) {
    meter_.gauge(observe::metric::kSlotsUsed, used, {{"worker_type", type}});
    meter_.gauge(observe::metric::kSlotsAvailable, std::max(most - used, 0), {{"worker_type", type}});
  };
  if (!workflows_->empty()) show("WorkflowWorker", workflow_tasks_, options_.max_concurrent_workflow_tasks);
  if (!activities_.empty())
    show("ActivityWorker", static_cast<int>(running_.size()), options_.max_concurrent_activities);
}

bool WorkerCore::workflow_task(const std::string& bytes) {
  auto task = std::make_shared<service::PollWorkflowTaskQueueResponse>();
  if (!task->ParseFromString(bytes) || task->task_token().empty()) return false;
  ++workflow_tasks_;
  const std::size_t lane = std::hash<std::string>()(task->workflow_execution().run_id()) % lanes_.size();
  lanes_[lane]->post({std::move(task), [this] {
                        control_->post(base::Lane::kCompletion, 0, [this] {
                          --workflow_tasks_;
                          show_slots();
                          fill(Queue::kWorkflow);
                          fill(Queue::kSticky);
                          check_ended();
                        });
                      }});
  watch_lanes();
  return true;
}

bool WorkerCore::activity_task(const std::string& bytes) {
  service::PollActivityTaskQueueResponse response;
  if (!response.ParseFromString(bytes) || response.task_token().empty()) return false;
  auto task = new_task(response);
  running_.insert(task);
  meter_.took(observe::metric::kActivityScheduleToStart,
              std::chrono::nanoseconds(convert::from_wire(response.started_time()) -
                                       convert::from_wire(response.current_attempt_scheduled_time())),
              {{"activity_type", task->info().activity_type}});
  run_activity(task, find_activity(task->info().activity_type));
  return true;
}

std::shared_ptr<ActivityTask> WorkerCore::new_task(const service::PollActivityTaskQueueResponse& response) {
  const ActivityTask::Settings settings{connection_.get(),
                                        control_.get(),
                                        options_.identity,
                                        options_.task_queue,
                                        options_.log,
                                        meter_,
                                        options_.interceptors,
                                        options_.max_heartbeat_throttle_interval,
                                        options_.default_heartbeat_throttle_interval};
  auto task = std::make_shared<ActivityTask>(settings, response);
  task->simulate(simulation_);
  return task;
}

const ActivityDefinition* WorkerCore::find_activity(const std::string& type) const {
  auto found = activities_.find(type);
  if (found == activities_.end()) found = activities_.find("");  // a dynamic one
  return found == activities_.end() ? nullptr : &found->second;
}

void WorkerCore::open_locals() {
  worker::LocalActivities::Host host;
  host.control = control_.get();
  host.make_task = [this](const auto& response) { return new_task(response); };
  host.run = [this](const std::string& type, std::function<void(const ActivityBody*)> work) {
    const ActivityDefinition* definition = find_activity(type);
    run_somewhere(definition, [work = std::move(work), definition] {
      work(definition == nullptr ? nullptr : &definition->body);
    });
  };
  host.changed = [this] { check_ended(); };
  host.limit = options_.max_concurrent_local_activities;
  host.failures = connection_->failures().get();
  host.meter = meter_;
  locals_ = std::make_unique<worker::LocalActivities>(std::move(host));
}

// A slot for an activity that the server may send with its answer to a workflow task.
bool WorkerCore::reserve_eager(const std::string& type) {
  if (find_activity(type) == nullptr) return false;
  if (!take_activity_slot()) return false;
  eager_.fetch_add(1);
  return true;
}

// Slots are of polls that may bring an activity, of activities that may come eagerly, and of those that run.
bool WorkerCore::take_activity_slot() {
  if (activity_slots_.fetch_add(1) < options_.max_concurrent_activities) return true;
  activity_slots_.fetch_sub(1);
  return false;
}

void WorkerCore::give_back_activity_poll() {
  activity_slots_.fetch_sub(1);
  activity_rate_.give_back();
}

void WorkerCore::end_eager(std::string task) {
  control_->post(base::Lane::kCompletion, 0, [this, task = std::move(task)] {
    eager_.fetch_sub(1);
    if (task.empty() || !activity_task(task)) activity_slots_.fetch_sub(1);
    fill(Queue::kActivity);
    check_ended();
  });
}

void WorkerCore::run_activity(const std::shared_ptr<ActivityTask>& task,
                              const ActivityDefinition* definition) {
  const auto ended = [this, task] {
    control_->post(base::Lane::kCompletion, 0, [this, task] {
      running_.erase(task);
      activity_slots_.fetch_sub(1);
      show_slots();
      fill(Queue::kActivity);
      check_ended();
    });
  };
  auto work = [task, body = definition == nullptr ? nullptr : &definition->body, ended] {
    task->run(body, ended);
  };
  run_somewhere(definition, std::move(work));
}

void WorkerCore::run_somewhere(const ActivityDefinition* definition, std::function<void()> work) {
  Executor* executor = options_.activity_executor;
  if (definition != nullptr && definition->registration.executor != nullptr)
    executor = definition->registration.executor;
  if (executor != nullptr) return executor->post(std::move(work));
  run_on_own_thread(std::move(work));
}

void WorkerCore::run_on_own_thread(std::function<void()> work) {
  auto idle =
      std::find_if(threads_.begin(), threads_.end(), [](const auto& thread) { return !thread->busy.load(); });
  if (idle == threads_.end()) {
    auto thread = std::make_unique<ActivityThread>();
    thread->executor = base::make_thread_executor("activity", base::system_clock());
    threads_.push_back(std::move(thread));
    idle = std::prev(threads_.end());
  }
  ActivityThread* thread = idle->get();
  thread->busy.store(true);
  thread->executor->post(base::Lane::kCompletion, 0, [thread, work = std::move(work)] {
    work();
    thread->busy.store(false);
  });
}

// ---- the end: polls end, what runs may finish, then is asked to, and is waited for

void WorkerCore::stop() {
  if (!started_) return;
  auto ended = ended_.get_future();
  control_->post(base::Lane::kCompletion, 0, [this] { begin_stop(); });
  ended.wait();
  drop_lanes();
  threads_.clear();
  control_.reset();
  started_ = false;
}

// The server ends the polls that it was told of: a poll that is cancelled may have been given a task already,
// which would be lost until its timeout.
void WorkerCore::begin_stop() {
  stopping_ = true;
  for (const auto& lane : lanes_) lane->begin_stop();
  tell_server_of_end();
  if (server_ends_polls_) {
    control_->call_at(base::add(control_->clock().now(), kShutdownPollTime), [this] { give_up_polls(); });
  } else {
    give_up_polls();
  }
  control_->call_at(base::add(control_->clock().now(), options_.graceful_shutdown),
                    [this] { stop_activities(); });
  check_ended();
}

void WorkerCore::give_up_polls() {
  for (const auto& [id, call] : polls_) call->cancel();
}

void WorkerCore::stop_activities() {
  for (const auto& task : running_) task->stop(CancelReason::kWorkerShutdown);
  locals_->stop();
}

void WorkerCore::check_ended() {
  if (changed_) changed_();
  if (!stopping_ || over_ || telling_server_ || !polls_.empty() || workflow_tasks_ > 0 || !running_.empty() ||
      !locals_->idle() || eager_.load() > 0)
    return;
  if (std::any_of(polling_.begin(), polling_.end(), [](const auto& one) { return one.second > 0; })) return;
  over_ = true;
  ended_.set_value();
}

// Also so that tasks of the sticky queue go elsewhere at once. Nothing depends on it.
void WorkerCore::tell_server_of_end() {
  service::ShutdownWorkerRequest request;
  request.set_namespace_(connection_->ns());
  request.set_sticky_task_queue(sticky_queue_);
  request.set_identity(options_.identity);
  request.set_reason("worker stops");
  request.set_worker_instance_key(instance_key_);
  request.set_task_queue(options_.task_queue);
  if (!workflows_->empty()) request.add_task_queue_types(enums::TASK_QUEUE_TYPE_WORKFLOW);
  if (!activities_.empty()) request.add_task_queue_types(enums::TASK_QUEUE_TYPE_ACTIVITY);
  telling_server_ = true;
  connection_->transport().call(Connection::path("ShutdownWorker"), request.SerializeAsString(),
                                kShutdownCallTime, [this](const client::Reply& reply) {
                                  const bool heard = reply.has_value();
                                  control_->post(base::Lane::kCompletion, 0, [this, heard] {
                                    telling_server_ = false;
                                    if (!heard) give_up_polls();
                                    check_ended();
                                  });
                                });
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
  std::atomic<bool> told{false};
  const auto end = [&] {
    if (!told.exchange(true)) asked.set_value();
  };
  const auto woken = asked.get_future();
  core_->on_failure(end);
  start();
  {
    const std::stop_callback on_stop(stop, end);
    woken.wait();
  }
  core_->stop();
  core_->on_failure({});
  if (!core_->failure().empty()) throw std::runtime_error(core_->failure());
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
