// Healing, and what is read in the end.
#include <algorithm>

#include "server/matching/matching.h"
#include "tests/sim/simulation.h"

namespace perdure::sim {
namespace {

using base::Duration;
using base::Time;
using std::chrono::seconds;

constexpr int kPatience = 300;  // simulated seconds in which everything must end
constexpr auto kStickyPatience =
    seconds(6);  // a workflow task waits for a sticky worker that died (3 s), and a little
constexpr auto kIndexed =
    std::chrono::milliseconds(4500);  // a task that waits that long is in no sticky queue, and written behind
constexpr auto kPollPatience = seconds(2);  // an activity task waits though a poll is there

Time time_of(const google::protobuf::Timestamp& time) {
  return Time(seconds(time.seconds()) + std::chrono::nanoseconds(time.nanos()));
}

wfs::DescribeWorkflowExecutionRequest describe_request(const std::string& id) {
  wfs::DescribeWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.mutable_execution()->set_workflow_id(id);
  return request;
}

}  // namespace

// A request of the test itself, which must be answered; again when the server dies over it.
std::optional<std::string> Simulation::ask(const std::string& method,
                                           const google::protobuf::Message& request, bool may_fail) {
  for (int attempts = 0; attempts < 8; ++attempts) {
    std::optional<base::Result<std::string>> heard;
    network_.send(reader_, method, request.SerializeAsString(), seconds(10),
                  [&](base::Result<std::string> answer) { heard = std::move(answer); });
    while (!heard && !failed()) step();
    if (!heard) return std::nullopt;
    if (*heard) return std::move(**heard);
    const base::Error& error = heard->error();
    if (error.code == base::Code::kUnavailable || error.code == base::Code::kResourceExhausted) {
      run_for(seconds(1));
      continue;
    }
    if (!may_fail) oracle_.violated(method + " is refused in the end: " + error.message);
    return std::nullopt;
  }
  if (!failed()) oracle_.violated(method + " is not answered in the end");
  return std::nullopt;
}

void Simulation::heal() {
  trace_.note("heals", "");
  busy_ = false;
  network_.heal();
  slow_until_ = paused_until_ = {};
  if (!plan_.remote) world_.disk().set_capacity(UINT64_MAX / 2);
  if (stopping_ && alive_ && plan_.crash.at == CrashPoint::At::kNowhere) crash(stopping_kind_);
  for (const auto& worker : workers_) worker->die();
  healed_ = server_now();
  run_for(seconds(8));
  if (!alive_) revive();
  if (!failed() && alive_) check_indexes();
  for (const auto& worker : workers_) worker->start();
  for (int second = 0; second < kPatience && !failed(); ++second) {
    if (second == 15) end_repeating();
    run_for(seconds(1));
    if (!alive_) continue;
    if (server_now() > healed_ + seconds(14)) check_progress();
    if (second >= 15 && all_closed()) return;
  }
  if (failed()) return;
  for (int n = 0; n < plan_.workflow_ids; ++n) {
    const auto described = ask_for<wfs::DescribeWorkflowExecutionResponse>(
        "DescribeWorkflowExecution", describe_request(workflow_id(n)), true);
    if (described &&
        described->workflow_execution_info().status() == enums::WORKFLOW_EXECUTION_STATUS_RUNNING)
      oracle_.violated("E6, E7: " + workflow_id(n) + " makes no progress: " + described->ShortDebugString());
  }
}

void Simulation::end_repeating() {
  for (const std::string& id : crowd_.repeating) {
    wfs::TerminateWorkflowExecutionRequest request;
    request.set_namespace_("default");
    request.mutable_workflow_execution()->set_workflow_id(id);
    request.set_reason("enough-" + id);
    static_cast<void>(ask("TerminateWorkflowExecution", request, true));
  }
}

bool Simulation::all_closed() {
  wfs::CountWorkflowExecutionsRequest request;
  request.set_namespace_("default");
  request.set_query("ExecutionStatus = 'Running'");
  const auto count = ask_for<wfs::CountWorkflowExecutionsResponse>("CountWorkflowExecutions", request);
  return count && count->count() == 0;
}

// No task waits while a live poll is there for it.
void Simulation::check_progress() {
  for (int n = 0; n < plan_.workflow_ids && !failed(); ++n) {
    const auto described = ask_for<wfs::DescribeWorkflowExecutionResponse>(
        "DescribeWorkflowExecution", describe_request(workflow_id(n)), true);
    if (!described ||
        described->workflow_execution_info().status() != enums::WORKFLOW_EXECUTION_STATUS_RUNNING)
      continue;
    const auto& task = described->pending_workflow_task();
    if (task.state() == enums::PENDING_WORKFLOW_TASK_STATE_SCHEDULED && task.attempt() <= 2 &&
        time_of(task.scheduled_time()) + kStickyPatience < server_now()) {
      oracle_.violated("E16: a workflow task of " + workflow_id(n) +
                       " waits though workers poll: " + described->ShortDebugString());
    }
    for (const auto& activity : described->pending_activities()) {
      const Time since = std::max(
          {time_of(activity.scheduled_time()), time_of(activity.next_attempt_schedule_time()), healed_});
      if (activity.state() == enums::PENDING_ACTIVITY_STATE_SCHEDULED && since + kPollPatience < server_now())
        oracle_.violated("E16: an activity of " + workflow_id(n) +
                         " waits though workers poll: " + described->ShortDebugString());
    }
  }
}

// When the first timer of the run is due, as its history says; kNever.
Time Simulation::earliest_timer(const std::string& id, const std::string& run_id) {
  wfs::GetWorkflowExecutionHistoryRequest request;
  request.set_namespace_("default");
  request.mutable_execution()->set_workflow_id(id);
  request.mutable_execution()->set_run_id(run_id);
  const auto response =
      ask_for<wfs::GetWorkflowExecutionHistoryResponse>("GetWorkflowExecutionHistory", request, true);
  std::map<std::int64_t, Time> timers;
  if (!response) return base::kNever;
  for (const HistoryEvent& event : response->history().events()) {
    if (event.has_timer_started_event_attributes()) {
      const auto& length = event.timer_started_event_attributes().start_to_fire_timeout();
      timers[event.event_id()] =
          time_of(event.event_time()) + seconds(length.seconds()) + std::chrono::nanoseconds(length.nanos());
    }
    if (event.has_timer_fired_event_attributes())
      timers.erase(event.timer_fired_event_attributes().started_event_id());
    if (event.has_timer_canceled_event_attributes())
      timers.erase(event.timer_canceled_event_attributes().started_event_id());
  }
  Time earliest = base::kNever;
  for (const auto& [started, due] : timers) earliest = std::min(earliest, due);
  return earliest;
}

// Nobody polls, and everything is written behind: what waits is in the ready index, and the wake index is not
// late.
void Simulation::check_indexes() {
  struct Waiting {
    std::string id, run_id, activity;
  };
  std::vector<Waiting> waiting;
  std::map<std::string, Time> timers;
  for (int n = 0; n < plan_.workflow_ids && !failed(); ++n) {
    const std::string id = workflow_id(n);
    const auto described = ask_for<wfs::DescribeWorkflowExecutionResponse>("DescribeWorkflowExecution",
                                                                           describe_request(id), true);
    if (!described ||
        described->workflow_execution_info().status() != enums::WORKFLOW_EXECUTION_STATUS_RUNNING)
      continue;
    const std::string& run_id = described->workflow_execution_info().execution().run_id();
    if (described->pending_workflow_task().state() == enums::PENDING_WORKFLOW_TASK_STATE_SCHEDULED &&
        time_of(described->pending_workflow_task().scheduled_time()) + kIndexed < server_now())
      waiting.push_back({id, run_id, ""});
    for (const auto& activity : described->pending_activities()) {
      if (activity.state() == enums::PENDING_ACTIVITY_STATE_SCHEDULED &&
          std::max(time_of(activity.scheduled_time()), time_of(activity.next_attempt_schedule_time())) +
                  kIndexed <
              server_now())
        waiting.push_back({id, run_id, activity.activity_id()});
    }
    timers[id] = earliest_timer(id, run_id);
  }
  wfs::DescribeNamespaceRequest which;
  which.set_namespace_("default");
  const auto ns = ask_for<wfs::DescribeNamespaceResponse>("DescribeNamespace", which);
  if (failed() || !ns || !alive_) return;  // it died with the last answer
  const std::uint64_t life = life_;
  std::set<std::string> ready;
  std::map<std::string, Time> wakes;
  int left = 3;
  const auto tasks_read = [&](base::Result<std::vector<store::ReadyEntry>> entries) {
    --left;
    if (!entries) return;
    for (const store::ReadyEntry& entry : *entries) ready.insert(entry.task.run_id);
  };
  for (const core::TaskKind kind : {core::TaskKind::kWorkflow, core::TaskKind::kActivity})
    world_.any_store().scan_ready(matching::ready_key({ns->namespace_info().id(), kind, "tq"}), std::nullopt,
                                  10'000, tasks_read);
  world_.any_store().scan_wake(server_now() + std::chrono::hours(24), std::nullopt, 10'000,
                               [&](base::Result<std::vector<store::WakeEntry>> entries) {
                                 --left;
                                 if (!entries) return;
                                 for (const store::WakeEntry& entry : *entries)
                                   wakes[entry.key.id] = entry.time;
                               });
  while (left > 0 && life == life_ && !failed()) step();
  if (left > 0 || server_now() < healed_ + seconds(6))
    return;  // it died meanwhile: not everything is written behind
  for (const auto& [id, due] : timers) {
    if (due == base::kNever || due <= server_now()) continue;
    if (!wakes.contains(id)) {
      oracle_.violated("E6: no wake time is stored of " + id + ", which has a timer");
    } else if (wakes[id] > due) {
      oracle_.violated("E6: the stored wake time of " + id + " is later than its timer");
    }
  }
  for (const Waiting& task : waiting) {
    if (!ready.contains(task.run_id))
      oracle_.violated("E6: a task of " + task.id + " (" + task.activity +
                       ") waits and is not in the ready index");
  }
}

// What the server says of every id, now that nothing changes any more.
std::string Simulation::described() {
  std::string all;
  for (int n = 0; n < plan_.workflow_ids && !failed(); ++n) {
    const auto response = ask_for<wfs::DescribeWorkflowExecutionResponse>(
        "DescribeWorkflowExecution", describe_request(workflow_id(n)), true);
    all += workflow_id(n) + ": " + (response ? response->ShortDebugString() : "-") + "\n";
  }
  return all;
}

void Simulation::read_everything() {
  const std::string before = described();
  die(plan_.seed % 2 == 0 ? base::Crash::kDropUnsynced : base::Crash::kRandom);
  revive();
  if (failed()) return;
  const std::string after = described();
  if (before != after)
    oracle_.violated("state == fold(records): before the crash\n" + before + "after it\n" + after);
  wfs::ListWorkflowExecutionsRequest list;
  list.set_namespace_("default");
  list.set_page_size(1000);
  static_cast<void>(ask("ListWorkflowExecutions", list));
  for (int rounds = 0; rounds < 20 && !failed(); ++rounds) {  // a history names other runs
    const auto runs = oracle_.runs();
    bool any = false;
    for (const Oracle::RunName& run : runs) {
      wfs::GetWorkflowExecutionHistoryRequest request;
      request.set_namespace_("default");
      request.mutable_execution()->set_workflow_id(run.id);
      request.mutable_execution()->set_run_id(run.run_id);
      request.set_maximum_page_size(1000);
      const auto response =
          ask_for<wfs::GetWorkflowExecutionHistoryResponse>("GetWorkflowExecutionHistory", request, true);
      if (!response) continue;
      any = true;
      const Oracle::History history(response->history().events().begin(), response->history().events().end());
      oracle_.whole_history(run, history);
      count_features(history);
    }
    if (!any) break;
  }
  if (!failed()) oracle_.judge();
}

std::shared_ptr<base::SimDisk> Simulation::leave_disk(bool orderly) {
  reader_->dead = true;
  for (const auto& worker : workers_) worker->die();
  if (orderly) world_.stop();
  world_.die(orderly ? base::Crash::kKeepAll : base::Crash::kDropUnsynced);
  alive_ = false;
  return std::shared_ptr<base::SimDisk>(world_.disk().copy(1));
}

void Simulation::count_features(const Oracle::History& history) {
  for (const HistoryEvent& event : history) {
    switch (event.event_type()) {
      case enums::EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: {
        const auto& a = event.workflow_execution_started_event_attributes();
        if (!a.cron_schedule().empty() && !a.continued_execution_run_id().empty())
          coverage_.saw(Feature::kCron);
        if (a.attempt() > 1) coverage_.saw(Feature::kWorkflowRetry);
        if (plan_.has(Feature::kIdReuse)) coverage_.saw(Feature::kIdReuse);
        break;
      }
      case enums::EVENT_TYPE_ACTIVITY_TASK_STARTED:
        if (event.activity_task_started_event_attributes().attempt() > 1)
          coverage_.saw(Feature::kActivityRetry);
        break;
      case enums::EVENT_TYPE_ACTIVITY_TASK_COMPLETED: coverage_.saw(Feature::kActivity); break;
      case enums::EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: coverage_.saw(Feature::kActivityTimeout); break;
      case enums::EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED: coverage_.saw(Feature::kActivityCancel); break;
      case enums::EVENT_TYPE_TIMER_FIRED: coverage_.saw(Feature::kTimer); break;
      case enums::EVENT_TYPE_TIMER_CANCELED: coverage_.saw(Feature::kTimerCancel); break;
      case enums::EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED:
        coverage_.saw(Feature::kExternalSignal);
        break;
      case enums::EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
        coverage_.saw(Feature::kExternalCancel);
        break;
      case enums::EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
        coverage_.saw(Feature::kContinueAsNew);
        break;
      case enums::EVENT_TYPE_MARKER_RECORDED: coverage_.saw(Feature::kMarker); break;
      case enums::EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED: coverage_.saw(Feature::kUpsert); break;
      case enums::EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: coverage_.saw(Feature::kRunTimeout); break;
      default: break;
    }
  }
}

}  // namespace perdure::sim
