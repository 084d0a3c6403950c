#include "tests/sim/oracle.h"

#include <algorithm>
#include <cstdlib>

#include "tests/sim/program.h"

namespace perdure::sim {
namespace {

using base::Code;
using base::Time;

template <class Message>
Message parsed(const std::string& bytes) {
  Message message;
  message.ParseFromString(bytes);
  return message;
}

// An answer that says nothing about executions: the server is going down, or has too much to do.
bool says_nothing(Code code) {
  return code == Code::kUnavailable || code == Code::kResourceExhausted;
}

// The events that will stay: a workflow task in flight may be shown before it is in the history.
std::size_t settled(const temporal::api::history::v1::History& history) {
  int end = history.events_size();
  while (end > 0 && (history.events(end - 1).event_type() == enums::EVENT_TYPE_WORKFLOW_TASK_SCHEDULED ||
                     history.events(end - 1).event_type() == enums::EVENT_TYPE_WORKFLOW_TASK_STARTED))
    --end;
  return static_cast<std::size_t>(end);
}

}  // namespace

bool is_close(enums::EventType type) {
  return type == enums::EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED ||
         type == enums::EVENT_TYPE_WORKFLOW_EXECUTION_FAILED ||
         type == enums::EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT ||
         type == enums::EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED ||
         type == enums::EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED ||
         type == enums::EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW;
}

void Oracle::violated(const std::string& what) {
  if (violations_.size() < 20) violations_.push_back(what);
}

void Oracle::disturbed(Time from, Time to) {
  disturbances_.emplace_back(from, to);
}

Oracle::Run& Oracle::run(const std::string& id, const std::string& run_id) {
  Run& run = runs_[run_id];
  run.id = id;
  return run;
}

void Oracle::known(const std::string& id, const std::string& run_id) {
  if (run_id.empty()) return;
  Run& run = this->run(id, run_id);
  run.known = std::min(run.known, tick_);
}

// ---- requests
// --------------------------------------------------------------------------------------------------------------------

void Oracle::read_request(Op& op) {
  if (op.method == "StartWorkflowExecution") {
    const auto request = parsed<wfs::StartWorkflowExecutionRequest>(op.request);
    op.id = request.workflow_id();
    op.label = Input::parse(text_of(request.input())).label;
  } else if (op.method == "SignalWithStartWorkflowExecution") {
    const auto request = parsed<wfs::SignalWithStartWorkflowExecutionRequest>(op.request);
    op.id = request.workflow_id();
    op.label = text_of(request.signal_input());
  } else if (op.method == "SignalWorkflowExecution") {
    const auto request = parsed<wfs::SignalWorkflowExecutionRequest>(op.request);
    op.id = request.workflow_execution().workflow_id();
    op.run_id = request.workflow_execution().run_id();
    op.label = text_of(request.input());
  } else if (op.method == "RequestCancelWorkflowExecution") {
    const auto request = parsed<wfs::RequestCancelWorkflowExecutionRequest>(op.request);
    op.id = request.workflow_execution().workflow_id();
    op.label = request.reason();
  } else if (op.method == "TerminateWorkflowExecution") {
    const auto request = parsed<wfs::TerminateWorkflowExecutionRequest>(op.request);
    op.id = request.workflow_execution().workflow_id();
    op.label = request.reason();
  } else if (op.method == "DeleteWorkflowExecution") {
    const auto request = parsed<wfs::DeleteWorkflowExecutionRequest>(op.request);
    op.id = request.workflow_execution().workflow_id();
    op.run_id = request.workflow_execution().run_id();
    if (!op.run_id.empty()) run(op.id, op.run_id).doomed = true;
    doomed_ids_.insert(op.id);
  } else if (op.method == "DescribeWorkflowExecution") {
    const auto request = parsed<wfs::DescribeWorkflowExecutionRequest>(op.request);
    op.id = request.execution().workflow_id();
    op.run_id = request.execution().run_id();
  } else if (op.method == "GetWorkflowExecutionHistory") {
    const auto request = parsed<wfs::GetWorkflowExecutionHistoryRequest>(op.request);
    op.id = request.execution().workflow_id();
    op.run_id = request.execution().run_id();
    op.flag =
        request.wait_new_event() || request.maximum_page_size() > 0 || !request.next_page_token().empty();
  } else if (op.method == "QueryWorkflow") {
    const auto request = parsed<wfs::QueryWorkflowRequest>(op.request);
    op.id = request.execution().workflow_id();
    op.run_id = request.execution().run_id();
  }
}

void Oracle::arrived(std::uint64_t call, std::string_view method, const std::string& request, Time now) {
  Op& op = under_way_[call];
  op.method = method;
  op.request = request;
  op.arrival = ++tick_;
  op.arrived = now;
  read_request(op);
}

void Oracle::server_died(Time now) {
  interrupted(now);
  ++tick_;
  for (auto& [call, op] : under_way_) {
    op.outcome = Outcome::kUnknown;
    ops_.push_back(std::move(op));
  }
  under_way_.clear();
}

// ---- answers
// ---------------------------------------------------------------------------------------------------------------------

void Oracle::left(std::uint64_t call, const base::Result<std::string>& answer, Time now) {
  const auto found = under_way_.find(call);
  if (found == under_way_.end()) return violated("an answer to a call that is over");
  Op op = std::move(found->second);
  under_way_.erase(found);
  ++tick_;
  ++answers_;
  op.left = now;
  op.answer = tick_;
  if (answer) {
    op.outcome = Outcome::kOk;
    ++acknowledged_;
    read_answer(op, *answer);
  } else {
    op.outcome = says_nothing(answer.error().code) ? Outcome::kUnknown : Outcome::kError;
    op.code = answer.error().code;
    if (op.code == Code::kInternal || op.code == Code::kDataLoss || op.code == Code::kUnknown)
      violated(op.method + " of " + op.id + " says: " + answer.error().message);
    read_error(op);
  }
  ops_.push_back(std::move(op));
}

void Oracle::read_error(Op& op) {
  if (op.code != Code::kNotFound || op.run_id.empty() || forgotten(op.id)) return;
  if (op.method != "DescribeWorkflowExecution" && op.method != "GetWorkflowExecutionHistory") return;
  const auto found = runs_.find(op.run_id);
  if (found != runs_.end() && found->second.known < op.arrival)
    violated("E1: " + op.id + " " + op.run_id + " was there and is not");
}

void Oracle::read_answer(Op& op, const std::string& answer) {
  if (op.method == "StartWorkflowExecution" || op.method == "SignalWithStartWorkflowExecution")
    return start_left(op, answer);
  if (op.method == "DescribeWorkflowExecution") return describe_left(op, answer);
  if (op.method == "GetWorkflowExecutionHistory") return history_left(op, answer);
  if (op.method == "ListWorkflowExecutions") return list_left(op, answer);
  if (op.method == "CountWorkflowExecutions") return count_left(op, answer);
  if (op.method == "PollWorkflowTaskQueue") return task_left(op, answer);
  if (op.method == "PollActivityTaskQueue") return activity_left(op, answer);
  if (op.method == "RespondWorkflowTaskCompleted") {
    const auto request = parsed<wfs::RespondWorkflowTaskCompletedRequest>(op.request);
    op.answer_run = tasks_[request.task_token()];
    op.number = task_numbers_[request.task_token()];
    const auto response = parsed<wfs::RespondWorkflowTaskCompletedResponse>(answer);
    if (response.has_workflow_task()) task_left(op, response.workflow_task().SerializeAsString());
    return;
  }
  const auto ended = [&](const std::string& token, const std::string& label) {
    op.label = label;
    op.answer_run = tasks_[token];
    const auto newest = attempts_.find(activities_[token]);
    if (newest != attempts_.end() && newest->second.second < op.arrival &&
        token_attempts_[token] < newest->second.first)
      violated("E17: a result of attempt " + std::to_string(token_attempts_[token]) + " of " +
               activities_[token] + " is accepted after attempt " + std::to_string(newest->second.first) +
               " went out");
    if (++completed_activities_[activities_[token]] == 2)
      violated("E16: two ends of activity " + activities_[token] + " were accepted");
  };
  if (op.method == "RespondActivityTaskCompleted") {
    const auto request = parsed<wfs::RespondActivityTaskCompletedRequest>(op.request);
    ended(request.task_token(), text_of(request.result()));
  } else if (op.method == "RecordActivityTaskHeartbeat") {
    const auto request = parsed<wfs::RecordActivityTaskHeartbeatRequest>(op.request);
    int& newest = beats_[activities_[request.task_token()]];
    newest = std::max(newest, std::atoi(text_of(request.details()).c_str()));
  } else if (op.method == "QueryWorkflow") {
    const std::string text = text_of(parsed<wfs::QueryWorkflowResponse>(answer).query_result());
    const std::size_t slash = text.find('/');
    op.answer_run = text.substr(0, slash);
    if (slash != std::string::npos) op.number = std::atoi(text.c_str() + slash + 1);
  } else if (op.method == "RespondActivityTaskCanceled") {
    const auto request = parsed<wfs::RespondActivityTaskCanceledRequest>(op.request);
    ended(request.task_token(), text_of(request.details()));
  }
}

void Oracle::start_left(Op& op, const std::string& answer) {
  if (op.method == "StartWorkflowExecution") {
    const auto response = parsed<wfs::StartWorkflowExecutionResponse>(answer);
    op.answer_run = response.run_id();
    op.flag = response.started();
  } else {
    op.answer_run = parsed<wfs::SignalWithStartWorkflowExecutionResponse>(answer).run_id();
  }
  known(op.id, op.answer_run);
}

void Oracle::shown_closed(Run& run, const Op& op, bool closed, const std::string& what) {
  if (closed) {
    run.closed = std::min(run.closed, tick_);
  } else if (run.closed < op.arrival && !run.doomed) {
    violated("E1, E8: " + what + " of " + run.id + " shows a run open that was shown closed before");
  }
}

void Oracle::describe_left(Op& op, const std::string& answer) {
  const auto info = parsed<wfs::DescribeWorkflowExecutionResponse>(answer).workflow_execution_info();
  op.answer_run = info.execution().run_id();
  known(op.id, op.answer_run);
  Run& run = this->run(op.id, op.answer_run);
  shown_closed(run, op, info.status() != enums::WORKFLOW_EXECUTION_STATUS_RUNNING, "describe");
  op.number = info.history_length();
  const auto before = run.lengths.lower_bound(op.arrival);
  if (before != run.lengths.begin() && std::prev(before)->second > info.history_length())
    violated("E1, E8: describe of " + op.id + " shows a shorter history than was shown before");
}

void Oracle::shown(const Op& op, const std::string& run_id,
                   const temporal::api::history::v1::History& history) {
  if (history.events_size() == 0) return;
  known(op.id, run_id);
  Run& run = this->run(op.id, run_id);
  const std::int64_t first = history.events(0).event_id();
  const std::size_t end = settled(history);
  for (std::size_t i = 0; i < end; ++i) {
    const auto& event = history.events(static_cast<int>(i));
    if (event.event_id() != first + static_cast<std::int64_t>(i))
      return violated("a history of " + op.id + " was shown with a gap at " +
                      std::to_string(first + static_cast<std::int64_t>(i)));
    const std::size_t index = static_cast<std::size_t>(event.event_id()) - 1;
    if (index < run.events.size()) {
      if (run.events[index] == event.SerializeAsString()) continue;
      HistoryEvent before;
      before.ParseFromString(run.events[index]);
      return violated("E1, E9: an event that was shown is another one now: " + before.ShortDebugString() +
                      " became " + event.ShortDebugString());
    }
    if (index == run.events.size()) run.events.push_back(event.SerializeAsString());
    if (is_close(event.event_type())) run.closed = std::min(run.closed, tick_);
  }
  const std::int64_t length = first - 1 + static_cast<std::int64_t>(end);
  if (run.lengths.empty() || run.lengths.rbegin()->second < length) run.lengths[tick_] = length;
}

void Oracle::history_left(Op& op, const std::string& answer) {
  const auto response = parsed<wfs::GetWorkflowExecutionHistoryResponse>(answer);
  const auto& history = response.history();
  const bool partial = op.flag || !response.next_page_token().empty();
  op.flag = false;
  const std::string run_id =
      !op.run_id.empty() ? op.run_id
      : history.events_size() > 0 && history.events(0).has_workflow_execution_started_event_attributes()
          ? history.events(0).workflow_execution_started_event_attributes().original_execution_run_id()
          : "";
  if (run_id.empty()) return;
  if (partial && history.events_size() > 0 &&
      is_close(history.events(history.events_size() - 1).event_type())) {
    known(op.id, run_id);
    shown_closed(run(op.id, run_id), op, true, "history");
    return;
  }
  if (partial) return;
  op.answer_run = run_id;
  Run& run = this->run(op.id, run_id);
  const auto before = run.lengths.lower_bound(op.arrival);
  const auto length = static_cast<std::int64_t>(settled(history));
  if (before != run.lengths.begin() && std::prev(before)->second > length && !run.doomed)
    violated("E1, E8: history of " + op.id + " became shorter");
  op.number = length;
  for (int i = history.events_size() - 1; i >= 0;
       --i) {  // a task in flight: what arrives meanwhile is in the buffer
    const auto type = history.events(i).event_type();
    if (type == enums::EVENT_TYPE_WORKFLOW_TASK_STARTED) break;
    if (i > 0 && type != enums::EVENT_TYPE_WORKFLOW_TASK_COMPLETED &&
        type != enums::EVENT_TYPE_WORKFLOW_TASK_FAILED && type != enums::EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT &&
        type != enums::EVENT_TYPE_WORKFLOW_TASK_SCHEDULED)
      continue;
    op.flag = true;
    break;
  }
  shown(op, run_id, history);
}

void Oracle::list_left(Op& op, const std::string& answer) {
  const auto request = parsed<wfs::ListWorkflowExecutionsRequest>(op.request);
  const auto response = parsed<wfs::ListWorkflowExecutionsResponse>(answer);
  if (!request.next_page_token().empty() || !response.next_page_token().empty()) return;
  std::set<std::string> listed;
  for (const auto& info : response.executions()) {
    if (!listed.insert(info.execution().run_id()).second) violated("E11: a run is listed twice");
    known(info.execution().workflow_id(), info.execution().run_id());
    shown_closed(run(info.execution().workflow_id(), info.execution().run_id()), op,
                 info.status() != enums::WORKFLOW_EXECUTION_STATUS_RUNNING, "list");
  }
  for (const auto& [run_id, run] : runs_) {
    if (run.known >= op.arrival || run.doomed || listed.contains(run_id) || forgotten(run.id)) continue;
    violated("E11: " + run.id + " " + run_id + " was acknowledged and is not listed");
  }
}

void Oracle::count_left(Op& op, const std::string& answer) {
  if (!parsed<wfs::CountWorkflowExecutionsRequest>(op.request).query().empty()) return;
  const auto response = parsed<wfs::CountWorkflowExecutionsResponse>(answer);
  const auto there = std::ranges::count_if(runs_, [&](const auto& each) {
    return each.second.known < op.arrival && !each.second.doomed && !forgotten(each.second.id);
  });
  if (response.count() < there)
    violated("E11: " + std::to_string(there) + " runs were acknowledged, " +
             std::to_string(response.count()) + " are counted");
}

void Oracle::task_left(Op& op, const std::string& answer) {
  const auto task = parsed<wfs::PollWorkflowTaskQueueResponse>(answer);
  if (task.task_token().empty()) return;
  Op seen = op;
  seen.id = task.workflow_execution().workflow_id();
  const std::string& run_id = task.workflow_execution().run_id();
  known(seen.id, run_id);
  shown(seen, run_id, task.history());
  tasks_[task.task_token()] = run_id;
  delivered_.emplace(run_id, task.started_event_id());
  task_numbers_[task.task_token()] = task.started_event_id();
}

void Oracle::activity_left(Op& op, const std::string& answer) {
  const auto task = parsed<wfs::PollActivityTaskQueueResponse>(answer);
  if (task.task_token().empty()) return;
  const std::string& run_id = task.workflow_execution().run_id();
  known(task.workflow_execution().workflow_id(), run_id);
  tasks_[task.task_token()] = run_id;
  activities_[task.task_token()] = run_id + "/" + task.activity_id();
  token_attempts_[task.task_token()] = task.attempt();
  attempts_[activities_[task.task_token()]] = {task.attempt(), tick_};
  const auto beat = beats_.find(activities_[task.task_token()]);
  if (beat != beats_.end() && std::atoi(text_of(task.heartbeat_details()).c_str()) < beat->second)
    violated("E1: an attempt of activity " + beat->first + " does not get the heartbeat that was accepted");
  const Time due = Time(std::chrono::seconds(task.current_attempt_scheduled_time().seconds()) +
                        std::chrono::nanoseconds(task.current_attempt_scheduled_time().nanos()));
  if (strict_time_ && op.left < due)
    violated("E6: attempt " + std::to_string(task.attempt()) + " of an activity goes out early");
}

}  // namespace perdure::sim
