// How a workflow starts and ends: results, failures, cancellation, termination, ids, chains, sizes, what Describe says.
#include "tests/compat/cpp/collects.h"
#include "tests/compat/cpp/trial.h"

namespace perdure::compat {

namespace {

constexpr int kForever = 3'600'000;
constexpr ActivityOptions kWork{.start_to_close_timeout = 30s};
inline constexpr Activity<std::string()> work{"work"};
using Bytes = std::vector<std::byte>;
inline constexpr Activity<Bytes(Bytes)> turn{"turn"};

}  // namespace

Task<std::string> sleeps(Context ctx, int milliseconds) {
  co_await ctx.sleep(Duration(milliseconds), {.summary = "the only timer"});
  co_return "slept";
}

Task<> refuses(Context) {
  ApplicationFailureOptions options;
  options.type = "Refused";
  options.details = {detail::encode(1), detail::encode(std::string("two"))};
  throw ApplicationFailure("not today", options);
  co_return;
}

Task<> starts_canceled(Context ctx) {
  co_await ctx.sleep(1h);
}

Task<std::string> cleans_up(Context ctx) {
  auto outcome = co_await attempt(ctx.sleep(1h));
  if (!outcome.is_cancelled()) co_return "not canceled";
  Context shielded = ctx.shielded();
  co_return co_await shielded.execute<&work>(kWork);
}

Task<> cancels_other(Context ctx, std::string other) {
  auto target = ctx.external<Collects>(Text(other));
  co_await target.cancel();
}

Task<std::string> fails_once(Context ctx) {
  if (ctx.info().attempt == 1) throw ApplicationFailure("the first run fails");
  co_return "run " + std::to_string(ctx.info().attempt);
}

Task<int> chain(Context ctx, int left, int sum) {
  if (left > 0) co_await ctx.continue_as_new<&chain>(left - 1, sum + left);
  co_return sum;
}

Task<int> ticks(Context ctx) {
  const Payloads& last = ctx.info().last_result;
  co_return last.empty() ? 1 : detail::decode<int>(last.front()) + 1;
}

Task<std::string> changes_memo(Context ctx) {
  const std::string before = ctx.info().memo.get<std::string>("stage").value_or("");
  ctx.upsert_memo("stage", std::string("changed"));
  co_return before;
}

Task<Bytes> echoes(Context ctx, Bytes data) {
  co_return co_await ctx.execute<&turn>(kWork, data);
}

Task<std::string> guarded(Context ctx) {
  const bool second = ctx.patched("second-version");
  if (!second) co_return "first version";
  co_return co_await ctx.execute<&work>(kWork);
}

void add_lifecycle_workflows(const Registry& to) {
  to.add<&sleeps, &refuses, &starts_canceled, &cleans_up, &cancels_other, &fails_once, &chain, &ticks,
         &changes_memo, &echoes, &guarded>();
}

namespace {

void long_poll_result(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  auto handle = trial.start<&sleeps>(1000);
  std::atomic<int> right{0};
  in_parallel(10, [&](int) { right += handle.result() == "slept" ? 1 : 0; });
  check_equal(right.load(), 10);
}

void workflow_fails(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  auto handle = trial.start<&refuses>();
  const auto error = raises<WorkflowFailed>([&] { handle.result(); });
  const auto failure = as<ApplicationFailure>(error.failure());
  check_equal(std::string(failure.what()), "not today");
  check_equal(failure.type(), "Refused");
  check_equal(detail::decode<std::string>(failure.options().details.at(1)), "two");
}

void cancel_workflow(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  auto handle = trial.start<&sleeps>(kForever);
  trial.wait_for(handle, "TimerStarted");
  handle.cancel();
  (void)raises<WorkflowCanceled>([&] { (void)handle.result(); });
  check(handle.describe().status == WorkflowStatus::kCanceled, "its status");
}

void cancel_before(Trial& trial) {
  auto handle = trial.start<&starts_canceled>();
  handle.cancel();
  handle.cancel();  // a second request changes nothing
  const auto worker = trial.worker();
  worker->start();
  (void)raises<WorkflowCanceled>([&] { handle.result(); });
}

void cancel_cleanup(Trial& trial) {
  const auto worker = trial.worker();
  worker->add<&work>([] { return std::string("clean"); });
  worker->start();
  auto handle = trial.start<&cleans_up>();
  trial.wait_for(handle, "TimerStarted");
  handle.cancel();
  check_equal(handle.result(), "clean");
}

void cancel_external(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  auto other = trial.client().start<&sleeps>(trial.options("other"), kForever);
  trial.wait_for(other, "TimerStarted");
  trial.start<&cancels_other>(other.id()).result();
  trial.check_runs_of(other);
  (void)raises<WorkflowCanceled>([&] { (void)other.result(); });
}

void terminate(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  auto handle = trial.start<&sleeps>(kForever);
  trial.wait_for(handle, "TimerStarted");
  handle.terminate("enough");
  const auto error = raises<WorkflowTerminated>([&] { (void)handle.result(); });
  check(std::string(error.what()).find("enough") != std::string::npos, error.what());
  (void)raises<WorkflowNotFound>([&] { handle.terminate(); });
}

void run_timeout(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  StartOptions options = trial.options();
  options.run_timeout = 2s;
  auto handle = trial.start_with<&sleeps>(options, kForever);
  (void)raises<WorkflowTimedOut>([&] { (void)handle.result(); });
}

void workflow_retry(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  StartOptions options = trial.options();
  options.retry = RetryPolicy{.initial_interval = 100ms, .maximum_attempts = 3};
  check_equal(trial.start_with<&fails_once>(options).result(), "run 2");
}

void already_started(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  auto handle = trial.start<Collects>(1);
  const auto error =
      raises<WorkflowAlreadyStarted>([&] { (void)trial.client().start<Collects>(trial.options(), 1); });
  check_equal(error.run_id(), handle.run_id());
  trial.wait_for(handle, "WorkflowTaskCompleted");
  handle.signal<&Collects::put>("end");
  (void)handle.result();
}

void id_reuse(Trial& trial) {
  const auto again = [&](IdReusePolicy policy) {
    StartOptions options = trial.options();
    options.id_reuse = policy;
    return trial.start_with<Collects>(options, 0);
  };
  const auto worker = trial.worker();
  worker->start();
  auto first = again(IdReusePolicy::kAllowDuplicate);
  (void)first.result();
  for (const auto policy : {IdReusePolicy::kRejectDuplicate, IdReusePolicy::kAllowDuplicateFailedOnly}) {
    check_equal(raises<WorkflowAlreadyStarted>([&] { (void)again(policy); }).run_id(), first.run_id());
  }
  auto second = again(IdReusePolicy::kAllowDuplicate);
  check(second.run_id() != first.run_id(), "another run");
  (void)second.result();
}

void id_conflict(Trial& trial) {
  const auto again = [&](IdConflictPolicy policy) {
    StartOptions options = trial.options();
    options.id_conflict = policy;
    return trial.start_with<&sleeps>(options, kForever);
  };
  const auto worker = trial.worker();
  worker->start();
  auto first = again(IdConflictPolicy::kFail);
  trial.wait_for(first, "TimerStarted");
  (void)raises<WorkflowAlreadyStarted>([&] { (void)again(IdConflictPolicy::kFail); });
  check_equal(again(IdConflictPolicy::kUseExisting).run_id(), first.run_id());
  auto second = again(IdConflictPolicy::kTerminateExisting);
  check(second.run_id() != first.run_id(), "another run");
  (void)raises<WorkflowTerminated>([&] { (void)first.result(); });
  trial.wait_for(second, "TimerStarted");
  second.terminate();
}

std::int64_t milliseconds(const google::protobuf::Timestamp& time) {
  return time.seconds() * 1000 + time.nanos() / 1'000'000;
}

void start_delay(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  StartOptions options = trial.options();
  options.start_delay = 1s;
  auto handle = trial.start_with<Collects>(options, 0);
  (void)handle.result();
  const auto events = trial.events(handle);
  const std::int64_t waited = milliseconds(events[1].event_time()) - milliseconds(events[0].event_time());
  check(waited >= 1000 && waited < 10'000, "it waited " + std::to_string(waited) + " ms");
}

void continue_as_new(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  check_equal(trial.start<&chain>(3, 0).result(), 6);
}

void cron(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  StartOptions options = trial.options();
  options.cron_schedule = "@every 1s";
  auto first = trial.start_with<&ticks>(options);
  std::string run_id = first.run_id();
  for (const char* result : {"1", "2"}) {
    const auto events =
        trial.wait_for(trial.client().handle(first.id(), run_id), "WorkflowExecutionCompleted");
    const auto& completed = events.back().workflow_execution_completed_event_attributes();
    check_equal(completed.result().payloads(0).data(), result);
    run_id = completed.new_execution_run_id();
  }
  trial.client().handle(first.id()).terminate();
}

void memo(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  StartOptions options = trial.options();
  options.memo.set("stage", "given").set("kept", std::vector{1, 2});
  auto handle = trial.start_with<&changes_memo>(options);
  check_equal(handle.result(), "given");
  const auto shown = trial.describe(handle).workflow_execution_info().memo().fields();
  check_equal(shown.size(), 2U);
  check_equal(shown.at("stage").data(), "\"changed\"");
  check_equal(shown.at("kept").data(), "[1,2]");
}

void user_metadata(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  StartOptions options = trial.options();
  options.summary = "in short";
  options.details = "at length";
  auto handle = trial.start_with<&sleeps>(options, 100);
  (void)handle.result();
  const WorkflowDescription description = handle.describe();
  check_equal(description.summary, "in short");
  check_equal(description.details, "at length");
  check_equal(trial.first(handle, "TimerStarted").user_metadata().summary().data(), "\"the only timer\"");
}

void large_payloads(Trial& trial) {
  const auto worker = trial.worker();
  worker->add<&turn>([](Bytes data) {
    std::reverse(data.begin(), data.end());
    return data;
  });
  worker->start();
  Bytes data(256 * 7782);  // 1.9 MiB
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i);
  auto handle = trial.start<&echoes>(data);
  std::reverse(data.begin(), data.end());
  check_equal(handle.result(), data);
  const auto error = raises<RpcError>(
      [&] { (void)trial.client().start<&echoes>(trial.options("larger"), Bytes(2 * 1024 * 1024)); });
  check_equal(error.code(), static_cast<int>(base::Code::kInvalidArgument));
}

void list_and_count(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  auto handle = trial.start<Collects>(1);
  const auto shows = [&](const std::string& query, enums::WorkflowExecutionStatus status, bool alone) {
    service::ListWorkflowExecutionsRequest list;
    list.set_query(query);
    service::CountWorkflowExecutionsRequest count;
    count.set_query(query);
    const auto listed = trial.call<service::ListWorkflowExecutionsResponse>("ListWorkflowExecutions", list);
    const auto counted =
        trial.call<service::CountWorkflowExecutionsResponse>("CountWorkflowExecutions", count);
    const auto& found = listed.executions();
    if (alone && (found.size() != 1 || counted.count() != 1)) return false;
    return std::any_of(found.begin(), found.end(), [&](const auto& one) {
      return one.execution().run_id() == handle.run_id() && one.status() == status;
    });
  };
  const std::string query = "WorkflowId = '" + handle.id() + "'";
  eventually([&] { return shows(query, enums::WORKFLOW_EXECUTION_STATUS_RUNNING, true); });
  trial.wait_for(handle, "WorkflowTaskCompleted");
  handle.signal<&Collects::put>("end");
  (void)handle.result();
  eventually([&] { return shows(query, enums::WORKFLOW_EXECUTION_STATUS_COMPLETED, true); });
  eventually([&] {
    return shows("ExecutionStatus = 'Completed'", enums::WORKFLOW_EXECUTION_STATUS_COMPLETED, false);
  });
}

void patched(Trial& trial) {
  const auto worker = trial.worker();
  worker->add<&work>([] { return std::string("second version"); });
  worker->start();
  check_equal(trial.start<&guarded>().result(), "second version");
}

void delete_scenario(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  (void)trial.start<Collects>(0).result();
  auto gone = trial.client().start<Collects>(trial.options("gone"), 0);
  (void)gone.result();
  service::DeleteWorkflowExecutionRequest request;
  request.mutable_workflow_execution()->set_workflow_id(gone.id());
  request.mutable_workflow_execution()->set_run_id(gone.run_id());
  (void)trial.call<service::DeleteWorkflowExecutionResponse>("DeleteWorkflowExecution", request);
  eventually([&] {  // the incumbent takes half a minute
    try {
      (void)gone.describe();
      return false;
    } catch (const WorkflowNotFound&) {
      return true;
    }
  });
}

}  // namespace

void add_lifecycle_scenarios(Scenarios& scenarios) {
  scenarios["long_poll_result"] = long_poll_result;
  scenarios["workflow_fails"] = workflow_fails;
  scenarios["cancel_workflow"] = cancel_workflow;
  scenarios["cancel_before"] = cancel_before;
  scenarios["cancel_cleanup"] = cancel_cleanup;
  scenarios["cancel_external"] = cancel_external;
  scenarios["terminate"] = terminate;
  scenarios["run_timeout"] = run_timeout;
  scenarios["workflow_retry"] = workflow_retry;
  scenarios["already_started"] = already_started;
  scenarios["id_reuse"] = id_reuse;
  scenarios["id_conflict"] = id_conflict;
  scenarios["start_delay"] = start_delay;
  scenarios["continue_as_new"] = continue_as_new;
  scenarios["cron"] = cron;
  scenarios["memo"] = memo;
  scenarios["user_metadata"] = user_metadata;
  scenarios["large_payloads"] = large_payloads;
  scenarios["list_and_count"] = list_and_count;
  scenarios["patched"] = patched;
  scenarios["delete"] = delete_scenario;
}

}  // namespace perdure::compat
