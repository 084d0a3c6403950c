// Random lives of one id: whatever is asked, in whatever order, the rules of World hold after every decision.
#include <gtest/gtest.h>

#include "server/core/testing/world.h"

namespace perdure::core {
namespace {

namespace enums = ::temporal::api::enums::v1;
namespace command = ::temporal::api::command::v1;

class Life {
 public:
  explicit Life(std::uint64_t seed) : world_(seed), random_(seed * 2 + 1) {}

  void step() {
    switch (random_.below(22)) {
      case 0: return start();
      case 1: return signal();
      case 2: return signal_with_start();
      case 3: return cancel();
      case 4: return maybe_terminate();
      case 5:
      case 6:
      case 7: return take_workflow_task();
      case 8:
      case 9:
      case 10: return complete_task();
      case 11: return fail_task();
      case 12:
      case 13: return take_activity();
      case 14: return answer_activity();
      case 15: return answer_activity();
      case 16: return heartbeat();
      case 17: return undo();
      case 18: return ask(DescribeWorkflow{});
      case 19: return ask(ReadHistory{});
      case 20: return sticky();
      default: return advance();
    }
  }
  World& world() { return world_; }

 private:
  bool chance(std::uint64_t in) { return random_.below(in) == 0; }
  std::string pick(std::initializer_list<const char*> names) {
    return *(names.begin() + random_.below(names.size()));
  }
  void ask(Command asked) { world_.decide(std::move(asked)); }

  template <class Request>
  void fill_start(Request& request) {
    request.set_namespace_("default");
    request.set_workflow_id(world_.workflow_id());
    request.mutable_workflow_type()->set_name("Greet");
    request.mutable_task_queue()->set_name("q");
    request.set_request_id(pick({"r1", "r2", "r3"}));
    request.mutable_workflow_task_timeout()->set_seconds(10);
    if (chance(3))
      request.mutable_workflow_run_timeout()->set_seconds(static_cast<std::int64_t>(1 + random_.below(100)));
    if (chance(4)) {
      auto& policy = *request.mutable_retry_policy();
      policy.mutable_initial_interval()->set_seconds(1);
      policy.set_backoff_coefficient(2);
      policy.mutable_maximum_interval()->set_seconds(100);
    } else if (chance(4)) {
      request.set_cron_schedule("@every 7s");
    }
    request.set_workflow_id_conflict_policy(chance(2) ? enums::WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
                                                      : enums::WORKFLOW_ID_CONFLICT_POLICY_FAIL);
  }
  void start() {
    StartWorkflow start;
    fill_start(start.request);
    ask(std::move(start));
  }
  void signal_with_start() {
    SignalWithStart start;
    fill_start(start.request);
    start.request.set_workflow_id_conflict_policy(enums::WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING);
    start.request.set_signal_name("go");
    ask(std::move(start));
  }
  void signal() {
    SignalWorkflow signal;
    signal.request.set_signal_name("go");
    signal.request.set_request_id(pick({"s1", "s2", "s3", "s4", "s5", ""}));
    ask(std::move(signal));
  }
  void cancel() {
    RequestCancelWorkflow cancel;
    cancel.request.set_request_id("c1");
    ask(std::move(cancel));
  }
  void maybe_terminate() {
    if (chance(4)) ask(TerminateWorkflow{});
  }
  void sticky() {
    if (chance(2)) return ask(ResetSticky{});
    const RunState* run = world_.run();
    if (run && run->has_pending_task())
      ask(StickyUnavailable{.run_id = "", .scheduled_id = run->progress.task().scheduled_id()});
  }
  void advance() {
    world_.advance_to(world_.now() + std::chrono::milliseconds(random_.below(chance(4) ? 60'000 : 2'000)));
  }

  void take_workflow_task() {
    const RunState* run = world_.run();
    if (!run) return;
    for (const Task& task : workflow_task_of(*run)) {
      StartWorkflowTask start{
          .run_id = run->start->run_id(), .scheduled_id = task.scheduled_id, .attempt = task.attempt};
      start.sticky = task.sticky;
      start.queue = task.queue;
      start.identity = "worker";
      start.request_id = pick({"p1", "p2", "p3"});
      return ask(std::move(start));
    }
  }
  TaskRef started_task(const RunState& run) {
    const pb::WorkflowTask& task = run.progress.task();
    TaskRef ref{
        .run_id = run.start->run_id(), .scheduled_id = task.scheduled_id(), .started_id = task.started_id()};
    ref.attempt = task.attempt();
    ref.nonce = chance(20) ? 7 : task.nonce();
    return ref;
  }
  void complete_task() {
    const RunState* run = world_.run();
    if (!run || !run->has_started_task()) return;
    CompleteWorkflowTask complete{.task = started_task(*run)};
    auto& request = complete.request;
    request.set_identity("worker");
    request.set_return_new_workflow_task(chance(2));
    request.set_force_create_new_workflow_task(chance(8));
    if (chance(2)) {
      request.mutable_sticky_attributes()->mutable_worker_task_queue()->set_name("sticky");
      request.mutable_sticky_attributes()->mutable_schedule_to_start_timeout()->set_seconds(5);
    }
    for (std::uint64_t left = random_.below(5); left > 0; --left) add_command(*request.add_commands(), *run);
    if (chance(5)) add_close(*request.add_commands());
    ask(std::move(complete));
  }
  void add_command(command::Command& to, const RunState& run) {
    switch (random_.below(8)) {
      case 0:
      case 1: return add_activity(to);
      case 2: {
        to.set_command_type(enums::COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK);
        std::int64_t id = 99;
        run.activities.each([&](std::int64_t scheduled, const auto&) { id = chance(2) ? scheduled : id; });
        return to.mutable_request_cancel_activity_task_command_attributes()->set_scheduled_event_id(id);
      }
      case 3:
      case 4: {
        to.set_command_type(enums::COMMAND_TYPE_START_TIMER);
        auto& timer = *to.mutable_start_timer_command_attributes();
        timer.set_timer_id(pick({"t1", "t2", "t3", "t4", "t5", "t6"}));
        timer.mutable_start_to_fire_timeout()->set_seconds(static_cast<std::int64_t>(random_.below(20)));
        return;
      }
      case 5:
        to.set_command_type(enums::COMMAND_TYPE_CANCEL_TIMER);
        return to.mutable_cancel_timer_command_attributes()->set_timer_id(
            pick({"t1", "t2", "t3", "t4", "t5", "t6"}));
      case 6: {
        to.set_command_type(enums::COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES);
        auto& fields =
            *to.mutable_upsert_workflow_search_attributes_command_attributes()->mutable_search_attributes();
        auto& value = (*fields.mutable_indexed_fields())[pick({"Color", "Size"})];
        (*value.mutable_metadata())["encoding"] = "json/plain";
        value.set_data(pick({"\"red\"", "7", "null", "[]"}));
        return;
      }
      default:
        to.set_command_type(enums::COMMAND_TYPE_RECORD_MARKER);
        return to.mutable_record_marker_command_attributes()->set_marker_name("note");
    }
  }
  void add_activity(command::Command& to) {
    to.set_command_type(enums::COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK);
    auto& activity = *to.mutable_schedule_activity_task_command_attributes();
    activity.set_activity_id(pick({"a1", "a2", "a3", "a4", "a5", "a6"}));
    activity.mutable_activity_type()->set_name("Work");
    activity.mutable_task_queue()->set_name("q");
    activity.mutable_start_to_close_timeout()->set_seconds(static_cast<std::int64_t>(1 + random_.below(9)));
    if (chance(2)) activity.mutable_heartbeat_timeout()->set_seconds(2);
    if (chance(3)) activity.mutable_schedule_to_close_timeout()->set_seconds(15);
    if (chance(3)) activity.mutable_retry_policy()->set_maximum_attempts(2);
    activity.set_request_eager_execution(chance(5));
  }
  void add_close(command::Command& to) {
    switch (random_.below(4)) {
      case 0:
        to.set_command_type(enums::COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION);
        to.mutable_complete_workflow_execution_command_attributes();
        return;
      case 1:
        to.set_command_type(enums::COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION);
        to.mutable_fail_workflow_execution_command_attributes()->mutable_failure()->set_message("no");
        return;
      case 2:
        to.set_command_type(enums::COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION);
        to.mutable_cancel_workflow_execution_command_attributes();
        return;
      default:
        to.set_command_type(enums::COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION);
        to.mutable_continue_as_new_workflow_execution_command_attributes()->mutable_workflow_type()->set_name(
            "Greet");
        return;
    }
  }
  void fail_task() {
    const RunState* run = world_.run();
    if (!run || !run->has_started_task()) return;
    FailWorkflowTask fail{.task = started_task(*run)};
    fail.request.set_cause(enums::WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE);
    ask(std::move(fail));
  }

  void take_activity() {
    const RunState* run = world_.run();
    if (!run) return;
    for (const Task& task : tasks_of(*run)) {
      if (task.kind != TaskKind::kActivity || chance(2)) continue;
      return ask(StartActivityTask{.run_id = run->start->run_id(),
                                   .scheduled_id = task.scheduled_id,
                                   .attempt = task.attempt,
                                   .identity = "activity-worker",
                                   .request_id = pick({"p1", "p2"})});
    }
  }
  // Mostly of a started activity by token; sometimes by id, or with what a token of another attempt says.
  TaskRef some_activity(const RunState& run) {
    TaskRef ref{.run_id = run.start->run_id()};
    ref.activity_id = pick({"a1", "a2", "a3"});
    if (chance(6)) return ref;
    run.activities.each([&](std::int64_t scheduled, const auto& activity) {
      if (ref.scheduled_id != 0 && chance(2)) return;
      ref.scheduled_id = scheduled;
      ref.attempt = chance(10) ? 9 : activity->attempt();
      ref.nonce = activity->nonce();
    });
    return ref;
  }
  void answer_activity() {
    const RunState* run = world_.run();
    if (!run) return;
    const TaskRef ref = some_activity(*run);
    switch (random_.below(4)) {
      case 0: return ask(CompleteActivity{.task = ref, .identity = "activity-worker"});
      case 1: return ask(CancelActivity{.task = ref, .identity = "activity-worker"});
      default: break;
    }
    FailActivity fail{.task = ref, .identity = "activity-worker"};
    fail.failure.set_message("it broke");
    fail.failure.mutable_application_failure_info()->set_non_retryable(chance(4));
    ask(std::move(fail));
  }
  void heartbeat() {
    if (const RunState* run = world_.run())
      ask(HeartbeatActivity{.task = some_activity(*run), .identity = "activity-worker"});
  }
  void undo() {
    const RunState* run = world_.run();
    if (!run) return;
    UndoStart undo{.run_id = run->start->run_id(), .kind = TaskKind::kActivity};
    run->activities.each([&](std::int64_t scheduled, const auto& activity) {
      undo.scheduled_id = scheduled;
      undo.nonce = activity->nonce();
    });
    if (undo.scheduled_id == 0 || chance(3)) {
      undo.kind = TaskKind::kWorkflow;
      undo.scheduled_id = run->progress.task().scheduled_id();
      undo.nonce = run->progress.task().nonce();
    }
    ask(std::move(undo));
  }

  World world_;
  base::Random random_;
};

// E14: state is the fold of its records; EV-02, WT-40 and the other rules of World.
TEST(Property, RulesHoldAfterEveryDecision) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Life life(seed);
    for (int step = 0; step < 150; ++step) {
      life.step();
      ASSERT_EQ(life.world().broken(), "") << "seed " << seed << ", step " << step;
    }
  }
}

}  // namespace
}  // namespace perdure::core
