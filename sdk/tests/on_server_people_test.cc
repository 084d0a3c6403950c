// What is meant for people, and what interceptors change, against a server: summaries and details of workflows, activities
// and timers, what a run says of itself, results on their way out. Every history is replayed.
#include <gtest/gtest.h>

#include <perdure/interceptors.h>

#include "sdk/tests/on_server.h"

#include <temporal/api/history/v1/message.pb.h>
#include <temporal/api/sdk/v1/workflow_metadata.pb.h>

#include <google/protobuf/util/json_util.h>

namespace on_server_people {  // named: g++ 12 warns about coroutines of unnamed ones

using namespace perdure;

int doubled(int n) {
  return 2 * n;
}

class Narrated {
 public:
  Task<int> run(Context ctx) {
    ctx.set_current_details("counting");
    int far = co_await ctx.execute<&doubled>({.start_to_close_timeout = 10s, .summary = "the far one"}, 1);
    int near =
        co_await ctx.execute_local<&doubled>({.start_to_close_timeout = 10s, .summary = "the near one"}, far);
    co_await ctx.sleep(1ms, {.summary = "a nap"});
    bool told = co_await ctx.within(1h, ctx.until([this] { return told_; }), {.summary = "the last call"});
    ctx.set_current_details(told ? "told" : "not told");
    co_return near;
  }
  void tell() { told_ = true; }
  bool told() const { return told_; }
  void nothing() {}
  using signals = handlers<&Narrated::tell>;
  using queries = handlers<&Narrated::told>;
  using updates = handlers<update<&Narrated::nothing>>;

 private:
  bool told_ = false;
};

class People : public OnServer {
 protected:
  // "EVENT_TYPE: its summary" for each that has one.
  std::vector<std::string> summaries(const std::string& id) {
    temporal::api::history::v1::History history;
    EXPECT_TRUE(history.ParseFromString(detail::fetch_history(*client().connection(), {id, {}})));
    std::vector<std::string> all;
    for (const auto& event : history.events()) {
      if (!event.user_metadata().has_summary()) continue;
      const std::string name = temporal::api::enums::v1::EventType_Name(event.event_type());
      all.push_back(name.substr(sizeof "EVENT_TYPE_" - 1) + ": " + event.user_metadata().summary().data());
    }
    return all;
  }
  temporal::api::sdk::v1::WorkflowMetadata metadata(const std::string& id) {
    const auto payload = client().handle(id).query<Payload>("__temporal_workflow_metadata");
    EXPECT_EQ(payload.metadata.at("encoding"), "json/protobuf");
    temporal::api::sdk::v1::WorkflowMetadata metadata;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(payload.data, &metadata).ok()) << payload.data;
    return metadata;
  }
};
PERDURE_ON_SERVER(People);

TEST_P(People, are_shown_summaries_of_what_a_workflow_asks_for) {
  worker().add<Narrated>().add<&doubled>();
  replayer().add<Narrated>();
  start();
  StartOptions options = named("narrated");
  options.summary = "in short";
  options.details = "at **length**";
  auto handle = client().start<Narrated>(options);
  while (summaries(options.id).size() < 5) (void)handle.query<&Narrated::told>();
  handle.signal<&Narrated::tell>();
  EXPECT_EQ(handle.result(), 4);
  EXPECT_EQ(summaries(options.id),
            (std::vector<std::string>{"WORKFLOW_EXECUTION_STARTED: \"in short\"",
                                      "ACTIVITY_TASK_SCHEDULED: \"the far one\"",
                                      "MARKER_RECORDED: \"the near one\"", "TIMER_STARTED: \"a nap\"",
                                      "TIMER_STARTED: \"the last call\""}));
  EXPECT_EQ(handle.describe().summary, "in short");
  EXPECT_EQ(handle.describe().details, "at **length**");
  check_replay(options.id);
}

TEST_P(People, ask_a_run_what_it_takes_and_how_it_stands) {
  worker().add<Narrated>().add<&doubled>();
  start();
  auto handle = client().start<Narrated>(named("narrated"));
  handle.signal<&Narrated::tell>();
  (void)handle.result();
  const auto shown = metadata(handle.id());
  EXPECT_EQ(shown.current_details(), "told");
  EXPECT_EQ(shown.definition().type(), "Narrated");
  ASSERT_EQ(shown.definition().signal_definitions_size(), 1);
  EXPECT_EQ(shown.definition().signal_definitions(0).name(), "tell");
  ASSERT_EQ(shown.definition().query_definitions_size(), 1);
  EXPECT_EQ(shown.definition().query_definitions(0).name(), "told");
  ASSERT_EQ(shown.definition().update_definitions_size(), 1);
  EXPECT_EQ(shown.definition().update_definitions(0).name(), "nothing");
}

// ---- interceptors of activities

// Adds ten to what goes in and a hundred to what comes out.
class Raises : public WorkerInterceptor {
 public:
  std::optional<Payload> activity(ActivityContext&, ActivityCall& call,
                                  const std::function<std::optional<Payload>()>& next) override {
    call.arguments.at(0) = detail::encode(detail::decode<int>(call.arguments.at(0)) + 10);
    const std::optional<Payload> result = next();
    return detail::encode(detail::decode<int>(result.value()) + 100);
  }
};
// Says that there is nothing.
class Swallows : public WorkerInterceptor {
 public:
  std::optional<Payload> activity(ActivityContext&, ActivityCall&,
                                  const std::function<std::optional<Payload>()>& next) override {
    (void)next();
    return std::nullopt;
  }
};

Task<std::vector<int>> far_and_near(Context ctx) {
  constexpr LocalActivityOptions local{.start_to_close_timeout = 10s};
  int far = co_await ctx.execute<&doubled>({.start_to_close_timeout = 10s}, 1);
  int near = co_await ctx.execute_local<&doubled>(local, 2);
  std::vector<int> both{far, near};
  co_return both;
}

TEST_P(People, get_results_that_an_interceptor_has_changed) {
  WorkerOptions options = worker_options();
  options.interceptors.push_back(std::make_shared<Raises>());
  Worker worker(client(), options);
  worker.add<&far_and_near, &doubled>();
  worker.start();
  EXPECT_EQ(client().execute<&far_and_near>(named("raised")), (std::vector{122, 124}));
}

TEST_P(People, are_told_when_an_interceptor_keeps_a_result_back) {
  WorkerOptions options = worker_options();
  options.interceptors.push_back(std::make_shared<Swallows>());
  Worker worker(client(), options);
  worker.add<&far_and_near, &doubled>();
  worker.start();
  try {
    (void)client().execute<&far_and_near>(named("swallowed"));
    FAIL() << "there is no result";
  } catch (const WorkflowFailed& failed) {
    EXPECT_NE(std::string(failed.what()).find("kept back"), std::string::npos) << failed.what();
  }
}

}  // namespace on_server_people
