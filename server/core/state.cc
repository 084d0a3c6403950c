#include "server/core/state.h"

#include <algorithm>

namespace perdure::core {
namespace {

base::Status corrupt(const char* what) {
  return base::fail(Code::kDataLoss, std::string("corrupt execution: ") + what);
}

template <class T>
std::shared_ptr<const T> share(const T& value) {
  return std::make_shared<const T>(value);
}

Time deadline(std::int64_t from, std::int64_t timeout) {
  return timeout == 0 ? base::kNever : base::add(time_of(from), Duration(timeout));
}

Time workflow_task_wake(const RunState& state) {
  const pb::WorkflowTask& task = state.progress.task();
  if (task.started_id() != 0) return deadline(task.started_time(), task.timeout());
  if (task.scheduled_id() == 0) {
    return state.progress.first_task_scheduled() ? base::kNever : time_of(state.start->execution_time());
  }
  return task.on_sticky_queue() ? deadline(task.scheduled_time(), state.progress.sticky_timeout())
                                : base::kNever;
}

}  // namespace

base::Status apply(RunState& state, const pb::Record& record) {
  if (record.change_case() == pb::Record::kStart) {
    if (state.start) return corrupt("a run that exists is created again");
    state.start = share(record.start());
    return {};
  }
  if (!state.start) return corrupt("a record of a run that does not exist");
  switch (record.change_case()) {
    case pb::Record::kEvent: return {};
    case pb::Record::kProgress: state.progress = record.progress(); return {};
    case pb::Record::kAttributes: state.attributes = share(record.attributes()); return {};
    case pb::Record::kActivity:
      state.activities.put(record.activity().scheduled_id(), share(record.activity()));
      return {};
    case pb::Record::kRemoveActivity:
      return state.activities.erase(record.remove_activity()) ? base::Status{}
                                                              : corrupt("an unknown activity is removed");
    case pb::Record::kTimer: state.timers.put(record.timer().timer_id(), share(record.timer())); return {};
    case pb::Record::kRemoveTimer:
      return state.timers.erase(record.remove_timer()) ? base::Status{}
                                                       : corrupt("an unknown timer is removed");
    case pb::Record::kExternal:
      state.externals.put(record.external().initiated_id(), share(record.external()));
      return {};
    case pb::Record::kRemoveExternal:
      return state.externals.erase(record.remove_external()) ? base::Status{}
                                                             : corrupt("an unknown obligation is removed");
    case pb::Record::kBufferedEvent:
      state.buffered.push_back(std::make_shared<const std::string>(record.buffered_event()));
      return {};
    case pb::Record::kClearBufferedEvents: state.buffered.clear(); return {};
    case pb::Record::kRequestId:
      state.request_ids.put(record.request_id().request_id(), share(record.request_id()));
      return {};
    case pb::Record::kDeleteRun: state = RunState{}; return {};
    default: return corrupt("a record of unknown type");
  }
}

base::Status apply(HeadState& state, const pb::Record& record) {
  switch (record.change_case()) {
    case pb::Record::kHead: state.head = record.head(); return {};
    case pb::Record::kReceived:
      state.received.put(record.received().key(), share(record.received()));
      return {};
    case pb::Record::kForgetReceived:
      return state.received.erase(record.forget_received()) ? base::Status{}
                                                            : corrupt("an unknown message is forgotten");
    default: return corrupt("a head record of unknown type");
  }
}

pb::Records snapshot(const RunState& state) {
  pb::Records records;
  if (!state.start) return records;
  const auto add = [&]() -> pb::Record& {
    pb::Record& record = *records.add_records();
    record.set_run_id(state.start->run_id());
    return record;
  };
  *add().mutable_start() = *state.start;
  *add().mutable_progress() = state.progress;
  if (state.attributes) *add().mutable_attributes() = *state.attributes;
  state.activities.each([&](std::int64_t, const auto& activity) { *add().mutable_activity() = *activity; });
  state.timers.each([&](const std::string&, const auto& timer) { *add().mutable_timer() = *timer; });
  state.externals.each([&](std::int64_t, const auto& external) { *add().mutable_external() = *external; });
  state.request_ids.each([&](const std::string&, const auto& info) { *add().mutable_request_id() = *info; });
  for (const auto& event : state.buffered) add().set_buffered_event(*event);
  return records;
}

pb::Records snapshot(const HeadState& state) {
  pb::Records records;
  if (!state.exists()) return records;
  *records.add_records()->mutable_head() = state.head;
  state.received.each([&](const std::string&, const auto& received) {
    *records.add_records()->mutable_received() = *received;
  });
  return records;
}

std::vector<Task> workflow_task_of(const RunState& state) {
  const pb::WorkflowTask& task = state.progress.task();
  if (!state.running() || task.scheduled_id() == 0 || task.started_id() != 0) return {};
  return {
      {.kind = TaskKind::kWorkflow,
       .queue = task.on_sticky_queue() ? state.progress.sticky_queue() : state.start->task_queue(),
       .sticky = task.on_sticky_queue(),
       .priority = state.start->priority().priority_key() == 0 ? 3 : state.start->priority().priority_key(),
       .ready_time = time_of(task.scheduled_time()),
       .scheduled_id = task.scheduled_id(),
       .attempt = task.attempt()}};
}

std::vector<Task> task_of(const RunState& state, const pb::Activity& activity) {
  if (!state.running() || activity.started_time() != 0 || activity.waiting_for_retry()) return {};
  return {{.kind = TaskKind::kActivity,
           .queue = activity.task_queue(),
           .priority = activity.priority().priority_key() == 0 ? 3 : activity.priority().priority_key(),
           .ready_time = time_of(activity.scheduled_time()),
           .scheduled_id = activity.scheduled_id(),
           .attempt = activity.attempt()}};
}

std::vector<Task> tasks_of(const RunState& state) {
  if (!state.exists() || !state.running()) return {};
  std::vector<Task> tasks = workflow_task_of(state);
  state.activities.each([&](std::int64_t, const auto& activity) {
    for (Task& task : task_of(state, *activity)) tasks.push_back(std::move(task));
  });
  return tasks;
}

Time activity_deadline(const pb::Activity& activity) {
  Time next = deadline(activity.first_scheduled_time(), activity.schedule_to_close_timeout());
  if (activity.started_time() == 0) {
    return std::min(next, deadline(activity.scheduled_time(), activity.schedule_to_start_timeout()));
  }
  next = std::min(next, deadline(activity.started_time(), activity.start_to_close_timeout()));
  const std::int64_t alive = std::max(activity.last_heartbeat_time(), activity.started_time());
  return std::min(next, deadline(alive, activity.heartbeat_timeout()));
}

Time next_wake(const RunState& state) {
  if (!state.exists() || !state.running()) return base::kNever;
  Time next = workflow_task_wake(state);
  if (state.start->run_expiration() != 0) next = std::min(next, time_of(state.start->run_expiration()));
  if (state.start->execution_expiration() != 0)
    next = std::min(next, time_of(state.start->execution_expiration()));
  state.activities.each([&](std::int64_t, const auto& activity) {
    next = std::min(next, activity_deadline(*activity));
    // A backoff that ends: the task becomes ready, which only the owner of the run can tell its queue.
    if (activity->waiting_for_retry()) next = std::min(next, time_of(activity->scheduled_time()));
  });
  state.timers.each(
      [&](const std::string&, const auto& timer) { next = std::min(next, time_of(timer->fire_time())); });
  return next;
}

}  // namespace perdure::core
