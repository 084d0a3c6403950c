// The client's calls as the transport sees them, over one of a few lines: how many are under way, what is asked again, what
// workflow code may not call.
#include <gtest/gtest.h>

#include <future>
#include <vector>

#include "base/guarded.h"
#include "sdk/src/client/connection.h"
#include "sdk/tests/fake_server.h"

#include <perdure/async.h>
#include <perdure/schedules.h>
#include <temporal/api/workflowservice/v1/request_response.pb.h>

namespace calls_test {  // named: g++ 12 warns about coroutines of unnamed ones

using namespace perdure;
namespace service = temporal::api::workflowservice::v1;

// Keeps every call until the test answers it.
class HeldCalls {
 public:
  struct Call {
    std::string method, request;
    std::function<void(client::Reply)> done;
  };
  void add(Call call) {
    held_.with([&](Held& held) {
      held.calls.push_back(std::move(call));
      if (held.calls.size() == held.wanted) held.there.set_value();
    });
  }
  // The first `count`, once there are so many.
  std::vector<Call> take(std::size_t count) {
    held_
        .with([&](Held& held) {
          held.there = {};
          held.wanted = count;
          if (held.calls.size() >= count) held.there.set_value();
          return held.there.get_future();
        })
        .wait();
    return held_.with([&](Held& held) {
      const auto end = held.calls.begin() + static_cast<std::ptrdiff_t>(count);
      std::vector<Call> taken(held.calls.begin(), end);
      held.calls.erase(held.calls.begin(), end);
      held.wanted = 0;
      return taken;
    });
  }

 private:
  struct Held {
    std::vector<Call> calls;
    std::size_t wanted = 0;
    std::promise<void> there;
  };
  base::Guarded<Held> held_;
};

class HoldingTransport final : public client::Transport {
 public:
  explicit HoldingTransport(HeldCalls& calls) : calls_(calls) {}
  std::shared_ptr<Call> call(const std::string& method, const std::string& request, base::Duration,
                             std::function<void(client::Reply)> done) override {
    calls_.add({method.substr(method.rfind('/') + 1), request, std::move(done)});
    return nullptr;
  }

 private:
  HeldCalls& calls_;
};

// Answers as it is told to, at once.
class AnsweringTransport final : public client::Transport {
 public:
  using Answer = std::function<client::Reply(const std::string& method, const std::string& request)>;
  explicit AnsweringTransport(Answer answer) : answer_(std::move(answer)) {}
  std::shared_ptr<Call> call(const std::string& method, const std::string& request, base::Duration,
                             std::function<void(client::Reply)> done) override {
    done(answer_(method.substr(method.rfind('/') + 1), request));
    return nullptr;
  }

 private:
  Answer answer_;
};

Client client_over(std::unique_ptr<client::Transport> transport, ClientOptions options = {}) {
  return detail::ClientAccess::make(
      std::make_shared<detail::Connection>(std::move(options), std::move(transport)));
}
template <class Message>
Message parsed(const std::string& bytes) {
  Message message;
  EXPECT_TRUE(message.ParseFromString(bytes));
  return message;
}

class Door {
 public:
  Task<int> run(Context ctx) {
    co_await ctx.until([] { return false; });
    co_return 1;
  }
  void open() {}
  bool is_open() const { return true; }
  int turn(int by) { return by; }
  using signals = handlers<&Door::open>;
  using queries = handlers<&Door::is_open>;
  using updates = handlers<update<&Door::turn>>;
};

// ---- asynchronous calls

constexpr std::size_t kMany = 100;  // more than the SDK has threads for calls that block

TEST(AsyncCalls, hold_no_thread_while_they_are_under_way) {
  HeldCalls held;
  const AsyncClient client = client_over(std::make_unique<HoldingTransport>(held)).async();
  const AsyncHandle<Door> door = client.handle<Door>("door");
  std::vector<Pending<bool>> asked;
  for (std::size_t i = 0; i < kMany; ++i) asked.push_back(door.query<&Door::is_open>());
  service::QueryWorkflowResponse yes;
  yes.mutable_query_result()->add_payloads()->set_data("true");
  (*yes.mutable_query_result()->mutable_payloads(0)->mutable_metadata())["encoding"] = "json/plain";
  for (const auto& call : held.take(kMany)) call.done(yes.SerializeAsString());
  for (Pending<bool>& one : asked) EXPECT_TRUE(one.get());
}

// Stands in for one that encrypts.
class Reverses final : public PayloadCodec {
 public:
  Payloads encode(Payloads payloads) override { return reversed(std::move(payloads)); }
  Payloads decode(Payloads payloads) override { return reversed(std::move(payloads)); }

 private:
  static Payloads reversed(Payloads payloads) {
    for (Payload& one : payloads) one.data.assign(std::string(one.data.rbegin(), one.data.rend()));
    return payloads;
  }
};

TEST(AsyncCalls, go_through_the_codec_and_hold_no_thread_either) {
  HeldCalls held;
  ClientOptions options;
  options.codec = std::make_shared<Reverses>();
  const AsyncClient client = client_over(std::make_unique<HoldingTransport>(held), options).async();
  const AsyncHandle<Door> door = client.handle<Door>("door", "run");
  std::vector<Pending<int>> turned;
  for (std::size_t i = 0; i < kMany; ++i) turned.push_back(door.update<&Door::turn>(123));
  for (const auto& call : held.take(kMany)) {
    const auto request = parsed<service::UpdateWorkflowExecutionRequest>(call.request);
    EXPECT_EQ(request.request().input().args().payloads(0).data(), "321");
    service::UpdateWorkflowExecutionResponse response;
    *response.mutable_outcome()->mutable_success() = request.request().input().args();
    call.done(response.SerializeAsString());
  }
  for (Pending<int>& one : turned) EXPECT_EQ(one.get(), 123);
}

TEST(AsyncCalls, an_update_is_asked_for_until_it_has_ended) {
  HeldCalls held;
  const AsyncClient client = client_over(std::make_unique<HoldingTransport>(held)).async();
  Pending<int> turned = client.handle<Door>("door").update<&Door::turn>(1);
  const auto first = held.take(1).front();
  // the server's patience was over
  first.done(service::UpdateWorkflowExecutionResponse().SerializeAsString());
  const auto second = held.take(1).front();
  EXPECT_EQ(first.request, second.request);
  second.done(base::fail(base::Code::kNotFound, "it is gone"));
  EXPECT_THROW(turned.get(), WorkflowNotFound);
}

TEST(AsyncCalls, what_is_started_and_waited_for_is_one_answer) {
  HeldCalls held;
  const AsyncClient client = client_over(std::make_unique<HoldingTransport>(held)).async();
  Pending<int> result = client.execute<Door>({.id = "door", .task_queue = "q"});
  service::StartWorkflowExecutionResponse started;
  started.set_run_id("run-1");
  held.take(1).front().done(started.SerializeAsString());
  const auto wait = held.take(1).front();
  EXPECT_EQ(wait.method, "GetWorkflowExecutionHistory");
  EXPECT_EQ(parsed<service::GetWorkflowExecutionHistoryRequest>(wait.request).execution().run_id(), "run-1");
  service::GetWorkflowExecutionHistoryResponse history;
  auto* end = history.mutable_history()->add_events();
  end->set_event_type(temporal::api::enums::v1::EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED);
  end->mutable_workflow_execution_terminated_event_attributes()->set_reason("enough");
  wait.done(history.SerializeAsString());
  EXPECT_THROW(result.get(), WorkflowTerminated);
}

// ---- refusals that no verb asks for

TEST(Calls, a_query_that_the_server_rejects_is_said_so) {
  service::QueryWorkflowResponse rejected;
  rejected.mutable_query_rejected()->set_status(
      temporal::api::enums::v1::WORKFLOW_EXECUTION_STATUS_COMPLETED);
  const Client client = client_over(std::make_unique<AnsweringTransport>(
      [&](const std::string&, const std::string&) -> client::Reply { return rejected.SerializeAsString(); }));
  EXPECT_THROW(client.handle<Door>("door").query<&Door::is_open>(), QueryRejected);
}

// ---- schedules: what somebody else changes meanwhile

// A schedule of which somebody else has always another version, until `conflicts` are over.
class Contended {
 public:
  explicit Contended(int conflicts) : conflicts_(conflicts) {
    auto* start = schedule_.mutable_action()->mutable_start_workflow();
    start->mutable_workflow_type()->set_name("greets");
    start->mutable_retry_policy()->add_non_retryable_error_types("Hopeless");
    (*start->mutable_header()->mutable_fields())["trace"].set_data("t1");
    start->mutable_priority()->set_priority_key(2);
    schedule_.mutable_policies()->set_keep_original_workflow_id(true);
  }
  client::Reply answer(const std::string& method, const std::string& request) {
    if (method == "DescribeSchedule") {
      service::DescribeScheduleResponse response;
      response.set_conflict_token(std::to_string(updates_));
      *response.mutable_schedule() = schedule_;
      response.mutable_schedule()->mutable_state()->set_notes("version " + std::to_string(updates_));
      return response.SerializeAsString();
    }
    last_ = parsed<service::UpdateScheduleRequest>(request);
    EXPECT_EQ(last_.conflict_token(), std::to_string(updates_));
    if (++updates_ <= conflicts_)
      return base::fail(base::Code::kFailedPrecondition, "mismatched conflict token");
    return service::UpdateScheduleResponse().SerializeAsString();
  }
  int updates() const { return updates_; }
  const temporal::api::schedule::v1::Schedule& updated() const { return last_.schedule(); }

 private:
  const int conflicts_;
  int updates_ = 0;
  temporal::api::schedule::v1::Schedule schedule_;
  service::UpdateScheduleRequest last_;
};

ScheduleHandle schedule_of(Contended& contended) {
  return client_over(
             std::make_unique<AnsweringTransport>([&](const std::string& method, const std::string& request) {
               return contended.answer(method, request);
             }))
      .schedules()
      .handle("hourly");
}

TEST(ScheduleUpdates, are_made_again_when_somebody_else_was_faster) {
  Contended contended(2);
  std::vector<std::string> seen;
  schedule_of(contended).update([&](Schedule& schedule) {
    seen.push_back(schedule.note);
    schedule.note += ", changed";
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"version 0", "version 1", "version 2"}));
  EXPECT_EQ(contended.updated().state().notes(), "version 2, changed");
}

TEST(ScheduleUpdates, give_up_when_somebody_else_is_always_faster) {
  Contended contended(1000);
  EXPECT_THROW(schedule_of(contended).update([](Schedule&) {}), RpcError);
  EXPECT_EQ(contended.updates(), 10);
}

TEST(ScheduleUpdates, leave_alone_what_this_sdk_does_not_show) {
  Contended contended(0);
  schedule_of(contended).update([](Schedule& schedule) { schedule.paused = true; });
  const auto& start = contended.updated().action().start_workflow();
  EXPECT_TRUE(contended.updated().state().paused());
  EXPECT_EQ(start.header().fields().at("trace").data(), "t1");
  ASSERT_EQ(start.retry_policy().non_retryable_error_types_size(), 1);
  EXPECT_EQ(start.retry_policy().non_retryable_error_types(0), "Hopeless");
  EXPECT_EQ(start.priority().priority_key(), 2);
  EXPECT_TRUE(contended.updated().policies().keep_original_workflow_id());
}

// ---- calls that block, in workflow code

Client& client_of_test() {
  static Client client =
      client_over(std::make_unique<AnsweringTransport>([](const std::string&, const std::string&) {
        return base::fail(base::Code::kNotFound, "nobody is here");
      }));
  return client;
}

Task<> calls_the_client(Context ctx) {
  co_await ctx.sleep(1s);
  client_of_test().handle("other").signal("hurry");
}
Task<> waits_for_the_client(Context) {
  HeldCalls held;
  Pending<bool> never =
      client_over(std::make_unique<HoldingTransport>(held)).async().handle<Door>("d").query<&Door::is_open>();
  (void)never.get();
  co_return;
}

std::string failure_of_task(test::FakeServer& server) {
  try {
    return "none, but commands: " + server.task();
  } catch (const std::logic_error& error) {
    return error.what();
  }
}

TEST(WorkflowCode, is_told_at_once_that_it_may_not_call_the_client) {
  test::FakeServer server(detail::define_workflow<&calls_the_client>());
  EXPECT_EQ(server.task(), "StartTimer(1s)");
  server.fire_timer(0);
  EXPECT_NE(failure_of_task(server).find("workflow code calls SignalWorkflowExecution"), std::string::npos);
}
TEST(WorkflowCode, may_not_wait_for_an_answer_of_the_client_either) {
  test::FakeServer server(detail::define_workflow<&waits_for_the_client>());
  EXPECT_NE(failure_of_task(server).find("workflow code calls Pending::get()"), std::string::npos);
}
TEST(WorkflowCode, is_over_when_the_test_calls_the_client) {
  EXPECT_THROW(client_of_test().handle("other").signal("hurry"), WorkflowNotFound);
}

}  // namespace calls_test
