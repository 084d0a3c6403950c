// The whole way, against a server: local activities, interceptors and their headers, memo and search
// attributes, dynamic workflows and activities, eager activities, hidden failures. Every history is replayed.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>

#include <perdure/client.h>
#include <perdure/interceptors.h>
#include <perdure/worker.h>

#include "base/guarded.h"
#include "sdk/tests/on_server.h"

#include <temporal/api/history/v1/message.pb.h>

namespace on_server_extras {  // named: g++ 12 warns about coroutines of unnamed ones

using namespace perdure;

// ---- local activities

std::atomic<int>& attempts() {
  static std::atomic<int> count{0};
  return count;
}
int price(ActivityContext& context, std::string item) {
  if (!context.info().is_local) throw std::logic_error("not local");
  return static_cast<int>(item.size());
}
int flaky(ActivityContext& context, int good_attempt) {
  ++attempts();
  if (context.info().attempt < good_attempt) throw std::runtime_error("not yet");
  return context.info().attempt;
}
int hopeless() {
  throw ApplicationFailure("never", "Hopeless");
}
int endless(ActivityContext& context) {
  std::promise<void> stopped;
  {
    const std::stop_callback on_stop(context.stop_token(), [&] { stopped.set_value(); });
    stopped.get_future().wait();
  }
  context.throw_if_cancelled();
  return 0;
}
std::shared_future<int>& gate() {
  static std::shared_future<int> future;
  return future;
}
std::atomic<int>& waiting() {
  static std::atomic<int> count{0};
  return count;
}
int wait_at_gate() {
  ++waiting();
  return gate().get();
}

Task<int> shop(Context ctx) {
  constexpr LocalActivityOptions quick{.start_to_close_timeout = 10s, .retry = {.initial_interval = 1ms}};
  int first = co_await ctx.execute_local<&price>(quick, "apple");
  co_await ctx.sleep(1ms);
  int second = co_await ctx.execute_local<&flaky>(quick, 3);
  Future<int> a = ctx.execute_local<&price>(quick, "fig");
  Future<int> b = ctx.execute_local<&price>(quick, "melon");
  auto [third, fourth] = co_await when_all(a, b);
  co_return first * 1000 + second * 100 + third * 10 + fourth;
}
// A retry beyond the threshold is a timer of the workflow.
Task<int> patient(Context ctx) {
  constexpr LocalActivityOptions slow{.start_to_close_timeout = 10s,
                                      .retry = {.initial_interval = 20ms, .backoff_coefficient = 1},
                                      .local_retry_threshold = 1ms};
  int attempt = co_await ctx.execute_local<&flaky>(slow, 3);
  co_return attempt;
}
Task<std::string> failing(Context ctx) {
  constexpr LocalActivityOptions once{.start_to_close_timeout = 10s, .retry = {.maximum_attempts = 1}};
  constexpr LocalActivityOptions short_time{.start_to_close_timeout = 5ms,
                                            .retry = {.initial_interval = 1ms, .maximum_attempts = 2}};
  auto no = co_await attempt(ctx.execute_local<&hopeless>(once));
  auto late = co_await attempt(ctx.execute_local<&endless>(short_time));
  co_return describe(no.error()) + " | " + describe(late.error());
}
Task<int> gated(Context ctx) {
  constexpr LocalActivityOptions long_time{.start_to_close_timeout = 1min};
  int value = co_await ctx.execute_local<&wait_at_gate>(long_time);
  co_return value;
}
Task<std::string> giving_up(Context ctx) {
  constexpr LocalActivityOptions options{.start_to_close_timeout = 1min,
                                         .cancellation = CancellationType::kWaitCompleted};
  Future<int> slow = ctx.execute_local<&endless>(options);
  std::optional<int> in_time = co_await ctx.within(10ms, slow);
  auto outcome = co_await attempt(slow);
  co_return std::string(in_time ? "done" : "gave up") + (outcome.is_cancelled() ? ", cancelled" : "");
}

class Local : public OnServer {
 protected:
  Local() {
    worker().add<&shop, &patient, &failing, &gated, &giving_up>();
    worker().add<&price, &flaky, &hopeless, &endless, &wait_at_gate>();
    replayer().add<&shop, &patient, &failing, &gated, &giving_up>();
    start();
  }
};

TEST_P(Local, activities_run_inside_the_workflow_task) {
  EXPECT_EQ(client().execute<&shop>(named("shop")), 5335);
  check_replay(named("shop").id);
}
TEST_P(Local, retries_that_are_far_away_wait_for_a_timer) {
  attempts() = 0;
  EXPECT_EQ(client().execute<&patient>(named("patient")), 3);
  EXPECT_EQ(attempts(), 3);
  check_replay(named("patient").id);
}
TEST_P(Local, failures_and_timeouts_reach_the_workflow) {
  EXPECT_EQ(client().execute<&failing>(named("failing")),
            "local activity failed <- never | local activity failed <- local activity timed out");
  check_replay(named("failing").id);
}
TEST_P(Local, workflow_task_beats_while_they_run) {
  std::promise<int> open;
  gate() = open.get_future().share();
  waiting() = 0;
  StartOptions options = named("gated");
  options.task_timeout = 1s;
  auto handle = client().start<&gated>(options);
  // Started, and then each heartbeat is a task of three events: two of them have been answered.
  while (handle.describe().history_length < 9) std::this_thread::yield();
  open.set_value(7);
  EXPECT_EQ(handle.result(), 7);
  EXPECT_EQ(waiting(), 1);  // it was never begun again
  check_replay(handle.id());
}
TEST_P(Local, cancelled_activity_hears_of_it) {
  StartOptions options = named("giving-up");
  options.task_timeout = 1s;  // the timer is heard of with the first heartbeat
  EXPECT_EQ(client().execute<&giving_up>(options), "gave up, cancelled");
  check_replay(named("giving-up").id);
}
PERDURE_ON_SERVER(Local);

// ---- interceptors

class Baggage {
 public:
  void note(const std::string& text) {
    notes_.with([&](Notes& notes) { ++notes[text]; });
  }
  int count(const std::string& text) {
    return notes_.with([&](Notes& notes) { return notes[text]; });
  }

 private:
  using Notes = std::map<std::string, int>;
  base::Guarded<Notes> notes_;
};
std::string trace_of(const Headers& headers) {
  const auto found = headers.find("trace");
  return found == headers.end() ? "none" : detail::decode<std::string>(found->second);
}
class ClientTracer : public ClientInterceptor {
 public:
  explicit ClientTracer(Baggage& baggage) : baggage_(baggage) {}
  void call(ClientCall& call, const std::function<void()>& next) override {
    call.headers["trace"] = detail::encode<std::string>("t1");
    next();
    baggage_.note("client " + call.name);
  }

 private:
  Baggage& baggage_;
};
class WorkflowTracer : public WorkflowInterceptor {
 public:
  WorkflowTracer(std::string trace, Baggage& baggage) : trace_(std::move(trace)), baggage_(baggage) {}
  Task<Payload> call(Context, WorkflowCall call, Next next) override {
    baggage_.note("workflow " + call.name + " " + trace_of(call.headers));
    return next(std::move(call));
  }
  Payload look(ReadContext, WorkflowCall& call, const std::function<Payload()>& next) override {
    baggage_.note("look " + call.name + " " + trace_of(call.headers));
    return next();
  }
  void outgoing(Context, OutgoingCall& call) override {
    call.headers["trace"] = detail::encode<std::string>(trace_);
  }

 private:
  std::string trace_;
  Baggage& baggage_;
};
class WorkerTracer : public WorkerInterceptor {
 public:
  explicit WorkerTracer(Baggage& baggage) : baggage_(baggage) {}
  std::unique_ptr<WorkflowInterceptor> workflow(const WorkflowInfo& info) override {
    return std::make_unique<WorkflowTracer>(trace_of(info.headers), baggage_);
  }
  std::optional<Payload> activity(ActivityContext& context, ActivityCall&,
                                  const std::function<std::optional<Payload>()>& next) override {
    baggage_.note("activity " + context.info().activity_type + " " + trace_of(context.info().headers));
    auto result = next();
    baggage_.note("result " + (result ? result->data : "later"));
    return result;
  }

 private:
  Baggage& baggage_;
};

int work(int number) {
  return number + 1;
}
class Traced {
 public:
  Task<int> run(Context ctx) {
    int far = co_await ctx.execute<&work>({.start_to_close_timeout = 10s}, 1);
    int near = co_await ctx.execute_local<&work>({.start_to_close_timeout = 10s}, 2);
    co_await ctx.until([this] { return told_; });
    co_return far + near;
  }
  void tell() { told_ = true; }
  bool told() const { return told_; }
  using signals = handlers<&Traced::tell>;
  using queries = handlers<&Traced::told>;

 private:
  bool told_ = false;
};

Task<int> simple(Context ctx) {
  int done = co_await ctx.execute<&work>({.start_to_close_timeout = 10s}, 1);
  co_return done;
}

class Extras : public OnServer {};
PERDURE_ON_SERVER(Extras);

TEST_P(Extras, headers_travel_through_the_interceptors) {
  Baggage baggage;
  ClientOptions client_options = ClientOptions::from_environment();
  client_options.interceptors.push_back(std::make_shared<ClientTracer>(baggage));
  Client traced = Client::connect(client_options);
  WorkerOptions options = worker_options();
  options.interceptors.push_back(std::make_shared<WorkerTracer>(baggage));
  Worker worker(traced, options);
  worker.add<Traced>().add<&work>();
  worker.start();
  auto handle = traced.start<Traced>(named("traced"));
  handle.signal<&Traced::tell>();
  EXPECT_EQ(handle.result(), 5);
  EXPECT_TRUE(handle.query<&Traced::told>());
  for (const char* note :
       {"client Traced", "client tell", "client told", "activity work t1", "workflow Traced t1",
        "workflow tell t1", "look told t1", "result 2", "result 3"}) {
    EXPECT_GE(baggage.count(note), 1) << note;
  }
  EXPECT_EQ(baggage.count("activity work t1"), 2);  // the local one too
}

// ---- memo and search attributes

inline constexpr KeywordListKey kChanges{"TemporalChangeVersion"};
Task<std::string> marked(Context ctx) {
  std::string all = ctx.info().memo.get<std::string>("note").value_or("nothing");
  ctx.upsert(kChanges.set({"one", "two"}));
  ctx.upsert_memo("note", std::string("changed"));
  co_await ctx.sleep(1ms);
  all += " " + ctx.info().memo.get<std::string>("note").value_or("nothing");
  co_return all + " " + ctx.info().search_attributes.get(kChanges).value_or(std::vector<std::string>()).at(1);
}
TEST_P(Extras, memo_and_search_attributes) {
  worker().add<&marked>();
  replayer().add<&marked>();
  start();
  StartOptions options = named("marked");
  options.memo.set("note", "given");
  options.search_attributes = {kChanges.set({"zero"})};
  options.priority.key = 2;
  EXPECT_EQ(client().execute<&marked>(options), "given changed two");
  check_replay(options.id);
}

TEST_P(Extras, the_first_task_says_which_sdk_and_which_of_its_flags) {
  worker().add<&marked>();
  start();
  (void)client().execute<&marked>(named("flags"));
  const std::string history = detail::fetch_history(*client().connection(), {named("flags").id, {}});
  const std::size_t said = history.find("perdure-cpp");
  ASSERT_NE(said, std::string::npos);
  EXPECT_EQ(history.find("perdure-cpp", said + 1), std::string::npos);  // once
}

// ---- who did it, and code that has changed

// The events of a run of that type, up to the first one.
temporal::api::history::v1::HistoryEvent first(const HandleBase& handle, const std::string& type) {
  temporal::api::history::v1::HistoryEvent found;
  for (const HistoryEvent& event : handle.history({.wait = true})) {
    if (event.type != type) continue;
    EXPECT_TRUE(found.ParseFromString(event.bytes));
    break;
  }
  return found;
}
TEST_P(Extras, history_names_the_worker) {
  WorkerOptions options = worker_options();
  options.identity = "the one with the hat";
  Worker worker(client(), options);
  worker.add<&simple>().add<&work>();
  worker.start();
  auto handle = client().start<&simple>(named("named"));
  EXPECT_EQ(handle.result(), 2);
  EXPECT_EQ(first(handle, "WorkflowTaskStarted").workflow_task_started_event_attributes().identity(),
            options.identity);
  EXPECT_EQ(first(handle, "ActivityTaskStarted").activity_task_started_event_attributes().identity(),
            options.identity);
}

struct Before {
  static constexpr std::string_view workflow_name = "changes";
  Task<> run(Context ctx) { co_await ctx.sleep(24h); }
  void hurry() {}
  using signals = handlers<&Before::hurry>;
};
struct After : Before {
  Task<> run(Context ctx) { co_await ctx.execute<&work>({.start_to_close_timeout = 10s}, 1); }
};
TEST_P(Extras, code_that_has_changed_fails_its_task_with_the_cause_that_people_look_for) {
  worker().add<Before>();
  start();
  auto handle = client().start<Before>(named("changes"));
  (void)first(handle, "TimerStarted");
  worker().stop();
  Worker changed(client(), worker_options());
  changed.add<After>().add<&work>();
  changed.start();
  handle.signal<&Before::hurry>();
  const auto failed = first(handle, "WorkflowTaskFailed").workflow_task_failed_event_attributes();
  EXPECT_EQ(failed.cause(), temporal::api::enums::v1::WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR);
  EXPECT_NE(failed.failure().message().find("on_server_extras_test.cc:"), std::string::npos)
      << failed.failure().message();
  handle.terminate();
}

// ---- whatever comes

Task<std::string> any_workflow(Context ctx, Payloads arguments) {
  int done = co_await ctx.execute<int>("any-activity", {.start_to_close_timeout = 10s}, 5);
  co_return ctx.info().workflow_type + std::to_string(arguments.size()) + std::to_string(done);
}
int any_activity(ActivityContext& context, Payloads arguments) {
  return static_cast<int>(context.info().activity_type.size()) + detail::decode<int>(arguments.at(0));
}
TEST_P(Extras, dynamic_workflows_and_activities_take_what_nobody_else_does) {
  worker().add_dynamic<&any_workflow>().add_dynamic<&any_activity>().add<&work>();
  start();
  EXPECT_EQ(client().start("Whatever", named("whatever"), 1, 2).result<std::string>(), "Whatever217");
}

// ---- activities that come with the answer

TEST_P(Extras, eager_activities_need_no_poll) {
  WorkerOptions options = worker_options();
  options.activity_pollers = 0;
  Worker worker(client(), options);
  worker.add<&simple>().add<&work>();
  worker.start();
  EXPECT_EQ(client().execute<&simple>(named("eager")), 2);
}

// ---- failures that the server cannot read

Task<int> secretive(Context) {
  throw ApplicationFailure("the secret", "Secret");
  co_return 0;
}
TEST_P(Extras, failures_are_hidden_from_the_server) {
  ClientOptions client_options = ClientOptions::from_environment();
  client_options.encode_failures = true;
  Client hiding = Client::connect(client_options);
  Worker worker(hiding, worker_options());
  worker.add<&secretive>();
  worker.start();
  try {
    (void)client().execute<&secretive>(named("secretive"));
    FAIL() << "it must fail";
  } catch (const WorkflowFailed& failed) {
    EXPECT_NE(std::string(failed.what()).find("the secret"), std::string::npos) << failed.what();
  }
  const std::string history = detail::fetch_history(*client().connection(), {named("secretive").id, {}});
  EXPECT_NE(history.find("Encoded failure"), std::string::npos);
}

}  // namespace on_server_extras
