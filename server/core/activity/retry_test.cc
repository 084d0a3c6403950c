#include <gtest/gtest.h>

#include "server/core/activity/activity.h"
#include "server/core/activity/failures.h"

namespace perdure::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using temporal::api::common::v1::RetryPolicy;

constexpr Time kNow{seconds(1000)};

RetryPolicy policy_of(std::int64_t initial, double coefficient, std::int64_t maximum, int attempts = 0) {
  RetryPolicy policy;
  policy.mutable_initial_interval()->set_seconds(initial);
  policy.set_backoff_coefficient(coefficient);
  if (maximum > 0) policy.mutable_maximum_interval()->set_seconds(maximum);
  policy.set_maximum_attempts(attempts);
  return policy;
}

Failure application_failure(const std::string& type = "Flaky") {
  Failure failure;
  failure.mutable_application_failure_info()->set_type(type);
  return failure;
}

RetryDecision decide(const RetryPolicy& policy, int attempt, const Failure& failure = application_failure(),
                     Time expiration = base::kNever) {
  return decide_retry(&policy, attempt, failure, kNow, expiration);
}

// AC-03: min(initial × coefficient^(attempt - 1), maximum).
TEST(Retry, Delay) {
  const RetryPolicy policy = policy_of(1, 2, 10);
  EXPECT_EQ(decide(policy, 1).delay, seconds(1));
  EXPECT_EQ(decide(policy, 2).delay, seconds(2));
  EXPECT_EQ(decide(policy, 4).delay, seconds(8));
  EXPECT_EQ(decide(policy, 5).delay, seconds(10));
  EXPECT_EQ(decide(policy, 1'000'000).delay, seconds(10));
  // later than time can say
  EXPECT_EQ(decide(policy_of(1, 2, 0), 1'000'000).state, enums::RETRY_STATE_TIMEOUT);
}

// AC-03: a failure's own delay replaces the product, within the maximum.
TEST(Retry, NextRetryDelay) {
  Failure failure = application_failure();
  auto& delay = *failure.mutable_application_failure_info()->mutable_next_retry_delay();
  delay.set_nanos(300'000'000);
  EXPECT_EQ(decide(policy_of(60, 2, 100), 1, failure).delay, milliseconds(300));
  delay.set_seconds(500);
  EXPECT_EQ(decide(policy_of(60, 2, 100), 1, failure).delay, seconds(100));
  delay.set_seconds(-5);
  EXPECT_EQ(decide(policy_of(60, 2, 100), 1, failure).delay, seconds(0));
}

// AC-04.
TEST(Retry, Stops) {
  EXPECT_EQ(decide_retry(nullptr, 1, application_failure(), kNow, base::kNever).state,
            enums::RETRY_STATE_RETRY_POLICY_NOT_SET);
  EXPECT_EQ(decide(policy_of(1, 2, 10, 3), 2).state, enums::RETRY_STATE_IN_PROGRESS);
  EXPECT_EQ(decide(policy_of(1, 2, 10, 3), 3).state, enums::RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED);
  const auto until = [](int left) {
    return decide(policy_of(5, 2, 10), 1, application_failure(), kNow + seconds(left)).state;
  };
  EXPECT_EQ(until(5), enums::RETRY_STATE_IN_PROGRESS);
  EXPECT_EQ(until(4), enums::RETRY_STATE_TIMEOUT);
}

TEST(Retry, NonRetryable) {
  RetryPolicy policy = policy_of(1, 2, 10);
  policy.add_non_retryable_error_types("Fatal");
  policy.add_non_retryable_error_types("TemporalTimeout:Heartbeat");
  const auto state = [&](const Failure& failure) { return decide(policy, 1, failure).state; };
  EXPECT_EQ(state(application_failure("Fatal")), enums::RETRY_STATE_NON_RETRYABLE_FAILURE);
  EXPECT_EQ(state(application_failure("Flaky")), enums::RETRY_STATE_IN_PROGRESS);
  Failure flagged = application_failure();
  flagged.mutable_application_failure_info()->set_non_retryable(true);
  EXPECT_EQ(state(flagged), enums::RETRY_STATE_NON_RETRYABLE_FAILURE);
  EXPECT_EQ(state(activity_timeout_failure(enums::TIMEOUT_TYPE_START_TO_CLOSE)),
            enums::RETRY_STATE_IN_PROGRESS);
  EXPECT_EQ(state(activity_timeout_failure(enums::TIMEOUT_TYPE_HEARTBEAT)),
            enums::RETRY_STATE_NON_RETRYABLE_FAILURE);
  EXPECT_EQ(state(activity_timeout_failure(enums::TIMEOUT_TYPE_SCHEDULE_TO_CLOSE)),
            enums::RETRY_STATE_NON_RETRYABLE_FAILURE);
  EXPECT_EQ(state(server_failure("x", false)), enums::RETRY_STATE_IN_PROGRESS);
  EXPECT_EQ(state(server_failure("x", true)), enums::RETRY_STATE_NON_RETRYABLE_FAILURE);
  Failure ended;
  ended.mutable_canceled_failure_info();
  EXPECT_EQ(state(ended), enums::RETRY_STATE_NON_RETRYABLE_FAILURE);
  ended.mutable_terminated_failure_info();
  EXPECT_EQ(state(ended), enums::RETRY_STATE_NON_RETRYABLE_FAILURE);
}

// AC-02: missing fields are filled in one by one.
TEST(RetryPolicyTest, Defaults) {
  RetryPolicy policy;
  EXPECT_EQ(normalise_retry_policy(policy), "");
  EXPECT_EQ(policy.initial_interval().seconds(), 1);
  EXPECT_EQ(policy.backoff_coefficient(), 2);
  EXPECT_EQ(policy.maximum_interval().seconds(), 100);
  EXPECT_EQ(policy.maximum_attempts(), 0);
  policy.Clear();
  policy.mutable_initial_interval()->set_seconds(3);
  EXPECT_EQ(normalise_retry_policy(policy), "");
  EXPECT_EQ(policy.maximum_interval().seconds(), 300);
}

TEST(RetryPolicyTest, Invalid) {
  const auto wrong = [](RetryPolicy policy) { return normalise_retry_policy(policy); };
  EXPECT_EQ(wrong(policy_of(1, 0.5, 10)), "BackoffCoefficient cannot be less than 1 on retry policy.");
  EXPECT_EQ(wrong(policy_of(10, 2, 1)),
            "MaximumInterval cannot be less than InitialInterval on retry policy.");
  EXPECT_EQ(wrong(policy_of(1, 2, 10, -1)), "MaximumAttempts cannot be negative on retry policy.");
  EXPECT_EQ(wrong(policy_of(-1, 2, 10)), "invalid InitialInterval set on retry policy: negative duration");
  EXPECT_EQ(wrong(policy_of(1, 0.5, 10, 1)), "");  // one attempt: the rest does not matter
  RetryPolicy listed = policy_of(1, 2, 10);
  listed.add_non_retryable_error_types("TemporalTimeout:Never");
  EXPECT_EQ(wrong(listed), "Invalid timeout type value: Never.");
}

// AC-10: what is kept of a large failure fits, and is still text.
TEST(Failures, Shortened) {
  Failure failure = application_failure("Flaky");
  failure.mutable_application_failure_info()->set_non_retryable(true);
  for (int i = 0; i < 4000; ++i) failure.mutable_message()->append("é");
  failure.set_stack_trace(std::string(9000, 's'));
  const Failure small = shortened(failure, 4096);
  EXPECT_LE(small.ByteSizeLong(), 4096U);
  EXPECT_GT(small.message().size(), 3000U);
  EXPECT_EQ(small.message().size() % 2, 0U);
  EXPECT_EQ(small.application_failure_info().type(), "Flaky");
  EXPECT_TRUE(small.application_failure_info().non_retryable());
  EXPECT_EQ(shortened(application_failure(), 4096).SerializeAsString(),
            application_failure().SerializeAsString());
}

}  // namespace
}  // namespace perdure::core
