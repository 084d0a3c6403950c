// Messages that fit their type and little else: absurd numbers and durations, texts that are no UTF-8, tokens of somebody else.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "base/random.h"

namespace perdure::fuzz {

class RandomMessage {
 public:
  // `texts` and `tokens`: what string and bytes fields often hold, so that requests come past the first check. All outlive this.
  RandomMessage(base::Random& random, const std::vector<std::string>& texts,
                const std::vector<std::string>& tokens)
      : random_(random), texts_(texts), tokens_(tokens) {}

  // Sets some of the fields, and in those that are messages some of theirs.
  void fill(google::protobuf::Message& message, int depth = 0);

  // Changes one field, of the message or of one that it holds.
  void change(google::protobuf::Message& message, int depth = 0);

  // Cut off, a bit flipped, a field that no version knows; mostly as it is.
  std::string damaged(std::string bytes);

 private:
  void set(google::protobuf::Message& message, const google::protobuf::FieldDescriptor& field, int depth);
  void set_number(google::protobuf::Message& message, const google::protobuf::FieldDescriptor& field);
  std::string text();
  std::string bytes();
  std::int64_t number();
  bool one_in(std::uint64_t count) { return random_.below(count) == 0; }

  base::Random& random_;
  const std::vector<std::string>& texts_;
  const std::vector<std::string>& tokens_;
};

}  // namespace perdure::fuzz
