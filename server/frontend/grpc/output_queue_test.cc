#include "server/frontend/grpc/output_queue.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace perdure::frontend {
namespace {

// Copied and referred pieces come out in order, whatever the socket takes at a time, and owners are let go.
TEST(OutputQueue, KeepsTheOrderThroughAFullSocket) {
  std::array<int, 2> sockets;
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets.data()), 0);
  OutputQueue queue;
  std::string expected;
  const auto owner = std::make_shared<std::string>(300'000, 'r');
  for (int i = 0; i < 200; ++i) {
    const std::string small = std::to_string(i) + std::string(static_cast<std::size_t>(i), 's');
    queue.append(small);
    expected += small;
    if (i % 50 == 7) {
      queue.refer(owner, *owner);
      expected += *owner;
    }
  }
  EXPECT_EQ(queue.size(), expected.size());
  std::string received;
  std::array<char, 10'000> buffer;
  while (received.size() < expected.size()) {
    ASSERT_TRUE(queue.write_to(sockets[0]));
    const ssize_t size = recv(sockets[1], buffer.data(), buffer.size(), 0);
    ASSERT_GT(size, 0);
    received.append(buffer.data(), static_cast<std::size_t>(size));
  }
  EXPECT_EQ(received, expected);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(owner.use_count(), 1);
  close(sockets[1]);
  queue.append("x");
  EXPECT_FALSE(queue.write_to(sockets[0]));
  close(sockets[0]);
}

}  // namespace
}  // namespace perdure::frontend
