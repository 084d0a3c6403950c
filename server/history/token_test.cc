#include "server/history/token.h"

#include <gtest/gtest.h>

namespace perdure::history {
namespace {

const std::string kKey = "0123456789abcdef0123456789abcdef";

// Rule E17: nobody can make or alter a token.
TEST(Token, ComesBackAsItWas) {
  pb::TaskToken token;
  token.set_workflow_id("w");
  token.set_scheduled_id(5);
  token.set_nonce(77);
  const auto read = read_token(write_token(token, kKey), kKey);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->SerializeAsString(), token.SerializeAsString());
}

TEST(Token, EveryFlippedBitIsRefused) {
  pb::TaskToken token;
  token.set_workflow_id("w");
  const std::string bytes = write_token(token, kKey);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string altered = bytes;
    altered[i] = static_cast<char>(altered[i] ^ 1);
    const auto read = read_token(altered, kKey);
    ASSERT_FALSE(read.has_value());
    EXPECT_EQ(read.error().code, base::Code::kInvalidArgument);
    EXPECT_EQ(read.error().message, "Error deserializing task token.");
  }
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(read_token(bytes.substr(0, size), kKey).has_value());
}

TEST(Token, OfAnotherServerOrKindIsRefused) {
  pb::TaskToken token;
  token.set_workflow_id("w");
  EXPECT_FALSE(read_token(write_token(token, "another key"), kKey).has_value());
  pb::HistoryToken page;
  page.set_run_id("w");
  EXPECT_FALSE(read_token(write_page_token(page, kKey), kKey).has_value());
  EXPECT_EQ(read_page_token(write_token(token, kKey), kKey).error().message, "Invalid NextPageToken.");
  EXPECT_EQ(read_page_token(write_page_token(page, kKey), kKey)->run_id(), "w");
}

// The tag is the one of RFC 4231 (case 2), whatever key was used before: tokens outlive the process that made them.
TEST(Token, IsSignedWithHmacSha256) {
  const std::string expected("\x5b\xdc\xc1\x46\xbf\x60\x75\x4e\x6a\x04\x24\x26\x08\x95\x75\xc7", 16);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(sign('w', "hat do ya want for nothing?", "Jefe").substr(0, 16), expected);
    EXPECT_NE(sign('w', "hat do ya want for nothing?", i == 1 ? "Jeff" : kKey).substr(0, 16), expected);
  }
}

}  // namespace
}  // namespace perdure::history
