// When, and whether, something that failed is tried again (AC-02…04, TM-03).
#include <algorithm>
#include <cmath>

#include "server/core/activity/activity.h"
#include "server/core/activity/failures.h"
#include "server/core/limits/durations.h"

namespace perdure::core {
namespace {

using temporal::api::common::v1::RetryPolicy;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr double kMostInterval = 9e18;  // about 285 years: what 64 bits of nanoseconds can hold
constexpr std::string_view kTimeoutPrefix = "TemporalTimeout:";

bool is_listed(const RetryPolicy& policy, const std::string& type) {
  const auto& types = policy.non_retryable_error_types();
  return std::find(types.begin(), types.end(), type) != types.end();
}

bool is_retryable(const RetryPolicy& policy, const Failure& failure) {
  switch (failure.failure_info_case()) {
    case Failure::kTerminatedFailureInfo:
    case Failure::kCanceledFailureInfo: return false;
    case Failure::kTimeoutFailureInfo: {
      const enums::TimeoutType type = failure.timeout_failure_info().timeout_type();
      if (type != enums::TIMEOUT_TYPE_START_TO_CLOSE && type != enums::TIMEOUT_TYPE_HEARTBEAT) return false;
      return !is_listed(policy, std::string(kTimeoutPrefix) + timeout_name(type));
    }
    case Failure::kServerFailureInfo: return !failure.server_failure_info().non_retryable();
    case Failure::kApplicationFailureInfo: {
      const auto& info = failure.application_failure_info();
      return !info.non_retryable() && !is_listed(policy, info.type());
    }
    default: return true;
  }
}

// The delay after `attempt`, or what the failure asks for; both stop at the policy's maximum. Without one, a product that no
// Duration holds is the longest there is, which never fits.
Duration delay_after(const RetryPolicy& policy, int attempt, const Failure& failure) {
  const std::int64_t most = policy.has_maximum_interval() ? nanos(policy.maximum_interval()) : 0;
  const double cap = most > 0 ? static_cast<double>(most) : kMostInterval;
  if (failure.has_application_failure_info() && failure.application_failure_info().has_next_retry_delay()) {
    const std::int64_t asked =
        std::max<std::int64_t>(nanos(failure.application_failure_info().next_retry_delay()), 0);
    return Duration(most > 0 ? std::min(asked, most) : asked);
  }
  const double product = static_cast<double>(nanos(policy.initial_interval())) *
                         std::pow(policy.backoff_coefficient(), attempt - 1);
  if (product < cap) return Duration(static_cast<std::int64_t>(product));
  return most > 0 ? Duration(most) : Duration::max();
}

}  // namespace

RetryDecision decide_retry(const RetryPolicy* policy, int attempt, const Failure& failure, Time now,
                           Time expiration) {
  if (!policy) return {enums::RETRY_STATE_RETRY_POLICY_NOT_SET, {}};
  if (!is_retryable(*policy, failure)) return {enums::RETRY_STATE_NON_RETRYABLE_FAILURE, {}};
  if (policy->maximum_attempts() > 0 && attempt >= policy->maximum_attempts()) {
    return {enums::RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED, {}};
  }
  const Duration delay = delay_after(*policy, attempt, failure);
  const Time next = base::add(now, delay);
  if (next == base::kNever || next > expiration) return {enums::RETRY_STATE_TIMEOUT, {}};
  return {enums::RETRY_STATE_IN_PROGRESS, delay};
}

std::string normalise_retry_policy(RetryPolicy& policy) {
  if (nanos(policy.initial_interval()) == 0) assign(policy.mutable_initial_interval(), kSecond);
  if (policy.backoff_coefficient() == 0) policy.set_backoff_coefficient(2.0);
  if (nanos(policy.maximum_interval()) == 0) {
    const double most = std::min(static_cast<double>(nanos(policy.initial_interval())) * 100, kMostInterval);
    assign(policy.mutable_maximum_interval(), static_cast<std::int64_t>(most));
  }
  if (policy.maximum_attempts() == 1) return {};  // no retry: the rest does not matter
  if (is_negative(policy.initial_interval()))
    return "invalid InitialInterval set on retry policy: negative duration";
  if (policy.backoff_coefficient() < 1) return "BackoffCoefficient cannot be less than 1 on retry policy.";
  if (is_negative(policy.maximum_interval()))
    return "invalid MaximumInterval set on retry policy: negative duration";
  if (nanos(policy.maximum_interval()) < nanos(policy.initial_interval())) {
    return "MaximumInterval cannot be less than InitialInterval on retry policy.";
  }
  if (policy.maximum_attempts() < 0) return "MaximumAttempts cannot be negative on retry policy.";
  for (const std::string& type : policy.non_retryable_error_types()) {
    if (!type.starts_with(kTimeoutPrefix)) continue;
    const std::string_view name = std::string_view(type).substr(kTimeoutPrefix.size());
    bool known = false;
    for (int kind = enums::TIMEOUT_TYPE_START_TO_CLOSE; kind <= enums::TIMEOUT_TYPE_HEARTBEAT; ++kind) {
      known = known || name == timeout_name(static_cast<enums::TimeoutType>(kind));
    }
    if (!known) return "Invalid timeout type value: " + std::string(name) + ".";
  }
  return {};
}

}  // namespace perdure::core
