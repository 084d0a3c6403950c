// The oracle's rules about whole histories.
#include <algorithm>

#include "tests/sim/oracle.h"
#include "tests/sim/program.h"

namespace perdure::sim {
namespace {

using base::Code;
using base::Duration;
using base::Time;
using std::chrono::seconds;

constexpr Duration kLate =
    seconds(4);  // a timer that fires later, while nothing disturbed the server, was forgotten

Time time_of(const google::protobuf::Timestamp& time) {
  return Time(seconds(time.seconds()) + std::chrono::nanoseconds(time.nanos()));
}
Duration length_of(const google::protobuf::Duration& d) {
  return seconds(d.seconds()) + std::chrono::nanoseconds(d.nanos());
}

bool is_task(enums::EventType type) {
  return type == enums::EVENT_TYPE_WORKFLOW_EXECUTION_STARTED ||
         type == enums::EVENT_TYPE_WORKFLOW_TASK_SCHEDULED ||
         type == enums::EVENT_TYPE_WORKFLOW_TASK_STARTED ||
         type == enums::EVENT_TYPE_WORKFLOW_TASK_COMPLETED || is_close(type);
}

std::string in_seconds(Duration duration) {
  return std::to_string(static_cast<double>(duration.count()) / 1e9) + " s";
}

}  // namespace

std::vector<Oracle::RunName> Oracle::runs() const {
  std::vector<RunName> names;
  for (const auto& [run_id, run] : runs_) {
    if (!run.doomed && run.whole.empty()) names.push_back({run.id, run_id});
  }
  return names;
}

std::vector<Oracle::RunName> Oracle::all_runs() const {
  std::vector<RunName> names;
  for (const auto& [run_id, run] : runs_) {
    if (!run.whole.empty()) names.push_back({run.id, run_id});
  }
  return names;
}

void Oracle::whole_history(const RunName& name, const History& history) {
  Run& run = this->run(name.id, name.run_id);
  run.whole = history;
  if (history.empty()) return;
  ++tick_;
  const auto& start = history.front().workflow_execution_started_event_attributes();
  run.start = time_of(history.front().event_time());
  known(name.id, start.continued_execution_run_id());
  known(name.id, start.first_execution_run_id());
  const HistoryEvent& last = history.back();
  if (!is_close(last.event_type())) return;
  run.close = time_of(last.event_time());
  if (last.has_workflow_execution_continued_as_new_event_attributes())
    known(name.id, last.workflow_execution_continued_as_new_event_attributes().new_execution_run_id());
  if (last.has_workflow_execution_completed_event_attributes())
    known(name.id, last.workflow_execution_completed_event_attributes().new_execution_run_id());
  if (last.has_workflow_execution_failed_event_attributes())
    known(name.id, last.workflow_execution_failed_event_attributes().new_execution_run_id());
  if (last.has_workflow_execution_timed_out_event_attributes())
    known(name.id, last.workflow_execution_timed_out_event_attributes().new_execution_run_id());
}

void Oracle::index_events() {
  for (const auto& [run_id, run] : runs_) {
    for (std::size_t i = 0; i < run.whole.size(); ++i) {
      const HistoryEvent& event = run.whole[i];
      const Place place{&run, run_id, i};
      if (event.has_workflow_execution_started_event_attributes()) {
        const auto& a = event.workflow_execution_started_event_attributes();
        if (a.continued_execution_run_id().empty())
          starts_[Input::parse(text_of(a.input())).label].push_back(place);
      } else if (event.has_workflow_execution_signaled_event_attributes()) {
        signals_[text_of(event.workflow_execution_signaled_event_attributes().input())].push_back(place);
      } else if (event.has_workflow_execution_cancel_requested_event_attributes()) {
        cancels_[event.workflow_execution_cancel_requested_event_attributes().cause()].push_back(place);
      } else if (event.has_workflow_execution_terminated_event_attributes()) {
        terminations_[event.workflow_execution_terminated_event_attributes().reason()].push_back(place);
      } else if (event.has_activity_task_completed_event_attributes()) {
        results_[text_of(event.activity_task_completed_event_attributes().result())].push_back(place);
      } else if (event.has_activity_task_canceled_event_attributes()) {
        results_[text_of(event.activity_task_canceled_event_attributes().details())].push_back(place);
      }
    }
  }
}

std::vector<std::pair<std::string, const Oracle::Run*>> Oracle::runs_of(const std::string& id) const {
  std::vector<std::pair<std::string, const Run*>> found;
  for (const auto& [run_id, run] : runs_) {
    if (run.id == id && !run.whole.empty()) found.emplace_back(run_id, &run);
  }
  std::ranges::sort(found, [](const auto& a, const auto& b) { return a.second->start < b.second->start; });
  return found;
}

void Oracle::judge() {
  index_events();
  std::map<std::string, std::vector<std::pair<std::string, const Run*>>> chains;
  for (const auto& [run_id, run] : runs_) {
    if (run.doomed || forgotten(run.id)) continue;
    if (run.whole.empty()) {
      violated("E1: " + run.id + " " + run_id + " was shown and is lost");
      continue;
    }
    judge_run(run_id, run);
    if (strict_time_) judge_times(run_id, run);
    chains[run.id].emplace_back(run_id, &run);
  }
  for (auto& [id, runs] : chains) judge_chain(id, runs);
  judge_effects();
  judge_order();
  for (const Op& op : ops_) {
    if (!forgotten(op.id)) judge_op(op);
  }
}

// ---- one run
// ---------------------------------------------------------------------------------------------------------------------

void Oracle::judge_run(const std::string& run_id, const Run& run) {
  std::set<std::string> request_labels;
  Time latest{};
  std::map<std::int64_t, int> ends;
  for (std::size_t i = 0; i < run.whole.size(); ++i) {
    const HistoryEvent& event = run.whole[i];
    if (event.event_id() != static_cast<std::int64_t>(i) + 1)
      return violated("E4: " + run.id + " " + run_id + " has event " + std::to_string(event.event_id()) +
                      " at place " + std::to_string(i + 1));
    if (is_close(event.event_type()) && i + 1 != run.whole.size())
      violated("E4: " + run.id + " " + run_id + " goes on after its close event");
    if (i < run.events.size() && event.SerializeAsString() != run.events[i])
      violated("E1, E9: an event of " + run.id +
               " that was shown is another one in the end: " + event.ShortDebugString());
    if (is_task(event.event_type())) {  // these never wait in a buffer
      if (time_of(event.event_time()) < latest)
        violated("E14: the time goes back in " + run.id + " " + run_id + " at event " +
                 std::to_string(i + 1));
      latest = time_of(event.event_time());
    }
    if (event.has_workflow_execution_signaled_event_attributes()) {
      const std::string label = text_of(event.workflow_execution_signaled_event_attributes().input());
      if (!request_labels.insert(label).second)
        violated("E7: " + run.id + " has signal " + label + " twice in one run");
    }
    const std::int64_t ended = event.has_activity_task_completed_event_attributes()
                                   ? event.activity_task_completed_event_attributes().scheduled_event_id()
                               : event.has_activity_task_failed_event_attributes()
                                   ? event.activity_task_failed_event_attributes().scheduled_event_id()
                               : event.has_activity_task_timed_out_event_attributes()
                                   ? event.activity_task_timed_out_event_attributes().scheduled_event_id()
                               : event.has_activity_task_canceled_event_attributes()
                                   ? event.activity_task_canceled_event_attributes().scheduled_event_id()
                                   : 0;
    if (ended != 0 && ++ends[ended] > 1)
      violated("E4: activity " + std::to_string(ended) + " of " + run.id + " ends twice");
  }
  if (run.whole.size() < run.events.size())
    violated("E1: " + run.id + " " + run_id + " was shown longer than it is");
  if (run.close == base::kNever) violated("E6: " + run.id + " " + run_id + " does not end");
}

bool Oracle::excused(Time due, Time happened) const {
  // Disturbances that follow each other closely are one.
  Time until = due;
  bool moved = true;
  while (moved) {
    moved = false;
    for (const auto& [from, to] : disturbances_) {
      if (from <= until + kLate && to > until) {
        until = to;
        moved = true;
      }
    }
  }
  return happened <= until + kLate;
}

void Oracle::on_time(const std::string& what, Time due, Time happened) {
  if (happened < due) violated("E6: " + what + " is early by " + in_seconds(due - happened));
  if (!excused(due, happened)) violated("E6: " + what + " is late by " + in_seconds(happened - due));
}

void Oracle::judge_times(const std::string& run_id, const Run& run) {
  const std::string where = " of " + run.id + " " + run_id;
  std::map<std::int64_t, const HistoryEvent*> by_id;
  for (const HistoryEvent& event : run.whole) by_id[event.event_id()] = &event;
  const auto& start = run.whole.front().workflow_execution_started_event_attributes();
  const Time begin = run.start;
  std::set<std::int64_t> timers;
  for (const HistoryEvent& event : run.whole) {
    const Time time = time_of(event.event_time());
    if (event.has_timer_started_event_attributes()) timers.insert(event.event_id());
    if (event.has_timer_canceled_event_attributes())
      timers.erase(event.timer_canceled_event_attributes().started_event_id());
    if (event.has_timer_fired_event_attributes()) {
      const std::int64_t id = event.timer_fired_event_attributes().started_event_id();
      if (timers.erase(id) == 0) {
        violated("E6: a timer fires that does not run" + where);
        continue;
      }
      const HistoryEvent& started = *by_id[id];
      on_time("timer " + std::to_string(id) + where,
              time_of(started.event_time()) +
                  length_of(started.timer_started_event_attributes().start_to_fire_timeout()),
              time);
    }
    if (event.has_activity_task_timed_out_event_attributes()) {
      const auto& a = event.activity_task_timed_out_event_attributes();
      const auto type = a.failure().timeout_failure_info().timeout_type();
      const HistoryEvent* scheduled = by_id[a.scheduled_event_id()];
      const HistoryEvent* started = by_id[a.started_event_id()];
      if (type == enums::TIMEOUT_TYPE_START_TO_CLOSE && started != nullptr && scheduled != nullptr)
        on_time("start-to-close timeout" + where,
                time_of(started->event_time()) +
                    length_of(scheduled->activity_task_scheduled_event_attributes().start_to_close_timeout()),
                time);
    }
    if (event.has_workflow_task_timed_out_event_attributes()) {
      const auto& a = event.workflow_task_timed_out_event_attributes();
      const HistoryEvent* started = by_id[a.started_event_id()];
      if (a.timeout_type() == enums::TIMEOUT_TYPE_START_TO_CLOSE && started != nullptr) {
        // Never too early is not said: a start that could not be delivered ends the same way, at once (E16).
        if (!excused(time_of(started->event_time()) + length_of(start.workflow_task_timeout()), time))
          violated("E6: a workflow task timeout" + where + " is late");
        const bool whole = time >= time_of(started->event_time()) + length_of(start.workflow_task_timeout());
        const bool died = std::ranges::any_of(interruptions_, [&](Time death) {
          return death >= time_of(started->event_time()) && death <= time;
        });
        if (whole && !died && !delivered_.contains({run_id, a.started_event_id()}))
          violated("E16: a workflow task" + where + " was started for nobody and waited for its timeout");
      }
    }
    if (event.has_workflow_execution_timed_out_event_attributes() &&
        length_of(start.workflow_run_timeout()) > Duration(0)) {
      const Time due =
          begin + length_of(start.workflow_run_timeout()) + length_of(start.first_workflow_task_backoff());
      if (time < begin + length_of(start.workflow_run_timeout()))
        violated("E6: run timeout" + where + " is early");
      if (!excused(due, time)) violated("E6: run timeout" + where + " is late");
    }
  }
  // What was due while the run was open must have fired.
  for (const std::int64_t id : timers) {
    const HistoryEvent& started = *by_id[id];
    const Time due = time_of(started.event_time()) +
                     length_of(started.timer_started_event_attributes().start_to_fire_timeout());
    if (run.close != base::kNever && due < run.close && !excused(due, run.close))
      violated("E6: timer " + std::to_string(id) + where + " never fired");
  }
}

// ---- one id
// ----------------------------------------------------------------------------------------------------------------------

void Oracle::judge_chain(const std::string& id, std::vector<std::pair<std::string, const Run*>>& runs) {
  std::ranges::sort(runs, [](const auto& a, const auto& b) { return a.second->start < b.second->start; });
  int open = 0;
  std::map<std::string, std::string> follower;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const Run& run = *runs[i].second;
    open += run.close == base::kNever;
    const std::string& before =
        run.whole.front().workflow_execution_started_event_attributes().continued_execution_run_id();
    if (!before.empty() && !follower.emplace(before, runs[i].first).second)
      violated("E4: run " + before + " of " + id + " was continued twice");
    if (strict_time_ && i > 0 && runs[i - 1].second->close > run.start)
      violated("E4: two runs of " + id + " were open at once: " + runs[i - 1].first + " and " +
               runs[i].first);
  }
  if (open > 1) violated("E4: " + id + " has " + std::to_string(open) + " open runs");
}

// What was acknowledged before another was asked for stands before it.
void Oracle::judge_order() {
  struct Signal {
    const Op* op;
    const Place* place;
  };
  std::map<std::string, std::vector<Signal>> by_run;
  for (const Op& op : ops_) {
    if (op.outcome != Outcome::kOk || op.method != "SignalWorkflowExecution" || forgotten(op.id)) continue;
    const auto places = signals_.find(op.label);
    if (places != signals_.end() && places->second.size() == 1)
      by_run[places->second.front().run_id].push_back({&op, &places->second.front()});
  }
  for (const auto& [run_id, signals] : by_run) {
    for (const Signal& first : signals) {
      for (const Signal& second : signals) {
        // The earliest arrival of a repeated request counts, which may be another one than this.
        const bool only =
            std::ranges::count_if(ops_, [&](const Op& op) { return op.label == second.op->label; }) == 1;
        if (only && first.op->answer < second.op->arrival && first.place->index > second.place->index)
          violated("E8: signal " + second.op->label + " stands before " + first.op->label +
                   ", which was acknowledged before it came, in " + run_id + " at " +
                   std::to_string(second.place->index) + " and " + std::to_string(first.place->index));
      }
    }
  }
}

// ---- obligations
// -----------------------------------------------------------------------------------------------------------------

// An effect on another id happened once if the sender was told it did, and never if it was told it did not.
void Oracle::judge_effects() {
  const auto count_in = [](const std::map<std::string, std::vector<Place>>& places,
                           const std::string& label) {
    const auto found = places.find(label);
    return found == places.end() ? std::size_t{0} : found->second.size();
  };
  for (const auto& [run_id, run] : runs_) {
    if (run.doomed || forgotten(run.id)) continue;
    std::map<std::int64_t, std::pair<std::string, std::string>> signals, cancels;  // initiated: label, target
    for (const HistoryEvent& event : run.whole) {
      if (event.has_signal_external_workflow_execution_initiated_event_attributes()) {
        const auto& a = event.signal_external_workflow_execution_initiated_event_attributes();
        const std::string label = text_of(a.input());
        signals[event.event_id()] = {label, a.workflow_execution().workflow_id()};
        if (count_in(signals_, label) > 1)
          violated("E7: external signal " + label + " was delivered more than once");
      }
      if (event.has_request_cancel_external_workflow_execution_initiated_event_attributes()) {
        const auto& a = event.request_cancel_external_workflow_execution_initiated_event_attributes();
        cancels[event.event_id()] = {a.reason(), a.workflow_execution().workflow_id()};
      }
      std::int64_t initiated = 0;
      bool done = false, signal = false;
      if (event.has_external_workflow_execution_signaled_event_attributes()) {
        initiated = event.external_workflow_execution_signaled_event_attributes().initiated_event_id();
        done = signal = true;
      } else if (event.has_signal_external_workflow_execution_failed_event_attributes()) {
        initiated = event.signal_external_workflow_execution_failed_event_attributes().initiated_event_id();
        signal = true;
      } else {
        continue;
      }
      const auto found = signals.find(initiated);
      if (!signal || found == signals.end()) {
        violated("E7: " + run.id + " is told of a signal that it does not wait for");
        continue;
      }
      const auto& [label, target] = found->second;
      const std::size_t effects = count_in(signals_, label);
      if (!forgotten(target) && effects != (done ? 1U : 0U))
        violated("E7: external signal " + label + (done ? " was delivered " : " failed, and was delivered ") +
                 std::to_string(effects) + " times");
      signals.erase(found);
    }
  }
}

// ---- what clients were told
// ------------------------------------------------------------------------------------------------------

void Oracle::judge_op(const Op& op) {
  if (op.outcome == Outcome::kOk) return judge_acknowledged(op);
  if (op.outcome == Outcome::kError) return judge_absence(op);
}

void Oracle::once(const Op& op, const std::map<std::string, std::vector<Place>>& places, const char* what) {
  const auto found = places.find(op.label);
  if (found == places.end())
    return violated(std::string("E1: ") + what + " " + op.label + " of " + op.id +
                    " was acknowledged and is lost");
  if (!strict_time_ || found->second.size() != 1) return;
  const Place& place = found->second.front();
  // Repeats of a request may be answered after its effect: they only must not be answered before it.
  const Time happened = time_of(place.run->whole[place.index].event_time());
  if (happened > op.left)
    violated(std::string("E1: ") + what + " " + op.label + " was acknowledged before it happened");
}

// A request id is known as long as the run that it made is the newest one.
bool Oracle::made_twice(const std::string& id, const std::vector<Place>& made) const {
  const auto runs = runs_of(id);
  for (std::size_t i = 1; i < runs.size(); ++i) {
    const auto is = [&](const std::string& run_id) {
      return std::ranges::any_of(made, [&](const Place& place) { return place.run_id == run_id; });
    };
    if (is(runs[i - 1].first) && is(runs[i].first)) return true;
  }
  return false;
}

void Oracle::judge_acknowledged(const Op& op) {
  if (op.method == "StartWorkflowExecution") {
    const auto found = runs_.find(op.answer_run);
    if (found == runs_.end() || found->second.id != op.id)
      return violated("E1: a start of " + op.id + " was answered with a run that is not its own");
    if (!op.flag) return;
    once(op, starts_, "start");
    const auto places = starts_.find(op.label);
    if (places == starts_.end()) return;
    if (made_twice(op.id, places->second))
      violated("E4: start " + op.label + " of " + op.id + " made two runs");
    if (std::ranges::none_of(places->second,
                             [&](const Place& place) { return place.run_id == op.answer_run; }))
      violated("E4: start " + op.label + " of " + op.id + " was answered with another run than it made");
  } else if (op.method == "SignalWorkflowExecution" || op.method == "SignalWithStartWorkflowExecution") {
    once(op, signals_, "signal");
  } else if (op.method == "TerminateWorkflowExecution") {
    once(op, terminations_, "termination");
  } else if (op.method == "RequestCancelWorkflowExecution") {
    // A request that finds the run asked already changes nothing; one that meets the answer of the last
    // workflow task comes too late (WT-42).
    // One for a closed run is welcome, and does nothing.
    const auto runs = runs_of(op.id);
    Time open_until = op.arrived;
    bool may_be = !strict_time_;
    for (const auto& [run_id, run] : runs) {
      if (run->start > open_until || (open_until == op.arrived && run->start == open_until) ||
          run->close <= open_until)
        continue;
      open_until = run->close;
      const HistoryEvent& last = run->whole.back();
      may_be |= !last.has_workflow_execution_terminated_event_attributes() &&
                !last.has_workflow_execution_timed_out_event_attributes();
      may_be |= std::ranges::any_of(run->whole, [](const HistoryEvent& event) {
        return event.has_workflow_execution_cancel_requested_event_attributes();
      });
    }
    if (!may_be && open_until > op.left)
      violated("E1: a cancel request of " + op.id + " was acknowledged and is lost");
  } else if (op.method == "RespondWorkflowTaskCompleted") {
    const auto found = runs_.find(op.answer_run);
    if (found == runs_.end() || found->second.whole.empty()) return;
    const bool there = std::ranges::any_of(found->second.whole, [&](const HistoryEvent& event) {
      return event.has_workflow_task_completed_event_attributes() &&
             event.workflow_task_completed_event_attributes().started_event_id() == op.number;
    });
    if (!there)
      violated("E1: a workflow task of " + found->second.id + " was acknowledged as completed and is not");
  } else if (op.method == "RespondActivityTaskCompleted" || op.method == "RespondActivityTaskCanceled") {
    const auto found = runs_.find(op.answer_run);
    if (found == runs_.end() || found->second.whole.empty() || forgotten(found->second.id)) return;
    const auto places = results_.find(op.label);
    if (places == results_.end())
      return violated("E1: the result " + op.label + " of an activity of " + found->second.id +
                      " was acknowledged and is lost");
    if (places->second.size() > 1) violated("E17: the result " + op.label + " was taken twice");
  } else if (op.method == "QueryWorkflow") {
    judge_query(op);
  } else {
    judge_read(op);
  }
}

// A read that came after an acknowledgement shows its effect.
void Oracle::judge_read(const Op& op) {
  const bool history = op.method == "GetWorkflowExecutionHistory",
             describe = op.method == "DescribeWorkflowExecution";
  if ((!history && !describe) || op.answer_run.empty()) return;
  const auto found = runs_.find(op.answer_run);
  if (found == runs_.end() || found->second.whole.empty()) return;
  const Run& shown = found->second;
  if (op.run_id.empty()) {  // the current run
    for (const auto& [run_id, run] : runs_of(op.id)) {
      if (run->start > shown.start && run->known < op.arrival)
        violated("E8: a read of " + op.id + " shows run " + op.answer_run + " after " + run_id +
                 " was acknowledged");
    }
  }
  if (!history || !op.flag) return;
  if (acknowledged_signals(op.id, op.answer_run, op.arrival, op.number) > 0)
    violated("E8: a history of " + op.id + " does not show a signal that was acknowledged before");
}

int Oracle::acknowledged_signals(const std::string& id, const std::string& run_id, Tick before,
                                 std::int64_t place) const {
  std::set<std::string> counted;
  for (const Op& other : ops_) {
    if (other.id != id || other.outcome != Outcome::kOk || other.answer >= before) continue;
    if (other.method != "SignalWorkflowExecution" && other.method != "SignalWithStartWorkflowExecution")
      continue;
    const auto places = signals_.find(other.label);
    if (places == signals_.end() || places->second.size() != 1) continue;
    const Place& at = places->second.front();
    if (at.run_id == run_id && static_cast<std::int64_t>(at.index) >= place) counted.insert(other.label);
  }
  return static_cast<int>(counted.size());
}

void Oracle::judge_query(const Op& op) {
  if (op.answer_run.empty()) return;
  const int acknowledged = acknowledged_signals(op.id, op.answer_run, op.arrival, 0);
  if (op.number < acknowledged)
    violated("E8: a query of " + op.id + " saw " + std::to_string(op.number) + " signals of " +
             std::to_string(acknowledged));
}

// Something is not there, or there already: it was so at some moment while the answer was made.
void Oracle::judge_absence(const Op& op) {
  if (!strict_time_) return;
  const bool open_needed = op.method == "SignalWorkflowExecution" ||
                           op.method == "TerminateWorkflowExecution" ||
                           op.method == "RequestCancelWorkflowExecution";
  const auto runs = runs_of(op.id);
  if (op.code == Code::kNotFound && open_needed && op.run_id.empty()) {
    // One run after another covers the time: was there a moment without one?
    Time covered = op.arrived;
    for (const auto& [run_id, run] : runs) {
      // What happens at one and the same time may have happened in any order.
      if ((run->start < covered || (covered > op.arrived && run->start == covered)) && run->close > covered)
        covered = run->close;
    }
    if (covered > op.left)
      violated("E8: " + op.method + " of " + op.id + " found nothing, but a run was open all the time");
  }
  if (op.code == Code::kNotFound && op.run_id.empty() &&
      (op.method == "DescribeWorkflowExecution" || op.method == "GetWorkflowExecutionHistory")) {
    for (const auto& [run_id, run] : runs) {
      if (run->known < op.arrival)
        violated("E1, E8: " + op.method + " of " + op.id + " found nothing, but run " + run_id +
                 " was acknowledged");
    }
  }
  if (op.code == Code::kAlreadyExists && op.method == "StartWorkflowExecution") {
    const auto own = starts_.find(op.label);
    if (own != starts_.end() && own->second.front().run->close > op.left &&
        own->second.front().run->start < op.arrived)
      violated("E4: a repeat of start " + op.label + " of " + op.id + " is refused, though its run is open");
    const bool existed =
        std::ranges::any_of(runs, [&](const auto& each) { return each.second->start <= op.left; });
    if (!existed) violated("E1: a start of " + op.id + " was refused because of a run that never was");
  }
}

}  // namespace perdure::sim
