#include "server/frontend/grpc/wire.h"

#include <gtest/gtest.h>
#include <zlib.h>

namespace perdure::frontend {
namespace {

using namespace std::chrono_literals;

TEST(Wire, Timeouts) {
  const std::pair<const char*, base::Duration> good[] = {
      {"1H", 1h}, {"2M", 2min}, {"90S", 90s}, {"5m", 5ms}, {"7u", 7us}, {"99999999n", 99'999'999ns}};
  for (const auto& [text, expected] : good) EXPECT_EQ(parse_timeout(text), expected) << text;
  EXPECT_GT(*parse_timeout("99999999H"), 24h * 365 * 50);
  for (const char* text : {"", "S", "1", "x1S", "-1S", "1.5S", "123456789S", "1 S", "1s"}) {
    EXPECT_FALSE(parse_timeout(text).has_value()) << text;
  }
}

TEST(Wire, MessagesArePercentEncoded) {
  EXPECT_EQ(percent_encoded("plain text, 100%"), "plain text, 100%25");
  EXPECT_EQ(percent_encoded("\xc3\xa4\n"), "%C3%A4%0A");
}

TEST(Wire, Base64HasNoPadding) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg");
  EXPECT_EQ(base64("fo"), "Zm8");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("\xff\xfe\xfd"), "//79");
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(text.size() + 100, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST(Wire, CompressedMessagesAreBounded) {
  const std::string text(100'000, 'z');
  EXPECT_EQ(decompressed("gzip", gzip(text), text.size()), text);
  EXPECT_EQ(decompressed("gzip", gzip(text), text.size() - 1).error().code, base::Code::kResourceExhausted);
  EXPECT_EQ(decompressed("gzip", gzip(text).substr(0, 50), text.size()).error().code,
            base::Code::kInvalidArgument);
  EXPECT_EQ(decompressed("gzip", "garbage", 10).error().code, base::Code::kInvalidArgument);
  EXPECT_EQ(decompressed("gzip", "", 10).error().code, base::Code::kInvalidArgument);
  EXPECT_EQ(decompressed("identity", "abc", 10), "abc");
  EXPECT_EQ(decompressed("snappy", "abc", 10).error().code, base::Code::kUnimplemented);
}

}  // namespace
}  // namespace perdure::frontend
