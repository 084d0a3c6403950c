#include "server/frontend/grpc/call.h"

#include <cstring>
#include <set>
#include <utility>

#include "server/frontend/grpc/connection.h"
#include "server/frontend/grpc/health.h"
#include "server/frontend/grpc/output_queue.h"
#include "server/frontend/grpc/reflection.h"
#include "server/frontend/grpc/wire.h"

namespace perdure::frontend {
namespace {

constexpr std::size_t kMostHeaderBytes = 64 << 10;  // authorization tokens may be long
constexpr std::size_t kReferFrom = 8 << 10;         // messages from here on are not copied

std::size_t length_at(std::string_view prefix) {
  std::size_t length = 0;
  for (std::size_t i = 1; i < kPrefix; ++i) length = length << 8 | static_cast<unsigned char>(prefix[i]);
  return length;
}

}  // namespace

const Method* GrpcDoorState::find(std::string_view path) const {
  return path == kHealthCheck ? &health : methods.find(path);
}

StreamMethod GrpcDoorState::stream(std::string_view path) const {
  if (path == kHealthWatch) {
    return {[this](std::string_view request) { return watch_health(request, services); }, false};
  }
  if (is_reflection(path)) {
    return {[this,
             sent = std::set<std::string>()](std::string_view request) mutable -> base::Result<std::string> {
      return answer_reflection(request, services, sent);
    }};
  }
  return {};
}

GrpcCall::GrpcCall(std::shared_ptr<GrpcDoorState> door, base::IoLoop& loop, GrpcConnection& connection,
                   std::int32_t stream)
    : door_(std::move(door)), loop_(loop), connection_(&connection), stream_(stream) {
  door_->calls.fetch_add(1, std::memory_order_relaxed);
}

GrpcCall::~GrpcCall() {
  door_->request_bytes.fetch_sub(held_bytes_, std::memory_order_relaxed);
  if (state_.load() != kFinished) door_->calls.fetch_sub(1);
}

// ---- Call ----

std::string_view GrpcCall::request() const {
  return decompressed_.empty() ? std::string_view(body_).substr(std::min(kPrefix, body_.size()))
                               : decompressed_;
}

std::string_view GrpcCall::header(std::string_view name) const {
  const std::string_view text = header_text_;
  for (const Header& header : headers_) {
    if (text.substr(header.name, header.value - header.name) == name) {
      return text.substr(header.value, header.end - header.value);
    }
  }
  return {};
}

void GrpcCall::on_client_gone(std::move_only_function<void()> left) {
  left_ = std::move(left);
  int expected = kOpen;
  if (!state_.compare_exchange_strong(expected, kWatched) && expected == kGone)
    std::exchange(left_, nullptr)();
}

void GrpcCall::finish(base::Result<std::string> response) {
  const base::Code code = response ? base::Code::kOk : response.error().code;
  if (state_.exchange(kFinished) == kFinished) return;  // a stream that was given up
  if (metrics_ != nullptr) metrics_->end(method_, code, loop_.clock().now() - began_);
  if (loop_.is_current()) {
    door_->calls.fetch_sub(1);
    return reply(std::move(response));
  }
  response_ = std::move(response);
  loop_.post(base::Lane::kCompletion, 0, [self = shared_from_this()] {
    self->door_->calls.fetch_sub(1);
    self->reply(std::move(self->response_));
  });
}

// ---- what arrives ----

void GrpcCall::add_header(std::string_view name, std::string_view value) {
  if (header_text_.size() + name.size() + value.size() > kMostHeaderBytes) {
    headers_too_long_ = true;
    return;
  }
  const auto at = static_cast<std::uint32_t>(header_text_.size());
  const auto value_at = at + static_cast<std::uint32_t>(name.size());
  headers_.push_back({at, value_at, value_at + static_cast<std::uint32_t>(value.size())});
  header_text_.append(name).append(value);
}

void GrpcCall::headers_complete(base::Time now) {
  began_ = now;
  const std::string_view path = header(":path");
  method_ = door_->find(path);
  if (method_ == nullptr) messages_ = door_->stream(path);
  if (method_ != &door_->health && !messages_.answer) metrics_ = door_->options.metrics;
  if (metrics_ != nullptr) metrics_->begin();
  if (header(":method") != "POST") {
    http_error_ = 405;
  } else if (!header("content-type").starts_with("application/grpc")) {
    http_error_ = 415;
  }
  if (http_error_ != 0) return refuse({base::Code::kUnknown, "not a gRPC request", {}});
  if (door_->calls.load(std::memory_order_relaxed) > door_->options.max_calls) {
    return refuse({base::Code::kResourceExhausted, "too many calls are under way", {}});
  }
  if (connection_ != nullptr && connection_->unread() > door_->options.max_unread_bytes) {
    return refuse(
        {base::Code::kResourceExhausted, "the answers that were not read yet are too many bytes", {}});
  }
  if (headers_too_long_) {
    return refuse({base::Code::kResourceExhausted,
                   "the request headers are longer than " + std::to_string(kMostHeaderBytes) + " bytes",
                   {}});
  }
  if (const std::string_view timeout = header("grpc-timeout"); !timeout.empty()) {
    const auto parsed = parse_timeout(timeout);
    if (!parsed) return refuse(parsed.error());
    deadline_ = now + *parsed;
  }
  if (method_ == nullptr && !messages_.answer) refuse(unknown_method(path).error());
}

void GrpcCall::add_data(std::string_view bytes) {
  if (refused_) return;
  const std::size_t most = static_cast<std::size_t>(door_->options.max_message_bytes);
  const std::size_t room = body_.capacity();
  body_.append(bytes);
  if (read_ == 0 && body_.size() >= kPrefix) {
    const std::size_t length = length_at(body_);
    if (length > most) return refuse(too_large(length, most));
    if (method_ != nullptr && body_.size() > kPrefix + length) {
      return refuse({base::Code::kInvalidArgument, "the call carries more than one request message", {}});
    }
    body_.reserve(kPrefix + length);
  }
  const std::size_t grown = body_.capacity() - room;
  held_bytes_ += grown;
  if (grown > 0 && door_->request_bytes.fetch_add(grown) + grown > door_->options.max_request_bytes) {
    return refuse(
        {base::Code::kResourceExhausted, "the requests under way hold too many bytes: try again", {}});
  }
  if (method_ == nullptr) answer_stream();
}

void GrpcCall::request_complete() {
  client_done_ = true;
  if (refused_) return;
  if (method_ != nullptr) return dispatch();
  if (messages_.ends_with_client) finish(std::string());
}

void GrpcCall::dispatch() {
  const auto message = message_at(0);
  if (!message) return finish(std::unexpected(message.error()));
  if (body_[0] != 0) {
    auto plain = decompressed(header("grpc-encoding"), *message,
                              static_cast<std::size_t>(door_->options.max_message_bytes));
    if (!plain) return finish(std::unexpected(std::move(plain.error())));
    decompressed_ = std::move(*plain);
    if (decompressed_.empty()) body_.resize(kPrefix);
  }
  method_->handler(shared_from_this());
}

// The messages of a stream that have arrived whole.
void GrpcCall::answer_stream() {
  while (!refused_ && body_.size() - read_ >= kPrefix) {
    const auto message = message_at(read_);
    if (!message) return;
    if (body_[read_] != 0)
      return refuse({base::Code::kUnimplemented, "compressed messages of a stream are not supported", {}});
    auto answer = messages_.answer(*message);
    if (!answer) return refuse(answer.error());
    read_ += kPrefix + message->size();
    put_message(std::move(*answer));
    if (connection_ != nullptr) connection_->send(*this);
  }
  if (read_ == 0) return;
  body_.erase(0, read_);
  read_ = 0;
}

base::Result<std::string_view> GrpcCall::message_at(std::size_t at) const {
  const std::string_view rest = std::string_view(body_).substr(at);
  if (rest.empty()) return base::invalid_argument("the call carries no request message");
  if (rest.size() < kPrefix || rest.size() - kPrefix < length_at(rest)) {
    return base::invalid_argument("the request message is cut off");
  }
  return rest.substr(kPrefix, length_at(rest));
}

void GrpcCall::refuse(base::Error error) {
  refused_ = true;
  finish(std::unexpected(std::move(error)));
}

// The state before. One that is finished stays so.
int GrpcCall::mark_gone() {
  int before = state_.load();
  while (before != kFinished && !state_.compare_exchange_weak(before, kGone)) {
  }
  return before;
}

void GrpcCall::stream_closed() {
  connection_ = nullptr;
  const int before = mark_gone();
  if (before == kWatched) std::exchange(left_, nullptr)();
  if (method_ == nullptr && before != kFinished) finish(std::string());  // no handler will
}

void GrpcCall::give_up(base::Error error) {
  if (replied_) return;
  reply(std::unexpected(std::move(error)));
  const int before = mark_gone();
  if (before == kWatched) std::exchange(left_, nullptr)();
  if (method_ == nullptr && before != kFinished) finish(std::string());
}

// ---- what leaves ----

void GrpcCall::reply(base::Result<std::string> response) {
  if (replied_) return;
  replied_ = true;
  finished_sending_ = true;
  if (state_.load() == kFinished) left_ = nullptr;  // nobody calls it any more, and it often holds this call
  if (!response) {
    status_ = std::move(response.error());
  } else if (method_ != nullptr) {
    put_message(std::move(*response));
  }
  if (connection_ != nullptr) connection_->send(*this);
}

void GrpcCall::put_message(std::string message) {
  if (sending_) {
    next_bytes_ += message.size();
    next_.push_back(std::move(message));
    return;
  }
  sending_ = true;
  taken_ = 0;
  message_ = std::move(message);
  for (std::size_t i = 1; i < kPrefix; ++i)
    prefix_[i] = static_cast<char>(message_.size() >> (8 * (kPrefix - 1 - i)));
}

std::size_t GrpcCall::unsent() const {
  return sending_ ? kPrefix + message_.size() - taken_ : 0;
}

void GrpcCall::take(std::size_t count, OutputQueue& to) {
  if (taken_ < kPrefix) {
    const std::size_t part = std::min(count, kPrefix - taken_);
    to.append({prefix_.data() + taken_, part});
    taken_ += part;
    count -= part;
  }
  const std::string_view part = std::string_view(message_).substr(taken_ - std::min(taken_, kPrefix), count);
  if (count > 0 && finished_sending_ && message_.size() >= kReferFrom) {
    to.refer(shared_from_this(), part);
  } else {
    to.append(part);
  }
  taken_ += count;
  if (unsent() > 0 || next_.empty()) {
    sending_ = unsent() > 0;
    return;
  }
  sending_ = false;
  std::string message = std::move(next_.front());
  next_.pop_front();
  next_bytes_ -= message.size();
  put_message(std::move(message));
}

}  // namespace perdure::frontend
