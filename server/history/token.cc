#include "server/history/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "base/check.h"

namespace perdure::history {
namespace {

constexpr std::size_t kTag = 16;
constexpr char kTaskKind = 'T';
constexpr char kHistoryKind = 'H';

std::array<unsigned char, EVP_MAX_MD_SIZE> tag_of(char kind, std::string_view body, const std::string& key) {
  std::string input;
  input.reserve(body.size() + 1);
  input.push_back(kind);
  input.append(body);
  std::array<unsigned char, EVP_MAX_MD_SIZE> tag{};
  unsigned int size = 0;
  CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(input.data()),
             input.size(), tag.data(), &size) != nullptr);
  CHECK(size >= kTag);
  return tag;
}

template <class Token>
base::Result<Token> read_as(char kind, std::string_view bytes, const std::string& key, const char* text) {
  Token token;
  const auto body = verify(kind, bytes, key);
  if (!body || !token.ParseFromArray(body->data(), static_cast<int>(body->size()))) return base::invalid_argument(text);
  return token;
}

}  // namespace

std::string sign(char kind, std::string_view body, const std::string& key) {
  const auto tag = tag_of(kind, body, key);
  std::string bytes(reinterpret_cast<const char*>(tag.data()), kTag);
  bytes.append(body);
  return bytes;
}

base::Result<std::string_view> verify(char kind, std::string_view bytes, const std::string& key) {
  if (bytes.size() < kTag) return base::invalid_argument("the token is too short");
  const std::string_view body = bytes.substr(kTag);
  const auto tag = tag_of(kind, body, key);
  if (CRYPTO_memcmp(tag.data(), bytes.data(), kTag) != 0) return base::invalid_argument("the token was not made here");
  return body;
}

std::string write_token(const pb::TaskToken& token, const std::string& key) {
  return sign(kTaskKind, token.SerializeAsString(), key);
}

base::Result<pb::TaskToken> read_token(std::string_view bytes, const std::string& key) {
  return read_as<pb::TaskToken>(kTaskKind, bytes, key, "Error deserializing task token.");
}

std::string write_page_token(const pb::HistoryToken& token, const std::string& key) {
  return sign(kHistoryKind, token.SerializeAsString(), key);
}

base::Result<pb::HistoryToken> read_page_token(std::string_view bytes, const std::string& key) {
  return read_as<pb::HistoryToken>(kHistoryKind, bytes, key, "Invalid NextPageToken.");
}

}  // namespace perdure::history
