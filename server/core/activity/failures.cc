#include "server/core/activity/failures.h"

namespace perdure::core {

namespace enums = ::temporal::api::enums::v1;

namespace {

std::string cut(const std::string& text, std::size_t limit) {
  if (text.size() <= limit) return text;
  std::size_t end = limit;
  // not inside a UTF-8 sequence
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace

Failure server_failure(std::string message, bool non_retryable) {
  Failure failure;
  failure.set_message(std::move(message));
  failure.mutable_server_failure_info()->set_non_retryable(non_retryable);
  return failure;
}

const char* timeout_name(enums::TimeoutType type) {
  switch (type) {
    case enums::TIMEOUT_TYPE_START_TO_CLOSE: return "StartToClose";
    case enums::TIMEOUT_TYPE_SCHEDULE_TO_START: return "ScheduleToStart";
    case enums::TIMEOUT_TYPE_SCHEDULE_TO_CLOSE: return "ScheduleToClose";
    case enums::TIMEOUT_TYPE_HEARTBEAT: return "Heartbeat";
    default: return "Unspecified";
  }
}

Failure activity_timeout_failure(enums::TimeoutType type) {
  Failure failure;
  failure.set_message(std::string("activity ") + timeout_name(type) + " timeout");
  failure.set_source("Server");
  failure.mutable_timeout_failure_info()->set_timeout_type(type);
  return failure;
}

Failure shortened(const Failure& failure, std::size_t limit) {
  if (failure.ByteSizeLong() <= limit) return failure;
  Failure small;
  small.set_source(cut(failure.source(), limit / 8));
  if (failure.has_application_failure_info()) {
    const auto& from = failure.application_failure_info();
    auto& to = *small.mutable_application_failure_info();
    to.set_type(cut(from.type(), limit / 8));
    to.set_non_retryable(from.non_retryable());
    to.set_category(from.category());
  } else if (failure.has_timeout_failure_info()) {
    small.mutable_timeout_failure_info()->set_timeout_type(failure.timeout_failure_info().timeout_type());
  } else if (failure.has_server_failure_info()) {
    *small.mutable_server_failure_info() = failure.server_failure_info();
  }
  const auto room = [&] {
    const std::size_t used = small.ByteSizeLong() + 8;  // tag and length of the next field
    return used < limit ? limit - used : 0;
  };
  small.set_message(cut(failure.message(), room()));
  small.set_stack_trace(cut(failure.stack_trace(), room()));
  return small;
}

}  // namespace perdure::core
