// GrpcCall: one RPC of a gRPC connection, from its request headers to its trailers.
//
// Thread rule: what overrides Call as Call says; everything else on the loop of the connection. A call may
// outlive its stream, its connection and its door.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/io_loop.h"
#include "server/frontend/call.h"
#include "server/frontend/call_metrics.h"
#include "server/frontend/grpc/door.h"
#include "server/frontend/method_table.h"

namespace perdure::frontend {

// Answers each message of a stream (reflection, health watches).
struct StreamMethod {
  std::function<base::Result<std::string>(std::string_view)> answer;
  bool ends_with_client =
      true;  // when the client has sent its last message; else only the client ends it by leaving
};

// What all calls of a door share; lives as long as the last of them.
struct GrpcDoorState {
  const MethodTable& methods;
  const GrpcDoorOptions options;
  std::vector<std::string> services;          // full names, for health and reflection
  Method health;                              // the row of Health/Check
  std::atomic<std::size_t> calls{0};          // not finished
  std::atomic<std::size_t> request_bytes{0};  // of calls that exist

  // Health is served beside the table.
  const Method* find(std::string_view path) const;
  // Unset `answer`: the path is not that of a stream.
  StreamMethod stream(std::string_view path) const;
};

class GrpcConnection;

class GrpcCall final : public Call, public std::enable_shared_from_this<GrpcCall> {
 public:
  GrpcCall(std::shared_ptr<GrpcDoorState> door, base::IoLoop& loop, GrpcConnection& connection,
           std::int32_t stream);
  ~GrpcCall() override;

  // ---- Call ----
  std::string_view request() const override;
  base::Time deadline() const override { return deadline_; }
  std::string_view header(std::string_view name) const override;
  void on_client_gone(std::move_only_function<void()> left) override;
  void finish(base::Result<std::string> response) override;

  // ---- what arrives ----
  void add_header(std::string_view name, std::string_view value);
  void headers_complete(base::Time now);
  void add_data(std::string_view bytes);
  void request_complete();
  // The stream is closed: nothing can be sent any more, and a client that was still waited for has gone.
  void stream_closed();
  // Its deadline passed, or the door closes: answered with `error`, and its handler told that nobody waits.
  void give_up(base::Error error);
  bool client_done() const { return client_done_; }

  // ---- what leaves ----
  std::int32_t stream() const { return stream_; }
  // HTTP status to refuse with, when this is no gRPC call at all; 0 otherwise.
  int http_error() const { return http_error_; }
  const base::Error& status() const { return status_; }  // code kOk: success
  bool has_message() const { return unsent() > 0; }
  // Bytes of messages that are ready and not taken yet.
  std::size_t unsent() const;
  bool last_message_ready() const { return finished_sending_ && next_.empty(); }
  bool replied() const { return replied_; }
  // Bytes of messages that wait, behind the first one too.
  std::size_t waiting() const { return unsent() + next_bytes_; }
  // Moves `count` bytes that are ready to the queue of the connection.
  void take(std::size_t count, class OutputQueue& to);

 private:
  enum : int { kOpen, kWatched, kGone, kFinished };

  struct Header {
    std::uint32_t name, value, end;  // offsets into header_text_
  };

  int mark_gone();
  void dispatch();
  void answer_stream();
  void refuse(base::Error error);
  void reply(base::Result<std::string> response);
  void put_message(std::string message);
  base::Result<std::string_view> message_at(std::size_t at) const;

  const std::shared_ptr<GrpcDoorState> door_;
  base::IoLoop& loop_;
  GrpcConnection* connection_;  // null when the stream is closed
  const std::int32_t stream_;

  std::string header_text_;
  std::vector<Header> headers_;
  bool headers_too_long_ = false;
  std::string body_;            // messages as they came, with their prefixes
  std::string decompressed_;    // the message, if it came compressed
  std::size_t read_ = 0;        // of body_, in streams
  std::size_t held_bytes_ = 0;  // counted in request_bytes
  bool refused_ = false;        // what arrives is dropped
  bool client_done_ = false;
  const Method* method_ = nullptr;
  CallMetrics* metrics_ = nullptr;  // null: not counted, as health and reflection
  StreamMethod messages_;
  base::Time began_{}, deadline_ = base::kNever;

  std::atomic<int> state_{kOpen};
  std::move_only_function<void()> left_;
  base::Result<std::string> response_;  // between finish() and the loop

  int http_error_ = 0;
  bool replied_ = false;
  base::Error status_{.code = base::Code::kOk, .message = {}, .detail = {}};
  std::array<char, 5> prefix_{};
  std::string message_;           // being sent, after its prefix
  std::size_t taken_ = 0;         // of prefix and message
  bool sending_ = false;          // message_ holds one
  std::deque<std::string> next_;  // messages of a stream behind it
  std::size_t next_bytes_ = 0;
  bool finished_sending_ = false;  // no further message will come
};

}  // namespace perdure::frontend
