// Handlers over executions and queues that a test plays by hand.
#include <gtest/gtest.h>

#include <map>

#include "base/sim_scheduler.h"
#include "server/core/errors.h"
#include "server/frontend/api.h"
#include "server/frontend/list_token.h"
#include "server/frontend/method.h"
#include "server/history/token.h"
#include "server/store/memory/memory_store.h"
#include "temporal/api/enums/v1/workflow.pb.h"

namespace perdure::frontend {
namespace {

namespace enums = ::temporal::api::enums::v1;

struct FakeExecutions : Executions {
  std::optional<core::Command> command;
  store::UnitKey key;
  Result<core::Reply> reply = core::Nothing{};
  std::optional<history::HistoryRequest> read;
  history::HistoryPage page;
  bool parks = false;  // a read of a history is kept
  Done<history::HistoryPage> parked;
  std::uint64_t left = 0;

  void execute(UnitKey unit, core::Command given, std::size_t, Done<core::Reply> done) override {
    key = std::move(unit);
    command = std::move(given);
    done(reply);
  }
  void complete_workflow_task(UnitKey unit, core::CompleteWorkflowTask given, std::size_t,
                              Done<std::string> done) override {
    key = std::move(unit);
    command = std::move(given);
    done(std::string());
  }
  void start_workflow(UnitKey unit, core::StartWorkflow given, std::size_t, Done<std::string> done) override {
    key = std::move(unit);
    command = std::move(given);
    done(std::string());
  }
  std::uint64_t read_history(history::HistoryRequest request, Done<history::HistoryPage> done) override {
    read = std::move(request);
    if (!parks) {
      done(page);
      return 0;
    }
    parked = std::move(done);
    return 9;
  }
  void leave_history(const UnitKey&, std::uint64_t waiter) override {
    left = waiter;
    parked(page);
  }
  void query(history::QueryRequest, Done<wfs::QueryWorkflowResponse> done) override {
    done(wfs::QueryWorkflowResponse());
  }
  void answer_query(const std::string&, wfs::RespondQueryTaskCompletedRequest, Done<void> done) override {
    done({});
  }
  void await_visibility(Done<void> done) override { done({}); }
};

struct FakeQueues : TaskQueues {
  std::optional<matching::PollRequest> parked;
  matching::PollDone done;
  std::uint64_t cancelled = 0;

  std::uint64_t poll(matching::PollRequest request, matching::PollDone then) override {
    parked = std::move(request);
    done = std::move(then);
    return 7;
  }
  void cancel_poll(const matching::QueueKey&, std::uint64_t id) override {
    cancelled = id;
    done(std::string());
  }
  void describe(matching::QueueKey, Done<matching::QueueDescription> then) override {
    then(matching::QueueDescription());
  }
  void shutdown_worker(const std::string&, const std::string&, const std::string&,
                       const std::string&) override {}
};

struct FakeCall : Call {
  std::string bytes;
  Time when = base::kNever;
  std::map<std::string, std::string, std::less<>> headers;
  std::move_only_function<void()> left;
  std::vector<Result<std::string>> answers;

  std::string_view request() const override { return bytes; }
  Time deadline() const override { return when; }
  std::string_view header(std::string_view name) const override {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string_view() : std::string_view(found->second);
  }
  void on_client_gone(std::move_only_function<void()> then) override { left = std::move(then); }
  void finish(Result<std::string> response) override { answers.push_back(std::move(response)); }
};

class FrontendTest : public ::testing::Test {
 protected:
  FrontendTest() {
    ns_ = catalog::make_namespace("default", std::chrono::hours(24), random_);
    other_ = catalog::make_namespace("other", std::chrono::hours(24), random_);
    catalog_.apply(
        {catalog::namespace_entry(ns_), catalog::namespace_entry(other_), {catalog::kTokenKey, kKey}});
    add_api(table_, services_);
  }

  std::shared_ptr<FakeCall> send(const std::string& name, const google::protobuf::Message& request,
                                 Time deadline = base::kNever) {
    auto call = std::make_shared<FakeCall>();
    call->bytes = request.SerializeAsString();
    call->when = deadline;
    table_.dispatch(std::string(kWorkflowService) + name, call);
    return call;
  }
  // The error of a call that must be answered with one, at once.
  base::Error refused(const std::string& name, const google::protobuf::Message& request) {
    const auto call = send(name, request, base::add(clock_.now(), std::chrono::seconds(60)));
    EXPECT_EQ(call->answers.size(), 1u) << name;
    if (call->answers.size() != 1 || call->answers[0].has_value()) {
      ADD_FAILURE() << name << " was not refused";
      return {};
    }
    return call->answers[0].error();
  }
  template <class Response>
  Response answered(const FakeCall& call) {
    Response response;
    EXPECT_EQ(call.answers.size(), 1u);
    if (call.answers.size() != 1) return response;
    if (!call.answers[0]) {
      ADD_FAILURE() << call.answers[0].error().message;
    } else {
      EXPECT_TRUE(response.ParseFromString(*call.answers[0]));
    }
    return response;
  }

  static inline const std::string kKey = "a key of the catalog";
  base::ManualClock clock_;
  base::SimScheduler scheduler_{clock_};
  std::unique_ptr<base::Executor> io_ = scheduler_.make_executor("io");
  store::MemoryStore store_{*io_};
  base::Random random_{1};
  core::Namespace ns_, other_;
  catalog::CatalogStore catalog_;
  FakeExecutions executions_;
  FakeQueues queues_;
  Services services_{.catalog = catalog_,
                     .executions = executions_,
                     .queues = queues_,
                     .store = store_,
                     .clock = clock_,
                     .limits = {}};
  MethodTable table_;
};

wfs::StartWorkflowExecutionRequest start_request() {
  wfs::StartWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.set_workflow_id("w");
  request.mutable_workflow_type()->set_name("T");
  request.mutable_task_queue()->set_name("q");
  return request;
}

TEST_F(FrontendTest, EveryRpcHasARow) {
  std::size_t rows = 0;
  table_.each([&](const Method&) { ++rows; });
  EXPECT_EQ(rows, 123u + 12u);
  const auto call = send("UpdateWorkflowExecution", wfs::UpdateWorkflowExecutionRequest());
  ASSERT_FALSE(call->answers.at(0).has_value());
  EXPECT_EQ(call->answers[0].error().code, base::Code::kUnimplemented);
}

TEST_F(FrontendTest, StartIsMadeComplete) {
  auto request = start_request();
  request.mutable_workflow_execution_timeout()->set_seconds(100);
  request.mutable_workflow_run_timeout()->set_seconds(200);
  request.mutable_workflow_task_timeout()->set_seconds(500);
  request.mutable_retry_policy();
  const auto call = send("StartWorkflowExecution", request);
  ASSERT_TRUE(executions_.command.has_value()) << call->answers.at(0).error().message;
  const auto& started = std::get<core::StartWorkflow>(*executions_.command).request;
  EXPECT_EQ(executions_.key, (store::UnitKey{ns_.id(), store::Kind::kWorkflow, "w"}));
  EXPECT_FALSE(started.request_id().empty());
  EXPECT_EQ(started.workflow_run_timeout().seconds(), 100);
  EXPECT_EQ(started.workflow_task_timeout().seconds(), 100);
  EXPECT_EQ(started.retry_policy().initial_interval().seconds(), 1);
  EXPECT_EQ(started.task_queue().kind(), enums::TASK_QUEUE_KIND_NORMAL);
}

TEST_F(FrontendTest, AbsurdDurationsAreErrorsOrCapped) {
  auto request = start_request();
  request.mutable_workflow_run_timeout()->set_seconds(std::numeric_limits<std::int64_t>::max());
  send("StartWorkflowExecution", request);
  ASSERT_TRUE(executions_.command.has_value());
  EXPECT_LT(std::get<core::StartWorkflow>(*executions_.command).request.workflow_run_timeout().seconds(),
            4'000'000'000);
  request.mutable_workflow_run_timeout()->set_seconds(std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(refused("StartWorkflowExecution", request).code, base::Code::kInvalidArgument);
}

// Rule E17: a token is bound to its namespace and to what it was made for.
TEST_F(FrontendTest, TokensAreBound) {
  history::pb::TaskToken token;
  token.set_namespace_id(ns_.id());
  token.set_workflow_id("w");
  token.set_scheduled_id(5);
  token.set_kind(2);
  wfs::RespondActivityTaskCompletedRequest request;
  request.set_namespace_("default");
  EXPECT_EQ(refused("RespondActivityTaskCompleted", request).message, "Task token not set on request.");
  request.set_task_token(history::write_token(token, kKey));
  EXPECT_EQ(
      answered<wfs::RespondActivityTaskCompletedResponse>(*send("RespondActivityTaskCompleted", request))
          .ByteSizeLong(),
      0u);
  EXPECT_EQ(std::get<core::CompleteActivity>(*executions_.command).task.scheduled_id, 5);
  request.set_namespace_("other");
  EXPECT_EQ(refused("RespondActivityTaskCompleted", request).message,
            "Operation requested with a token from a different namespace.");
  request.clear_namespace_();  // the token says it
  send("RespondActivityTaskCompleted", request);
  EXPECT_EQ(executions_.key.namespace_id, ns_.id());
  wfs::RespondWorkflowTaskCompletedRequest completion;
  completion.set_task_token(request.task_token());
  EXPECT_EQ(refused("RespondWorkflowTaskCompleted", completion).message, "Error deserializing task token.");
}

wfs::GetWorkflowExecutionHistoryRequest history_request() {
  wfs::GetWorkflowExecutionHistoryRequest request;
  request.set_namespace_("default");
  request.mutable_execution()->set_workflow_id("w");
  return request;
}

std::shared_ptr<const std::string> event(std::int64_t id) {
  temporal::api::history::v1::HistoryEvent event;
  event.set_event_id(id);
  event.set_event_type(enums::EVENT_TYPE_WORKFLOW_EXECUTION_STARTED);
  return std::make_shared<const std::string>(event.SerializeAsString());
}

TEST_F(FrontendTest, HistoryPagesFollowTheToken) {
  const std::string run = random_.uuid();
  executions_.page = {
      .run_id = run, .events = {event(1), event(2)}, .next_event_id = 3, .more = true, .running = true};
  auto request = history_request();
  const auto first =
      answered<wfs::GetWorkflowExecutionHistoryResponse>(*send("GetWorkflowExecutionHistory", request));
  ASSERT_EQ(first.history().events_size(), 2);
  EXPECT_EQ(first.history().events(1).event_id(), 2);
  request.set_next_page_token(first.next_page_token());
  executions_.page = {.run_id = run, .events = {}, .next_event_id = 3, .more = false, .running = true};
  const auto second =
      answered<wfs::GetWorkflowExecutionHistoryResponse>(*send("GetWorkflowExecutionHistory", request));
  EXPECT_EQ(executions_.read->run_id, run);  // pinned (WT-63)
  EXPECT_EQ(executions_.read->first_event_id, 3);
  EXPECT_TRUE(second.has_history());
  EXPECT_TRUE(second.next_page_token().empty());  // all read, not waiting (WT-60)
  request.set_wait_new_event(true);
  EXPECT_FALSE(
      answered<wfs::GetWorkflowExecutionHistoryResponse>(*send("GetWorkflowExecutionHistory", request))
          .next_page_token()
          .empty());
  request.mutable_execution()->set_run_id(random_.uuid());
  EXPECT_EQ(refused("GetWorkflowExecutionHistory", request).message,
            "RunId in the request does not match the NextPageToken.");
  request.mutable_execution()->clear_run_id();
  request.mutable_execution()->set_workflow_id("another");
  EXPECT_EQ(refused("GetWorkflowExecutionHistory", request).message, "Invalid NextPageToken.");
  request.set_next_page_token("garbage");
  EXPECT_EQ(refused("GetWorkflowExecutionHistory", request).message, "Invalid NextPageToken.");
}

TEST_F(FrontendTest, LongPollEndsBeforeTheClientDoes) {
  auto request = history_request();
  request.set_wait_new_event(true);
  send("GetWorkflowExecutionHistory", request);
  EXPECT_EQ(executions_.read->wait_until, clock_.now() + std::chrono::seconds(20));
  send("GetWorkflowExecutionHistory", request, clock_.now() + std::chrono::seconds(5));
  EXPECT_EQ(executions_.read->wait_until, clock_.now() + std::chrono::seconds(4));
  send("GetWorkflowExecutionHistory", request, clock_.now());
  EXPECT_EQ(executions_.read->wait_until, clock_.now());
}

// LM: what of a failed activity is too large to be kept is named in the answer, and the rest is recorded.
TEST_F(FrontendTest, AFailureThatIsTooLargeIsReported) {
  wfs::RespondActivityTaskFailedByIdRequest request;
  request.set_namespace_("default");
  request.set_workflow_id("wf");
  request.set_activity_id("a");
  request.mutable_failure()->set_message("boom");
  request.mutable_failure()->mutable_application_failure_info();
  EXPECT_EQ(
      answered<wfs::RespondActivityTaskFailedByIdResponse>(*send("RespondActivityTaskFailedById", request))
          .failures_size(),
      0);
  request.mutable_last_heartbeat_details()->add_payloads()->set_data(
      std::string(services_.limits.blob_size, 'x'));
  const auto details =
      answered<wfs::RespondActivityTaskFailedByIdResponse>(*send("RespondActivityTaskFailedById", request));
  ASSERT_EQ(details.failures_size(), 1);
  EXPECT_EQ(details.failures(0).message(), "Heartbeat details exceed size limit.");
  EXPECT_TRUE(details.failures(0).server_failure_info().non_retryable());
  request.clear_last_heartbeat_details();
  request.mutable_failure()->set_stack_trace(std::string(services_.limits.blob_size, 'x'));
  const auto failure =
      answered<wfs::RespondActivityTaskFailedByIdResponse>(*send("RespondActivityTaskFailedById", request));
  ASSERT_EQ(failure.failures_size(), 1);
  EXPECT_EQ(failure.failures(0).message(), "Failure exceeds size limit.");
  EXPECT_TRUE(std::holds_alternative<core::FailActivity>(*executions_.command));
}

TEST_F(FrontendTest, ALongPollEndsWhenItsClientLeaves) {
  executions_.parks = true;
  auto request = history_request();
  request.set_wait_new_event(true);
  const auto call = send("GetWorkflowExecutionHistory", request);
  EXPECT_TRUE(call->answers.empty());
  call->left();
  EXPECT_EQ(executions_.left, 9u);
  EXPECT_EQ(call->answers.size(), 1u);
}

// WT-64: clients that cannot follow a next run are told of a continuation.
TEST_F(FrontendTest, OldClientsSeeAContinuation) {
  temporal::api::history::v1::HistoryEvent failed;
  failed.set_event_id(9);
  failed.set_event_type(enums::EVENT_TYPE_WORKFLOW_EXECUTION_FAILED);
  failed.mutable_workflow_execution_failed_event_attributes()->set_new_execution_run_id("next");
  executions_.page = {.run_id = "r",
                      .events = {std::make_shared<const std::string>(failed.SerializeAsString())}};
  auto request = history_request();
  request.set_history_event_filter_type(enums::HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT);
  const auto old =
      answered<wfs::GetWorkflowExecutionHistoryResponse>(*send("GetWorkflowExecutionHistory", request));
  ASSERT_EQ(old.history().events_size(), 1);
  EXPECT_EQ(
      old.history().events(0).workflow_execution_continued_as_new_event_attributes().new_execution_run_id(),
      "next");
  auto call = std::make_shared<FakeCall>();
  call->bytes = request.SerializeAsString();
  call->headers["supported-features"] = "follows-next-run-id";
  table_.dispatch(std::string(kWorkflowService) + "GetWorkflowExecutionHistory", call);
  const auto now = answered<wfs::GetWorkflowExecutionHistoryResponse>(*call);
  EXPECT_TRUE(now.history().events(0).has_workflow_execution_failed_event_attributes());
}

TEST_F(FrontendTest, PollsNeedTimeAndFreeTheirPlace) {
  wfs::PollWorkflowTaskQueueRequest request;
  request.set_namespace_("default");
  request.mutable_task_queue()->set_name("q");
  EXPECT_EQ(send("PollWorkflowTaskQueue", request)->answers.at(0).error().message,
            "Context timeout is not set.");
  const auto soon = send("PollWorkflowTaskQueue", request, clock_.now() + std::chrono::seconds(1));
  EXPECT_EQ(soon->answers.at(0).error().code, base::Code::kFailedPrecondition);
  const auto call = send("PollWorkflowTaskQueue", request, clock_.now() + std::chrono::seconds(60));
  ASSERT_TRUE(queues_.parked.has_value());
  EXPECT_TRUE(call->answers.empty());
  call->left();
  EXPECT_EQ(queues_.cancelled, 7u);
  EXPECT_EQ(call->answers.size(), 1u);
  request.mutable_deployment_options()->set_worker_versioning_mode(enums::WORKER_VERSIONING_MODE_VERSIONED);
  EXPECT_EQ(refused("PollWorkflowTaskQueue", request).code, base::Code::kInvalidArgument);
}

TEST_F(FrontendTest, NamespaceStatesCount) {
  core::Namespace gone = ns_;
  gone.set_state(enums::NAMESPACE_STATE_DEPRECATED);
  catalog_.apply({catalog::namespace_entry(gone)});
  EXPECT_EQ(refused("StartWorkflowExecution", start_request()).code, base::Code::kFailedPrecondition);
  send("GetWorkflowExecutionHistory", history_request());
  EXPECT_TRUE(executions_.read.has_value());
  auto request = start_request();
  request.set_namespace_("nowhere");
  EXPECT_EQ(refused("StartWorkflowExecution", request), core::namespace_not_found("nowhere"));
}

TEST_F(FrontendTest, ListTokensAreSigned) {
  const store::VisibilityMark mark{clock_.now(), clock_.now() - std::chrono::seconds(9), "run"};
  const std::string bytes = write_list_token(mark, kKey);
  const auto read = read_list_token(bytes, kKey);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->close_time, mark.close_time);
  EXPECT_EQ(read->start_time, mark.start_time);
  EXPECT_EQ(read->run_id, "run");
  EXPECT_FALSE(read_list_token(bytes, "another").has_value());
  EXPECT_FALSE(
      read_list_token(write_list_token({std::nullopt, {}, "run"}, kKey), kKey)->close_time.has_value());
}

// Whatever the bytes, the answer is a clear error and comes once; never INTERNAL or UNKNOWN (ER-02).
TEST_F(FrontendTest, NoBytesAreTooStrange) {
  std::vector<std::string> inputs{std::string(1, '\x0a'),   "\x0a\xff\xff\xff\xff\x0f",
                                  "\x0a\x02\xc3\x28",       "\xfa\x3e\x01x",
                                  std::string(100, '\xff'), start_request().SerializeAsString()};
  for (int i = 0; i < 40; ++i) {
    std::string noise;
    for (std::uint64_t n = random_.below(60); n > 0; --n) noise.push_back(static_cast<char>(random_.next()));
    inputs.push_back(noise);
  }
  table_.each([&](const Method& method) {
    for (const std::string& input : inputs) {
      auto call = std::make_shared<FakeCall>();
      call->bytes = input;
      call->when = clock_.now() + std::chrono::seconds(60);
      method.handler(call);
      ASSERT_LE(call->answers.size(), 1u) << method.full_name;
      if (call->answers.empty() || call->answers[0]) continue;
      EXPECT_NE(call->answers[0].error().code, base::Code::kInternal) << method.full_name;
      EXPECT_NE(call->answers[0].error().code, base::Code::kUnknown) << method.full_name;
    }
  });
}

}  // namespace
}  // namespace perdure::frontend
