#include "tests/fuzz/messages.h"

#include <google/protobuf/descriptor.h>

#include <cstring>
#include <vector>

#include "tests/fuzz/random_message.h"

namespace perdure::fuzz {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

const std::vector<std::string>& texts() {
  static const std::vector<std::string> all{"@r", "w",       "v", "tq", "T", "a1", "A", "1",
                                            "5",  "default", "s", "q",  "t", "m",  "",  "* * * * *"};
  return all;
}

const std::vector<std::string>& tokens() {
  static const std::vector<std::string> all{"@w", "@a", "@p", "token", "\"text\""};
  return all;
}

void fill_in_texts(Message& message, const FieldDescriptor& field, const Names& names) {
  const auto& reflection = *message.GetReflection();
  const auto meant = [&](const std::string& text) -> const std::string* {
    const auto found = names.find(text);
    return found == names.end() ? nullptr : &found->second;
  };
  if (!field.is_repeated()) {
    if (const auto* name = meant(reflection.GetString(message, &field)))
      reflection.SetString(&message, &field, *name);
    return;
  }
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    if (const auto* name = meant(reflection.GetRepeatedString(message, &field, i))) {
      reflection.SetRepeatedString(&message, &field, i, *name);
    }
  }
}

}  // namespace

void fill_in(Message& message, const Names& names) {
  const auto& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> held;
  reflection.ListFields(message, &held);
  for (const FieldDescriptor* field : held) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) fill_in_texts(message, *field, names);
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      fill_in(*reflection.MutableMessage(&message, field), names);
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      fill_in(*reflection.MutableRepeatedMessage(&message, field, i), names);
    }
  }
}

std::unique_ptr<Message> make_message(const google::protobuf::Descriptor& type) {
  return std::unique_ptr<Message>(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(&type)->New());
}

std::string changed(const google::protobuf::Descriptor& type, std::string_view bytes, std::uint64_t seed) {
  base::Random random(seed);
  RandomMessage maker(random, texts(), tokens());
  const auto message = make_message(type);
  if (!message->ParsePartialFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return maker.damaged(std::string(bytes));
  if (random.below(24) == 0) {
    message->Clear();
    maker.fill(*message);
  }
  for (std::uint64_t left = 1 + random.below(3); left > 0; --left) maker.change(*message);
  std::string made = message->SerializePartialAsString();
  return random.below(16) == 0 ? maker.damaged(std::move(made)) : made;
}

std::size_t change_message(const google::protobuf::Descriptor& type, std::size_t head, std::uint8_t* data,
                           std::size_t size, std::size_t most, std::uint64_t seed) {
  base::Random random(seed);
  if (size < head || random.below(8) == 0) {  // the head
    if (size == 0) data[size++] = 0;
    data[random.below(std::min(size, head))] = static_cast<std::uint8_t>(random.next());
    return size;
  }
  const std::string made =
      changed(type, {reinterpret_cast<const char*>(data) + head, size - head}, random.next())
          .substr(0, most - head);
  std::memcpy(data + head, made.data(), made.size());
  return head + made.size();
}

}  // namespace perdure::fuzz
