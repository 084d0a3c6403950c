#include "sdk/src/runtime/run.h"

#include <algorithm>
#include <cstring>

#include "sdk/src/payload/convert.h"
#include "sdk/src/runtime/workflow_code.h"

namespace perdure {
inline namespace v1 {
namespace detail {

namespace {

// The same in every replay, different between runs.
std::uint64_t seed_of(std::string_view run_id) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : run_id) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace

Run::Run(RunSettings settings)
    : settings_(std::move(settings)), random_(seed_of(settings_.info.first_run_id)), root_(new Scope) {}

Run::~Run() {
  dying_ = true;
  destroy_all_strands();
  for (auto& [sequence, pending] : pending_) pending.state->run = nullptr;
  conditions_.clear();
  instance_.reset();
  pending_.clear();
}

// ---- the queue

void Run::enqueue(PromiseBase& promise, bool front) {
  if (front) {
    queue_.push_front(&promise);
  } else {
    queue_.push_back(&promise);
  }
}

void Run::unqueue(PromiseBase& promise) {
  std::erase(queue_, &promise);
}

void Run::resume(PromiseBase& promise) {
  current_ = promise.strand;
  settled_ = idle_ = false;
  const auto at = promise.at;
  show_place(promise);
  promise.self.resume();
  if (!settled_) {
    // Its frame is in no state that could be destroyed either: it is leaked, with those that called it.
    for (auto& strand : strands_) {
      if (strand.get() == current_) strand->root->handle() = {};
    }
    task_error_ = std::make_exception_ptr(MiscompiledCoroutine(
        "a coroutine that waited at " + std::string(at.file_name()) + ":" + std::to_string(at.line()) +
        " came back without awaiting or ending: g++ before 13 miscompiles `if (co_await ...)` and the like "
        "in bodies without "
        "local variables; bind the value to a local first"));
  }
  current_ = nullptr;
  bury();
}

namespace {
// Of the SDK's own coroutines, which tell a user nothing.
bool is_own(const char* file) {
  return std::strstr(file, "perdure/detail/") != nullptr || std::strstr(file, "sdk/src/runtime/") != nullptr;
}
}  // namespace

void Run::show_place(const PromiseBase& promise) const {
  if (settings_.place == nullptr) return;
  for (const PromiseBase* frame = &promise; frame != nullptr; frame = frame->caller) {
    if (frame->at.line() != 0 && !is_own(frame->at.file_name())) return settings_.place->at(frame->at);
  }
  switch (current_->kind) {
    case StrandKind::kRun: return settings_.place->begin("the first step of run");
    case StrandKind::kHandler: return settings_.place->begin("the first step of a handler");
    case StrandKind::kSpawned: return settings_.place->begin("the first step of a spawned task");
  }
}

// Strands that ended give back their memory at once.
void Run::bury() {
  std::erase_if(strands_, [&](const std::unique_ptr<Strand>& strand) {
    if (!strand->ended) return false;
    if (strand->kind == StrandKind::kHandler) --running_handlers_;
    std::erase(strand->scope->strands, strand.get());
    strand->root.reset();
    return true;
  });
}

void Run::drain() {
  do {
    while (!queue_.empty() && !task_error_ && !closing_) {
      PromiseBase* next = queue_.front();
      queue_.pop_front();
      resume(*next);
    }
  } while (!task_error_ && !closing_ && try_conditions());
}

bool Run::try_conditions() {
  for (auto it = conditions_.begin(); it != conditions_.end();) {
    State<void>* state = it->state;
    if (state->ready()) {
      it->state->condition = false;
      it = conditions_.erase(it);
      continue;
    }
    bool holds = false;
    if (settings_.place != nullptr) settings_.place->begin("a condition of until()");
    try {
      holds = it->predicate();
    } catch (...) {
      state->condition = false;
      conditions_.erase(it);
      state->fail(std::current_exception());
      return true;
    }
    if (holds) {
      state->condition = false;
      conditions_.erase(it);
      state->set(Unit());
      return true;
    }
    ++it;
  }
  return false;
}

// ---- strands

void Run::start_strand(StrandKind kind, Ref<Scope> scope, Task<void> body, bool front) {
  if (over()) return;  // the body never runs
  auto strand = std::make_unique<Strand>();
  strand->kind = kind;
  strand->scope = std::move(scope);
  strand->root.emplace(std::move(body));
  PromiseBase& promise = strand->root->promise();
  if (promise.run == nullptr) count_frame(promise.self.address(), *this);
  promise.run = this;
  promise.strand = strand.get();
  strand->leaf = &promise;
  strand->scope->strands.push_back(strand.get());
  if (kind == StrandKind::kHandler) ++running_handlers_;
  strands_.push_back(std::move(strand));
  enqueue(promise, front);
}

// Innermost frame first, so that a deep stack does not recurse.
void Run::destroy(Strand& strand) {
  std::erase(strand.scope->strands, &strand);
  if (strand.root && strand.root->handle()) {
    while (strand.leaf != nullptr && strand.leaf->caller != nullptr) {
      PromiseBase* leaf = strand.leaf;
      unqueue(*leaf);
      strand.leaf = leaf->caller;
      std::coroutine_handle<> frame = leaf->self;
      *leaf->owner = {};
      frame.destroy();
    }
    unqueue(strand.root->promise());
  }
  strand.root.reset();
}

void Run::destroy_strands(Scope& scope) {
  const std::vector<Scope*> children = scope.children;
  for (Scope* child : children) destroy_strands(*child);
  const std::vector<Strand*> doomed = scope.strands;
  for (auto it = doomed.rbegin(); it != doomed.rend(); ++it) {
    const auto found =
        std::find_if(strands_.begin(), strands_.end(), [&](const auto& own) { return own.get() == *it; });
    if (found == strands_.end() || *it == current_) continue;
    const std::unique_ptr<Strand> strand = std::move(*found);
    strands_.erase(found);
    if (strand->kind == StrandKind::kHandler) --running_handlers_;
    destroy(*strand);
  }
}

void Run::destroy_all_strands() {
  const auto kill = [&](bool run) {
    for (auto it = strands_.end(); it != strands_.begin();) {
      --it;
      if (((*it)->kind == StrandKind::kRun) != run) continue;
      const std::unique_ptr<Strand> strand = std::move(*it);
      it = strands_.erase(it);
      destroy(*strand);
    }
  };
  kill(false);
  kill(true);
  queue_.clear();
}

std::exception_ptr Run::read(const temporal::api::failure::v1::Failure& failure) const {
  return convert::from_wire(failure, settings_.failures.get());
}
void Run::write(const std::exception_ptr& error, temporal::api::failure::v1::Failure* out) const {
  convert::to_wire(error, out, settings_.failures.get());
}

Ref<Scope> Run::scope(bool shielded) const {
  if (shielded) return {};
  return current_ != nullptr ? current_->scope : root_;
}

// ---- one workflow task

void Run::begin(const replay::Activation& activation) {
  now_ = TimePoint(
      std::chrono::duration_cast<TimePoint::duration>(std::chrono::nanoseconds(activation.now_nanos)));
  replaying_ = activation.replaying;
  idle_ = true;
  ending_.clear();
  for (const replay::Job& job : activation.jobs) {
    if (job.kind == replay::JobKind::kActivity || job.kind == replay::JobKind::kTimer)
      ending_.insert(job.sequence);
  }
  continue_as_new_suggested_ = activation.continue_as_new_suggested;
  settings_.info.history_length = activation.started_event_id;
  settings_.info.history_bytes = activation.history_bytes;
  settings_.info.build_id = activation.replaying ? activation.build_id : own_build_id_;
  for (const std::string& patch : activation.patches) patches_[patch] = true;
  side_effects_.clear();
  for (const replay::Event* event : activation.side_effects) {
    const auto& details = event->marker_recorded_event_attributes().details();
    if (const auto data = details.find("data"); data != details.end() && !data->second.payloads().empty()) {
      side_effects_.push_back(convert::from_wire(data->second.payloads(0)));
    }
  }
}

std::vector<replay::Command> Run::activate(const replay::Activation& activation) {
  const WorkflowCode here;
  begin(activation);
  const auto is_message = [](const replay::Job& job) {
    return job.kind == replay::JobKind::kSignal || job.kind == replay::JobKind::kUpdate;
  };
  const auto step = [&](const replay::Job& job) {
    if (closed_ || task_error_) return;
    apply(job);
    drain();
    close_if_asked();
  };
  const auto& jobs = activation.jobs;
  const auto first = std::find_if(jobs.begin(), jobs.end(),
                                  [](const auto& job) { return job.kind == replay::JobKind::kStart; });
  if (first == jobs.end()) {
    for (const replay::Job& job : jobs) step(job);
  } else {
    start(*first->event);
    for (const replay::Job& job : jobs) {
      if (is_message(job)) step(job);
    }
    if (!closed_ && !task_error_) {
      start_run_strand();
      drain();
      close_if_asked();
    }
    for (const replay::Job& job : jobs) {
      if (!is_message(job) && job.kind != replay::JobKind::kStart) step(job);
    }
  }
  for (const replay::Event* event : activation.local_activities) replay_local(*event);
  if (task_error_) std::rethrow_exception(task_error_);
  return std::exchange(commands_, {});
}

// Once something closed the workflow nothing else runs.
void Run::close_if_asked() {
  if (!closing_ || closed_) return;
  closed_ = true;
  warn_of_unfinished_handlers();
  destroy_all_strands();
  conditions_.clear();
  commands_.push_back(std::move(*closing_));
}

void Run::start(const replay::Event& event) {
  const auto& started = event.workflow_execution_started_event_attributes();
  WorkflowInfo& info = settings_.info;
  info.workflow_type = started.workflow_type().name();
  info.first_run_id = started.first_execution_run_id();
  info.continued_run_id = started.continued_execution_run_id();
  info.task_queue = started.task_queue().name();
  info.cron_schedule = started.cron_schedule();
  info.attempt = started.attempt();
  info.start_time = convert::from_wire(event.event_time());
  info.execution_timeout = convert::from_wire(started.workflow_execution_timeout());
  info.run_timeout = convert::from_wire(started.workflow_run_timeout());
  info.task_timeout = convert::from_wire(started.workflow_task_timeout());
  info.parent_workflow_id = started.parent_workflow_execution().workflow_id();
  info.parent_run_id = started.parent_workflow_execution().run_id();
  const bool has_root = started.has_root_workflow_execution();
  info.root_workflow_id = has_root ? started.root_workflow_execution().workflow_id() : info.workflow_id;
  info.root_run_id = has_root ? started.root_workflow_execution().run_id() : info.run_id;
  for (const auto& [name, value] : started.memo().fields())
    info.memo.fields()[name] = convert::from_wire(value);
  for (const auto& [name, value] : started.search_attributes().indexed_fields())
    info.search_attributes.fields()[name] = convert::from_wire(value);
  info.headers = convert::from_wire(started.header());
  info.last_result = convert::from_wire(started.last_completion_result());
  if (started.has_retry_policy()) retry_ = started.retry_policy();
  if (started.has_continued_failure()) info.last_failure = read(started.continued_failure());
  random_ = Random(seed_of(started.original_execution_run_id()));
  arguments_ = convert::from_wire(started.input());
  auto found = settings_.definitions->find(info.workflow_type);
  if (found == settings_.definitions->end()) found = settings_.definitions->find("");  // a dynamic one
  if (found == settings_.definitions->end()) {
    throw std::runtime_error("no workflow is registered as '" + info.workflow_type + "'");
  }
  for (const auto& interceptor : settings_.interceptors) {
    if (auto own = interceptor->workflow(info)) interceptors_.push_back(std::move(own));
  }
  if (settings_.place != nullptr) settings_.place->begin("the constructor of the workflow");
  instance_ = found->second.make(context(), arguments_);
}

void Run::start_run_strand() {
  start_strand(StrandKind::kRun, root_, run_body(), false);
}

Task<Payload> Run::outermost() {
  if (interceptors_.empty()) return instance_->run(context(), arguments_);
  return inbound(0, {InboundKind::kRun, info().workflow_type, arguments_, info().headers});
}

Task<void> Run::run_body() {
  std::exception_ptr error;
  std::optional<Payload> result;
  try {
    result = co_await outermost();
  } catch (...) {
    error = std::current_exception();
  }
  if (error) {
    thrown(error);
  } else if (!closing_ && !task_error_) {
    complete(std::move(*result));
  }
}

Task<void> Run::handler_body(Task<void> handler) {
  std::exception_ptr error;
  try {
    co_await std::move(handler);
  } catch (...) {
    error = std::current_exception();
  }
  if (error) thrown(error);
}

void Run::apply(const replay::Job& job) {
  using replay::JobKind;
  switch (job.kind) {
    case JobKind::kStart: return;
    case JobKind::kSignal: return signal(*job.event);
    case JobKind::kUpdate: return update(*job.update);
    case JobKind::kCancelRequested: cancel_requested_ = true; return cancel_scope(*root_);
    default: break;
  }
  const auto found = pending_.find(job.sequence);
  if (found == pending_.end()) return;
  if (job.kind == JobKind::kChildStarted) return child_started(job.sequence, *job.event);
  Pending pending = std::move(found->second);
  pending_.erase(found);
  pending.state->command = 0;
  if (job.kind == JobKind::kTimer && pending.local) {
    return track_local(*pending.state, std::move(pending.local), pending.cancellation, pending.where);
  }
  switch (job.kind) {
    case JobKind::kActivity: return activity_ended(pending, *job.event);
    case JobKind::kTimer: return pending.state->resolve({});
    case JobKind::kChild: return child_ended(pending, *job.event);
    default: return external_answered(pending, *job.event);
  }
}

void Run::start_handler(std::string name, bool abandonable, Task<void> body) {
  if (over()) return;
  start_strand(StrandKind::kHandler, Ref<Scope>(new Scope), std::move(body), false);
  strands_.back()->handler = std::move(name);
  strands_.back()->abandonable = abandonable;
}

void Run::signal(const replay::Event& event) {
  const auto& signaled = event.workflow_execution_signaled_event_attributes();
  WorkflowCall call{InboundKind::kSignal, signaled.signal_name(), convert::from_wire(signaled.input()),
                    convert::from_wire(signaled.header())};
  HandlerCall<void> handler;
  try {
    if (!instance_->signal(call.name, context(), call.arguments, handler)) {
      return log(LogLevel::kWarn, "signal_without_handler", {{"signal", signaled.signal_name()}});
    }
  } catch (const PayloadError& error) {  // the sender's mistake must not block the workflow
    return log(LogLevel::kError, "signal_arguments_unreadable",
               {{"signal", signaled.signal_name()}, {"error", error.what()}});
  }
  Task<void> body = interceptors_.empty() ? std::move(*handler.task) : signal_body(std::move(call));
  start_handler("signal " + signaled.signal_name(), handler.abandonable, handler_body(std::move(body)));
}

void Run::warn_of_unfinished_handlers() {
  std::string names;
  for (const auto& strand : strands_) {
    if (strand->kind != StrandKind::kHandler || strand->abandonable || strand->ended) continue;
    names.append(names.empty() ? "" : ", ").append(strand->handler);
  }
  if (names.empty() || cancel_requested_) return;
  log(LogLevel::kWarn, "unfinished_handlers",
      {{"handlers", names},
       {"note",
        "the workflow ended while they ran; wait for all_handlers_finished(), or list them as abandonable"}});
}

namespace {
struct Flag {
  explicit Flag(bool& set) : flag(set) { flag = true; }
  Flag(const Flag&) = delete;
  ~Flag() { flag = false; }
  bool& flag;
};
}  // namespace

void Run::check_not_reading() const {
  if (reading_) throw std::logic_error("a query or a validator may only look: it called a verb of Context");
}

Payload Run::query(std::string_view name, const Payloads& arguments, const Headers& headers) {
  if (name == "__stack_trace") return encode<std::string>(stack_trace());
  if (name == "__temporal_workflow_metadata") return metadata();
  const WorkflowCode here;
  const Flag reading(reading_);
  WorkflowCall call{InboundKind::kQuery, std::string(name), arguments, headers};
  if (settings_.place != nullptr) settings_.place->begin("a query");
  bool found = false;
  const Payload answer = look(0, call, [&] {
    Payload result;
    found = instance_ && instance_->query(call.name, ReadContext(this), call.arguments, result);
    return result;
  });
  if (found) return answer;
  std::string known;
  if (instance_) {
    for (const std::string_view query : instance_->query_names())
      known.append(known.empty() ? "" : " ").append(query);
  }
  throw ApplicationFailure("unknown queryType " + std::string(name) + ". KnownQueryTypes=[" + known + "]");
}

std::string Run::stack_trace() const {
  std::string text;
  for (const auto& strand : strands_) {
    text += strand->kind == StrandKind::kRun       ? "run"
            : strand->kind == StrandKind::kHandler ? "handler"
                                                   : "spawned";
    text += '\n';
    for (const PromiseBase* frame = strand->leaf; frame != nullptr; frame = frame->caller) {
      if (frame->at.line() == 0) continue;
      text += "  " + std::string(frame->at.file_name()) + ":" + std::to_string(frame->at.line()) + '\n';
    }
  }
  return text;
}

void Run::log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) const {
  if (replaying_ || !settings_.log) return;
  LogRecord record{level, event, fields};
  const WorkflowInfo& info = settings_.info;
  record.fields.insert(record.fields.end(), {{"namespace", info.ns},
                                             {"task_queue", info.task_queue},
                                             {"workflow_id", info.workflow_id},
                                             {"run_id", info.run_id},
                                             {"workflow_type", info.workflow_type}});
  settings_.log(record);
}

}  // namespace detail
}  // namespace v1
}  // namespace perdure
