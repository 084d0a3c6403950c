// GrpcConnection: one client's HTTP/2 connection (nghttp2) and the calls on it.
//
// Thread rule: the loop that it was made on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "base/io_loop.h"
#include "server/frontend/grpc/call.h"
#include "server/frontend/grpc/output_queue.h"

struct nghttp2_session;

namespace perdure::frontend {

class GrpcConnection {
 public:
  // Owns `socket`, which does not block. `touched` is called whenever there may be something to flush, and
  // flush() soon after.
  GrpcConnection(int socket, std::shared_ptr<GrpcDoorState> door, base::IoLoop& loop,
                 std::function<void()> touched);
  ~GrpcConnection();
  GrpcConnection(const GrpcConnection&) = delete;
  GrpcConnection& operator=(const GrpcConnection&) = delete;

  // Reads what has come and runs the handlers of complete requests.
  void receive();
  // Writes what is queued, as far as the socket takes it; the rest follows when it is writable.
  void flush();
  // `call` has something to send: its first message, its next, or its end.
  void send(GrpcCall& call);

  // Gives up the calls whose deadline has passed.
  void expire(base::Time now);
  // Tells the client to open no more calls here; those under way go on.
  void drain();
  // Gives up every call.
  void give_up(const base::Error& error);

  // Bytes of answers that the client has not taken yet, and what it costs to keep them.
  std::size_t unread() const { return unread_; }
  // No call under way and nothing left to write.
  bool idle() const;
  // The connection is broken or has ended: destroy it.
  bool over() const { return over_; }

  // For the callbacks of nghttp2.
  struct Callbacks;

 private:
  void begin_session();
  void send_error(GrpcCall& call);
  void watch(bool writable);
  struct Open {
    std::shared_ptr<GrpcCall> call;
    bool headers_sent = false;
    std::size_t unread = 0;  // counted in unread_
  };
  // What of `open` waits for the client has changed.
  void count(Open& open);
  GrpcCall* find(std::int32_t stream);

  const int socket_;
  const std::shared_ptr<GrpcDoorState> door_;
  base::IoLoop& loop_;
  const std::function<void()> touched_;
  nghttp2_session* session_ = nullptr;
  OutputQueue out_;
  bool watches_write_ = false, over_ = false;
  std::size_t unread_ = 0;
  std::unordered_map<std::int32_t, Open> calls_;  // by stream
};

}  // namespace perdure::frontend
