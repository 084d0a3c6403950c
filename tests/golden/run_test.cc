// The runner against a server of a few lambdas: how time passes, what waits, what an outcome looks like.
#include "tests/golden/run.h"

#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

namespace perdure::golden {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
namespace api = temporal::api::workflowservice::v1;

class RunTest : public testing::Test {
 protected:
  RunTest() {
    add("SignalWorkflowExecution", [](auto call) { call->finish(std::string()); });
    add("PollWorkflowTaskQueue", [this](auto call) {  // empty a second before the deadline
      executor_->call_at(call->deadline() - seconds(1), [call] { call->finish(std::string()); });
    });
    add("QueryWorkflow", [this](auto call) { call->on_client_gone([this] { ++left_; }); });
    add("GetSystemInfo", [this](auto call) {
      api::GetSystemInfoResponse response;
      response.set_server_version(std::to_string((scheduler_.clock().now() - start_) / milliseconds(1)));
      call->finish(response.SerializeAsString());
    });
    add("StartWorkflowExecution", [](auto call) {
      temporal::api::errordetails::v1::WorkflowExecutionAlreadyStartedFailure failure;
      failure.set_run_id("r");
      google::protobuf::Any any;
      any.PackFrom(failure);
      call->finish(base::fail(base::Code::kAlreadyExists, "started", any.SerializeAsString()));
    });
  }

  void add(const char* method, frontend::Handler handler) {
    methods_.add({std::string(frontend::kWorkflowService) + method, {}, {}, std::move(handler)});
  }

  Json outcomes(const char* steps, const char* timeless = "false") {
    const std::string text = std::string(R"({"timeless": )") + timeless + R"(, "steps": )" + steps + "}";
    const Json scenario = Json::parse(text);
    return golden::Run(methods_, scheduler_, scenario, "zuid").raw_outcomes();
  }
  milliseconds passed() { return std::chrono::floor<milliseconds>(scheduler_.clock().now() - start_); }

  base::ManualClock clock_;
  const base::Time start_ = clock_.now();
  base::SimScheduler scheduler_{clock_};
  std::unique_ptr<base::Executor> executor_ = scheduler_.make_executor("fake");
  frontend::MethodTable methods_;
  int left_ = 0;
};

TEST_F(RunTest, AWaitingCallAdvancesToTheTimerThatAnswersIt) {
  EXPECT_EQ(outcomes(R"([{"call": "PollWorkflowTaskQueue", "deadline": "3s"}])"),
            Json::parse(R"([{"step": 1, "what": "PollWorkflowTaskQueue", "response": {}}])"));
  EXPECT_EQ(passed(), milliseconds(2001));
}

TEST_F(RunTest, ACallThatNobodyAnswersEndsAtItsDeadlineAndTheServerHears) {
  const Json steps = outcomes(R"([{"call": "QueryWorkflow", "deadline": "3s", "expect_error": true}])");
  EXPECT_EQ(steps[0].at("error").at("code"), "DEADLINE_EXCEEDED");
  EXPECT_EQ(passed(), milliseconds(3001));
  EXPECT_EQ(left_, 1);
}

TEST_F(RunTest, TheDeadlineOfABackgroundCallPassesDuringASleep) {
  const Json steps = outcomes(
      R"([{"start": "q", "call": "QueryWorkflow", "deadline": "1s"}, {"sleep": "5s"}, {"await": "q"}])");
  EXPECT_EQ(left_, 1);
  EXPECT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps[0].at("what"), "await q");
  EXPECT_EQ(steps[0].at("error").at("code"), "DEADLINE_EXCEEDED");
}

TEST_F(RunTest, ASleepInATimelessScenarioTakesNoTime) {
  outcomes(R"([{"sleep": "5s"}])", "true");
  EXPECT_EQ(passed(), milliseconds(0));
}

TEST_F(RunTest, UntilAsksEveryFiftyMillisecondsAndGivesUp) {
  const Json held =
      outcomes(R"([{"until": {"call": "GetSystemInfo", "path": "server_version", "equals": "102"}}])");
  EXPECT_EQ(held[0].at("response").at("server_version"), "102");
  const Json never =
      outcomes(R"([{"until": {"call": "GetSystemInfo", "path": "nothing", "deadline": "1s"}}])");
  EXPECT_EQ(never[0].at("never"), "nothing");
  EXPECT_EQ(never[0].at("what"), "until GetSystemInfo");
}

TEST_F(RunTest, ErrorsCarryCodeTextAndDetails) {
  EXPECT_EQ(outcomes(R"([{"call": "StartWorkflowExecution"}])"),
            Json::parse(R"([{"step": 1, "what": "StartWorkflowExecution", "error":
      {"code": "ALREADY_EXISTS", "message": "started", "details": [{"run_id": "r", "@type":
       "type.googleapis.com/temporal.api.errordetails.v1.WorkflowExecutionAlreadyStartedFailure"}]}}])"));
}

TEST_F(RunTest, AKeptAnswerFillsLaterRequestsAndAnAbsentPathEndsTheScenario) {
  const Json steps = outcomes(R"([
      {"call": "PollWorkflowTaskQueue", "as": "poll", "record": false},
      {"call": "SignalWorkflowExecution", "request": {"signal_name": "${poll.task_token}"}},
      {"call": "SignalWorkflowExecution"}])");
  EXPECT_EQ(steps, Json::parse(R"([{"step": 1, "what": "PollWorkflowTaskQueue", "done": true},
                                      {"step": 2, "unresolved": "poll.task_token"}])"));
}

TEST_F(RunTest, ARequestThatIsNoSuchMessageIsSaid) {
  const Json steps =
      outcomes(R"([{"call": "SignalWorkflowExecution", "request": {"signal": 1}}, {"call": "Nothing"}])");
  EXPECT_TRUE(steps[0].contains("broken"));
  EXPECT_TRUE(steps[1].contains("broken"));
}

TEST_F(RunTest, AScenarioEndsAfterAMinute) {
  const Json steps = outcomes(
      R"([{"sleep": "2m"}, {"call": "SignalWorkflowExecution"}, {"call": "SignalWorkflowExecution"}])");
  EXPECT_EQ(steps[1].at("gave_up"), "scenario ran longer than 60 s");
}

TEST_F(RunTest, ClientsThatStillWaitAreGoneAtTheEnd) {
  outcomes(R"([{"start": "q", "call": "QueryWorkflow"}])");
  EXPECT_EQ(left_, 1);
}

}  // namespace
}  // namespace perdure::golden
