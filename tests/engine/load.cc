#include "tests/engine/load.h"

#include <algorithm>

namespace perdure::engine {
namespace {

using std::chrono::milliseconds;
using temporal::api::history::v1::History;
using temporal::api::history::v1::HistoryEvent;

constexpr int kPolls = 3;
constexpr const char* kSink = "sink";

std::string name_of(int signal) {
  return "signal-" + std::to_string(signal);
}

std::string text_of(const base::Result<std::string>& answer) {
  return answer ? "OK" : std::to_string(static_cast<int>(answer.error().code)) + " " + answer.error().message;
}

// An answer that says nothing about executions: the server is going down, or the caller should come back.
bool says_nothing(const base::Result<std::string>& answer) {
  return !answer && (answer.error().code == base::Code::kUnavailable ||
                     answer.error().code == base::Code::kResourceExhausted);
}

// Events of a workflow task in flight may be shown before they are in the history; the oracle leaves them out.
std::vector<std::string> settled(const History& history) {
  int end = history.events_size();
  while (end > 0 && (history.events(end - 1).event_type() == enums::EVENT_TYPE_WORKFLOW_TASK_SCHEDULED ||
                     history.events(end - 1).event_type() == enums::EVENT_TYPE_WORKFLOW_TASK_STARTED)) {
    --end;
  }
  std::vector<std::string> events;
  for (int i = 0; i < end; ++i) events.push_back(history.events(i).SerializeAsString());
  return events;
}

int count_of(const History& history, enums::EventType type) {
  return static_cast<int>(std::ranges::count(history.events(), type, &HistoryEvent::event_type));
}

bool closes(enums::EventType type) {
  return type == enums::EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED ||
         type == enums::EVENT_TYPE_WORKFLOW_EXECUTION_FAILED ||
         type == enums::EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT ||
         type == enums::EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED ||
         type == enums::EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED ||
         type == enums::EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW;
}

void add_timer(wfs::RespondWorkflowTaskCompletedRequest& request) {
  auto& command = *request.add_commands();
  command.set_command_type(enums::COMMAND_TYPE_START_TIMER);
  auto& attributes = *command.mutable_start_timer_command_attributes();
  attributes.set_timer_id("timer");
  attributes.mutable_start_to_fire_timeout()->set_seconds(2);
}

void add_continue_as_new(wfs::RespondWorkflowTaskCompletedRequest& request) {
  auto& command = *request.add_commands();
  command.set_command_type(enums::COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION);
  auto& attributes = *command.mutable_continue_as_new_workflow_execution_command_attributes();
  attributes.mutable_workflow_type()->set_name("T");
  attributes.mutable_task_queue()->set_name("tq");
}

}  // namespace

Load::Load(World& world, LoadOptions options)
    : world_(world), options_(options), random_(base::derive_seed(options.seed, 0x10ad)) {
  for (int i = 0; i < options.workflows; ++i) {
    Workflow workflow{.id = "wf-" + std::to_string(i)};
    workflow.program = static_cast<Program>(random_.below(3));
    if (workflow.program == Program::kPlain) workflow.signals = static_cast<int>(random_.below(4));
    workflows_.emplace(workflow.id, std::move(workflow));
  }
}

void Load::violated(const std::string& what) {
  if (violations_.size() < 20) violations_.push_back(what);
}

// ---- calls ---------------------------------------------------------------------------------------------

void Load::issue(std::string_view method, const google::protobuf::MessageLite& request, Answered answered,
                 std::function<void()> lost) {
  pending_.push_back({world_.issue(method, request), std::move(answered), std::move(lost)});
}

void Load::collect() {
  for (std::size_t n = pending_.size(); n > 0; --n) {
    Pending pending = std::move(pending_.front());
    pending_.pop_front();
    if (!pending.call->answered()) {
      pending_.push_back(std::move(pending));
    } else if (says_nothing(*pending.call->answer)) {
      if (pending.lost) pending.lost();
    } else {
      pending.answered(*pending.call->answer);
    }
  }
}

// ---- crashes -------------------------------------------------------------------------------------------

void Load::crash() {
  const base::Crash kind = options_.kinds[random_.below(options_.kinds.size())];
  if (world_.any_store().statistics().log_groups > 0 || random_.below(2) == 0) {
    // In the middle of whatever is under way.
    for (std::uint64_t n = random_.below(12); n > 0; --n) step();
    world_.scheduler.run_until_idle(1 + random_.below(20));
  }
  if (options_.kinds.front() != base::Crash::kKeepAll && random_.below(2) == 0) {
    // The disk stops at one of its next operations, the server goes on until it notices.
    world_.disk().stop_at(world_.disk().operations() + 1 + random_.below(40), random_.below(2) == 0);
    for (int n = 0; n < 60 && !world_.fatal(); ++n) {
      step();
      world_.scheduler.run_until_idle();
      if (random_.below(4) == 0) world_.advance(milliseconds(random_.below(800)));
    }
  }
  restart(kind);
}

void Load::restart(base::Crash kind) {
  collect();
  ++crashes_;
  std::deque<Pending> lost;
  lost.swap(pending_);
  world_.die(kind);
  lost_calls_ += static_cast<int>(lost.size());
  for (Pending& pending : lost) {
    if (pending.lost) pending.lost();
  }
  lost.clear();
  workflow_polls_ = activity_polls_ = 0;
  base::Status begun;
  if (random_.below(3) == 0 && options_.kinds.front() != base::Crash::kKeepAll) {
    // Power fails again during the recovery, or right after.
    world_.disk().stop_at(world_.disk().operations() + 1 + random_.below(30), random_.below(2) == 0);
    static_cast<void>(world_.begin());
    world_.die(kind);
  }
  begun = world_.begin();
  if (!begun) {
    violated("the server does not start: " + begun.error().message);
    dead_ = true;
  }
}

// ---- clients -------------------------------------------------------------------------------------------

void Load::start_workflow(Workflow& workflow) {
  if (workflow.started || workflow.starting) return;
  workflow.starting = true;
  issue(
      "StartWorkflowExecution", start_request(workflow.id),
      [this, &workflow](const base::Result<std::string>& answer) {
        workflow.starting = false;
        // A start whose answer was lost is not known by its request id once its run was continued.
        if (!answer && answer.error().code == base::Code::kAlreadyExists &&
            workflow.program == Program::kContinuesAsNew) {
          workflow.started = true;
          return;
        }
        if (!answer) return violated("start of " + workflow.id + ": " + text_of(answer));
        wfs::StartWorkflowExecutionResponse response;
        response.ParseFromString(*answer);
        workflow.started = true;
        ++acknowledged_;
        workflow.run_id = response.run_id();
      },
      [&workflow] { workflow.starting = false; });
}

void Load::signal_workflow(Workflow& workflow, int signal) {
  if (!workflow.started || workflow.signalled.contains(signal) || !workflow.signalling.insert(signal).second)
    return;
  auto request = signal_request(workflow.id, workflow.id + name_of(signal));
  request.set_signal_name(name_of(signal));
  issue(
      "SignalWorkflowExecution", request,
      [this, &workflow, signal](const base::Result<std::string>& answer) {
        workflow.signalling.erase(signal);
        // A repeat may find that the workflow had the signal, and ended.
        const bool had_it = !answer && answer.error().code == base::Code::kNotFound;
        if (!answer && !had_it) return violated("signal to " + workflow.id + ": " + text_of(answer));
        ++acknowledged_;
        workflow.signalled.insert(signal);
      },
      [&workflow, signal] { workflow.signalling.erase(signal); });
}

void Load::saw(const std::string& run_id, const History& history) {
  const std::vector<std::string> events = settled(history);
  std::vector<std::string>& before = seen_[run_id];
  const std::size_t common = std::min(before.size(), events.size());
  for (std::size_t i = 0; i < common; ++i) {
    if (events[i] == before[i]) continue;
    HistoryEvent now, then;
    now.ParseFromString(events[i]);
    then.ParseFromString(before[i]);
    violated("an event that was shown is another one now: " + then.ShortDebugString() + " became " +
             now.ShortDebugString());
    break;
  }
  if (events.size() > before.size()) before = events;
}

void Load::read(Workflow& workflow) {
  if (random_.below(2) == 0) {
    const bool must_exist = workflow.started;
    issue("DescribeWorkflowExecution", describe_request(workflow.id),
          [this, &workflow, must_exist](const base::Result<std::string>& answer) {
            if (!answer && must_exist) violated("describe of " + workflow.id + ": " + text_of(answer));
          });
    return;
  }
  if (workflow.run_id.empty()) return;
  auto request = history_request(workflow.id);
  request.mutable_execution()->set_run_id(workflow.run_id);
  const std::size_t known = seen_[workflow.run_id].size();
  issue("GetWorkflowExecutionHistory", request,
        [this, &workflow, known](const base::Result<std::string>& answer) {
          if (!answer) return violated("history of " + workflow.id + ": " + text_of(answer));
          wfs::GetWorkflowExecutionHistoryResponse response;
          response.ParseFromString(*answer);
          if (settled(response.history()).size() < known)
            violated("history of " + workflow.id + " became shorter");
          saw(workflow.run_id, response.history());
        });
}

// ---- workers -------------------------------------------------------------------------------------------

void Load::poll_workflow_tasks() {
  if (workflow_polls_ >= kPolls) return;
  ++workflow_polls_;
  issue(
      "PollWorkflowTaskQueue", poll_request(),
      [this](const base::Result<std::string>& answer) {
        --workflow_polls_;
        if (!answer) return violated("poll: " + text_of(answer));
        wfs::PollWorkflowTaskQueueResponse task;
        task.ParseFromString(*answer);
        if (!task.task_token().empty()) work_on(task);
      },
      [this] { --workflow_polls_; });
}

void Load::poll_activities() {
  if (activity_polls_ >= kPolls) return;
  ++activity_polls_;
  issue(
      "PollActivityTaskQueue", activity_poll(),
      [this](const base::Result<std::string>& answer) {
        --activity_polls_;
        if (!answer) return violated("activity poll: " + text_of(answer));
        wfs::PollActivityTaskQueueResponse task;
        task.ParseFromString(*answer);
        if (!task.task_token().empty()) work_on(task);
      },
      [this] { --activity_polls_; });
}

void Load::work_on(const wfs::PollWorkflowTaskQueueResponse& task) {
  const History& history = task.history();
  saw(task.workflow_execution().run_id(), history);
  const auto found = workflows_.find(task.workflow_execution().workflow_id());
  if (found == workflows_.end()) return violated("a task of an unknown workflow");
  const Workflow& workflow = found->second;
  const bool continued =
      !history.events(0).workflow_execution_started_event_attributes().continued_execution_run_id().empty();
  std::set<std::string> signals;
  for (const HistoryEvent& event : history.events()) {
    if (event.event_type() == enums::EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
      signals.insert(event.workflow_execution_signaled_event_attributes().signal_name());
  }
  auto request = completion(task.task_token());
  const bool activity_done = count_of(history, enums::EVENT_TYPE_ACTIVITY_TASK_COMPLETED) > 0;
  const bool sink_told = workflow.program != Program::kSignalsTheSink ||
                         count_of(history, enums::EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED) > 0;
  if (count_of(history, enums::EVENT_TYPE_ACTIVITY_TASK_SCHEDULED) == 0) {
    add_activity(request, "a", seconds(5));
    if (workflow.program == Program::kPlain) add_timer(request);
    if (workflow.program == Program::kSignalsTheSink) {
      add_external_signal(request, kSink);
      request.mutable_commands(request.commands_size() - 1)
          ->mutable_signal_external_workflow_execution_command_attributes()
          ->set_signal_name("from " + workflow.id);
    }
  } else if (workflow.program == Program::kContinuesAsNew && !continued && activity_done) {
    add_continue_as_new(request);
  } else if (activity_done && sink_told && static_cast<int>(signals.size()) >= workflow.signals &&
             (workflow.program != Program::kPlain || count_of(history, enums::EVENT_TYPE_TIMER_FIRED) > 0)) {
    add_completion(request);
  }
  held_.push_back({"RespondWorkflowTaskCompleted", request.SerializeAsString()});
}

void Load::work_on(const wfs::PollActivityTaskQueueResponse& task) {
  if (task.attempt() == 1 && random_.below(4) == 0) {
    wfs::RespondActivityTaskFailedRequest request;
    request.set_namespace_("default");
    request.set_task_token(task.task_token());
    request.mutable_failure()->mutable_application_failure_info();
    held_.push_back({"RespondActivityTaskFailed", request.SerializeAsString()});
    return;
  }
  wfs::RespondActivityTaskCompletedRequest request;
  request.set_namespace_("default");
  request.set_task_token(task.task_token());
  held_.push_back({"RespondActivityTaskCompleted", request.SerializeAsString()});
}

void Load::respond() {
  if (held_.empty()) return;
  const HeldTask task = held_.front();
  held_.pop_front();
  Pending pending;
  pending.call = std::make_shared<ClientCall>(task.request, world_.clock.now() + seconds(20));
  pending.answered = [this, task](const base::Result<std::string>& answer) {
    // Late, or a signal came between: the task comes again.
    if (!answer && answer.error().code != base::Code::kNotFound &&
        answer.error().code != base::Code::kInvalidArgument)
      violated(task.method + ": " + text_of(answer));
  };
  pending.lost = [this, task] { held_.push_back(task); };
  world_.methods().dispatch(std::string(frontend::kWorkflowService) + task.method, pending.call);
  pending_.push_back(std::move(pending));
}

// ---- the whole -----------------------------------------------------------------------------------------

void Load::step() {
  collect();
  auto& workflow = workflows_.at("wf-" + std::to_string(random_.below(workflows_.size())));
  switch (random_.below(8)) {
    case 0: start_workflow(workflow); break;
    case 1:
      if (workflow.signals > 0) signal_workflow(workflow, static_cast<int>(random_.below(workflow.signals)));
      break;
    case 2: read(workflow); break;
    case 3: poll_workflow_tasks(); break;
    case 4: poll_activities(); break;
    default: respond(); break;
  }
}

void Load::run() {
  auto sink = start_request(kSink, "nobody");
  if (!world_.call<wfs::StartWorkflowExecutionResponse>("StartWorkflowExecution", sink)) violated("no sink");
  for (int n = 0; n < options_.steps && !dead_; ++n) {
    step();
    if (random_.below(3) == 0) world_.scheduler.run_until_idle();
    if (random_.below(6) == 0) world_.advance(milliseconds(random_.below(1500)));
    if (static_cast<int>(random_.below(static_cast<std::uint64_t>(options_.steps))) < options_.crashes)
      crash();
  }
  if (!dead_) finish();
  if (!dead_) verify();
  if (!dead_) restart(options_.kinds.front());
  if (!dead_) verify();
}

void Load::keep_going() {
  for (auto& [id, workflow] : workflows_) {
    start_workflow(workflow);
    for (int signal = 0; signal < workflow.signals; ++signal) signal_workflow(workflow, signal);
  }
  for (int n = 0; n < kPolls; ++n) {
    poll_workflow_tasks();
    poll_activities();
  }
  while (!held_.empty()) respond();
  world_.scheduler.run_until_idle();
  collect();
}

void Load::finish() {
  wfs::CountWorkflowExecutionsRequest running;
  running.set_namespace_("default");
  running.set_query("ExecutionStatus = 'Running'");
  for (int n = 0; n < 600; ++n) {
    keep_going();
    world_.advance(milliseconds(200));
    collect();
    if (n % 10 != 0) continue;
    const bool all_started =
        std::ranges::all_of(workflows_, [](const auto& each) { return each.second.started; });
    const auto count = world_.call<wfs::CountWorkflowExecutionsResponse>("CountWorkflowExecutions", running);
    if (all_started && count && count->count() == 1) return;  // the sink
  }
  for (const auto& [id, workflow] : workflows_) {
    const auto described = world_.call<wfs::DescribeWorkflowExecutionResponse>("DescribeWorkflowExecution",
                                                                               describe_request(id));
    if (!described) {
      violated(id + " is not there: " + described.error().message);
    } else if (described->workflow_execution_info().status() == enums::WORKFLOW_EXECUTION_STATUS_RUNNING) {
      violated(id + " does not end: " + described->ShortDebugString());
    }
  }
  violated("not everything ends");
}

void Load::check_history(const Workflow& workflow, const std::string& run_id, bool continued,
                         History* whole) {
  auto request = history_request(workflow.id);
  request.mutable_execution()->set_run_id(run_id);
  const auto response =
      world_.call<wfs::GetWorkflowExecutionHistoryResponse>("GetWorkflowExecutionHistory", request);
  if (!response) return violated(workflow.id + " is lost: " + response.error().message);
  const History& history = response->history();
  if (history.events_size() == 0) return violated(workflow.id + " has no history");
  *whole = history;
  int closing = 0;
  for (int i = 0; i < history.events_size(); ++i) {
    if (history.events(i).event_id() != i + 1)
      return violated(workflow.id + " has a gap at " + std::to_string(i + 1));
    closing += closes(history.events(i).event_type());
  }
  if (closing != 1) violated(workflow.id + " has " + std::to_string(closing) + " closes");
  const auto last = history.events(history.events_size() - 1).event_type();
  if (last != (continued ? enums::EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW
                         : enums::EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED))
    violated(workflow.id + " ends with event type " + std::to_string(last));
  if (settled(history).size() < seen_[run_id].size()) violated(workflow.id + " was shown longer than it is");
  saw(run_id, history);
}

void Load::verify(const Workflow& workflow) {
  const bool continues = workflow.program == Program::kContinuesAsNew;
  History history;
  check_history(workflow, workflow.run_id, continues, &history);
  for (const int signal : workflow.signalled) {
    const auto named = std::ranges::count_if(history.events(), [&](const HistoryEvent& event) {
      return event.event_type() == enums::EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED &&
             event.workflow_execution_signaled_event_attributes().signal_name() == name_of(signal);
    });
    if (named != 1)
      violated(workflow.id + " has " + name_of(signal) + " " + std::to_string(named) + " times");
  }
  if (!continues || history.events_size() == 0) return;
  const std::string next = history.events(history.events_size() - 1)
                               .workflow_execution_continued_as_new_event_attributes()
                               .new_execution_run_id();
  check_history(workflow, next, false, &history);
}

void Load::verify() {
  for (auto& [id, workflow] : workflows_) {
    if (!workflow.run_id.empty()) continue;
    const auto described = world_.call<wfs::DescribeWorkflowExecutionResponse>("DescribeWorkflowExecution",
                                                                               describe_request(id));
    if (described) workflow.run_id = described->workflow_execution_info().first_run_id();
  }
  for (const auto& [id, workflow] : workflows_) verify(workflow);
  History sink;
  const auto response = world_.call<wfs::GetWorkflowExecutionHistoryResponse>("GetWorkflowExecutionHistory",
                                                                              history_request(kSink));
  if (!response) return violated("the sink is lost: " + response.error().message);
  for (const auto& [id, workflow] : workflows_) {
    const auto told = std::ranges::count_if(response->history().events(), [&](const HistoryEvent& event) {
      return event.event_type() == enums::EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED &&
             event.workflow_execution_signaled_event_attributes().signal_name() == "from " + id;
    });
    if (told != (workflow.program == Program::kSignalsTheSink ? 1 : 0))
      violated(id + " told the sink " + std::to_string(told) + " times");
  }
}

}  // namespace perdure::engine
