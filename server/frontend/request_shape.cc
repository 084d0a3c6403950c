#include "server/frontend/request_shape.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/unknown_field_set.h>

#include <map>
#include <set>
#include <sstream>
#include <string_view>

#include "base/guarded.h"

namespace perdure::frontend {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

namespace {

// Not looked into: user data, which travels as it is.
bool is_opaque(const Descriptor& type) {
  static const std::set<std::string, std::less<>> kOpaque = {
      "temporal.api.common.v1.Payload",  "temporal.api.common.v1.Payloads",
      "temporal.api.common.v1.Header",   "temporal.api.common.v1.Memo",
      "temporal.api.failure.v1.Failure", "temporal.api.worker.v1.WorkerHeartbeat"};
  return kOpaque.contains(type.full_name()) || type.file()->package() == "google.protobuf";
}

std::set<std::string, std::less<>> words(const char* text) {
  std::istringstream in(text);
  std::set<std::string, std::less<>> all;
  for (std::string word; in >> word;) all.insert(word);
  return all;
}

base::Status unknown_field(const std::string& name, int number) {
  return base::invalid_argument(name + " has a field that this server does not know: number " +
                                std::to_string(number));
}

bool is_set(const Message& message, const Reflection& reflection, const FieldDescriptor& field) {
  return field.is_repeated() ? reflection.FieldSize(message, &field) > 0
                             : reflection.HasField(message, &field);
}

}  // namespace

base::Status RequestShape::check(const Message& message) const {
  const Reflection& reflection = *message.GetReflection();
  const auto& unknown = reflection.GetUnknownFields(message);
  if (!unknown.empty()) return unknown_field(name_, unknown.field(0).number());
  for (const FieldDescriptor* field : refused_)
    if (is_set(message, reflection, *field))
      return base::invalid_argument(name_ + "." + field->name() + " is not supported by this server yet");
  for (const Child& child : children_) {
    if (!child.field->is_repeated()) {
      if (reflection.HasField(message, child.field))
        TRY_VOID(child.shape->check(reflection.GetMessage(message, child.field)));
      continue;
    }
    const int size = reflection.FieldSize(message, child.field);
    for (int i = 0; i < size; ++i)
      TRY_VOID(child.shape->check(reflection.GetRepeatedMessage(message, child.field, i)));
  }
  return {};
}

struct ShapeTable {
  std::map<std::string, std::unique_ptr<RequestShape>> shapes;

  const RequestShape& of(const Descriptor& type) {
    auto& place = shapes[type.full_name()];
    if (place) return *place;
    place = std::make_unique<RequestShape>();
    RequestShape& shape = *place;
    shape.name_ = type.name();
    for (const RequestFields& fields : request_fields()) {
      if (type.full_name().ends_with(std::string(".") + fields.message))
        for (const std::string& name : words(fields.refused))
          shape.refused_.push_back(type.FindFieldByName(name));
    }
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor& field = *type.field(i);
      if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || is_opaque(*field.message_type())) continue;
      const Descriptor& child = *field.message_type();
      if (child.options().map_entry() && (child.map_value()->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE ||
                                          is_opaque(*child.map_value()->message_type()))) {
        continue;
      }
      shape.children_.push_back({&field, &of(child)});
    }
    return shape;
  }
};

const RequestShape& shape_of(const Descriptor& type) {
  static base::Guarded<ShapeTable> table;
  return table.with([&](ShapeTable& shapes) -> const RequestShape& { return shapes.of(type); });
}

}  // namespace perdure::frontend
