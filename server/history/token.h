// Tokens that travel through clients and come back: signed, so that nobody can make or alter one (rule E17).
//
// Layout: 16 bytes of HMAC-SHA256 over (one letter that names the kind, body), then the body, a serialized message.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "proto/internal/record.pb.h"

namespace perdure::history {

namespace pb = ::perdure::internal::v1;

// `key`: the catalog's token key. read fails INVALID_ARGUMENT, with the text clients know, for bytes that are no token of ours.
std::string write_token(const pb::TaskToken& token, const std::string& key);
base::Result<pb::TaskToken> read_token(std::string_view bytes, const std::string& key);

std::string write_page_token(const pb::HistoryToken& token, const std::string& key);
base::Result<pb::HistoryToken> read_page_token(std::string_view bytes, const std::string& key);

// The same for a body of another kind: `kind` is a letter of its own for each. The view is into `bytes`.
std::string sign(char kind, std::string_view body, const std::string& key);
base::Result<std::string_view> verify(char kind, std::string_view bytes, const std::string& key);

}  // namespace perdure::history
