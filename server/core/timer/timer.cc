#include "server/core/timer/timer.h"

#include <algorithm>

#include "base/planted.h"
#include "server/core/limits/durations.h"
#include "server/core/workflow/completion.h"

namespace perdure::core {
namespace {

constexpr auto kBadStart = enums::WORKFLOW_TASK_FAILED_CAUSE_BAD_START_TIMER_ATTRIBUTES;
constexpr auto kBadCancel = enums::WORKFLOW_TASK_FAILED_CAUSE_BAD_CANCEL_TIMER_ATTRIBUTES;

// Empty: fine.
std::string validate(const command::StartTimerCommandAttributes& attributes, const Limits& limits) {
  const std::string& id = attributes.timer_id();
  if (id.empty()) return "TimerId is not set on StartTimerCommand.";
  if (id.size() > limits.id_length) {
    return "TimerId on StartTimerCommand exceeds length limit. TimerId=" + id +
           " Length=" + std::to_string(id.size()) + " Limit=" + std::to_string(limits.id_length);
  }
  if (is_negative(attributes.start_to_fire_timeout())) {
    return "An invalid StartToFireTimeout is set on StartTimerCommand: negative duration. TimerId=" + id;
  }
  return {};
}

}  // namespace

CommandResult start_timer(Completion& completion, command::Command& command) {
  if (!command.has_start_timer_command_attributes()) {
    return bad_command(kBadStart, "StartTimerCommandAttributes is not set on StartTimerCommand.");
  }
  auto& attributes = *command.mutable_start_timer_command_attributes();
  if (std::string wrong = validate(attributes, completion.env.limits); !wrong.empty()) {
    return bad_command(kBadStart, std::move(wrong));
  }
  RunDraft& run = completion.run;
  if (run.state().timers.contains(attributes.timer_id())) {
    return bad_command(enums::WORKFLOW_TASK_FAILED_CAUSE_START_TIMER_DUPLICATE_ID,
                       "invalid history builder state for action: add-timer-started-event, TimerID: " +
                           attributes.timer_id());
  }
  HistoryEvent& event = run.append(enums::EVENT_TYPE_TIMER_STARTED);
  auto& started = *event.mutable_timer_started_event_attributes();
  started.set_timer_id(attributes.timer_id());
  started.set_workflow_task_completed_event_id(completion.completed_id);
  if (attributes.has_start_to_fire_timeout()) {
    cap(*attributes.mutable_start_to_fire_timeout());
    *started.mutable_start_to_fire_timeout() = attributes.start_to_fire_timeout();
  }
  pb::Timer timer;
  timer.set_timer_id(attributes.timer_id());
  timer.set_started_id(event.event_id());
  timer.set_fire_time(
      nanos(base::add(completion.env.now, Duration(nanos(attributes.start_to_fire_timeout())))));
  run.add_timer(std::move(timer));
  return {};
}

CommandResult cancel_timer(Completion& completion, command::Command& command) {
  if (!command.has_cancel_timer_command_attributes()) {
    return bad_command(kBadCancel, "CancelTimerCommandAttributes is not set on CancelTimerCommand.");
  }
  const std::string& id = command.cancel_timer_command_attributes().timer_id();
  if (id.empty()) return bad_command(kBadCancel, "TimerId is not set on CancelTimerCommand.");
  RunDraft& run = completion.run;
  std::int64_t started_id = 0;
  if (const auto* timer = run.state().timers.find(id)) {
    started_id = (*timer)->started_id();
    run.remove_timer(id);
  } else {
    // It fired while the worker was deciding to cancel it: the firing is taken back, and no longer counts as unhandled (WT-23).
    run.drop_buffered([&](const HistoryEvent& event) {
      const auto& fired = event.timer_fired_event_attributes();
      if (event.event_type() != enums::EVENT_TYPE_TIMER_FIRED || fired.timer_id() != id) return false;
      started_id = fired.started_event_id();
      return true;
    });
    if (started_id == 0) {
      return bad_command(
          kBadCancel, "invalid history builder state for action: add-timer-canceled-event, TimerID: " + id);
    }
    completion.has_buffered_at_start = run.has_buffered();
  }
  auto& canceled = *run.append(enums::EVENT_TYPE_TIMER_CANCELED).mutable_timer_canceled_event_attributes();
  canceled.set_timer_id(id);
  canceled.set_started_event_id(started_id);
  canceled.set_workflow_task_completed_event_id(completion.completed_id);
  canceled.set_identity(completion.request.identity());
  return {};
}

bool timers_fired(RunDraft& run, const Env& env) {
  std::vector<std::shared_ptr<const pb::Timer>> due;
  run.state().timers.each([&](const std::string&, const auto& timer) {
    const Duration early = base::planted(base::Bug::kEarlyTimer) ? std::chrono::seconds(1) : Duration(0);
    if (time_of(timer->fire_time()) <= env.now + early) due.push_back(timer);
  });
  std::sort(due.begin(), due.end(), [](const auto& a, const auto& b) {
    return std::pair(a->fire_time(), a->started_id()) < std::pair(b->fire_time(), b->started_id());
  });
  for (const auto& timer : due) {
    auto& fired = *run.append_or_buffer(enums::EVENT_TYPE_TIMER_FIRED).mutable_timer_fired_event_attributes();
    fired.set_timer_id(timer->timer_id());
    fired.set_started_event_id(timer->started_id());
    run.remove_timer(timer->timer_id());
  }
  return !due.empty();
}

}  // namespace perdure::core
