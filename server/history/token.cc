#include "server/history/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>
#include <memory>
#include <optional>

#include "base/check.h"

namespace perdure::history {
namespace {

constexpr std::size_t kTag = 16;
constexpr char kTaskKind = 'T';
constexpr char kHistoryKind = 'H';

using Tag = std::array<unsigned char, EVP_MAX_MD_SIZE>;

// HMAC-SHA256 under one key. Making one costs five times a tag, so that each thread keeps its last.
class Mac {
 public:
  explicit Mac(const std::string& key) : key_(key) {
    EVP_MAC* mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    CHECK(mac != nullptr);
    context_.reset(EVP_MAC_CTX_new(mac));
    EVP_MAC_free(mac);  // the context holds it
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string("digest", digest, 0),
                                     OSSL_PARAM_construct_end()};
    CHECK(EVP_MAC_init(context_.get(), reinterpret_cast<const unsigned char*>(key.data()), key.size(),
                       parameters) == 1);
  }
  const std::string& key() const { return key_; }

  Tag tag(char kind, std::string_view body) {
    Tag tag{};
    std::size_t size = 0;
    const auto first = static_cast<unsigned char>(kind);
    CHECK(EVP_MAC_init(context_.get(), nullptr, 0, nullptr) == 1);  // the same key again
    CHECK(EVP_MAC_update(context_.get(), &first, 1) == 1);
    CHECK(EVP_MAC_update(context_.get(), reinterpret_cast<const unsigned char*>(body.data()), body.size()) ==
          1);
    CHECK(EVP_MAC_final(context_.get(), tag.data(), &size, tag.size()) == 1);
    CHECK(size >= kTag);
    return tag;
  }

 private:
  struct Free {
    void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
  };
  std::string key_;
  std::unique_ptr<EVP_MAC_CTX, Free> context_;
};

Tag tag_of(char kind, std::string_view body, const std::string& key) {
  thread_local std::optional<Mac> last;
  if (!last || last->key() != key) last.emplace(key);
  return last->tag(kind, body);
}

template <class Token>
base::Result<Token> read_as(char kind, std::string_view bytes, const std::string& key, const char* text) {
  Token token;
  const auto body = verify(kind, bytes, key);
  if (!body || !token.ParseFromArray(body->data(), static_cast<int>(body->size())))
    return base::invalid_argument(text);
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
  if (CRYPTO_memcmp(tag.data(), bytes.data(), kTag) != 0)
    return base::invalid_argument("the token was not made here");
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
