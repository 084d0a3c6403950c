#include "tests/fuzz/random_message.h"

#include <google/protobuf/descriptor.h>

#include <limits>

namespace perdure::fuzz {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

namespace {

constexpr int kDeepest = 6;

}  // namespace

std::int64_t RandomMessage::number() {
  using Limits = std::numeric_limits<std::int64_t>;
  constexpr std::int64_t kOdd[] = {0,
                                   1,
                                   2,
                                   3,
                                   -1,
                                   5,
                                   60,
                                   86'400,
                                   999'999'999,
                                   1'000'000'000,
                                   -1'000'000'000,
                                   315'576'000'000,
                                   -315'576'000'000,
                                   9'223'372'036,
                                   9'223'372'037,
                                   std::numeric_limits<std::int32_t>::max(),
                                   std::numeric_limits<std::int32_t>::min(),
                                   Limits::max(),
                                   Limits::min(),
                                   Limits::max() / 1'000'000'000};
  if (one_in(4)) return static_cast<std::int64_t>(random_.next());
  return kOdd[random_.below(std::size(kOdd))];
}

std::string RandomMessage::text() {
  if (!one_in(4)) return texts_[random_.below(texts_.size())];
  const char* kOdd[] = {"",
                        " ",
                        "\xff\xfe",
                        "a\xc0\x80",
                        "\xed\xa0\x80",
                        "x\ny",
                        "/_sys/x",
                        "* * * * *",
                        "@every 1ns",
                        "60 24 32 13 8",
                        "@every 99999999999h",
                        "CRON_TZ=Nowhere/Never 0 0 * * *",
                        "WorkflowId = 'w'",
                        "WorkflowId = '",
                        "((((((((",
                        "'"};
  if (one_in(8)) return std::string(random_.below(3000), 'x');
  return kOdd[random_.below(std::size(kOdd))];
}

std::string RandomMessage::bytes() {
  std::string some = one_in(4) ? std::string() : tokens_[random_.below(tokens_.size())];
  if (!some.empty() && one_in(3))
    some[random_.below(some.size())] ^= static_cast<char>(1 + random_.below(255));
  if (!some.empty() && one_in(6)) some.resize(random_.below(some.size()));
  if (one_in(6)) {
    for (std::uint64_t left = random_.below(40); left > 0; --left)
      some.push_back(static_cast<char>(random_.next()));
  }
  return some;
}

void RandomMessage::fill(Message& message, int depth) {
  const auto& type = *message.GetDescriptor();
  const std::uint64_t rarity = depth == 0 ? 2 : 3;
  const bool dense = one_in(4);  // now and then nearly everything is there
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const bool wanted = dense ? !one_in(8) : one_in(rarity);
    const bool key =
        depth == 0 && (field.name() == "namespace" || field.name() == "task_token") && !one_in(16);
    if (!wanted && !key) continue;
    const std::uint64_t times = field.is_repeated() ? 1 + random_.below(3) : 1;
    for (std::uint64_t n = 0; n < times; ++n) set(message, field, depth);
  }
}

void RandomMessage::change(Message& message, int depth) {
  const auto& type = *message.GetDescriptor();
  const auto& reflection = *message.GetReflection();
  if (type.field_count() == 0) return;
  std::vector<const FieldDescriptor*> held;
  reflection.ListFields(message, &held);
  std::erase_if(held, [](const FieldDescriptor* field) {
    return field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_map();
  });
  if (!held.empty() && !one_in(3)) {
    const FieldDescriptor& field = *held[random_.below(held.size())];
    if (!field.is_repeated()) return change(*reflection.MutableMessage(&message, &field), depth + 1);
    const auto size = static_cast<std::uint64_t>(reflection.FieldSize(message, &field));
    return change(*reflection.MutableRepeatedMessage(&message, &field, static_cast<int>(random_.below(size))),
                  depth + 1);
  }
  const FieldDescriptor& field =
      *type.field(static_cast<int>(random_.below(static_cast<std::uint64_t>(type.field_count()))));
  if (one_in(4)) return reflection.ClearField(&message, &field);
  set(message, field, depth + 3);
}

void RandomMessage::set_number(Message& message, const FieldDescriptor& field) {
  const auto& reflection = *message.GetReflection();
  const bool add = field.is_repeated();
  const std::int64_t value = number();
  const auto small = static_cast<std::int32_t>(value);
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return add ? reflection.AddInt32(&message, &field, small)
                 : reflection.SetInt32(&message, &field, small);
    case FieldDescriptor::CPPTYPE_INT64:
      return add ? reflection.AddInt64(&message, &field, value)
                 : reflection.SetInt64(&message, &field, value);
    case FieldDescriptor::CPPTYPE_UINT32:
      return add ? reflection.AddUInt32(&message, &field, static_cast<std::uint32_t>(small))
                 : reflection.SetUInt32(&message, &field, static_cast<std::uint32_t>(small));
    case FieldDescriptor::CPPTYPE_UINT64:
      return add ? reflection.AddUInt64(&message, &field, static_cast<std::uint64_t>(value))
                 : reflection.SetUInt64(&message, &field, static_cast<std::uint64_t>(value));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      if (!add)
        reflection.SetDouble(
            &message, &field,
            one_in(4) ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(value));
      return;
    case FieldDescriptor::CPPTYPE_FLOAT:
      if (!add)
        reflection.SetFloat(&message, &field,
                            one_in(4) ? std::numeric_limits<float>::infinity() : static_cast<float>(value));
      return;
    case FieldDescriptor::CPPTYPE_BOOL:
      if (!add) reflection.SetBool(&message, &field, one_in(2));
      return;
    case FieldDescriptor::CPPTYPE_ENUM: {
      const int known = field.enum_type()
                            ->value(static_cast<int>(
                                random_.below(static_cast<std::uint64_t>(field.enum_type()->value_count()))))
                            ->number();
      const int chosen = one_in(6) ? small : known;
      return add ? reflection.AddEnumValue(&message, &field, chosen)
                 : reflection.SetEnumValue(&message, &field, chosen);
    }
    default: return;
  }
}

void RandomMessage::set(Message& message, const FieldDescriptor& field, int depth) {
  const auto& reflection = *message.GetReflection();
  const bool add = field.is_repeated();
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    if (depth >= kDeepest) return;
    return fill(add ? *reflection.AddMessage(&message, &field) : *reflection.MutableMessage(&message, &field),
                depth + 1);
  }
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_STRING) return set_number(message, field);
  const bool token = field.type() == FieldDescriptor::TYPE_BYTES;
  std::string value = token ? bytes() : field.name() == "namespace" && !one_in(8) ? "default" : text();
  add ? reflection.AddString(&message, &field, std::move(value))
      : reflection.SetString(&message, &field, std::move(value));
}

std::string RandomMessage::damaged(std::string bytes) {
  if (bytes.empty() || !one_in(4)) return bytes;
  switch (random_.below(4)) {
    case 0: bytes.resize(random_.below(bytes.size())); break;
    case 1: bytes[random_.below(bytes.size())] ^= static_cast<char>(1 << random_.below(8)); break;
    case 2: bytes.append("\xd2\xf7\x07\x03who", 7); break;  // field 16202
    default:
      for (std::uint64_t left = random_.below(200); left > 0; --left)
        bytes.push_back(static_cast<char>(random_.next()));
  }
  return bytes;
}

}  // namespace perdure::fuzz
