// One attempt of an activity beside a server that answers when the test says so.
#include "sdk/src/worker/activity_task.h"

#include <gtest/gtest.h>

#include <future>
#include <map>

#include "base/clock.h"

namespace perdure::detail {
namespace {

namespace service = temporal::api::workflowservice::v1;

struct Waiting {
  std::string request;
  std::function<void(client::Reply)> done;
};
using Calls = std::map<std::string, std::vector<Waiting>>;  // by method

class Held final : public client::Transport {
 public:
  explicit Held(Calls& calls) : calls_(calls) {}
  std::shared_ptr<Call> call(const std::string& path, const std::string& request, base::Duration,
                             std::function<void(client::Reply)> done) override {
    calls_[path.substr(path.rfind('/') + 1)].push_back({request, std::move(done)});
    return nullptr;
  }

 private:
  Calls& calls_;
};

class Attempt : public ::testing::Test {
 protected:
  void run(ActivityBody body) {
    task->run(&body, [this] { done.set_value(); });
  }
  void answer(const std::string& method, client::Reply reply) {
    Waiting call = std::move(calls.at(method).front());
    calls[method].erase(calls[method].begin());
    call.done(std::move(reply));
  }
  service::RespondActivityTaskFailedRequest failure() {
    service::RespondActivityTaskFailedRequest request;
    EXPECT_TRUE(request.ParseFromString(calls["RespondActivityTaskFailed"].at(0).request));
    return request;
  }
  // That an attempt of `body`, which is asked to stop before it begins if there is a reason, fails with that type; or is
  // reported as cancelled, if there is none.
  void expect_end(const ActivityBody& body, std::optional<CancelReason> reason, const std::string& type) {
    auto attempt = std::make_shared<ActivityTask>(
        ActivityTask::Settings{&connection, timers.get(), "test", "q", {}, {}, {}},
        service::PollActivityTaskQueueResponse());
    if (reason) attempt->stop(*reason);
    bool ended = false;
    attempt->run(&body, [&ended] { ended = true; });
    if (type.empty()) {
      answer("RespondActivityTaskCanceled", std::string());
    } else {
      EXPECT_EQ(failure().failure().application_failure_info().type(), type);
      EXPECT_FALSE(failure().failure().application_failure_info().non_retryable());
      answer("RespondActivityTaskFailed", std::string());
    }
    EXPECT_TRUE(ended);
    timers->run_and_wait([] {});
  }
  static Payloads one(const std::string& text) { return {encode(text)}; }

  Calls calls;
  Connection connection{ClientOptions(), std::make_unique<Held>(calls)};
  std::unique_ptr<base::Executor> timers = base::make_thread_executor("timers", base::system_clock());
  std::shared_ptr<ActivityTask> task = std::make_shared<ActivityTask>(
      ActivityTask::Settings{&connection, timers.get(), "test", "q", {}, {}, {}},
      service::PollActivityTaskQueueResponse());
  std::promise<void> done;
};

// The two calls may reach the server in any order.
TEST_F(Attempt, a_failure_carries_the_heartbeat_that_is_not_answered_yet) {
  run([](ActivityTask& self, const Payloads&) -> std::optional<Payloads> {
    self.heartbeat(one("half"));
    throw ApplicationFailure("after it");
  });
  ASSERT_EQ(failure().last_heartbeat_details().payloads_size(), 1);
  EXPECT_EQ(failure().last_heartbeat_details().payloads(0).data(), "\"half\"");
  answer("RecordActivityTaskHeartbeat", std::string());
  answer("RespondActivityTaskFailed", std::string());
  done.get_future().wait();
}

TEST_F(Attempt, a_failure_carries_the_heartbeat_that_was_held_back) {
  run([](ActivityTask& self, const Payloads&) -> std::optional<Payloads> {
    self.heartbeat(one("a third"));
    self.heartbeat(one("half"));
    self.heartbeat(one("more"));
    throw ApplicationFailure("after it");
  });
  EXPECT_EQ(calls["RecordActivityTaskHeartbeat"].size(), 1u);
  EXPECT_EQ(failure().last_heartbeat_details().payloads(0).data(), "\"more\"");
  answer("RecordActivityTaskHeartbeat", std::string());
  answer("RespondActivityTaskFailed", std::string());
  done.get_future().wait();
}

TEST_F(Attempt, what_the_server_has_heard_is_not_sent_again) {
  run([this](ActivityTask& self, const Payloads&) -> std::optional<Payloads> {
    self.heartbeat(one("half"));
    answer("RecordActivityTaskHeartbeat", std::string());
    throw ApplicationFailure("after it");
  });
  EXPECT_FALSE(failure().has_last_heartbeat_details());
  answer("RespondActivityTaskFailed", std::string());
  done.get_future().wait();
}

// What a heartbeat's answer says, an attempt hears as the reason to stop. Only one that was cancelled is reported so: what is
// reported as a cancellation is never tried again, which one that was paused or reset must be.
TEST_F(Attempt, a_heartbeat_brings_the_reason_to_stop) {
  using Answer = service::RecordActivityTaskHeartbeatResponse;
  const struct {
    void (*say)(Answer&);
    CancelReason reason;
    std::string type;  // of the failure that is reported; empty: it is reported as cancelled
  } cases[] = {
      {[](Answer& said) { said.set_activity_paused(true); }, CancelReason::kPaused, "ActivityPause"},
      {[](Answer& said) { said.set_activity_reset(true); }, CancelReason::kReset, "ActivityReset"},
      {[](Answer& said) { said.set_cancel_requested(true); }, CancelReason::kRequested, ""},
      // of two reasons the one that lasts longer
      {[](Answer& said) { said.set_cancel_requested(true), said.set_activity_paused(true); },
       CancelReason::kRequested, ""},
      {[](Answer& said) { said.set_activity_paused(true), said.set_activity_reset(true); },
       CancelReason::kPaused, "ActivityPause"},
  };
  for (const auto& one : cases) {
    const ActivityBody body = [&](ActivityTask& self, const Payloads&) -> std::optional<Payloads> {
      ActivityContext context(self);
      context.heartbeat(1);
      EXPECT_EQ(context.reason(), CancelReason::kNone);
      Answer said;
      one.say(said);
      answer("RecordActivityTaskHeartbeat", said.SerializeAsString());
      EXPECT_EQ(context.reason(), one.reason);
      context.throw_if_cancelled();
      return std::nullopt;
    };
    expect_end(body, {}, one.type);
  }
}

TEST_F(Attempt, one_that_ends_with_its_worker_is_to_be_tried_again) {
  const ActivityBody sleeps = [](ActivityTask& self, const Payloads&) -> std::optional<Payloads> {
    ActivityContext(self).sleep_for(1h);
    return std::nullopt;
  };
  expect_end(sleeps, CancelReason::kWorkerShutdown, "WorkerShutdown");
  expect_end(sleeps, CancelReason::kRequested, "");
  // a failure of its own is what it was
  const ActivityBody fails = [](ActivityTask&, const Payloads&) -> std::optional<Payloads> {
    throw ApplicationFailure("no", "Refusal");
  };
  expect_end(fails, CancelReason::kWorkerShutdown, "Refusal");
}

// As the worker does it: what is called at the end holds the attempt.
TEST_F(Attempt, an_attempt_that_has_ended_is_let_go) {
  for (const bool fails : {false, true}) {
    const ActivityBody body = [&](ActivityTask& self, const Payloads&) -> std::optional<Payloads> {
      self.heartbeat(one("half"));
      if (fails) throw ApplicationFailure("after it");
      return one("done");
    };
    auto attempt = std::make_shared<ActivityTask>(
        ActivityTask::Settings{&connection, timers.get(), "test", "q", {}, {}, {}},
        service::PollActivityTaskQueueResponse());
    const std::weak_ptr<ActivityTask> watched = attempt;
    bool ended = false;
    attempt->run(&body, [attempt, &ended] { ended = true; });
    attempt.reset();
    answer(fails ? "RespondActivityTaskFailed" : "RespondActivityTaskCompleted", std::string());
    EXPECT_FALSE(ended);
    answer("RecordActivityTaskHeartbeat", std::string());
    EXPECT_TRUE(ended);
    timers->run_and_wait([] {});
    EXPECT_TRUE(watched.expired());
  }
}

}  // namespace
}  // namespace perdure::detail
