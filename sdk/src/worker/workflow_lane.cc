#include "sdk/src/worker/workflow_lane.h"

#include "base/clock.h"
#include "sdk/src/payload/convert.h"
#include "sdk/src/worker/deployment.h"

namespace perdure::worker {

namespace enums = temporal::api::enums::v1;

namespace {

constexpr char kSdkName[] = "perdure-cpp", kSdkVersion[] = "0.1.0";
constexpr int kContractFlag = 1;  // the scheduling contract of src/runtime/run.h
constexpr base::Duration kKeepResults = std::chrono::seconds(20);  // for a task that should come at once
constexpr Duration kDefaultTaskTimeout = 10s;
constexpr int kMostEager = 3;                   // activities of one workflow task
constexpr std::size_t kBytesOfRun = 16 * 1024;  // of a cached run besides its frames

class NonDeterministic : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The lane was given up while code held its thread.
struct GivenUp {};

// The answer to one query, in either of the two messages that carry one.
struct QueryAnswer {
  bool ok = false;
  Payload result;
  std::exception_ptr error;
};

QueryAnswer ask(detail::Run& run, const temporal::api::query::v1::WorkflowQuery& query) {
  QueryAnswer answer;
  try {
    answer.result = run.query(query.query_type(), convert::from_wire(query.query_args()),
                              convert::from_wire(query.header()));
    answer.ok = true;
  } catch (...) {
    answer.error = std::current_exception();
  }
  return answer;
}

enums::QueryResultType type_of(const QueryAnswer& answer) {
  return answer.ok ? enums::QUERY_RESULT_TYPE_ANSWERED : enums::QUERY_RESULT_TYPE_FAILED;
}

}  // namespace

// While it stands, the thread is in code of the user's.
class WorkflowLane::InCode {
 public:
  explicit InCode(WorkflowLane& lane) : lane_(lane) {
    lane_.place_.clear();
    lane_.busy_.with([&](Busy& busy) {
      busy.running = lane_.current_;
      busy.since = base::system_clock().now();
    });
  }
  InCode(const InCode&) = delete;
  ~InCode() {
    lane_.busy_.with([](Busy& busy) { busy.running.reset(); });
  }

 private:
  WorkflowLane& lane_;
};

WorkflowLane::WorkflowLane(std::string name, LaneSettings settings)
    : settings_(std::move(settings)),
      executor_(base::make_thread_executor(std::move(name), base::system_clock())) {}

WorkflowLane::~WorkflowLane() {
  executor_->run_and_wait([this] {
    settings_.cached_runs->fetch_sub(static_cast<int>(cache_.size()));
    by_run_.clear();
    cache_.clear();
  });
}

void WorkflowLane::post(Work work) {
  busy_.with([&](Busy& busy) { busy.waiting.push_back(std::move(work)); });
  executor_->post(base::Lane::kCompletion, 0, [this] { handle_next(); });
}

void WorkflowLane::post_failure(Work work, std::string message) {
  executor_->post(base::Lane::kCompletion, 0, [this, work = std::move(work), message = std::move(message)] {
    fail(*work.task, std::make_exception_ptr(std::runtime_error(message)), true, work.done);
  });
}

std::optional<WorkflowLane::Stuck> WorkflowLane::give_up_if_stuck(base::Time since) {
  return busy_.with([&](Busy& busy) -> std::optional<Stuck> {
    if (!busy.running || busy.since > since || busy.given_up) return std::nullopt;
    busy.given_up = true;
    return Stuck{*busy.running, place_.text(), std::exchange(busy.waiting, {})};
  });
}

void WorkflowLane::handle_next() {
  current_ = busy_.with([](Busy& busy) -> std::optional<Work> {
    if (busy.waiting.empty()) return std::nullopt;
    Work next = std::move(busy.waiting.front());
    busy.waiting.pop_front();
    return next;
  });
  if (!current_) return;  // given to another lane
  const base::Time began = base::system_clock().now();
  const std::shared_ptr<Task> task = current_->task;
  const std::string type = task->workflow_type().name();
  settings_.meter.took(observe::metric::kWorkflowTaskScheduleToStart,
                       std::chrono::nanoseconds(convert::from_wire(task->started_time()) -
                                                convert::from_wire(task->scheduled_time())),
                       {{"workflow_type", type}});
  handle(*task, current_->done);
  settings_.meter.took(observe::metric::kWorkflowTaskExecution, base::system_clock().now() - began,
                       {{"workflow_type", type}});
  current_.reset();
}

template <class F>
void WorkflowLane::guarded(const std::string& run_id, F code) {
  const Work work = *current_;
  try {
    code();
  } catch (const GivenUp&) {
    settings_.cached_runs->fetch_sub(static_cast<int>(cache_.size()));
    by_run_.clear();
    cache_.clear();
    came_back_.store(true);
  } catch (const NonDeterministic&) {
    fail(*work.task, std::current_exception(), false, work.done);
    evict(run_id);
  } catch (...) {
    fail(*work.task, std::current_exception(), true, work.done);
    evict(run_id);
  }
}

void WorkflowLane::handle(Task& task, Done done) {
  const std::string run_id = task.workflow_execution().run_id();
  guarded(run_id, [&] {
    settings_.connection->decode_all(task);
    Cached* busy = find(run_id);
    if (busy != nullptr && busy->busy() && task.has_query())
      return answer_query(*busy, task, std::move(done));
    if (busy != nullptr && busy->open) evict(run_id);  // the server has given its task up
    Cached& cached = load(task);
    cached.replay.offer(std::move(*task.mutable_messages()));
    advance(cached);
    if (task.has_query()) {
      answer_query(cached, task, std::move(done));
    } else {
      cached.previous_started_event_id = task.previous_started_event_id();
      go_on(cached);
    }
    count_bytes(cached);
    const bool leaves = ++cached.tasks == settings_.evict_after;
    const bool stays = !settings_.sticky_queue.empty() && !cached.run->closed() && !leaves;
    if (!cached.busy() && !stays) evict(run_id);
    evict_surplus();
    settings_.meter.gauge(observe::metric::kStickyCacheSize, settings_.cached_runs->load());
  });
}

WorkflowLane::Cached* WorkflowLane::find(const std::string& run_id) {
  const auto found = by_run_.find(run_id);
  return found == by_run_.end() ? nullptr : &*found->second;
}

// The run with the task's history appended, rebuilt from the first event when it is not here.
WorkflowLane::Cached& WorkflowLane::load(Task& task) {
  const std::string& run_id = task.workflow_execution().run_id();
  temporal::api::history::v1::History history = std::move(*task.mutable_history());
  if (!task.next_page_token().empty()) {
    auto rest = rest_of_history(task, task.next_page_token());
    for (auto& event : *rest.mutable_events()) *history.add_events() = std::move(event);
  }
  if (const auto found = by_run_.find(run_id); found != by_run_.end()) {
    const bool restart =
        history.events_size() > 0 && history.events(0).event_id() == 1 && !found->second->busy();
    if (!restart && follows(*found->second, task) &&
        found->second->replay.append(*history.mutable_events())) {
      cache_.splice(cache_.end(), cache_, found->second);
      settings_.meter.count(observe::metric::kStickyCacheHit,
                            {{"workflow_type", task.workflow_type().name()}});
      return *found->second;
    }
    evict(run_id);
  }
  if (history.events_size() == 0 || history.events(0).event_id() != 1) {
    const std::int64_t last = task.started_event_id();
    history = rest_of_history(task, {});
    while (last > 0 && history.events_size() > 0 &&
           history.events(history.events_size() - 1).event_id() > last) {
      history.mutable_events()->RemoveLast();
    }
  }
  if (task.previous_started_event_id() > 0)
    settings_.meter.count(observe::metric::kStickyCacheMiss,
                          {{"workflow_type", task.workflow_type().name()}});
  Cached& fresh = cache_.emplace_back();
  settings_.cached_runs->fetch_add(1);
  by_run_.emplace(run_id, std::prev(cache_.end()));
  fresh.run_id = run_id;
  fresh.serial = ++last_serial_;
  detail::RunSettings settings;
  settings.definitions = settings_.definitions.get();
  settings.place = &place_;
  settings.failures = settings_.connection->failures();
  settings.info.workflow_id = task.workflow_execution().workflow_id();
  settings.info.run_id = run_id;
  settings.info.ns = settings_.connection->ns();
  if (settings_.deployment) settings.info.build_id = settings_.deployment->build_id;
  settings.log = settings_.log;
  settings.interceptors = settings_.interceptors;
  fresh.run = std::make_unique<detail::Run>(std::move(settings));
  fresh.replay.append(*history.mutable_events());
  return fresh;
}

// Whether the run in memory is where the task begins. A task that only rejected updates is dropped by the
// server, its events with it: then the run takes that task back, if no code ran in it.
bool WorkflowLane::follows(Cached& cached, const Task& task) const {
  if (task.has_query() || task.previous_started_event_id() == cached.run->info().history_length) return true;
  if (task.previous_started_event_id() != cached.previous_started_event_id || !cached.run->idle())
    return false;
  cached.replay.take_back();
  return true;
}

temporal::api::history::v1::History WorkflowLane::rest_of_history(const Task& task, std::string token) const {
  temporal::api::history::v1::History all;
  do {
    service::GetWorkflowExecutionHistoryRequest request;
    request.set_namespace_(settings_.connection->ns());
    *request.mutable_execution() = task.workflow_execution();
    request.set_next_page_token(token);
    auto page = settings_.connection->call<service::GetWorkflowExecutionHistoryResponse>(
        "GetWorkflowExecutionHistory", request);
    token = page.next_page_token();
    settings_.connection->decode_all(*page.mutable_history());
    for (auto& event : *page.mutable_history()->mutable_events()) *all.add_events() = std::move(event);
  } while (!token.empty());
  return all;
}

void WorkflowLane::advance(Cached& cached) {
  for (;;) {
    auto activation = cached.replay.next();
    if (!activation) throw NonDeterministic("[TMPRL1100] " + activation.error().message);
    if (!*activation) return;
    const base::Time began = base::system_clock().now();
    cached.replay.record(run_code([&] { return cached.run->activate(**activation); }));
    if ((*activation)->replaying) {
      settings_.meter.took(observe::metric::kWorkflowTaskReplay, base::system_clock().now() - began,
                           {{"workflow_type", cached.run->info().workflow_type}});
    }
  }
}

template <class F>
std::invoke_result_t<F&> WorkflowLane::run_code(F code) {
  std::optional<std::invoke_result_t<F&>> result;
  std::exception_ptr error;
  {
    const InCode in_code(*this);
    try {
      result.emplace(code());
    } catch (...) {
      error = std::current_exception();
    }
  }
  if (busy_.with([](const Busy& busy) { return busy.given_up; })) throw GivenUp();
  if (error) std::rethrow_exception(error);
  return std::move(*result);
}

void WorkflowLane::evict(const std::string& run_id) {
  const auto found = by_run_.find(run_id);
  if (found == by_run_.end()) return;
  Cached& cached = *found->second;
  for (const auto& [sequence, call] : cached.locals) settings_.locals->forget(call);
  executor_->cancel(cached.heartbeat);
  const std::optional<Work> open = std::move(cached.open);
  cached_bytes_ -= cached.bytes;
  cache_.erase(found->second);
  by_run_.erase(found);
  settings_.cached_runs->fetch_sub(1);
  if (open) open->done();
}

void WorkflowLane::count_bytes(Cached& cached) {
  cached_bytes_ -= cached.bytes;
  cached.bytes = kBytesOfRun + cached.run->bytes();
  cached_bytes_ += cached.bytes;
}

void WorkflowLane::evict_surplus() {
  if (cached_bytes_ <= settings_.cache_bytes) return;
  const base::Time old = base::system_clock().now() - kKeepResults;
  for (auto it = cache_.begin(); cached_bytes_ > settings_.cache_bytes && it != cache_.end();) {
    const Cached& cached = *it++;
    if (cached.open || !cached.locals.empty() || (!cached.results.empty() && cached.last_result > old))
      continue;
    evict(std::string(cached.run_id));
    settings_.meter.count(observe::metric::kStickyCacheForcedEviction);
  }
}

void WorkflowLane::write(const std::exception_ptr& error, temporal::api::failure::v1::Failure* out) const {
  convert::to_wire(error, out, settings_.connection->failures().get());
}

void WorkflowLane::complete(Cached& cached, const Task& task, Done done, bool more) {
  service::RespondWorkflowTaskCompletedRequest request;
  request.set_namespace_(settings_.connection->ns());
  request.set_task_token(task.task_token());
  request.set_identity(settings_.identity);
  request.set_force_create_new_workflow_task(more);
  for (auto& command : cached.replay.commands()) *request.add_commands() = std::move(command);
  for (auto& message : cached.replay.messages()) *request.add_messages() = std::move(message);
  for (const auto& [id, query] : task.queries()) {
    const QueryAnswer answer = run_code([&] { return ask(*cached.run, query); });
    auto& result = (*request.mutable_query_results())[id];
    result.set_result_type(type_of(answer));
    if (answer.ok) {
      convert::to_wire(Payloads{answer.result}, result.mutable_answer());
    } else {
      write(answer.error, result.mutable_failure());
      result.set_error_message(result.failure().message());
    }
  }
  stay_sticky(cached, request);
  say_version(cached, request);
  auto* metadata = request.mutable_sdk_metadata();
  if (task.previous_started_event_id() == 0) {
    metadata->add_lang_used_flags(kContractFlag);
    metadata->set_sdk_name(kSdkName);
    metadata->set_sdk_version(kSdkVersion);
  }
  const int eager = ask_for_eager(cached.run->info().task_queue, request);
  const Done counted = count_end(cached, request);
  send(
      "RespondWorkflowTaskCompleted", request, &cached, std::move(done),
      [counted, eager, end_eager = settings_.end_eager, log = settings_.log,
       name = cached.run->info().workflow_id, run_id = cached.run_id](const client::Reply& reply) {
        if (counted && reply) counted();
        if (!reply && log) {
          log({LogLevel::kWarn,
               "workflow_task_refused",
               {{"workflow_id", name}, {"run_id", run_id}, {"error", reply.error().message}}});
        }
        if (eager == 0) return;
        service::RespondWorkflowTaskCompletedResponse response;
        if (reply) (void)response.ParseFromString(*reply);
        for (int i = 0; i < eager; ++i)
          end_eager(i < response.activity_tasks_size() ? response.activity_tasks(i).SerializeAsString() : "");
      });
}

void WorkflowLane::stay_sticky(const Cached& cached,
                               service::RespondWorkflowTaskCompletedRequest& request) const {
  if (settings_.sticky_queue.empty() || cached.run->closed() || stopping_.load()) return;
  auto* sticky = request.mutable_sticky_attributes();
  sticky->mutable_worker_task_queue()->set_name(settings_.sticky_queue);
  sticky->mutable_worker_task_queue()->set_kind(enums::TASK_QUEUE_KIND_STICKY);
  sticky->mutable_worker_task_queue()->set_normal_name(cached.run->info().task_queue);
  convert::to_wire(settings_.sticky_timeout, sticky->mutable_schedule_to_start_timeout());
}

void WorkflowLane::say_version(const Cached& cached,
                               service::RespondWorkflowTaskCompletedRequest& request) const {
  if (!settings_.deployment) return;
  to_wire(*settings_.deployment, request.mutable_deployment_options());
  if (!settings_.deployment->use_versioning) return;
  const auto& definitions = *settings_.definitions;
  auto found = definitions.find(cached.run->info().workflow_type);
  if (found == definitions.end()) found = definitions.find("");
  Versioning behaviour = found == definitions.end() ? Versioning::kUnspecified : found->second.versioning;
  if (behaviour == Versioning::kUnspecified) behaviour = settings_.deployment->default_versioning;
  request.set_versioning_behavior(static_cast<enums::VersioningBehavior>(behaviour));
}

// Marks activities that this worker could begin at once. The slots that were taken for them.
int WorkflowLane::ask_for_eager(const std::string& queue,
                                service::RespondWorkflowTaskCompletedRequest& request) const {
  int taken = 0;
  if (!settings_.reserve_eager || stopping_.load()) return 0;
  for (auto& command : *request.mutable_commands()) {
    if (!command.has_schedule_activity_task_command_attributes() || taken == kMostEager) continue;
    auto* activity = command.mutable_schedule_activity_task_command_attributes();
    if (activity->task_queue().name() != queue) continue;  // of another worker
    if (!settings_.reserve_eager(activity->activity_type().name())) continue;
    activity->set_request_eager_execution(true);
    ++taken;
  }
  return taken;
}

// ---- local activities

// Brings what came since the last task, starts what is new, and answers the task unless some still run.
void WorkflowLane::go_on(Cached& cached) {
  while (!cached.results.empty()) {
    const auto [sequence, result] = std::move(cached.results.front());
    cached.results.pop_front();
    resolve(cached, sequence, result);
  }
  start_locals(cached);
  if (cached.run->waits_for_local_activities()) return keep_open(cached);
  complete(cached, *current_->task, current_->done);
}

void WorkflowLane::resolve(Cached& cached, std::uint64_t sequence, const detail::LocalResult& result) {
  cached.replay.record_more(run_code([&] { return cached.run->resolve_local(sequence, result); }));
}

void WorkflowLane::start_locals(Cached& cached) {
  for (const auto& asked : cached.run->new_local_activities()) {
    auto call = std::make_shared<LocalCall>();
    call->asked = asked;
    call->workflow_id = cached.run->info().workflow_id;
    call->run_id = cached.run_id;
    call->workflow_type = cached.run->info().workflow_type;
    call->done = [weak = weak_from_this(), run_id = cached.run_id, serial = cached.serial,
                  sequence = asked->sequence](const std::optional<detail::LocalResult>& result) {
      const auto lane = weak.lock();
      if (!lane) return;
      lane->executor_->post(base::Lane::kCompletion, 0,
                            [self = lane.get(), run_id, serial, sequence, result] {
                              self->local_done(run_id, serial, sequence, result);
                            });
    };
    cached.locals.emplace(asked->sequence, call);
    settings_.locals->start(std::move(call));
  }
  for (const std::uint64_t sequence : cached.run->cancelled_local_activities()) {
    if (const auto found = cached.locals.find(sequence); found != cached.locals.end())
      settings_.locals->cancel(found->second);
  }
}

// Until there is a result, or until the server must hear that the task is not forgotten.
void WorkflowLane::keep_open(Cached& cached) {
  cached.open = current_;
  Duration timeout = cached.run->info().task_timeout;
  if (timeout <= Duration::zero()) timeout = kDefaultTaskTimeout;
  cached.heartbeat = executor_->call_at(
      base::add(base::system_clock().now(), timeout * 8 / 10),
      [this, run_id = cached.run_id, serial = cached.serial] { heartbeat(run_id, serial); });
}

void WorkflowLane::heartbeat(const std::string& run_id, std::uint64_t serial) {
  Cached* cached = find(run_id);
  if (cached == nullptr || cached->serial != serial || !cached->open) return;
  current_ = std::exchange(cached->open, std::nullopt);
  guarded(run_id, [&] { complete(*cached, *current_->task, current_->done, true); });
  current_.reset();
}

void WorkflowLane::local_done(const std::string& run_id, std::uint64_t serial, std::uint64_t sequence,
                              std::optional<detail::LocalResult> result) {
  Cached* cached = find(run_id);
  if (cached == nullptr || cached->serial != serial) return;
  cached->locals.erase(sequence);
  if (!result) return evict(run_id);           // the worker ends: another one will do it again
  if (!cached->run->awaits_local(sequence)) {  // it was cancelled, or the run is closed
    if (!cached->busy() && (settings_.sticky_queue.empty() || cached->run->closed())) evict(run_id);
    return;
  }
  if (!cached->open) {
    cached->results.emplace_back(sequence, std::move(*result));
    cached->last_result = base::system_clock().now();
    return;
  }
  current_ = std::exchange(cached->open, std::nullopt);
  guarded(run_id, [&] {
    resolve(*cached, sequence, *result);
    start_locals(*cached);
    count_bytes(*cached);
    if (cached->run->waits_for_local_activities()) {
      cached->open = current_;
      return;
    }
    executor_->cancel(cached->heartbeat);
    complete(*cached, *current_->task, current_->done);
    if (!cached->busy() && (settings_.sticky_queue.empty() || cached->run->closed())) evict(run_id);
  });
  current_.reset();
}

// Counts what a run ended with, when the server has accepted it.
WorkflowLane::Done WorkflowLane::count_end(
    const Cached& cached, const service::RespondWorkflowTaskCompletedRequest& request) const {
  const char* name = nullptr;
  for (const auto& command : request.commands()) {
    switch (command.command_type()) {
      case enums::COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION: name = observe::metric::kWorkflowCompleted; break;
      case enums::COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION: name = observe::metric::kWorkflowFailed; break;
      case enums::COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION: name = observe::metric::kWorkflowCanceled; break;
      case enums::COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION:
        name = observe::metric::kWorkflowContinueAsNew;
        break;
      default: break;
    }
  }
  if (name == nullptr) return {};
  const base::Duration age = base::system_clock().now().time_since_epoch() -
                             std::chrono::nanoseconds(cached.run->info().start_time.time_since_epoch());
  return [meter = settings_.meter, name, age, type = cached.run->info().workflow_type] {
    meter.count(name, {{"workflow_type", type}});
    meter.took(observe::metric::kWorkflowEndToEndLatency, age, {{"workflow_type", type}});
  };
}

void WorkflowLane::answer_query(Cached& cached, const Task& task, Done done) {
  service::RespondQueryTaskCompletedRequest request;
  request.set_namespace_(settings_.connection->ns());
  request.set_task_token(task.task_token());
  const QueryAnswer answer = run_code([&] { return ask(*cached.run, task.query()); });
  request.set_completed_type(type_of(answer));
  if (answer.ok) {
    convert::to_wire(Payloads{answer.result}, request.mutable_query_result());
  } else {
    write(answer.error, request.mutable_failure());
    request.set_error_message(request.failure().message());
  }
  send("RespondQueryTaskCompleted", request, nullptr, std::move(done));
}

void WorkflowLane::fail(const Task& task, const std::exception_ptr& error, bool deterministic, Done done) {
  const std::string why = describe(error);
  if (settings_.log) {
    settings_.log({LogLevel::kError,
                   "workflow_task_failed",
                   {{"workflow_id", task.workflow_execution().workflow_id()},
                    {"run_id", task.workflow_execution().run_id()},
                    {"workflow_type", task.workflow_type().name()},
                    {"error", why},
                    {"note",
                     "it is tried again until the code is fixed; only a Failure, or a type in failure_types, "
                     "fails the workflow"}}});
  }
  settings_.meter.count(observe::metric::kWorkflowTaskFailed,
                        {{"workflow_type", task.workflow_type().name()},
                         {"failure_reason", deterministic ? "WorkflowError" : "NonDeterminismError"}});
  if (task.has_query()) {
    service::RespondQueryTaskCompletedRequest request;
    request.set_namespace_(settings_.connection->ns());
    request.set_task_token(task.task_token());
    request.set_completed_type(enums::QUERY_RESULT_TYPE_FAILED);
    request.set_error_message(why);
    write(error, request.mutable_failure());
    return send("RespondQueryTaskCompleted", request, nullptr, std::move(done));
  }
  service::RespondWorkflowTaskFailedRequest request;
  request.set_namespace_(settings_.connection->ns());
  request.set_task_token(task.task_token());
  request.set_identity(settings_.identity);
  request.set_cause(deterministic ? enums::WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE
                                  : enums::WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR);
  write(error, request.mutable_failure());
  send("RespondWorkflowTaskFailed", request, nullptr, std::move(done));
}

// What the server refused did not happen: the run in memory is ahead of history and goes.
void WorkflowLane::send(const char* method, google::protobuf::Message& request, const Cached* run, Done done,
                        Accepted accepted) {
  settings_.connection->encode_all(request);
  const std::string run_id = run == nullptr ? "" : run->run_id;
  const std::uint64_t serial = run == nullptr ? 0 : run->serial;
  settings_.connection->call_async(method, request.SerializeAsString(), *settings_.timers,
                                   [this, run_id, serial, done = std::move(done),
                                    accepted = std::move(accepted)](const client::Reply& reply) {
                                     if (accepted) accepted(reply);
                                     if (reply || run_id.empty()) return done();
                                     executor_->post(base::Lane::kCompletion, 0, [this, run_id, serial] {
                                       if (const Cached* cached = find(run_id);
                                           cached != nullptr && cached->serial == serial)
                                         evict(run_id);
                                     });
                                     done();  // a task that comes now comes after that
                                   });
}

}  // namespace perdure::worker
