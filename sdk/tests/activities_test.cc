// Activities that are answered later and from elsewhere, where they run, how many at a time, and what becomes
// of them when their worker stops. Against a server, which tests/run.py starts.
#include <gtest/gtest.h>

#include <deque>
#include <future>
#include <map>

#include "base/guarded.h"

#include <perdure/client.h>
#include <perdure/worker.h>

namespace activities {  // named: g++ 12 warns about coroutines of unnamed ones

using namespace perdure;

// What the activities of a test hand to it, by a name that the test chose.
template <class T>
class Mailbox {
 public:
  void put(const std::string& name, T value) {
    slots_.with([&](Slots& slots) { slots[name].set_value(std::move(value)); });
  }
  T take(const std::string& name) {
    T value = slots_.with([&](Slots& slots) { return slots[name].get_future(); }).get();
    slots_.with([&](Slots& slots) { slots.erase(name); });
    return value;
  }
  void drop(const std::string& name) { (void)take(name); }

 private:
  using Slots = std::map<std::string, std::promise<T>>;
  base::Guarded<Slots> slots_;
};
Mailbox<Completion<int>>& completions() {
  static Mailbox<Completion<int>> box;
  return box;
}
Mailbox<ActivityInfo>& begun() {
  static Mailbox<ActivityInfo> box;
  return box;
}

// Answered in this process, later.
void later(Completion<int> done, std::string name) {
  if (name == "throws") throw ApplicationFailure("at once", "Early", true);
  completions().put(name, done);
}
// Answered by somebody else.
std::string elsewhere(ActivityContext& context, std::string name) {
  begun().put(name, context.info());
  complete_async();
}
int until_stopped(ActivityContext& context, std::string name) {
  begun().put(name, context.info());
  try {
    context.sleep_for(1h);
  } catch (const CancelledFailure&) {
  }
  return context.reason() == CancelReason::kWorkerShutdown ? 1 : 0;
}

constexpr ActivityOptions kOnce{.start_to_close_timeout = 1min, .retry = {.maximum_attempts = 1}};

Task<int> waits(Context ctx, std::string name) {
  co_return co_await ctx.execute<&later>(kOnce, name);
}
Task<std::string> waits_elsewhere(Context ctx, std::string name) {
  co_return co_await ctx.execute<&elsewhere>({.start_to_close_timeout = 1min,
                                              .retry = {.maximum_attempts = 1},
                                              .cancellation = CancellationType::kWaitCompleted,
                                              .activity_id = "the-activity"},
                                             name);
}
Task<int> works(Context ctx, std::string name) {
  co_return co_await ctx.execute<&until_stopped>(kOnce, name);
}

class Activities : public ::testing::Test {
 protected:
  WorkerOptions options() const {
    WorkerOptions options;
    options.task_queue = queue_;
    return options;
  }
  void serve(Worker& worker) const {
    worker.add<&later, &elsewhere, &until_stopped, &waits, &waits_elsewhere, &works>();
    worker.start();
  }
  StartOptions named(const std::string& id) const { return {.id = queue_ + "-" + id, .task_queue = queue_}; }
  std::string failure_of(const ResultHandle<int>& handle) const {
    try {
      return "it returned " + std::to_string(handle.result());
    } catch (const WorkflowFailed& failed) {
      return failed.what();
    }
  }

  Client client_ = Client::connect();
  const std::string queue_ = "activities-" + std::to_string(getpid()) + "-" +
                             ::testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(Activities, a_completion_answers_after_the_code_returned) {
  Worker worker(client_, options());
  serve(worker);
  auto handle = client_.start<&waits>(named("one"), "answers");
  Completion<int> done = completions().take("answers");
  EXPECT_EQ(done.info().activity_type, "later");
  EXPECT_EQ(done.info().task_queue, queue_);
  done.heartbeat(3);
  done.succeed(42);
  done.succeed(43);  // nobody hears it
  done.fail(ApplicationFailure("nor this"));
  EXPECT_EQ(handle.result(), 42);
}

TEST_F(Activities, a_completion_fails_or_is_abandoned_or_throws) {
  Worker worker(client_, options());
  serve(worker);
  auto refused = client_.start<&waits>(named("refused"), "fails");
  completions().take("fails").fail(ApplicationFailure("no", "Refusal", true));
  EXPECT_NE(failure_of(refused).find("no"), std::string::npos);
  auto dropped = client_.start<&waits>(named("dropped"), "is dropped");
  completions().drop("is dropped");
  EXPECT_NE(failure_of(dropped).find("abandoned"), std::string::npos);
  auto thrown = client_.start<&waits>(named("thrown"), "throws");
  EXPECT_NE(failure_of(thrown).find("at once"), std::string::npos);
}

TEST_F(Activities, another_process_answers_by_token) {
  Worker worker(client_, options());
  serve(worker);
  auto handle = client_.start<&waits_elsewhere>(named("token"), "token");
  const ActivityHandle activity = client_.activity(begun().take("token").task_token);
  EXPECT_EQ(activity.heartbeat(1), CancelReason::kNone);
  activity.complete("from afar");
  EXPECT_EQ(handle.result(), "from afar");
  EXPECT_THROW(activity.complete("twice"), ActivityNotFound);
}

TEST_F(Activities, another_process_answers_by_id) {
  Worker worker(client_, options());
  serve(worker);
  auto handle = client_.start<&waits_elsewhere>(named("id"), "id");
  const ActivityInfo info = begun().take("id");
  const ActivityHandle activity = client_.activity(info.workflow_id, info.run_id, "the-activity");
  EXPECT_EQ(activity.heartbeat("half"), CancelReason::kNone);
  activity.fail(ApplicationFailure("no luck", "Luck", true));
  EXPECT_THROW((void)handle.result(), WorkflowFailed);
  EXPECT_THROW(client_.activity(info.workflow_id, info.run_id, "nothing").complete(1), ActivityNotFound);
}

TEST_F(Activities, another_process_hears_of_the_cancellation_and_reports_it) {
  Worker worker(client_, options());
  serve(worker);
  auto handle = client_.start<&waits_elsewhere>(named("cancelled"), "cancelled");
  const ActivityInfo info = begun().take("cancelled");
  handle.cancel();
  const ActivityHandle activity = client_.activity(info.workflow_id, {}, info.activity_id);
  while (activity.heartbeat() != CancelReason::kRequested) {
  }
  activity.report_cancelled("cleaned up");
  EXPECT_THROW((void)handle.result(), WorkflowCanceled);
}

// Runs nothing before it is asked to.
class Hand : public Executor {
 public:
  void post(std::function<void()> work) override {
    state_.with([&](State& state) {
      state.waiting.push_back(std::move(work));
      if (state.asked) std::exchange(state.asked, std::nullopt)->set_value();
    });
  }
  void run_one() {
    const auto posted = state_.with([](State& state) {
      std::promise<void> asked;
      auto future = asked.get_future();
      if (state.waiting.empty()) {
        state.asked = std::move(asked);
      } else {
        asked.set_value();
      }
      return future;
    });
    posted.wait();
    const auto work = state_.with([](State& state) {
      auto first = std::move(state.waiting.front());
      state.waiting.pop_front();
      return first;
    });
    work();
  }

 private:
  struct State {
    std::deque<std::function<void()>> waiting;
    std::optional<std::promise<void>> asked;
  };
  base::Guarded<State> state_;
};

int where_am_i() {
  return gettid();
}
inline constexpr perdure::Activity<int()> kNamed{"Named"};
Task<int> asks(Context ctx) {
  const int first = co_await ctx.execute<&where_am_i>(kOnce);
  const int second = co_await ctx.execute<&kNamed>(kOnce);
  co_return first == second ? first : 0;
}

TEST_F(Activities, code_runs_where_its_executor_puts_it) {
  Hand hand;
  Worker worker(client_, options());
  worker.add<&where_am_i>(ActivityRegistration{.executor = &hand});
  worker.add<&kNamed>([](ActivityContext& context) { return context.info().attempt * gettid(); },
                      {.executor = &hand});
  worker.add<&asks>().start();
  auto handle = client_.start<&asks>(named("where"));
  hand.run_one();
  hand.run_one();
  EXPECT_EQ(handle.result(), gettid());
}

TEST_F(Activities, no_more_run_than_the_worker_may_have) {
  WorkerOptions one = options();
  one.max_concurrent_activities = 1;
  Worker worker(client_, one);
  serve(worker);
  auto first = client_.start<&waits>(named("first"), "first of two");
  Completion<int> holds_the_slot = completions().take("first of two");
  auto second = client_.start<&waits>(named("second"), "second of two");
  // Another worker has room for what this one leaves.
  Worker other(client_, options());
  serve(other);
  Completion<int> taken = completions().take("second of two");
  taken.succeed(2);
  EXPECT_EQ(second.result(), 2);
  holds_the_slot.succeed(1);
  EXPECT_EQ(first.result(), 1);
}

TEST_F(Activities, a_rate_of_nearly_nothing_lets_one_start) {
  WorkerOptions slow = options();
  slow.max_activities_per_second = 0.0001;
  Worker worker(client_, slow);
  serve(worker);
  auto first = client_.start<&waits>(named("first"), "rate one");
  completions().take("rate one").succeed(1);
  EXPECT_EQ(first.result(), 1);
  auto second = client_.start<&waits>(named("second"), "rate two");
  WorkerOptions quick = options();
  quick.max_task_queue_activities_per_second = 1000;
  Worker other(client_, quick);
  serve(other);
  completions().take("rate two").succeed(2);
  EXPECT_EQ(second.result(), 2);
}

TEST_F(Activities, a_worker_that_stops_asks_its_activities_to_end_and_waits_for_them) {
  WorkerOptions hasty = options();
  hasty.graceful_shutdown = 1ms;
  auto worker = std::make_unique<Worker>(client_, hasty);
  serve(*worker);
  auto handle = client_.start<&works>(named("stopped"), "stopped");
  (void)begun().take("stopped");
  worker->stop();
  worker.reset();
  Worker next(client_, options());
  serve(next);
  EXPECT_EQ(handle.result(), 1);
}

// Polls are not given up with a task in their hands, and the sticky queue is not waited for.
TEST_F(Activities, workers_that_come_and_go_lose_nothing) {
  for (int i = 0; i < 5; ++i) {
    const std::string name = "turn " + std::to_string(i);
    auto worker = std::make_unique<Worker>(client_, options());
    serve(*worker);
    auto handle = client_.start<&waits>(named(name), name);
    Completion<int> done = completions().take(name);
    done.succeed(i);
    worker->stop();
    worker = std::make_unique<Worker>(client_, options());
    serve(*worker);
    EXPECT_EQ(handle.result(), i);
  }
}

TEST_F(Activities, a_namespace_that_is_not_there_is_said_at_once) {
  ClientOptions elsewhere = ClientOptions::from_environment();
  elsewhere.ns = "nobody-made-this-one";
  Worker worker(Client::connect(elsewhere), options());
  EXPECT_THROW(serve(worker), RpcError);
}

}  // namespace activities
