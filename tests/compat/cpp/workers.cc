// Workers: several of one kind, without a cache, replaced, killed, broken and repaired.
#include <cstdio>

#include "tests/compat/cpp/collects.h"
#include "tests/compat/cpp/trial.h"

namespace perdure::compat {

namespace {

constexpr ActivityOptions kWork{.start_to_close_timeout = 30s};
inline constexpr Activity<int(int)> step{"step"};
inline constexpr Activity<std::string(std::string)> work{"work"};
inline constexpr Activity<std::string(int)> meet{"meet"};

bool block_workflow_tasks = false;  // only in a worker process
// Whether workflow code is repaired: one for each scenario that runs.
std::atomic<int> last_repair{0};
std::atomic<bool> repaired[16];

void hold() {
  if (!block_workflow_tasks) return;
  std::promise<void> never;
  never.get_future().wait();
}

}  // namespace

// Three activities, one after the other; `got` says which results are in.
class Steps {
 public:
  Task<std::vector<int>> run(Context ctx) {
    for (int number = 0; number < 3; ++number) {
      int result = co_await ctx.execute<&step>(kWork, number);
      results_.push_back(result);
    }
    co_return results_;
  }
  std::vector<int> got() const { return results_; }
  using queries = handlers<&Steps::got>;

 private:
  std::vector<int> results_;
};

Task<std::string> one_activity(Context ctx, std::string value) {
  constexpr ActivityOptions options{.start_to_close_timeout = 2s, .retry = {.initial_interval = 100ms}};
  co_return co_await ctx.execute<&work>(options, value);
}

Task<std::string> nothing(Context) {
  hold();
  co_return "nothing";
}

Task<std::vector<std::string>> pair(Context ctx) {
  std::vector<Future<std::string>> both{ctx.execute<&meet>(kWork, 0), ctx.execute<&meet>(kWork, 1)};
  std::vector<std::string> names = co_await when_all(both);
  co_return names;
}

Task<std::string> broken(Context, int place) {
  // its task fails, not the workflow
  if (!repaired[place]) throw std::runtime_error("a bug in the workflow's code");
  co_return "repaired";
}

void add_worker_workflows(const Registry& to) {
  to.add<Steps>();
  to.add<&one_activity, &nothing, &pair, &broken>();
}

int run_worker_process(const Settings& settings, const std::string& queue, const std::string& how) {
  static constexpr Activity<std::string(ActivityContext&, std::string)> body{"work"};
  block_workflow_tasks = how == "block";
  ClientOptions options;
  options.address = settings.address;
  WorkerOptions worker_options;
  worker_options.task_queue = queue;
  worker_options.sticky_timeout = 2s;
  worker_options.deadlock_timeout = {};  // it is to be killed while it blocks
  Worker worker(Client::connect(options), worker_options);
  add_worker_workflows({.worker = &worker});
  worker.add<&body>([](ActivityContext& context, std::string value) {
    context.sleep_for(1h);
    return value;
  });
  worker.start();
  std::fputs("ready\n", stdout);
  std::fflush(stdout);
  std::promise<void> killed;
  killed.get_future().wait();
  return 1;
}

namespace {

void two_workers(Trial& trial) {
  Gate arrived[2];
  const auto start = [&](const std::string& name, const Client* client) {
    WorkerOptions options = trial.worker_options();
    options.max_concurrent_activities = 1;
    options.identity = name;
    auto worker = trial.worker(options, client);
    worker->add<&meet>([&arrived, name](int number) {
      arrived[number].open();
      arrived[1 - number].wait();
      return name;
    });
    worker->start();
    return worker;
  };
  const Client other = trial.another_client();
  const auto left = start("left", nullptr), right = start("right", &other);
  std::vector<std::string> names = trial.start<&pair>().result();
  std::sort(names.begin(), names.end());
  check_equal(names, std::vector<std::string>{"left", "right"});
}

void cache_zero(Trial& trial) {
  Gate reached, go_on;
  WorkerOptions options = trial.worker_options();
  options.cache_bytes = 0;
  const auto worker = trial.worker(options);
  worker->add<&step>([&](int number) {
    if (number == 2) {
      reached.open();
      go_on.wait();
    }
    return number * 10;
  });
  worker->start();
  auto handle = trial.start<Steps>();
  reached.wait();
  check_equal(handle.query<&Steps::got>(), std::vector{0, 10});
  go_on.open();
  check_equal(handle.result(), std::vector{0, 10, 20});
  check_equal(handle.query<&Steps::got>(), std::vector{0, 10, 20});
}

void worker_replaced(Trial& trial) {
  WorkerOptions options = trial.worker_options();
  options.identity = "first";
  auto worker = trial.worker(options);
  worker->start();
  auto handle = trial.start<Collects>(1);
  trial.wait_for(handle, "WorkflowTaskCompleted");
  worker.reset();
  handle.signal<&Collects::put>("to the second worker");
  options.identity = "second";
  worker = trial.worker(options);
  worker->start();
  check_equal(handle.result(), std::vector<std::string>{"to the second worker"});
  std::vector<std::string> by;
  for (const Event& event : trial.events(handle)) {
    if (event.has_workflow_task_completed_event_attributes())
      by.push_back(event.workflow_task_completed_event_attributes().identity());
  }
  check_equal(by, std::vector<std::string>{"first", "second"});
}

void worker_killed(Trial& trial) {
  ChildProcess child = trial.worker_process("hang");
  auto handle = trial.start<&one_activity>("done");
  eventually([&] {
    const auto description = trial.describe(handle);
    return description.pending_activities_size() == 1 &&
           !description.pending_activities(0).last_worker_identity().empty();
  });
  child.kill();
  const auto worker = trial.worker();
  worker->add<&work>([](std::string value) { return value + " by the second worker"; });
  worker->start();
  check_equal(handle.result(), "done by the second worker");
  const auto started = trial.first(handle, "ActivityTaskStarted").activity_task_started_event_attributes();
  check_equal(started.attempt(), 2);
  check(started.last_failure().has_timeout_failure_info(), "the first attempt timed out");
}

void worker_killed_in_task(Trial& trial) {
  ChildProcess child = trial.worker_process("block");
  StartOptions options = trial.options();
  options.task_timeout = 1s;
  auto handle = trial.start_with<&nothing>(options);
  trial.wait_for(handle, "WorkflowTaskStarted");
  child.kill();
  const auto worker = trial.worker();
  worker->start();
  check_equal(handle.result(), "nothing");
}

void workflow_task_fails(Trial& trial) {
  const int place = last_repair++;
  const auto worker = trial.worker();
  worker->start();
  auto handle = trial.start<&broken>(place);
  const auto events = trial.wait_for(handle, "WorkflowTaskFailed");
  const std::string message = events.back().workflow_task_failed_event_attributes().failure().message();
  check(message.find("a bug in the workflow's code") != std::string::npos, message);
  repaired[place] = true;
  check_equal(handle.result(), "repaired");
}

}  // namespace

void add_worker_scenarios(Scenarios& scenarios) {
  scenarios["two_workers"] = two_workers;
  scenarios["cache_zero"] = cache_zero;
  scenarios["worker_replaced"] = worker_replaced;
  scenarios["worker_killed"] = worker_killed;
  scenarios["worker_killed_in_task"] = worker_killed_in_task;
  scenarios["workflow_task_fails"] = workflow_task_fails;
}

}  // namespace perdure::compat
