#include "server/gateway/http_listener.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/executor.h"

namespace perdure::gateway {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;

constexpr auto kPatience = std::chrono::seconds(10);  // for a request to arrive, and for an answer to leave
constexpr std::size_t kMostConnections = 64;
constexpr std::uint64_t kMostBytes = 16 << 10;  // of a request

// One connection: requests answered one after another until the client is gone or silent. Keeps itself alive.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, const HttpPages& pages, std::size_t& open)
      : stream_(std::move(socket)), pages_(pages), open_(open) {
    ++open_;
  }
  ~Session() { --open_; }

  void read() {
    parser_.emplace();
    parser_->body_limit(kMostBytes);
    parser_->header_limit(kMostBytes);
    stream_.expires_after(kPatience);
    http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](ErrorCode error, std::size_t) {
      if (!error) self->answer();
    });
  }

 private:
  void answer() {
    const auto& request = parser_->get();
    response_ = {};
    response_.version(request.version());
    response_.keep_alive(request.keep_alive());
    response_.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
    const std::string path(request.target().substr(0, request.target().find('?')));
    const auto page = pages_.find(path);
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
      response_.result(http::status::method_not_allowed);
      response_.body() = "only GET is served here\n";
    } else if (page == pages_.end()) {
      response_.result(http::status::not_found);
      response_.body() = "there is nothing at this path\n";
    } else {
      response_.body() = page->second();
    }
    response_.prepare_payload();
    if (request.method() == http::verb::head) response_.body().clear();
    stream_.expires_after(kPatience);
    http::async_write(stream_, response_, [self = shared_from_this()](ErrorCode error, std::size_t) {
      if (error) return;
      if (self->response_.keep_alive()) {
        self->read();
      } else {
        ErrorCode ignored;
        self->stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
      }
    });
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  const HttpPages& pages_;
  std::size_t& open_;
};

class Listener : public HttpListener {
 public:
  explicit Listener(HttpPages pages) : pages_(std::move(pages)) {}
  ~Listener() override {
    io_.stop();
    thread_.reset();  // waits for run() to return; sessions end with io_
  }

  base::Status listen(const std::string& ip, int port) {
    ErrorCode error;
    const auto address = asio::ip::make_address(ip == "localhost" ? "127.0.0.1" : ip, error);
    if (error) return base::fail(base::Code::kInvalidArgument, ip + " is not an address");
    const tcp::endpoint endpoint(address, static_cast<std::uint16_t>(port));
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      return base::fail(base::Code::kUnavailable,
                        "cannot listen on " + ip + ":" + std::to_string(port) + ": " + error.message());
    }
    port_ = acceptor_.local_endpoint().port();
    accept();
    thread_ = base::make_thread_executor("http", base::system_clock());
    thread_->post(base::Lane::kInternal, 0, [this] { io_.run(); });
    return {};
  }

  int port() const override { return port_; }

 private:
  void accept() {
    acceptor_.async_accept([this](ErrorCode error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (!error && sessions_ < kMostConnections)
        std::make_shared<Session>(std::move(socket), pages_, sessions_)->read();
      accept();
    });
  }

  const HttpPages pages_;
  std::size_t sessions_ = 0;  // listener thread only; outlives io_, whose handlers hold the sessions
  asio::io_context io_{1};
  tcp::acceptor acceptor_{io_};
  int port_ = 0;
  std::unique_ptr<base::Executor> thread_;
};

}  // namespace

base::Result<std::unique_ptr<HttpListener>> HttpListener::open(const std::string& ip, int port,
                                                               HttpPages pages) {
  auto listener = std::make_unique<Listener>(std::move(pages));
  TRY_VOID(listener->listen(ip, port));
  return listener;
}

}  // namespace perdure::gateway
