// Between the SDK's values and Temporal's messages: payloads, failures, durations. Any thread.
#pragma once

#include <exception>
#include <map>
#include <string>

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <temporal/api/common/v1/message.pb.h>
#include <temporal/api/failure/v1/message.pb.h>

#include <perdure/failure.h>
#include <perdure/options.h>

namespace perdure::convert {

Payloads from_wire(const temporal::api::common::v1::Payloads& payloads);
Payload from_wire(const temporal::api::common::v1::Payload& payload);
void to_wire(const Payloads& payloads, temporal::api::common::v1::Payloads* out);
void to_wire(const Payload& payload, temporal::api::common::v1::Payload* out);

// A Failure of the matching class with its causes, or what the converter makes of them; causes beyond a depth of 30 are
// cut off, both ways.
std::exception_ptr from_wire(const temporal::api::failure::v1::Failure& failure,
                             FailureConverter* converter = nullptr);
// Exceptions that are no Failure become an ApplicationFailure whose type is the demangled name of their
// class. What the converter throws is written in the place of what it was asked about.
void to_wire(const std::exception_ptr& error, temporal::api::failure::v1::Failure* out,
             FailureConverter* converter = nullptr);

// Moves the text of a failure to where a codec hides it; from_wire() finds it there.
void hide_text(temporal::api::failure::v1::Failure* failure);

void to_wire(const std::map<std::string, Payload>& headers, temporal::api::common::v1::Header* out);
std::map<std::string, Payload> from_wire(const temporal::api::common::v1::Header& header);
void to_wire(Duration duration, google::protobuf::Duration* out);
void to_wire(const RetryPolicy& policy, temporal::api::common::v1::RetryPolicy* out);
Duration from_wire(const google::protobuf::Duration& duration);
TimePoint from_wire(const google::protobuf::Timestamp& time);

// Sets message.priority, unless nothing is asked for.
template <class Message>
void put_priority(const Priority& priority, Message* message) {
  if (priority.key == 0 && priority.fairness_key.empty() && priority.fairness_weight == 0) return;
  message->mutable_priority()->set_priority_key(priority.key);
  message->mutable_priority()->set_fairness_key(priority.fairness_key.str());
  message->mutable_priority()->set_fairness_weight(priority.fairness_weight);
}

}  // namespace perdure::convert
