#include "server/gateway/http_listener.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace perdure::gateway {
namespace {

// Sends `request` and reads until the server closes.
std::string talk(int port, const std::string& request) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  EXPECT_EQ(connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(send(socket, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  std::string answer;
  char piece[4096];
  for (ssize_t got = 0; (got = recv(socket, piece, sizeof piece, 0)) > 0;)
    answer.append(piece, static_cast<std::size_t>(got));
  close(socket);
  return answer;
}

std::string get(int port, const std::string& path) {
  return talk(port, "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
}

TEST(HttpListener, ServesItsPages) {
  auto listener = HttpListener::open("127.0.0.1", 0, {{"/metrics", [] { return std::string("a 1\n"); }}});
  ASSERT_TRUE(listener.has_value()) << listener.error().message;
  const int port = (*listener)->port();
  const std::string page = get(port, "/metrics?x=y");
  EXPECT_EQ(page.find("HTTP/1.1 200 OK"), 0u) << page;
  EXPECT_TRUE(page.ends_with("\r\n\r\na 1\n")) << page;
  EXPECT_EQ(get(port, "/").find("HTTP/1.1 404"), 0u);
  EXPECT_EQ(talk(port, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .find("HTTP/1.1 405"),
            0u);
  EXPECT_EQ(talk(port, "nonsense\r\n\r\n"), "");
  EXPECT_EQ(talk(port, "GET /" + std::string(100'000, 'x') + " HTTP/1.1\r\n\r\n"), "");
  const std::string two = talk(port,
                               "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics HTTP/1.1\r\nHost: "
                               "x\r\nConnection: close\r\n\r\n");
  EXPECT_NE(two.find("200 OK", 20), std::string::npos);
}

TEST(HttpListener, TakenPortIsAnError) {
  auto first = HttpListener::open("127.0.0.1", 0, {});
  ASSERT_TRUE(first.has_value());
  const auto second = HttpListener::open("127.0.0.1", (*first)->port(), {});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, base::Code::kUnavailable);
  EXPECT_EQ(HttpListener::open("not an address", 0, {}).error().code, base::Code::kInvalidArgument);
}

}  // namespace
}  // namespace perdure::gateway
