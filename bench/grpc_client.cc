#include "bench/grpc_client.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <unordered_map>

#include "base/check.h"
#include "bench/address.h"

namespace perdure::bench {
namespace {

constexpr std::size_t kFrameHeader = 5;  // one byte of flags, four of length
constexpr std::int32_t kStreamWindow = 1 << 20;
constexpr std::int32_t kConnectionWindow = 64 << 20;

nghttp2_nv header(std::string_view name, std::string_view value) {
  auto* n = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data()));
  auto* v = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data()));
  return {n, v, name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

base::Result<int> connected_socket(const std::string& address) {
  TRY(const sockaddr_in to, numeric_address(address));
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
    const int error = errno;
    close(fd);
    return base::fail(base::Code::kUnavailable, address + ": " + std::strerror(error));
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  return fd;
}

// One call under way.
struct Call {
  std::string request;  // with its five-byte prefix
  std::size_t sent = 0;
  std::string response;  // the same
  int grpc_status = -1;
  std::string grpc_message;
  std::string http_status;
  Done done;

  Reply reply(std::uint32_t http2_error) const {
    if (grpc_status > 0)
      return base::fail(static_cast<base::Code>(grpc_status), percent_decoded(grpc_message));
    if (grpc_status != 0 || response.size() < kFrameHeader) {
      return base::fail(base::Code::kUnavailable, "call ended without a gRPC status (HTTP status " +
                                                      http_status + ", HTTP/2 error " +
                                                      std::to_string(http2_error) + ")");
    }
    if (response[0] != 0) return base::fail(base::Code::kInternal, "compressed answer");
    return std::string_view(response).substr(kFrameHeader);
  }
};

}  // namespace

// One HTTP/2 connection and its calls.
class Connection {
 public:
  Connection(int fd, std::string authority) : fd_(fd), authority_(std::move(authority)) {
    nghttp2_session_callbacks* callbacks = nullptr;
    CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    CHECK(nghttp2_session_client_new(&session_, callbacks, this) == 0);
    nghttp2_session_callbacks_del(callbacks);
    const std::array<nghttp2_settings_entry, 2> settings{{
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, static_cast<std::uint32_t>(kStreamWindow)},
    }};
    CHECK(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) == 0);
    CHECK(nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow) == 0);
  }
  ~Connection() {
    closing_ = true;
    nghttp2_session_del(session_);
    if (fd_ >= 0) close(fd_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return fd_; }
  bool broken() const { return fd_ < 0; }
  std::size_t in_flight() const { return calls_.size() + refused_.size(); }
  bool wants_write() const { return !out_.empty(); }

  void submit(std::string_view path, std::string_view message, base::Duration timeout, Done done) {
    if (broken()) {
      refused_.push_back(std::move(done));
      return;
    }
    auto call = std::make_unique<Call>();
    call->done = std::move(done);
    call->request.reserve(kFrameHeader + message.size());
    call->request.push_back('\0');
    const std::uint32_t length = htonl(static_cast<std::uint32_t>(message.size()));
    call->request.append(reinterpret_cast<const char*>(&length), sizeof length);
    call->request.append(message);
    const std::string timeout_text = grpc_timeout(timeout);
    const std::array<nghttp2_nv, 8> headers{{
        header(":method", "POST"),
        header(":scheme", "http"),
        header(":path", path),
        header(":authority", authority_),
        header("te", "trailers"),
        header("content-type", "application/grpc"),
        header("user-agent", "perdure-bench"),
        header("grpc-timeout", timeout_text),
    }};
    nghttp2_data_provider body{{.ptr = call.get()}, read_request};
    const std::int32_t stream =
        nghttp2_submit_request(session_, nullptr, headers.data(), headers.size(), &body, call.get());
    CHECK(stream > 0);
    calls_.emplace(stream, std::move(call));
  }

  // Writes what the session has, as far as the socket takes it.
  void flush() {
    if (broken()) return;
    for (;;) {
      const std::uint8_t* data = nullptr;
      const ssize_t size = out_.size() < kMaxUnwritten ? nghttp2_session_mem_send(session_, &data) : 0;
      if (size < 0) return drop();
      if (size == 0) break;
      out_.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
    }
    std::size_t written = 0;
    while (written < out_.size()) {
      const ssize_t n = send(fd_, out_.data() + written, out_.size() - written, MSG_NOSIGNAL);
      if (n > 0) {
        written += static_cast<std::size_t>(n);
      } else if (errno == EAGAIN) {
        break;
      } else if (errno != EINTR) {
        return drop();
      }
    }
    out_.erase(0, written);
  }

  void receive() {
    if (broken()) return;
    std::array<std::uint8_t, 64 << 10> buffer;
    for (;;) {
      const ssize_t n = recv(fd_, buffer.data(), buffer.size(), 0);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return;
      if (n <= 0) return drop();
      if (nghttp2_session_mem_recv(session_, buffer.data(), static_cast<std::size_t>(n)) < 0) return drop();
      if (static_cast<std::size_t>(n) < buffer.size()) return;
    }
  }

  // Callbacks run here and not inside the session, so that they may submit calls.
  void deliver() {
    for (auto finished = std::exchange(finished_, {}); auto& [call, error] : finished)
      call->done(call->reply(error));
    for (auto refused = std::exchange(refused_, {}); auto& done : refused) {
      done(base::fail(base::Code::kUnavailable, "the connection is broken"));
    }
  }

 private:
  static constexpr std::size_t kMaxUnwritten = 1 << 20;

  void drop() {
    if (broken()) return;
    close(fd_);
    fd_ = -1;
    out_.clear();
    for (auto& [stream, call] : calls_) finished_.emplace_back(std::move(call), NGHTTP2_CONNECT_ERROR);
    calls_.clear();
  }

  Call* find(std::int32_t stream) {
    const auto found = calls_.find(stream);
    return found == calls_.end() ? nullptr : found->second.get();
  }

  static ssize_t read_request(nghttp2_session*, std::int32_t, std::uint8_t* buffer, std::size_t length,
                              std::uint32_t* flags, nghttp2_data_source* source, void*) {
    auto* call = static_cast<Call*>(source->ptr);
    const std::size_t n = std::min(length, call->request.size() - call->sent);
    std::memcpy(buffer, call->request.data() + call->sent, n);
    call->sent += n;
    if (call->sent == call->request.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(n);
  }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t,
                       void* self) {
    Call* call = static_cast<Connection*>(self)->find(frame->hd.stream_id);
    if (call == nullptr) return 0;
    const std::string_view key(reinterpret_cast<const char*>(name), name_size);
    const std::string_view text(reinterpret_cast<const char*>(value), value_size);
    if (key == "grpc-status") std::from_chars(text.data(), text.data() + text.size(), call->grpc_status);
    if (key == "grpc-message") call->grpc_message = text;
    if (key == ":status") call->http_status = text;
    return 0;
  }

  static int on_data(nghttp2_session*, std::uint8_t, std::int32_t stream, const std::uint8_t* data,
                     std::size_t size, void* self) {
    if (Call* call = static_cast<Connection*>(self)->find(stream)) {
      call->response.append(reinterpret_cast<const char*>(data), size);
    }
    return 0;
  }

  static int on_close(nghttp2_session*, std::int32_t stream, std::uint32_t error, void* self) {
    auto& connection = *static_cast<Connection*>(self);
    const auto found = connection.calls_.find(stream);
    if (connection.closing_ || found == connection.calls_.end()) return 0;
    connection.finished_.emplace_back(std::move(found->second), error);
    connection.calls_.erase(found);
    return 0;
  }

  int fd_;
  std::string authority_;
  nghttp2_session* session_ = nullptr;
  bool closing_ = false;
  std::string out_;
  std::unordered_map<std::int32_t, std::unique_ptr<Call>> calls_;  // by stream
  std::vector<std::pair<std::unique_ptr<Call>, std::uint32_t>> finished_;
  std::vector<Done> refused_;
};

base::Result<std::unique_ptr<GrpcClient>> GrpcClient::connect(const std::string& address,
                                                              std::size_t connections) {
  std::unique_ptr<GrpcClient> client(new GrpcClient);
  client->epoll_ = epoll_create1(EPOLL_CLOEXEC);
  CHECK(client->epoll_ >= 0);
  for (std::size_t i = 0; i < connections; ++i) {
    TRY(const int fd, connected_socket(address));
    client->connections_.push_back(std::make_unique<Connection>(fd, address));
    epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
    CHECK(epoll_ctl(client->epoll_, EPOLL_CTL_ADD, fd, &event) == 0);
  }
  return client;
}

GrpcClient::~GrpcClient() {
  connections_.clear();
  if (epoll_ >= 0) close(epoll_);
}

void GrpcClient::call(std::size_t which, std::string_view path, std::string_view message,
                      base::Duration timeout, Done done) {
  connections_[which % connections_.size()]->submit(path, message, timeout, std::move(done));
}

void GrpcClient::turn(base::Duration wait) {
  bool unwritten = false;
  for (const auto& connection : connections_) {
    connection->flush();
    unwritten |= connection->wants_write() || (connection->broken() && connection->in_flight() > 0);
  }
  auto wait_ms = std::chrono::duration_cast<std::chrono::milliseconds>(wait).count();
  if (unwritten)
    wait_ms =
        std::min<std::int64_t>(wait_ms, 1);  // a full socket is rare: ask again instead of watching EPOLLOUT
  std::array<epoll_event, 64> events;
  const int ready =
      epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), static_cast<int>(wait_ms));
  for (int i = 0; i < ready; ++i) connections_[events[static_cast<std::size_t>(i)].data.u64]->receive();
  for (const auto& connection : connections_) connection->deliver();
}

std::size_t GrpcClient::in_flight() const {
  std::size_t sum = 0;
  for (const auto& connection : connections_) sum += connection->in_flight();
  return sum;
}

std::string grpc_timeout(base::Duration timeout) {
  constexpr std::int64_t kMost = 99'999'999;
  const std::int64_t ns = std::max<std::int64_t>(timeout.count(), 1);
  if (ns % 1'000'000'000 == 0 || ns / 1'000'000 > kMost)
    return std::to_string(std::min(ns / 1'000'000'000, kMost)) + "S";
  if (ns % 1'000'000 == 0 || ns / 1'000 > kMost) return std::to_string(ns / 1'000'000) + "m";
  if (ns % 1'000 == 0 || ns > kMost) return std::to_string(ns / 1'000) + "u";
  return std::to_string(ns) + "n";
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape =
        text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
    if (escape) {
      out.push_back(static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

}  // namespace perdure::bench
