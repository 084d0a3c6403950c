// The types of the face that no example names, each once, in a few lines: what it is for and what it does.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>

#include "base/guarded.h"

#include <perdure/async.h>
#include <perdure/interceptors.h>
#include <perdure/schedules.h>
#include <perdure/server.h>
#include <perdure/testing.h>

namespace types {

using namespace perdure;
using perdure::testing::Environment;
using perdure::testing::EnvironmentOptions;

// ---- options of workflow code

int flaky(ActivityContext& context) {
  if (context.info().attempt < 3) throw ApplicationFailure("busy", "Busy");
  return context.info().attempt;
}
int hopeless(ActivityContext&) {
  throw ApplicationFailure("never", "Hopeless");
}

// Text is a view: what it points to must live on, which for a literal, or a name, it does.
constexpr Text kHopeless[] = {"Hopeless"};

Task<int> tries(Context ctx) {
  const RetryPolicy patient{.initial_interval = 1s,
                            .backoff_coefficient = 3,
                            .maximum_interval = 5s,
                            .maximum_attempts = 5,
                            .non_retryable_error_types = kHopeless};
  const ActivityOptions options{.start_to_close_timeout = 10s, .retry = patient};
  int attempts = co_await ctx.execute<&flaky>(options);
  auto outcome = co_await attempt(ctx.execute<&hopeless>(options));
  co_return outcome ? 0 : attempts;
}

TEST(Types, a_retry_policy_says_how_long_to_wait_how_often_and_for_what_not) {
  Environment env;
  env.add<&tries, &flaky, &hopeless>();
  const TimePoint before = env.now();
  EXPECT_EQ(env.execute<&tries>(), 3);
  EXPECT_EQ(env.now() - before,
            1s + 3s);  // the second pause is three times the first; Hopeless waits for nothing
}

Task<bool> dozes(Context ctx, std::string until) {
  const std::string summary = "until " + until;
  const TimerOptions named{.summary = summary};
  co_await ctx.sleep(1h, named);
  co_return co_await ctx.within(1min, ctx.sleep(1h), TimerOptions{.summary = "patience"});
}

TEST(Types, timer_options_give_a_timer_a_summary) {
  Environment env;
  env.add<&dozes>();
  ResultHandle<bool> handle = env.start<&dozes>("noon");
  EXPECT_FALSE(handle.result());
  std::string seen;
  const HistoryRange events = handle.history(HistoryOptions{.wait = true});
  for (const HistoryEvent& event : events) seen += event.bytes;
  EXPECT_NE(seen.find("\"until noon\""), std::string::npos);
  EXPECT_NE(seen.find("\"patience\""), std::string::npos);
}

// A workflow that somebody else wrote, by its name and signature.
inline constexpr WorkflowType<int(std::string)> kAppraisal{"Appraisal"};

TEST(Types, a_workflow_type_describes_a_workflow_that_is_elsewhere) {
  const Server server;
  const ResultHandle<int> handle =
      server.client().start<&kAppraisal>({.id = "appraisal", .task_queue = "elsewhere"}, "a ring");
  EXPECT_EQ(handle.describe().type, "Appraisal");
}

// ---- failures

// What a failure is, with all that led to it.
std::string kind(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const ActivityFailure& failure) {
    return "activity " + failure.activity_type() + ": " + kind(failure.cause());
  } catch (const ChildFailure& failure) {
    return "child " + failure.workflow_type() + ": " + kind(failure.cause());
  } catch (const TimeoutFailure& failure) {
    return failure.type() == TimeoutType::kHeartbeat ? "silent" : "late";
  } catch (const TerminatedFailure&) {
    return "terminated";
  } catch (const ServerFailure& failure) {
    return failure.non_retryable() ? "server, for good" : "server";
  } catch (const std::exception& other) {
    return other.what();
  }
}

void mute(ActivityContext& context) {
  context.sleep_for(1h);
}
Task<std::string> listens(Context ctx) {
  const ActivityOptions impatient{
      .start_to_close_timeout = 1h, .heartbeat_timeout = 10s, .retry = {.maximum_attempts = 1}};
  const ActivityOptions hasty{.start_to_close_timeout = 10s, .retry = {.maximum_attempts = 1}};
  auto silent = co_await attempt(ctx.execute<&mute>(impatient));
  auto late = co_await attempt(ctx.execute<&mute>(hasty));
  co_return kind(silent.error()) + ", " + kind(late.error());
}

TEST(Types, a_timeout_failure_says_which_time_was_over) {
  Environment env;
  env.add<&listens, &mute>();
  EXPECT_EQ(env.execute<&listens>(), "activity mute: silent, activity mute: late");
}

TEST(Types, failures_of_others_have_causes) {
  const auto ended = std::make_exception_ptr(TerminatedFailure("child workflow terminated"));
  EXPECT_EQ(kind(std::make_exception_ptr(ChildFailure("child failed", "box-1", "run", "Packing", 0, ended))),
            "child Packing: terminated");
  EXPECT_EQ(kind(std::make_exception_ptr(ServerFailure("too much", true))), "server, for good");
}

// ---- the client

class Lamp {
 public:
  Task<> run(Context ctx) {
    co_await ctx.until([this] { return broken_; });
  }
  void smash() { broken_ = true; }
  int lit(int watts) const {
    if (watts > 100) throw ApplicationFailure("too bright");
    return watts;
  }
  using signals = handlers<&Lamp::smash>;
  using queries = handlers<&Lamp::lit>;

 private:
  bool broken_ = false;
};

TEST(Types, a_workflow_handle_speaks_to_one_workflow) {
  Environment env;
  env.add<Lamp>();
  const WorkflowHandle<Lamp> lamp = env.start<Lamp>();
  EXPECT_EQ(lamp.query<&Lamp::lit>(60), 60);
  EXPECT_THROW(lamp.query<&Lamp::lit>(200), QueryFailed);
  lamp.signal<&Lamp::smash>();
  EXPECT_NO_THROW(lamp.result());
}

TEST(Types, what_takes_too_long_has_timed_out) {
  Environment env;
  env.add<Lamp>();
  StartOptions options;
  options.execution_timeout = 1h;
  EXPECT_THROW(env.start<Lamp>(options).result(), WorkflowTimedOut);
}

Task<int> adds(Context, int a, int b) {
  co_return a + b;
}
// Of any asynchronous handle.
template <class R, class Handle>
R result_of(const AsyncHandleBase<R, Handle>& handle) {
  return handle.result().get();
}

TEST(Types, asynchronous_handles_have_one_base) {
  Environment env;
  env.add<&adds>();
  const AsyncResultHandle<int> sum =
      env.client().async().start<&adds>({.id = "sum", .task_queue = "test"}, 1, 2).get();
  EXPECT_EQ(result_of(sum), 3);
}

TEST(Types, lists_and_counts_are_values) {
  Environment env;
  env.add<&adds>();
  for (int i = 0; i < 3; ++i) (void)env.execute<&adds>(i, i);
  const WorkflowRange range = env.client().list("WorkflowType = 'adds'");
  std::size_t listed = 0;
  for (const WorkflowExecution& one : range) listed += one.type == "adds" ? 1 : 0;
  EXPECT_EQ(listed, 3u);
  const WorkflowCount count = env.client().count("WorkflowType = 'adds'");
  EXPECT_EQ(count.count, 3);
  EXPECT_TRUE(count.groups.empty());
}

TEST(Types, profile_options_say_where_to_look) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("perdure-types-" + std::to_string(getpid()) + ".toml");
  std::ofstream(file) << "[profile.test]\naddress = \"elsewhere:7233\"\nnamespace = \"shop\"\n";
  const ProfileOptions where{.profile = "test", .file = file.string(), .environment = false};
  const ClientOptions options = ClientOptions::from_profile(where);
  std::filesystem::remove(file);
  EXPECT_EQ(options.address, "elsewhere:7233");
  EXPECT_EQ(options.ns, "shop");
}

TEST(Types, server_options_say_what_a_server_inside_a_program_keeps) {
  const ServerOptions options{.namespaces = {"shop"}, .cache_bytes = 1 << 20};
  const Server server(options);
  ClientOptions shop;
  shop.ns = "shop";
  EXPECT_EQ(server.client(shop).count().count, 0);
}

// ---- attributes

inline constexpr TextKey kNote{"Note"};
static_assert(std::is_same_v<decltype(kNote), const SearchAttributeKey<Indexed::kText>>);

TEST(Types, a_search_attribute_has_a_key_with_a_type) {
  const SearchAttributeUpdate change = kNote.set("fragile, and heavy");
  EXPECT_EQ(change.name, "Note");
  SearchAttributes all;
  all.apply(change);
  EXPECT_EQ(all.get(kNote), "fragile, and heavy");
  EXPECT_EQ(all.fields().at("Note").metadata.at("type"), "Text");
  all.apply(kNote.unset());
  EXPECT_EQ(all.get(kNote), std::nullopt);
}

// ---- payloads

// Travels as text, "3 kg", instead of as a struct.
struct Weight {
  int kilograms = 0;
};

}  // namespace types

template <>
struct perdure::Converter<types::Weight> {
  static Payload encode(const types::Weight& weight) {
    return detail::encode(std::to_string(weight.kilograms) + " kg");
  }
  static types::Weight decode(const Payload& payload) {
    return {std::stoi(detail::decode<std::string>(payload))};
  }
};

namespace types {

Task<Weight> doubled(Context, Weight weight) {
  co_return Weight{weight.kilograms * 2};
}

TEST(Types, a_converter_makes_payloads_of_a_type_of_ones_own) {
  Environment env;
  env.add<&doubled>();
  EXPECT_EQ(env.execute<&doubled>(Weight{3}).kilograms, 6);
  EXPECT_EQ(env.client().handle("workflow-1").result<std::string>(), "6 kg");
}

// ---- logs, metrics, interceptors

// Keeps lines; any thread.
class Lines {
 public:
  void add(std::string line) {
    all_.with([&](std::vector<std::string>& all) { all.push_back(std::move(line)); });
  }
  std::vector<std::string> sorted() const {
    auto copy = all_.with([](const std::vector<std::string>& all) { return all; });
    std::ranges::sort(copy);
    return copy;
  }

 private:
  base::Guarded<std::vector<std::string>> all_;
};

void reports(const Log& log, int cents) {
  log.info("paid", {LogField("cents", cents), {"currency", "EUR"}});
}
int pays(ActivityContext& context, int cents) {
  reports(context.log(), cents);
  return cents;
}
Task<int> shops(Context ctx) {
  reports(ctx.log(), 7);
  int far = co_await ctx.execute<&pays>({.start_to_close_timeout = 10s}, 1);
  int near = co_await ctx.execute_local<&pays>({.start_to_close_timeout = 10s}, 2);
  co_return far + near;
}

TEST(Types, a_log_writes_records_with_fields_to_a_sink) {
  Lines lines;
  const LogSink sink = [&](const LogRecord& record) {
    if (record.event != "paid") return;
    lines.add(std::string(record.event) + " " + record.fields.at(0).value + " " + record.fields.at(1).value);
  };
  const Server server;
  Worker worker(server.client(), {.task_queue = "q", .log = sink});
  worker.add<&shops, &pays>();
  worker.start();
  EXPECT_EQ(server.client().execute<&shops>({.id = "shops", .task_queue = "q"}), 3);
  EXPECT_EQ(lines.sorted(), (std::vector<std::string>{"paid 1 EUR", "paid 2 EUR", "paid 7 EUR"}));
}

// Passes on what it counts of one thing.
class Starts : public Metrics {
 public:
  void count(std::string_view name, MetricLabels labels, std::uint64_t by) override {
    if (name != "temporal_request") return;
    for (const MetricLabel& label : labels) {
      if (label.key == "operation" && label.value == "StartWorkflowExecution") started += by;
    }
  }
  void gauge(std::string_view, MetricLabels, double) override {}
  void observe(std::string_view, MetricLabels, double) override {}
  std::atomic<std::uint64_t> started{0};
};

TEST(Types, metrics_are_passed_on_to_a_class_of_ones_own) {
  const auto starts = std::make_shared<Starts>();
  Server server;
  ClientOptions options;
  options.address = "127.0.0.1:" + std::to_string(server.serve("127.0.0.1:0"));
  options.metrics = starts;
  {
    const Client client = Client::connect(options);
    (void)client.start<&shops>({.id = "one", .task_queue = "q"});
    (void)client.start<&shops>({.id = "two", .task_queue = "q"});
  }
  EXPECT_EQ(starts->started, 2u);
}

// Writes down what the client and the workflow ask for.
class Clerk : public ClientInterceptor, public WorkerInterceptor {
 public:
  explicit Clerk(Lines& lines) : lines_(lines) {}
  void call(ClientCall& call, const std::function<void()>& next) override {
    if (call.verb == ClientVerb::kStart) lines_.add("start " + call.name);
    next();
  }
  std::unique_ptr<WorkflowInterceptor> workflow(const WorkflowInfo&) override {
    class Notes : public WorkflowInterceptor {
     public:
      explicit Notes(Lines& lines) : lines_(lines) {}
      void outgoing(Context, OutgoingCall& call) override {
        lines_.add((call.kind == OutgoingKind::kActivity ? "far " : "near ") + call.name);
      }

     private:
      Lines& lines_;
    };
    return std::make_unique<Notes>(lines_);
  }

 private:
  Lines& lines_;
};

TEST(Types, interceptors_are_told_what_kind_of_call_it_is) {
  Lines lines;
  const auto clerk = std::make_shared<Clerk>(lines);
  const Server server;
  ClientOptions options;
  options.interceptors.push_back(clerk);
  const Client client = server.client(options);
  Worker worker(client, {.task_queue = "q", .interceptors = {clerk}});
  worker.add<&shops, &pays>();
  worker.start();
  EXPECT_EQ(client.execute<&shops>({.id = "shops", .task_queue = "q"}), 3);
  worker.stop();
  EXPECT_EQ(lines.sorted(), (std::vector<std::string>{"far pays", "near pays", "start shops"}));
}

// ---- schedules: their parts are values; tests/on_temporal_schedules_test.cc runs them

TEST(Types, a_schedule_is_an_action_a_specification_and_a_policy) {
  const ScheduleCalendar nightly{.minute = {{15}}, .hour = {{3}}, .day_of_week = {{1, 5}}};
  const ScheduleSpec spec{.calendars = {nightly}, .time_zone = "Europe/Berlin"};
  const SchedulePolicy policy{.overlap = OverlapPolicy::kBufferOne, .pause_on_failure = true};
  const ScheduledStart action = starts<&adds>({.id = "sum", .task_queue = "q"}, 1, 2);
  const Schedule schedule{.action = action, .spec = spec, .policy = policy};
  EXPECT_EQ(schedule.action.type, "adds");
  EXPECT_EQ(schedule.action.arguments.size(), 2u);
  const ScheduleCreation creation{.trigger_immediately = true, .memo = Memo().set("why", "test")};
  EXPECT_EQ(creation.memo.get<std::string>("why"), "test");
  EXPECT_EQ(schedule.spec.calendars.front().hour, (std::vector<ScheduleRange>{{3}}));
}

}  // namespace types
