// What a request may hold: fields that are built, fields that are refused by name when set, fields that SDKs send unasked.
//
// Every field of every request that is served stands in exactly one of the three lists (a test checks it), so a new one cannot be
// dropped unseen. Unknown fields are refused everywhere but inside payloads, which are opaque.
#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace perdure::frontend {

class RequestShape {
 public:
  // INVALID_ARGUMENT naming the first field that is set and may not be.
  base::Status check(const google::protobuf::Message& message) const;

 private:
  friend struct ShapeTable;
  struct Child {
    const google::protobuf::FieldDescriptor* field;
    const RequestShape* shape;
  };
  // for texts: "StartWorkflowExecutionRequest"
  std::string name_;
  std::vector<const google::protobuf::FieldDescriptor*> refused_;
  std::vector<Child> children_;  // message fields to look into
};

// The shape of a message type; made once, valid for ever. Any thread.
const RequestShape& shape_of(const google::protobuf::Descriptor& type);

// The classification of a request type, as lists of names separated by blanks; for the test that it is complete.
struct RequestFields {
  const char* message;
  const char* built;
  const char* refused;
  const char* tolerated;
};
const std::vector<RequestFields>& request_fields();

}  // namespace perdure::frontend
