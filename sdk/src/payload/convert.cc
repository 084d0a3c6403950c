#include "sdk/src/payload/convert.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <typeinfo>

#include "sdk/src/payload/times.h"

namespace perdure::convert {

namespace api = temporal::api;
using WireFailure = api::failure::v1::Failure;

namespace {

constexpr int kMaxDepth = 30;
constexpr char kSource[] = "CppSDK";

std::exception_ptr asked(const std::exception_ptr& error, FailureConverter* converter,
                         std::exception_ptr (FailureConverter::*what)(const std::exception_ptr&)) {
  if (converter == nullptr) return error;
  try {
    const std::exception_ptr answer = (converter->*what)(error);
    return answer ? answer : error;
  } catch (...) {
    return std::current_exception();
  }
}

template <class F>
std::exception_ptr made(F failure, const WireFailure& wire) {
  failure.set_stack_trace(wire.stack_trace());
  return std::make_exception_ptr(std::move(failure));
}

std::exception_ptr application(const WireFailure& wire, std::exception_ptr cause) {
  const auto& info = wire.application_failure_info();
  ApplicationFailureOptions options;
  options.type = info.type();
  options.non_retryable = info.non_retryable();
  options.details = from_wire(info.details());
  options.next_retry_delay = from_wire(info.next_retry_delay());
  options.benign = info.category() == api::enums::v1::APPLICATION_ERROR_CATEGORY_BENIGN;
  options.cause = std::move(cause);
  return made(ApplicationFailure(wire.message(), std::move(options)), wire);
}

// What encoded_attributes of a failure holds, as the other SDKs write it.
struct HiddenText {
  std::string message, stack_trace;
};

std::exception_ptr read(const WireFailure& wire, int depth, FailureConverter* converter);

std::exception_ptr read_plain(const WireFailure& wire, int depth, FailureConverter* converter) {
  if (wire.has_encoded_attributes()) {
    WireFailure shown = wire;
    shown.clear_encoded_attributes();
    try {
      const auto hidden = perdure::detail::decode<HiddenText>(from_wire(wire.encoded_attributes()));
      shown.set_message(hidden.message);
      shown.set_stack_trace(hidden.stack_trace);
    } catch (const PayloadError&) {  // not for us
    }
    return read_plain(shown, depth, converter);
  }
  std::exception_ptr cause;
  if (wire.has_cause() && depth < kMaxDepth) cause = read(wire.cause(), depth + 1, converter);
  switch (wire.failure_info_case()) {
    case WireFailure::kApplicationFailureInfo: return application(wire, std::move(cause));
    case WireFailure::kTimeoutFailureInfo: {
      const auto& info = wire.timeout_failure_info();
      return made(TimeoutFailure(wire.message(), static_cast<TimeoutType>(info.timeout_type()),
                                 from_wire(info.last_heartbeat_details()), std::move(cause)),
                  wire);
    }
    case WireFailure::kCanceledFailureInfo:
      return made(CancelledFailure(wire.message(), from_wire(wire.canceled_failure_info().details())), wire);
    case WireFailure::kTerminatedFailureInfo:
      return made(TerminatedFailure(wire.message(), std::move(cause)), wire);
    case WireFailure::kServerFailureInfo:
      return made(ServerFailure(wire.message(), wire.server_failure_info().non_retryable(), std::move(cause)),
                  wire);
    case WireFailure::kActivityFailureInfo: {
      const auto& info = wire.activity_failure_info();
      return made(ActivityFailure(wire.message(), info.activity_type().name(), info.activity_id(),
                                  info.retry_state(), std::move(cause)),
                  wire);
    }
    case WireFailure::kChildWorkflowExecutionFailureInfo: {
      const auto& info = wire.child_workflow_execution_failure_info();
      return made(ChildFailure(wire.message(), info.workflow_execution().workflow_id(),
                               info.workflow_execution().run_id(), info.workflow_type().name(),
                               info.retry_state(), std::move(cause)),
                  wire);
    }
    default: return made(ApplicationFailure(wire.message()), wire);
  }
}

std::exception_ptr read(const WireFailure& wire, int depth, FailureConverter* converter) {
  return asked(read_plain(wire, depth, converter), converter, &FailureConverter::from_failure);
}

std::string class_name(const std::exception& error) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(typeid(error).name(), nullptr, nullptr, &status), &std::free);
  return status == 0 ? name.get() : typeid(error).name();
}

void write_application(const ApplicationFailure& failure, WireFailure* out) {
  auto* info = out->mutable_application_failure_info();
  info->set_type(failure.type());
  info->set_non_retryable(failure.non_retryable());
  if (!failure.options().details.empty()) to_wire(failure.options().details, info->mutable_details());
  if (failure.options().next_retry_delay > Duration::zero()) {
    to_wire(failure.options().next_retry_delay, info->mutable_next_retry_delay());
  }
  if (failure.options().benign) info->set_category(api::enums::v1::APPLICATION_ERROR_CATEGORY_BENIGN);
}

void write_info(const Failure& failure, WireFailure* out) {
  if (const auto* application = dynamic_cast<const ApplicationFailure*>(&failure)) {
    write_application(*application, out);
  } else if (const auto* cancelled = dynamic_cast<const CancelledFailure*>(&failure)) {
    auto* info = out->mutable_canceled_failure_info();
    if (!cancelled->details().empty()) to_wire(cancelled->details(), info->mutable_details());
  } else if (const auto* timeout = dynamic_cast<const TimeoutFailure*>(&failure)) {
    auto* info = out->mutable_timeout_failure_info();
    info->set_timeout_type(static_cast<api::enums::v1::TimeoutType>(timeout->type()));
    if (!timeout->last_heartbeat().empty())
      to_wire(timeout->last_heartbeat(), info->mutable_last_heartbeat_details());
  } else if (dynamic_cast<const TerminatedFailure*>(&failure) != nullptr) {
    out->mutable_terminated_failure_info();
  } else if (const auto* server = dynamic_cast<const ServerFailure*>(&failure)) {
    out->mutable_server_failure_info()->set_non_retryable(server->non_retryable());
  } else if (const auto* activity = dynamic_cast<const ActivityFailure*>(&failure)) {
    auto* info = out->mutable_activity_failure_info();
    info->mutable_activity_type()->set_name(activity->activity_type());
    info->set_activity_id(activity->activity_id());
    info->set_retry_state(static_cast<api::enums::v1::RetryState>(activity->retry_state()));
  } else if (const auto* child = dynamic_cast<const ChildFailure*>(&failure)) {
    auto* info = out->mutable_child_workflow_execution_failure_info();
    info->mutable_workflow_execution()->set_workflow_id(child->workflow_id());
    info->mutable_workflow_execution()->set_run_id(child->run_id());
    info->mutable_workflow_type()->set_name(child->workflow_type());
    info->set_retry_state(static_cast<api::enums::v1::RetryState>(child->retry_state()));
  } else {
    out->mutable_application_failure_info()->set_type(class_name(failure));
  }
}

void write(const std::exception_ptr& error, WireFailure* out, int depth, FailureConverter* converter) {
  out->set_source(kSource);
  try {
    std::rethrow_exception(asked(error, converter, &FailureConverter::to_failure));
  } catch (const Failure& failure) {
    out->set_message(failure.what());
    out->set_stack_trace(failure.stack_trace());
    write_info(failure, out);
    if (failure.cause() && depth < kMaxDepth)
      write(failure.cause(), out->mutable_cause(), depth + 1, converter);
  } catch (const std::exception& other) {
    out->set_message(other.what());
    out->mutable_application_failure_info()->set_type(class_name(other));
  } catch (...) {
    out->set_message("an exception that is no std::exception");
    out->mutable_application_failure_info()->set_type("unknown");
  }
}

}  // namespace

Payload from_wire(const api::common::v1::Payload& wire) {
  Payload payload;
  for (const auto& [key, value] : wire.metadata()) payload.metadata.emplace(key, value);
  payload.data = wire.data();
  return payload;
}

Payloads from_wire(const api::common::v1::Payloads& wire) {
  Payloads payloads;
  payloads.reserve(static_cast<std::size_t>(wire.payloads_size()));
  for (const auto& payload : wire.payloads()) payloads.push_back(from_wire(payload));
  return payloads;
}

void to_wire(const Payload& payload, api::common::v1::Payload* out) {
  for (const auto& [key, value] : payload.metadata) (*out->mutable_metadata())[key] = value;
  out->set_data(payload.data);
}

void to_wire(const Payloads& payloads, api::common::v1::Payloads* out) {
  for (const Payload& payload : payloads) to_wire(payload, out->add_payloads());
}

std::exception_ptr from_wire(const WireFailure& failure, FailureConverter* converter) {
  return read(failure, 0, converter);
}
void to_wire(const std::exception_ptr& error, WireFailure* out, FailureConverter* converter) {
  write(error, out, 0, converter);
}

void hide_text(WireFailure* failure) {
  if (failure->has_encoded_attributes()) return;
  const HiddenText text{failure->message(), failure->stack_trace()};
  to_wire(perdure::detail::encode(text), failure->mutable_encoded_attributes());
  failure->set_message("Encoded failure");
  failure->clear_stack_trace();
}

void to_wire(const std::map<std::string, Payload>& headers, api::common::v1::Header* out) {
  for (const auto& [name, value] : headers) to_wire(value, &(*out->mutable_fields())[name]);
}

std::map<std::string, Payload> from_wire(const api::common::v1::Header& header) {
  std::map<std::string, Payload> headers;
  for (const auto& [name, value] : header.fields()) headers[name] = from_wire(value);
  return headers;
}

void to_wire(Duration duration, google::protobuf::Duration* out) {
  out->set_seconds(duration.count() / 1000);
  out->set_nanos(static_cast<std::int32_t>(duration.count() % 1000) * 1'000'000);
}

void to_wire(const RetryPolicy& policy, api::common::v1::RetryPolicy* out) {
  to_wire(policy.initial_interval, out->mutable_initial_interval());
  out->set_backoff_coefficient(policy.backoff_coefficient);
  if (policy.maximum_interval > Duration::zero())
    to_wire(policy.maximum_interval, out->mutable_maximum_interval());
  out->set_maximum_attempts(policy.maximum_attempts);
  for (const Text& type : policy.non_retryable_error_types) out->add_non_retryable_error_types(type.str());
}

Duration from_wire(const google::protobuf::Duration& duration) {
  return Duration(milliseconds(duration));
}

TimePoint from_wire(const google::protobuf::Timestamp& time) {
  return TimePoint(TimePoint::duration(nanoseconds(time)));
}

}  // namespace perdure::convert

namespace perdure {
inline namespace v1 {

bool Failure::is_cancelled() const {
  if (dynamic_cast<const CancelledFailure*>(this) != nullptr) return true;
  if (!cause_ || (dynamic_cast<const ActivityFailure*>(this) == nullptr &&
                  dynamic_cast<const ChildFailure*>(this) == nullptr)) {
    return false;
  }
  try {
    std::rethrow_exception(cause_);
  } catch (const Failure& cause) {
    return cause.is_cancelled();
  } catch (...) {
    return false;
  }
}

std::string describe(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Failure& failure) {
    return failure.cause() ? failure.what() + std::string(" <- ") + describe(failure.cause())
                           : failure.what();
  } catch (const std::exception& other) {
    return other.what();
  } catch (...) {
    return "an exception that is no std::exception";
  }
}

}  // namespace v1
}  // namespace perdure
