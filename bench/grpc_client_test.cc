#include "bench/grpc_client.h"

#include <gtest/gtest.h>

namespace perdure::bench {
namespace {

using namespace std::chrono_literals;

TEST(GrpcTimeout, LargestExactUnitOfEightDigits) {
  EXPECT_EQ(grpc_timeout(70s), "70S");
  EXPECT_EQ(grpc_timeout(1500ms), "1500m");
  EXPECT_EQ(grpc_timeout(3us), "3u");
  EXPECT_EQ(grpc_timeout(5ns), "5n");
  EXPECT_EQ(grpc_timeout(0s), "1n");
  EXPECT_EQ(grpc_timeout(base::Duration::max()), "99999999S");
  EXPECT_EQ(grpc_timeout(200s + 1ns), "200000m");
}

TEST(PercentDecoded, KeepsMalformedEscapes) {
  EXPECT_EQ(percent_decoded("no such%20id%0A"), "no such id\n");
  EXPECT_EQ(percent_decoded("100%"), "100%");
  EXPECT_EQ(percent_decoded("%zz%4"), "%zz%4");
  EXPECT_EQ(percent_decoded("%C3%9f"), "\xC3\x9F");
}

TEST(Connect, RefusedAndMalformedAddresses) {
  EXPECT_EQ(GrpcClient::connect("127.0.0.1:1", 1).error().code, base::Code::kUnavailable);
  EXPECT_EQ(GrpcClient::connect("localhost", 1).error().code, base::Code::kInvalidArgument);
  EXPECT_EQ(GrpcClient::connect("127.0.0.1:0", 1).error().code, base::Code::kInvalidArgument);
}

}  // namespace
}  // namespace perdure::bench
