// What the server gets, as its history shows it: priorities; and failures that a converter has made, a codec has hidden.
#include <gtest/gtest.h>

#include "base/guarded.h"
#include "sdk/tests/on_server.h"

#include <temporal/api/history/v1/message.pb.h>

namespace on_server_wire {  // named: g++ 12 warns about coroutines of unnamed ones

using namespace perdure;
using temporal::api::failure::v1::Failure;

// The first event of that type.
temporal::api::history::v1::HistoryEvent first(const HandleBase& handle, const std::string& type) {
  temporal::api::history::v1::HistoryEvent found;
  for (const HistoryEvent& event : handle.history()) {
    if (event.type != type) continue;
    EXPECT_TRUE(found.ParseFromString(event.bytes));
    break;
  }
  return found;
}

class Wire : public OnServer {};
PERDURE_ON_SERVER(Wire);

// ---- priorities

int works(int number) {
  return number;
}
Task<int> urgent(Context ctx) {
  const ActivityOptions own{
      .start_to_close_timeout = 10s,
      .priority = {.key = 1, .fairness_key = "tenant-a", .fairness_weight = 2.5},
  };
  int first = co_await ctx.execute<&works>(own, 1);
  int second = co_await ctx.execute<&works>({.start_to_close_timeout = 10s}, 2);
  co_return first + second;
}
std::string text(const temporal::api::common::v1::Priority& priority) {
  return std::to_string(priority.priority_key()) + " " + priority.fairness_key() + " " +
         std::to_string(static_cast<int>(priority.fairness_weight() * 10));
}

TEST_P(Wire, priorities_of_workflows_and_activities_reach_the_server) {
  worker().add<&urgent, &works>();
  replayer().add<&urgent>();
  start();
  StartOptions options = named("urgent");
  const std::string tenant = "tenant-b";
  options.priority = {.key = 4, .fairness_key = tenant, .fairness_weight = 0.5};
  auto handle = client().start<&urgent>(options);
  EXPECT_EQ(handle.result(), 3);
  EXPECT_EQ(
      text(
          first(handle, "WorkflowExecutionStarted").workflow_execution_started_event_attributes().priority()),
      "4 tenant-b 5");
  EXPECT_EQ(
      text(first(handle, "ActivityTaskScheduled").activity_task_scheduled_event_attributes().priority()),
      "1 tenant-a 25");
  check_replay(handle.id());
}

// ---- a codec beside a converter of failures

class OutOfStock : public std::runtime_error {
 public:
  explicit OutOfStock(int missing)
      : std::runtime_error(std::to_string(missing) + " are missing"), missing_(missing) {}
  int missing() const { return missing_; }

 private:
  int missing_;
};

// Carries OutOfStock, and notes what it is shown.
class StockFailures : public FailureConverter {
 public:
  std::exception_ptr to_failure(const std::exception_ptr& error) override {
    try {
      std::rethrow_exception(error);
    } catch (const OutOfStock& out) {
      ApplicationFailureOptions options{.type = "OutOfStock", .non_retryable = true};
      options.details = {detail::encode(out.missing())};
      return std::make_exception_ptr(ApplicationFailure(out.what(), std::move(options)));
    } catch (...) {
      return error;
    }
  }
  std::exception_ptr from_failure(const std::exception_ptr& failure) override {
    try {
      std::rethrow_exception(failure);
    } catch (const ApplicationFailure& application) {
      if (application.type() != "OutOfStock") return failure;
      shown_.with([&](std::vector<std::string>& all) { all.push_back(application.what()); });
      return std::make_exception_ptr(OutOfStock(detail::decode<int>(application.options().details.at(0))));
    } catch (...) {
      return failure;
    }
  }
  std::vector<std::string> shown() const {
    return shown_.with([](const std::vector<std::string>& all) { return all; });
  }

 private:
  base::Guarded<std::vector<std::string>> shown_;
};

// Stands in for one that encrypts: the server sees nothing of what it is given.
class Veil : public PayloadCodec {
 public:
  Payloads encode(Payloads payloads) override {
    for (Payload& payload : payloads) {
      payload = {{{"encoding", "binary/veiled"}, {"was", payload.metadata.at("encoding")}},
                 std::string(payload.data.rbegin(), payload.data.rend())};
    }
    return payloads;
  }
  Payloads decode(Payloads payloads) override {
    for (Payload& payload : payloads) {
      if (payload.metadata.at("encoding") != "binary/veiled") continue;
      payload = {{{"encoding", payload.metadata.at("was")}},
                 std::string(payload.data.rbegin(), payload.data.rend())};
    }
    return payloads;
  }
};

int take(int wanted) {
  throw OutOfStock(wanted);
}
int missing_in(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const ActivityFailure& failure) {
    return missing_in(failure.cause());
  } catch (const OutOfStock& out) {
    return out.missing();
  } catch (...) {
    return -1;
  }
}
class Sells {
 public:
  Task<int> run(Context ctx) {
    auto taken = co_await attempt(ctx.execute<&take>({.start_to_close_timeout = 10s}, 3));
    throw OutOfStock(missing_in(taken.error()) + 4);
    co_return 0;
  }
  using failure_types = exceptions<OutOfStock>;
};

// That nothing of it can be read but the type, which retry policies name.
void expect_hidden(const Failure& failure) {
  EXPECT_EQ(failure.message(), "Encoded failure");
  EXPECT_EQ(failure.stack_trace(), "");
  EXPECT_EQ(failure.encoded_attributes().metadata().at("encoding"), "binary/veiled");
  EXPECT_EQ(failure.application_failure_info().type(), "OutOfStock");
  ASSERT_EQ(failure.application_failure_info().details().payloads_size(), 1);
  EXPECT_EQ(failure.application_failure_info().details().payloads(0).metadata().at("encoding"),
            "binary/veiled");
  EXPECT_EQ(failure.ShortDebugString().find("are missing"), std::string::npos) << failure.ShortDebugString();
}

TEST_P(Wire, a_codec_hides_what_a_converter_has_made_and_shows_it_before_the_converter_sees_it) {
  const auto converter = std::make_shared<StockFailures>();
  ClientOptions options = ClientOptions::from_environment();
  options.codec = std::make_shared<Veil>();
  options.failure_converter = converter;
  options.encode_failures = true;
  const Client veiled = Client::connect(options);
  Worker worker(veiled, worker_options());
  worker.add<Sells>().add<&take>();
  worker.start();
  auto handle = veiled.start<Sells>(named("veiled"));
  try {
    (void)handle.result();
    FAIL() << "there is nothing left";
  } catch (const WorkflowFailed& failed) {
    EXPECT_EQ(missing_in(failed.failure()), 7);
    EXPECT_NE(std::string(failed.what()).find("7 are missing"), std::string::npos) << failed.what();
  }
  for (const std::string& message : converter->shown())
    EXPECT_TRUE(message == "3 are missing" || message == "7 are missing") << message;
  const UntypedHandle seen = client().handle(handle.id());  // as one without the codec
  expect_hidden(first(seen, "ActivityTaskFailed").activity_task_failed_event_attributes().failure());
  expect_hidden(
      first(seen, "WorkflowExecutionFailed").workflow_execution_failed_event_attributes().failure());
}

}  // namespace on_server_wire
