// What a workflow knows, what it tells others about itself, and interceptors: against the fake server.
#include <gtest/gtest.h>

#include <limits>

#include "sdk/src/payload/convert.h"
#include "sdk/tests/fake_server.h"
#include "sdk/tests/packing.h"

namespace perdure::test::context {  // named: g++ 12 warns about coroutines of unnamed ones

using detail::define_workflow;

int work(int);
constexpr ActivityOptions kOptions{.start_to_close_timeout = 10s};
constexpr LocalActivityOptions kLocal{.start_to_close_timeout = 10s};

// ---- memo and search attributes

inline constexpr KeywordKey kCustomer{"Customer"};
inline constexpr IntKey kAttempts{"Attempts"};
inline constexpr DoubleKey kScore{"Score"};
inline constexpr BoolKey kUrgent{"Urgent"};
inline constexpr DatetimeKey kDue{"Due"};
inline constexpr KeywordListKey kTags{"Tags"};

Task<std::string> marked(Context ctx) {
  ctx.upsert(kCustomer.set("ann"), kAttempts.set(3), kUrgent.unset());
  ctx.upsert_memo("note", std::string("fragile"));
  ctx.upsert_memo("old", std::nullopt);
  const auto& info = ctx.info();
  co_await ctx.sleep(1s);
  std::string all = info.search_attributes.get(kCustomer).value_or("nobody");
  all += std::to_string(info.search_attributes.get(kAttempts).value_or(0));
  all += info.search_attributes.get(kUrgent) ? " urgent" : " calm";
  all +=
      " " + info.memo.get<std::string>("note").value_or("") + info.memo.get<std::string>("old").value_or("");
  co_return all;
}
TEST(Attributes, are_upserted_and_seen) {
  FakeServer server(define_workflow<&marked>());
  convert::to_wire(kUrgent.set(true).value,
                   &(*server.started().mutable_search_attributes()->mutable_indexed_fields())["Urgent"]);
  convert::to_wire(detail::encode<std::string>("x"),
                   &(*server.started().mutable_memo()->mutable_fields())["old"]);
  EXPECT_EQ(server.task(),
            "UpsertSearchAttributes(Attempts, Customer, Urgent) ModifyProperties(note) ModifyProperties(old) "
            "StartTimer(1s)");
  const auto& fields = server.command(0)
                           .upsert_workflow_search_attributes_command_attributes()
                           .search_attributes()
                           .indexed_fields();
  EXPECT_EQ(fields.at("Attempts").data(), "3");
  EXPECT_EQ(fields.at("Attempts").metadata().at("type"), "Int");
  EXPECT_EQ(fields.at("Urgent").metadata().at("encoding"), "binary/null");
  server.fire_timer(0);
  EXPECT_EQ(server.task(), "CompleteWorkflow");
  EXPECT_EQ(server.result<std::string>(), "ann3 calm fragile");
}

struct MarkedOtherwise {
  static constexpr std::string_view workflow_name = "marked";
  Task<std::string> run(Context ctx) {
    ctx.upsert(kCustomer.set("ann"));
    co_await ctx.sleep(1s);
    co_return "";
  }
};
struct Unmarked {
  static constexpr std::string_view workflow_name = "marked";
  Task<std::string> run(Context ctx) {
    ctx.upsert(kCustomer.set("ann"), kAttempts.set(3), kUrgent.unset());
    ctx.upsert_memo("other", 1);
    co_await ctx.sleep(1s);
    co_return "";
  }
};
TEST(Attributes, of_other_names_are_non_deterministic) {
  FakeServer server(define_workflow<&marked>());
  server.task();
  EXPECT_TRUE(server.replay_into(define_workflow<MarkedOtherwise>())
                  .ends_with("asked UpsertSearchAttributes(Customer)"));
  EXPECT_TRUE(server.replay_into(define_workflow<Unmarked>()).ends_with("asked ModifyProperties(other)"));
}

TEST(Attributes, of_every_type_come_back_as_they_were) {
  const TimePoint due(
      std::chrono::duration_cast<TimePoint::duration>(std::chrono::microseconds(1'700'000'000'123'456)));
  SearchAttributes all{kCustomer.set("ann"), kAttempts.set(-1), kScore.set(0.5),
                       kUrgent.set(false),   kDue.set(due),     kTags.set({"a", "b"})};
  EXPECT_EQ(all.get(kCustomer), "ann");
  EXPECT_EQ(all.get(kAttempts), -1);
  EXPECT_EQ(all.get(kScore), 0.5);
  EXPECT_EQ(all.get(kUrgent), false);
  EXPECT_EQ(all.get(kDue), due);
  EXPECT_EQ(all.get(kTags)->size(), 2u);
  EXPECT_EQ(all.fields().at("Due").data, "\"2023-11-14T22:13:20.123456Z\"");
  EXPECT_EQ(detail::parse_rfc3339("2023-11-15T00:13:20.123456+02:00"), due);
  EXPECT_THROW(detail::parse_rfc3339("yesterday"), PayloadError);
  all.apply(kTags.unset());
  EXPECT_EQ(all.get(kTags), std::nullopt);
}

// TimePoint reaches from 1677 to 2262; what lies outside is read as its first or last moment.
TEST(Times, beyond_what_can_be_told_are_the_first_and_the_last) {
  EXPECT_EQ(detail::parse_rfc3339("9999-12-31T23:59:59Z"), TimePoint::max());
  EXPECT_EQ(detail::parse_rfc3339("0001-01-01T00:00:00.5+14:00"), TimePoint::min());
  EXPECT_EQ(detail::rfc3339(TimePoint::max()), "2262-04-11T23:47:16.854775Z");
  EXPECT_EQ(detail::rfc3339(TimePoint::min()), "1677-09-21T00:12:43.145224Z");
  EXPECT_EQ(detail::parse_rfc3339("1969-12-31T23:59:59.999999Z"), TimePoint() - 1us);
  for (const char* wrong :
       {"2023-257-01T00:00:00Z", "2023-01-01T24:00:00Z", "2023-01-01T00:60:00Z", "2023-01-01T00:00:61Z",
        "70000-01-01T00:00:00Z", "2023-01-01T00:00:00+2000000000:00", "2023-01-01T00:00:00+-1:00",
        "99999999999999999999-01-01T00:00:00Z"}) {
    EXPECT_THROW(detail::parse_rfc3339(wrong), PayloadError) << wrong;
  }
  google::protobuf::Timestamp time;
  time.set_seconds(std::numeric_limits<std::int64_t>::max());
  time.set_nanos(std::numeric_limits<std::int32_t>::max());
  EXPECT_EQ(convert::from_wire(time), TimePoint::max());
  time.set_seconds(std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(convert::from_wire(time), TimePoint::min());
  google::protobuf::Duration duration;
  duration.set_seconds(std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(convert::from_wire(duration), Duration::max());
  duration.set_seconds(std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(convert::from_wire(duration), Duration::min());
}

Task<int> parent(Context ctx) {
  const Memo memo = Memo().set("note", "fragile");
  const SearchAttributes attributes{kCustomer.set("ann")};
  ChildOptions options{.id = "packing-1",
                       .id_reuse = IdReusePolicy::kRejectDuplicate,
                       .memo = &memo,
                       .search_attributes = &attributes,
                       .priority = {.key = 2}};
  int boxes = co_await ctx.execute_child<Packing>(options, "o1");
  co_return boxes;
}
TEST(Attributes, of_a_child) {
  FakeServer server(define_workflow<&parent>());
  EXPECT_EQ(server.task(), "StartChildWorkflow(Packing)");
  const auto& asked = server.command(0).start_child_workflow_execution_command_attributes();
  EXPECT_EQ(asked.memo().fields().at("note").data(), "\"fragile\"");
  EXPECT_EQ(asked.search_attributes().indexed_fields().at("Customer").data(), "\"ann\"");
  EXPECT_EQ(asked.workflow_id_reuse_policy(), enums::WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE);
  EXPECT_EQ(asked.priority().priority_key(), 2);
}

Task<int> again(Context ctx, int left) {
  if (left > 0) co_await ctx.continue_as_new<&again>(left - 1);
  co_return left;
}
TEST(Attributes, go_along_to_the_next_run) {
  FakeServer server(define_workflow<&again>(), 1);
  convert::to_wire(kCustomer.set("ann").value,
                   &(*server.started().mutable_search_attributes()->mutable_indexed_fields())["Customer"]);
  convert::to_wire(detail::encode<std::string>("x"),
                   &(*server.started().mutable_memo()->mutable_fields())["note"]);
  server.started().mutable_retry_policy()->set_maximum_attempts(7);
  EXPECT_EQ(server.task(), "ContinueAsNew");
  const auto& asked = server.command(0).continue_as_new_workflow_execution_command_attributes();
  EXPECT_EQ(asked.memo().fields().count("note"), 1u);
  EXPECT_EQ(asked.retry_policy().maximum_attempts(), 7);
  EXPECT_EQ(asked.search_attributes().indexed_fields().count("Customer"), 1u);
}

// ---- info

Task<std::string> knowing(Context ctx) {
  const WorkflowInfo& info = ctx.info();
  std::string all =
      info.parent_workflow_id + " " + info.root_workflow_id + " " + std::to_string(info.attempt);
  all += " " + detail::decode<std::string>(info.headers.at("trace"));
  all += " " + detail::decode<std::string>(info.last_result.at(0)) + " " + describe(info.last_failure);
  co_return all;
}
TEST(Info, is_what_the_start_says) {
  FakeServer server(define_workflow<&knowing>());
  auto& started = server.started();
  started.set_attempt(3);
  started.mutable_parent_workflow_execution()->set_workflow_id("mother");
  started.mutable_root_workflow_execution()->set_workflow_id("eve");
  convert::to_wire(detail::encode<std::string>("t1"),
                   &(*started.mutable_header()->mutable_fields())["trace"]);
  convert::to_wire(Payloads{detail::encode<std::string>("before")}, started.mutable_last_completion_result());
  convert::to_wire(std::make_exception_ptr(ApplicationFailure("bad day")),
                   started.mutable_continued_failure());
  EXPECT_EQ(server.task(), "CompleteWorkflow");
  EXPECT_EQ(server.result<std::string>(), "mother eve 3 t1 before bad day");
}

// ---- chance and time

Task<std::string> by_chance(Context ctx) {
  const TimePoint began = ctx.now();
  std::string all = ctx.uuid() + " " + std::to_string(ctx.random().below(1'000'000)) + " ";
  co_await ctx.sleep(1s);
  all += ctx.uuid() + " " + std::to_string((ctx.now() - began) / 1s);
  co_return all;
}
TEST(Chance, is_the_same_in_every_replay_and_time_is_that_of_the_task) {
  std::vector<std::string> results;
  for (int i = 0; i < 2; ++i) {
    FakeServer server(define_workflow<&by_chance>());
    server.task();
    server.fire_timer(0);
    server.task();
    results.push_back(server.result<std::string>());
  }
  EXPECT_EQ(results[0], results[1]);
  const std::string first = results[0].substr(0, 36),
                    second = results[0].substr(results[0].rfind(' ') - 36, 36);
  EXPECT_EQ(first[14], '4') << first;  // the version
  EXPECT_NE(first, second);
  EXPECT_TRUE(results[0].ends_with(" 5")) << results[0];  // an event a second
  EXPECT_NE(Random(1).next(), Random(2).next());
}

// ---- cancelling others

Task<std::string> canceller(Context ctx) {
  External<Packing> other = ctx.external<Packing>("packing-2", "run-7");
  co_await other.cancel();
  auto outcome = co_await attempt(other.cancel());
  co_return outcome ? "cancelled twice" : "gone";
}
TEST(External, is_cancelled_or_is_not_there) {
  FakeServer server(define_workflow<&canceller>());
  EXPECT_EQ(server.task(), "RequestCancelExternalWorkflow");
  const auto& asked = server.command(0).request_cancel_external_workflow_execution_command_attributes();
  EXPECT_EQ(asked.workflow_id() + " " + asked.run_id(), "packing-2 run-7");
  EXPECT_FALSE(asked.child_workflow_only());
  server.deliver_cancel(0);
  EXPECT_EQ(server.task(), "RequestCancelExternalWorkflow");
  server.refuse_cancel(1);
  EXPECT_EQ(server.task(), "CompleteWorkflow");
  EXPECT_EQ(server.result<std::string>(), "gone");
}

// ---- interceptors

class Tracer : public WorkflowInterceptor {
 public:
  Tracer(std::string name, std::vector<std::string>& log) : name_(std::move(name)), log_(log) {}
  Task<Payload> call(Context ctx, WorkflowCall call, Next next) override {
    return around(this, ctx, std::move(call), std::move(next));
  }
  Payload look(ReadContext, WorkflowCall& call, const std::function<Payload()>& next) override {
    log_.push_back(name_ + " looks " + call.name);
    return next();
  }
  void outgoing(Context, OutgoingCall& call) override {
    call.headers["trace"] = detail::encode<std::string>(trace_);
    log_.push_back(name_ + " sends " + call.name);
  }

 private:
  static Task<Payload> around(Tracer* self, Context ctx, WorkflowCall call, Next next) {
    const std::string name = call.name;
    if (call.headers.contains("trace")) self->trace_ = detail::decode<std::string>(call.headers.at("trace"));
    self->log_.push_back(self->name_ + " enters " + name);
    Payload result = co_await next(std::move(call));
    self->log_.push_back(self->name_ + " leaves " + name);
    (void)ctx;
    co_return result;
  }
  std::string name_, trace_;
  std::vector<std::string>& log_;
};
class Tracing : public WorkerInterceptor {
 public:
  explicit Tracing(std::string name) : name_(std::move(name)) {}
  std::unique_ptr<WorkflowInterceptor> workflow(const WorkflowInfo&) override {
    log.clear();  // of the last run that was made: a replay of the whole
    return std::make_unique<Tracer>(name_, log);
  }
  std::vector<std::string> log;

 private:
  std::string name_;
};

class Traced {
 public:
  Task<int> run(Context ctx) {
    int done = co_await ctx.execute<&work>(kOptions, 1);
    int near = co_await ctx.execute_local<&work>(kLocal, 2);
    co_await ctx.external<Packing>("packing").signal<&Packing::hurry>(1);
    co_await ctx.until([this] { return told_; });
    co_return done + near;
  }
  void tell() { told_ = true; }
  int ask() const { return 1; }
  int change(int by) { return by; }
  using signals = handlers<&Traced::tell>;
  using queries = handlers<&Traced::ask>;
  using updates = handlers<update<&Traced::change>>;

 private:
  bool told_ = false;
};
TEST(Interceptors, are_around_everything_and_headers_travel) {
  FakeServer server(define_workflow<Traced>());
  const auto tracing = std::make_shared<Tracing>("t");
  server.interceptors.push_back(tracing);
  server.local = [](const detail::LocalActivity& asked) {
    EXPECT_EQ(detail::decode<std::string>(asked.headers.at("trace")), "t1");
    return FakeServer::local_value(2);
  };
  convert::to_wire(detail::encode<std::string>("t1"),
                   &(*server.started().mutable_header()->mutable_fields())["trace"]);
  EXPECT_EQ(server.task(), "ScheduleActivity(work)");
  EXPECT_EQ(
      server.command(0).schedule_activity_task_command_attributes().header().fields().at("trace").data(),
      "\"t1\"");
  server.complete_activity(0, 1);
  EXPECT_EQ(server.task(), "RecordMarker(core_local_activity(work)) SignalExternalWorkflow(hurry)");
  EXPECT_EQ(
      server.command(1).signal_external_workflow_execution_command_attributes().header().fields().size(), 1u);
  server.deliver_signal(0);
  server.update("u1", "change", 5);
  EXPECT_EQ(server.task(), "AcceptUpdate(u1) CompleteUpdate(u1)");
  server.signal("tell");
  EXPECT_EQ(server.task(), "CompleteWorkflow");
  EXPECT_EQ(server.result<int>(), 3);
  EXPECT_EQ(tracing->log, (std::vector<std::string>{"t enters Traced", "t sends work", "t sends work",
                                                    "t sends hurry", "t enters change", "t leaves change",
                                                    "t enters tell", "t leaves tell", "t leaves Traced"}));
  (void)server.run().query("ask", {});
  EXPECT_EQ(tracing->log.back(), "t looks ask");
}

class Guard : public WorkflowInterceptor {
  Payload look(ReadContext, WorkflowCall& call, const std::function<Payload()>& next) override {
    if (call.kind == InboundKind::kValidator && call.arguments.empty())
      throw ApplicationFailure("not allowed");
    return next();
  }
  Task<Payload> call(Context, WorkflowCall call, Next next) override {
    if (call.kind == InboundKind::kUpdate) call.arguments = {detail::encode<int>(7)};
    return next(std::move(call));
  }
};
class Guarding : public WorkerInterceptor {
  std::unique_ptr<WorkflowInterceptor> workflow(const WorkflowInfo&) override {
    return std::make_unique<Guard>();
  }
};
TEST(Interceptors, refuse_and_change) {
  FakeServer server(define_workflow<Traced>());
  server.interceptors.push_back(std::make_shared<Tracing>("t"));
  server.interceptors.push_back(std::make_shared<Guarding>());
  server.task();
  server.update("u1", "change");
  server.update("u2", "change", 1);
  EXPECT_EQ(server.task(), "RejectUpdate(u1) AcceptUpdate(u2) CompleteUpdate(u2)");
  EXPECT_EQ(server.outcome("u1"), "rejected: not allowed");
  EXPECT_EQ(server.outcome("u2"), "= 7");
}

}  // namespace perdure::test::context
