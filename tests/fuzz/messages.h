// What the targets that take messages share: names instead of what is only known later, and changes on parsed messages.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace perdure::fuzz {

// What texts stand for, such as "@w" (the token of a workflow task), "@a" (of an activity task), "@p" (a page token), "@r" (a
// run id).
using Names = std::map<std::string, std::string>;

// Replaces every text and every bytes field that is a name.
void fill_in(google::protobuf::Message& message, const Names& names);

std::unique_ptr<google::protobuf::Message> make_message(const google::protobuf::Descriptor& type);

// The bytes with one to three fields changed, or now and then damaged; of a message that cannot be read: damaged.
std::string changed(const google::protobuf::Descriptor& type, std::string_view bytes, std::uint64_t seed);

// For a target whose input is `head` bytes and then a message: what LLVMFuzzerCustomMutator returns.
std::size_t change_message(const google::protobuf::Descriptor& type, std::size_t head, std::uint8_t* data,
                           std::size_t size, std::size_t most, std::uint64_t seed);

}  // namespace perdure::fuzz
