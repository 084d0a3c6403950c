// Timers, signals and queries.
#include "tests/compat/cpp/collects.h"
#include "tests/compat/cpp/trial.h"

namespace perdure::compat {

namespace {

using Strings = std::vector<std::string>;
constexpr ActivityOptions kWork{.start_to_close_timeout = 30s};
inline constexpr Activity<std::string()> work{"work"};
inline constexpr Activity<void()> hold{"hold"};

}  // namespace

Task<int> nap(Context ctx, std::vector<int>* fired, int milliseconds) {
  co_await ctx.sleep(Duration(milliseconds));
  fired->push_back(milliseconds);
  co_return milliseconds;
}

Task<std::vector<int>> timers(Context ctx) {
  std::vector<int> fired;
  std::vector<Future<int>> naps;
  for (const int one : {900, 100, 500}) naps.push_back(ctx.spawn(nap(ctx, &fired, one)));
  co_await when_all(naps);
  co_return fired;
}

Task<std::string> cancels_timer(Context ctx) {
  Future<void> long_one = ctx.sleep(1h);
  co_await ctx.sleep(100ms);
  long_one.cancel();
  auto outcome = co_await attempt(long_one);
  co_return outcome.is_cancelled() ? "timer canceled" : "timer fired";
}

Task<std::string> signals_other(Context ctx, std::string other) {
  auto target = ctx.external<Collects>(Text(other));
  auto outcome = co_await attempt(target.signal<&Collects::put>("from outside"));
  co_return outcome ? "signaled" : "failed";
}

// Ends after a local activity, while signals may still come.
class CompletesAfterLocal {
 public:
  Task<int> run(Context ctx) {
    co_await ctx.execute_local<&hold>({.start_to_close_timeout = 60s});
    co_return signals_;
  }
  void put() { ++signals_; }
  using signals = handlers<&CompletesAfterLocal::put>;

 private:
  int signals_ = 0;
};

class Remembers {
 public:
  Task<> run(Context ctx) { result_ = co_await ctx.execute<&work>(kWork); }
  std::string remembered() const { return result_; }
  using queries = handlers<&Remembers::remembered>;

 private:
  std::string result_;
};

void add_message_workflows(const Registry& to) {
  to.add<&timers, &cancels_timer, &signals_other>();
  to.add<Collects>();
  to.add<Remembers>();
  to.add<CompletesAfterLocal>();
}

namespace {

void timers_scenario(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  auto handle = trial.start<&timers>();
  std::vector<int> fired = handle.result();
  std::sort(fired.begin(), fired.end());
  check_equal(fired, std::vector{100, 500, 900});  // a worker that comes late sees several at once
  std::map<std::string, std::int64_t> started;
  std::vector<std::int64_t> order;
  for (const Event& event : trial.events(handle)) {
    const auto& start = event.timer_started_event_attributes();
    if (type_of(event) == "TimerStarted")
      started[start.timer_id()] = start.start_to_fire_timeout().nanos() / 1'000'000;
    if (type_of(event) == "TimerFired")
      order.push_back(started[event.timer_fired_event_attributes().timer_id()]);
  }
  check_equal(order, std::vector<std::int64_t>{100, 500, 900});
}

void cancel_timer(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  check_equal(trial.start<&cancels_timer>().result(), "timer canceled");
}

void signal_before(Trial& trial) {
  auto handle = trial.start<Collects>(3);
  for (const char* value : {"a", "b", "c"}) handle.signal<&Collects::put>(value);
  const auto worker = trial.worker();
  worker->start();
  check_equal(handle.result(), Strings{"a", "b", "c"});
}

void signal_while(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  auto handle = trial.start<Collects>(1);
  trial.wait_for(handle, "WorkflowTaskCompleted");
  handle.signal<&Collects::put>("x");
  check_equal(handle.result(), Strings{"x"});
}

void signal_after(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  auto handle = trial.start<Collects>(0);
  check_equal(handle.result(), Strings{});
  const auto error = raises<WorkflowNotFound>([&] { handle.signal<&Collects::put>("late"); });
  check(std::string(error.what()).find("workflow execution already completed") != std::string::npos,
        error.what());
}

void signal_with_start(Trial& trial) {
  const WithStart<Collects> start(trial.options(), 2);
  auto first = trial.client().signal_with_start<&Collects::put>(start, "first");
  trial.check_runs_of(first);
  const auto worker = trial.worker();
  worker->start();
  trial.wait_for(first, "WorkflowTaskCompleted");
  auto second = trial.client().signal_with_start<&Collects::put>(start, "second");
  check_equal(second.run_id(), first.run_id());
  check_equal(first.result(), Strings{"first", "second"});
}

void signal_during_task(Trial& trial) {
  Gate inside, signaled;
  const auto worker = trial.worker();
  worker->add<&hold>([&] {
    inside.open();
    signaled.wait();
  });
  worker->start();
  auto handle = trial.start<CompletesAfterLocal>();
  inside.wait();
  handle.signal<&CompletesAfterLocal::put>();
  signaled.open();
  check_equal(handle.result(), 1);
}

void signals_thousand(Trial& trial) {
  constexpr int kCount = 1000, kSenders = 4;
  const auto worker = trial.worker();
  worker->start();
  auto handle = trial.start<Collects>(kCount);
  trial.wait_for(handle, "WorkflowTaskCompleted");
  in_parallel(kSenders, [&](int sender) {
    for (int i = sender; i < kCount; i += kSenders) handle.signal<&Collects::put>(std::to_string(i));
  });
  const Strings received = handle.result();
  Strings in_history, sorted = received;
  for (const Event& event : trial.events(handle)) {
    if (!event.has_workflow_execution_signaled_event_attributes()) continue;
    const std::string& json = event.workflow_execution_signaled_event_attributes().input().payloads(0).data();
    in_history.push_back(json.substr(1, json.size() - 2));
  }
  check_equal(received, in_history);
  std::sort(sorted.begin(), sorted.end());
  check(sorted.size() == kCount && std::unique(sorted.begin(), sorted.end()) == sorted.end(),
        "each of them once");
}

void signal_external(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  auto other = trial.client().start<Collects>(trial.options("other"), 1);
  trial.wait_for(other, "WorkflowTaskCompleted");
  check_equal(trial.start<&signals_other>(other.id()).result(), "signaled");
  trial.check_runs_of(other);
  check_equal(other.result(), Strings{"from outside"});
}

void signal_external_missing(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  check_equal(trial.start<&signals_other>(trial.id("nobody")).result(), "failed");
}

void query_running(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  auto handle = trial.start<Collects>(1);
  trial.wait_for(handle, "WorkflowTaskCompleted");
  check_equal(handle.query<&Collects::got>(), Strings{});
  handle.signal<&Collects::put>("seen");
  check_equal(handle.query<&Collects::got>(), Strings{"seen"});
  check_equal(handle.result(), Strings{"seen"});
}

void query_closed(Trial& trial) {
  auto worker = trial.worker();
  worker->add<&work>([] { return std::string("kept in the history"); });
  worker->start();
  auto handle = trial.start<Remembers>();
  handle.result();
  worker = trial.worker();
  worker->start();
  eventually([&] {
    try {
      return handle.query<&Remembers::remembered>() == "kept in the history";
    } catch (const RpcError& error) {  // the incumbent may cancel one that meets the first worker's queue
      check_equal(error.code(), static_cast<int>(base::Code::kCancelled));
      return false;
    }
  });
}

void query_failing(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  auto handle = trial.start<Collects>(1);
  trial.wait_for(handle, "WorkflowTaskCompleted");
  const auto broken = raises<QueryFailed>([&] { handle.query<&Collects::broken>(); });
  check(std::string(broken.what()).find("this query always fails") != std::string::npos, broken.what());
  const auto unknown = raises<QueryFailed>(
      [&] { (void)trial.client().handle(handle.id(), handle.run_id()).query<int>("nobody_knows"); });
  check(std::string(unknown.what()).find("nobody_knows") != std::string::npos, unknown.what());
  handle.signal<&Collects::put>("end");
  check_equal(handle.result(), Strings{"end"});
}

void query_rejected(Trial& trial) {
  const auto worker = trial.worker();
  worker->start();
  auto handle = trial.start<Collects>(0);
  handle.result();
  service::QueryWorkflowRequest request;
  request.mutable_execution()->set_workflow_id(handle.id());
  request.mutable_query()->set_query_type("got");
  request.set_query_reject_condition(enums::QUERY_REJECT_CONDITION_NOT_OPEN);
  const auto response = trial.call<service::QueryWorkflowResponse>("QueryWorkflow", request);
  check_equal(response.query_rejected().status(), enums::WORKFLOW_EXECUTION_STATUS_COMPLETED);
  check_equal(handle.query<&Collects::got>(), Strings{});
}

}  // namespace

void add_message_scenarios(Scenarios& scenarios) {
  scenarios["timers"] = timers_scenario;
  scenarios["cancel_timer"] = cancel_timer;
  scenarios["signal_before"] = signal_before;
  scenarios["signal_while"] = signal_while;
  scenarios["signal_after"] = signal_after;
  scenarios["signal_with_start"] = signal_with_start;
  scenarios["signal_during_task"] = signal_during_task;
  scenarios["signals_thousand"] = signals_thousand;
  scenarios["signal_external"] = signal_external;
  scenarios["signal_external_missing"] = signal_external_missing;
  scenarios["query_running"] = query_running;
  scenarios["query_closed"] = query_closed;
  scenarios["query_failing"] = query_failing;
  scenarios["query_rejected"] = query_rejected;
}

}  // namespace perdure::compat
