// What a worker shows: its log, its metrics, its cache, and workflow code that does not give its thread back.
// Against a server, which tests/run.py starts.
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <future>
#include <set>

#include "base/guarded.h"

#include <perdure/client.h>
#include <perdure/worker.h>

namespace observe_test {  // named: g++ 12 warns about coroutines of unnamed ones

using namespace perdure;

int twice(ActivityContext& context, int n) {
  context.log().info("doubling", {{"n", n}});
  return 2 * n;
}
int refuses(int) {
  throw ApplicationFailure("no", "No", true);
}
inline constexpr Activity<int(int)> nobody_has_it{"NobodyHasIt"};

constexpr ActivityOptions kOnce{.start_to_close_timeout = 10s, .retry = {.maximum_attempts = 1}};

Task<int> talks(Context ctx, int n) {
  ctx.log().info("began", {{"n", n}});
  const int doubled = co_await ctx.execute<&twice>(kOnce, n);
  ctx.log().warn("doubled", {{"n", doubled}});
  co_await ctx.sleep(1ms);
  ctx.log().info("ends");
  co_return doubled;
}
Task<int> fails_of(Context ctx, bool unknown) {
  const int a = unknown ? 1 : co_await ctx.execute<&refuses>(kOnce, 1);
  const int b = co_await ctx.execute<&nobody_has_it>(kOnce, 1);
  co_return a + b;
}
Task<> waits(Context ctx) {
  co_await ctx.sleep(24h);
}
Task<int> again(Context ctx, int rounds) {
  if (rounds > 0) co_await ctx.continue_as_new<&again>(rounds - 1);
  co_return rounds;
}
int flaky(ActivityContext& context) {
  if (context.info().attempt == 1) throw ApplicationFailure("the first time");
  return context.info().attempt;
}
void hangs(ActivityContext& context) {
  context.sleep_for(1h);
}
Task<int> works_near(Context ctx) {
  constexpr LocalActivityOptions options{.start_to_close_timeout = 1h,
                                         .retry = {.initial_interval = 1ms},
                                         .cancellation = CancellationType::kWaitCompleted};
  Future<void> held = ctx.execute_local<&hangs>(options);
  const int attempts = co_await ctx.execute_local<&flaky>(options);
  held.cancel();
  auto outcome = co_await attempt(held);
  co_return outcome.is_cancelled() ? attempts : 0;
}
std::atomic<const char*>& looked_at() {
  static std::atomic<const char*> at{nullptr};
  return at;
}
Task<int> large(Context ctx, int n) {
  std::array<char, 200'000> much{};
  looked_at() = much.data();  // so that no compiler leaves it out of the frame
  much[static_cast<std::size_t>(n)] = 1;
  co_await ctx.sleep(1ms);
  co_await ctx.sleep(1ms);
  co_return much[static_cast<std::size_t>(n)];
}

// ---- code that holds its thread

std::atomic<bool>& released() {
  static std::atomic<bool> flag{false};
  return flag;
}
std::atomic<int>& spinning() {
  static std::atomic<int> count{0};
  return count;
}
void hold() {
  ++spinning();
  released().wait(false);
  --spinning();
}
constexpr unsigned kLineOfTheAwait = __LINE__ + 2;
Task<int> holds(Context ctx) {
  co_await ctx.sleep(1ms);
  hold();
  co_return 1;
}
Task<int> inner(int n) {
  hold();
  co_return n;
}
constexpr unsigned kLineOfTheCall = __LINE__ + 2;
Task<int> holds_in_a_call(Context) {
  co_return co_await inner(2);
}
Task<int> holds_at_once(Context) {
  hold();
  co_return 3;
}

struct Line {
  LogLevel level;
  std::string event, text;
};

class Observe : public ::testing::Test {
 protected:
  Observe() {
    options_.task_queue = queue_;
    options_.log = [this](const LogRecord& record) {
      lines_.with([&](auto& lines) {
        lines.push_back({record.level, std::string(record.event), to_text(record)});
        if (record.event == awaited_.event && !std::exchange(awaited_.came, true))
          awaited_.promise.set_value();
      });
    };
    ClientOptions client = ClientOptions::from_environment();
    client.metrics = metrics_;
    client_.emplace(Client::connect(client));
  }
  ~Observe() override {
    released() = true;
    released().notify_all();
    while (spinning() > 0) {
    }
    released() = false;
  }
  void serve() {
    worker_ = std::make_unique<Worker>(*client_, options_);
    worker_->add<&talks, &fails_of, &waits, &again, &large, &holds, &holds_in_a_call, &holds_at_once,
                 &works_near>();
    worker_->add<&twice, &refuses, &flaky, &hangs>();
  }
  StartOptions named(const std::string& id) const { return {.id = queue_ + "-" + id, .task_queue = queue_}; }
  std::vector<Line> lines(std::string_view event) const {
    return lines_.with([&](const auto& lines) {
      std::vector<Line> found;
      for (const Line& line : lines) {
        if (line.event == event) found.push_back(line);
      }
      return found;
    });
  }
  void await_line(const std::string& event) { awaited_.event = event; }
  // The worker says what code holds its thread, and goes on; in the end the code runs to its end.
  template <auto F>
  void expect_stuck_at(const std::string& place, int result) {
    options_.deadlock_timeout = 100ms;
    options_.workflow_threads = 1;
    await_line("workflow_task_failed");
    serve();
    worker_->start();
    auto handle = client_->start<F>(named("stuck"));
    awaited_.promise.get_future().wait();
    const std::string said = lines("workflow_task_failed").front().text;
    EXPECT_NE(said.find("[TMPRL1101] Potential deadlock"), said.npos) << said;
    EXPECT_NE(said.find("last seen at "), said.npos) << said;
    EXPECT_NE(said.find(place), said.npos) << said;
    EXPECT_EQ(client_->template execute<&talks>(named("meanwhile"), 4), 8);
    released() = true;
    released().notify_all();
    EXPECT_EQ(handle.result(), result);
    std::string failed;
    for (const HistoryEvent& event : handle.history()) {
      if (event.type == "WorkflowTaskFailed") failed += event.json();
    }
    EXPECT_NE(failed.find("WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE"), failed.npos)
        << failed;
    EXPECT_NE(failed.find(place), failed.npos) << failed;
    worker_->stop();
  }

  struct Awaited {
    std::string event;
    bool came = false;
    std::promise<void> promise;
  };
  const std::string queue_ = "observe-" + std::to_string(getpid()) + "-" +
                             ::testing::UnitTest::GetInstance()->current_test_info()->name();
  WorkerOptions options_;
  Awaited awaited_;
  base::Guarded<std::vector<Line>> lines_;
  std::shared_ptr<PrometheusMetrics> metrics_ = std::make_shared<PrometheusMetrics>();
  std::optional<Client> client_;
  std::unique_ptr<Worker> worker_;
};

TEST_F(Observe, a_workflow_logs_each_line_once_though_it_is_replayed_each_time) {
  options_.cache_bytes = 0;
  serve();
  worker_->start();
  EXPECT_EQ(client_->execute<&talks>(named("talks"), 21), 42);
  worker_->stop();
  ASSERT_EQ(lines("began").size(), 1u);
  ASSERT_EQ(lines("doubled").size(), 1u);
  ASSERT_EQ(lines("ends").size(), 1u);
  ASSERT_EQ(lines("doubling").size(), 1u);
  const Line doubled = lines("doubled").front();
  EXPECT_EQ(doubled.level, LogLevel::kWarn);
  EXPECT_TRUE(doubled.text.starts_with("warn doubled n=42 namespace=default task_queue=" + queue_ +
                                       " workflow_id=" + queue_ + "-talks run_id="))
      << doubled.text;
  EXPECT_TRUE(doubled.text.ends_with(" workflow_type=talks")) << doubled.text;
  const std::string doubling = lines("doubling").front().text;
  EXPECT_NE(doubling.find("n=21 "), doubling.npos) << doubling;
  EXPECT_TRUE(doubling.ends_with(" activity_type=twice attempt=1")) << doubling;
}

TEST(LogLines, what_would_end_a_field_is_quoted) {
  EXPECT_EQ(to_text({LogLevel::kError, "broke", {{"error", "a \"b\"\nc"}, {"n", 3}, {"none", ""}}}),
            R"(error broke error="a \"b\"\nc" n=3 none="")");
}

TEST_F(Observe, code_that_holds_its_thread_after_an_await_is_named_by_that_line) {
  expect_stuck_at<&holds>("observe_test.cc:" + std::to_string(kLineOfTheAwait), 1);
}
TEST_F(Observe, code_that_holds_its_thread_in_a_call_is_named_by_the_call) {
  expect_stuck_at<&holds_in_a_call>("observe_test.cc:" + std::to_string(kLineOfTheCall), 2);
}
TEST_F(Observe, code_that_holds_its_thread_at_once_is_named_by_its_workflow) {
  expect_stuck_at<&holds_at_once>(
      "workflow 'holds_at_once' did not give its thread back within 100 ms; it was "
      "last seen at the first step of run",
      3);
}

TEST_F(Observe, a_worker_whose_threads_are_all_held_ends_with_the_reason) {
  options_.deadlock_timeout = 20ms;
  serve();
  for (int i = 0; i < 16; ++i) client_->start<&holds_at_once>(named("held-" + std::to_string(i)));
  try {
    worker_->run();
    FAIL() << "it must end";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("16 threads are held by workflow code"), std::string::npos)
        << error.what();
  }
  for (int i = 0; i < 16; ++i) client_->handle(named("held-" + std::to_string(i)).id).terminate();
}

TEST_F(Observe, the_cache_counts_the_frames_of_what_it_keeps) {
  options_.cache_bytes = 600'000;
  options_.workflow_threads = 1;
  serve();
  worker_->start();
  std::vector<ResultHandle<int>> handles;
  for (int i = 0; i < 8; ++i)
    handles.push_back(client_->start<&large>(named("large-" + std::to_string(i)), i));
  for (const auto& handle : handles) EXPECT_EQ(handle.result(), 1);
  for (int i = 0; i < 8; ++i) client_->start<&waits>(named("small-" + std::to_string(i)));
  for (int i = 0; i < 8; ++i) {
    auto handle = client_->handle(named("small-" + std::to_string(i)).id);
    EXPECT_NE(handle.query<std::string>("__stack_trace"), "");
  }
  worker_->stop();
  const std::string text = metrics_->text();
  const std::string labels = "{namespace=\"default\",task_queue=\"" + queue_ + "\"} ";
  EXPECT_NE(text.find("temporal_sticky_cache_total_forced_eviction" + labels), text.npos) << text;
  EXPECT_NE(text.find("temporal_sticky_cache_size" + labels + "8\n"), text.npos) << text;
  for (int i = 0; i < 8; ++i) client_->handle(named("small-" + std::to_string(i)).id).terminate();
}

std::set<std::string> golden_names() {
  std::ifstream in("sdk/tests/metric_names.txt");
  std::set<std::string> names;
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line[0] != '#') names.insert(line);
  }
  return names;
}

TEST_F(Observe, the_metrics_have_the_names_that_dashboards_know) {
  options_.cache_bytes = 100'000;
  options_.workflow_threads = 1;
  serve();
  worker_->start();
  EXPECT_EQ(client_->execute<&talks>(named("talks"), 1), 2);
  EXPECT_EQ(client_->execute<&works_near>(named("near")), 2);
  EXPECT_THROW((void)client_->execute<&fails_of>(named("fails"), false), WorkflowFailed);
  EXPECT_THROW((void)client_->execute<&fails_of>(named("unknown"), true), WorkflowFailed);
  EXPECT_EQ(client_->execute<&again>(named("again"), 1), 0);
  EXPECT_EQ(client_->execute<&large>(named("large"), 2), 1);
  auto cancelled = client_->start<&waits>(named("cancelled"));
  cancelled.cancel();
  EXPECT_THROW(cancelled.result(), WorkflowCanceled);
  EXPECT_THROW(client_->handle("nobody").describe(), WorkflowNotFound);
  EXPECT_THROW(client_->handle("nobody").result<int>(), WorkflowNotFound);
  StartOptions unknown = named("no such workflow");
  await_line("workflow_task_failed");
  auto stays = client_->start("NobodyHasIt", unknown);
  awaited_.promise.get_future().wait();
  stays.terminate();
  worker_->stop();
  std::set<std::string> names;
  const std::string text = metrics_->text();
  for (std::size_t at = text.find("# TYPE "); at != text.npos; at = text.find("# TYPE ", at + 1)) {
    const std::string line = text.substr(at + 7, text.find('\n', at) - at - 7);
    names.insert(line);
  }
  // Polls that end empty depend on how the server ends them.
  for (const char* one :
       {"temporal_activity_poll_no_task counter", "temporal_workflow_task_queue_poll_empty counter"})
    names.insert(one);
  EXPECT_EQ(names, golden_names());
  const auto has = [&](const std::string& line) {
    EXPECT_NE(text.find(line), text.npos) << line << "\n" << text;
  };
  const std::string queue = "namespace=\"default\",task_queue=\"" + queue_ + "\"";
  has("temporal_workflow_completed{" + queue + ",workflow_type=\"talks\"} 1\n");
  has("temporal_workflow_failed{" + queue + ",workflow_type=\"fails_of\"} 2\n");
  has("temporal_workflow_canceled{" + queue + ",workflow_type=\"waits\"} 1\n");
  has("temporal_workflow_continue_as_new{" + queue + ",workflow_type=\"again\"} 1\n");
  has("temporal_activity_execution_failed{" + queue +
      ",activity_type=\"refuses\",workflow_type=\"fails_of\"} 1\n");
  const std::string near = "{" + queue + ",activity_type=\"flaky\",workflow_type=\"works_near\"}";
  has("temporal_local_activity_total" + near + " 2\n");
  has("temporal_local_activity_execution_failed" + near + " 1\n");
  has("temporal_local_activity_execution_latency_count" + near + " 2\n");
  has("temporal_local_activity_succeed_endtoend_latency_count" + near + " 1\n");
  has("temporal_local_activity_execution_cancelled{" + queue +
      ",activity_type=\"hangs\",workflow_type=\"works_near\"} 1\n");
  has("temporal_worker_task_slots_used{" + queue + ",worker_type=\"LocalActivityWorker\"} 0\n");
  has("temporal_request_failure{namespace=\"default\",operation=\"DescribeWorkflowExecution\",status_code="
      "\"NOT_FOUND\"} 1\n");
}

TEST(Prometheus, counters_gauges_and_histograms_in_text) {
  PrometheusMetrics metrics;
  const MetricLabel label[] = {{"kind", "a\"b"}};
  metrics.count("c", label, 2);
  metrics.count("c", label, 3);
  metrics.gauge("g", {}, 1.5);
  metrics.observe("h", {}, 0.003);
  metrics.observe("h", {}, 5000);
  const std::string text = metrics.text();
  EXPECT_TRUE(
      text.starts_with("# TYPE c counter\nc{kind=\"a\\\"b\"} 5\n# TYPE g gauge\ng 1.5\n# TYPE h histogram\n"))
      << text;
  EXPECT_NE(text.find("h_bucket{le=\"0.002\"} 0\nh_bucket{le=\"0.005\"} 1\n"), text.npos) << text;
  EXPECT_NE(text.find("h_bucket{le=\"3600\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 5000.003\nh_count 2\n"),
            text.npos)
      << text;
}

}  // namespace observe_test
