// What the targets of tokens share.
#pragma once

#include <string>
#include <string_view>

#include "base/check.h"
#include "server/history/token.h"
#include "tests/fuzz/server.h"

namespace perdure::fuzz {

// A token that the server takes for its own: `given`, which it made, with the message `change` merged over it. What is no such
// message is signed as it is: a token of ours, of the kind of that letter, that holds nonsense.
template <class Token>
std::string altered_token(Server& server, const base::Result<Token>& given, std::string_view change,
                          char kind) {
  CHECK(given);
  Token changes;
  if (!changes.ParseFromArray(change.data(), static_cast<int>(change.size()))) {
    return history::sign(kind, change, Server::key());
  }
  fill_in(changes, server.names());
  Token token = *given;
  token.MergeFrom(changes);
  return history::sign(kind, token.SerializeAsString(), Server::key());
}

}  // namespace perdure::fuzz
