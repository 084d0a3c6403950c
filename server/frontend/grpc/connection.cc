#include "server/frontend/grpc/connection.h"

#include <nghttp2/nghttp2.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include "base/check.h"
#include "google/rpc/status.pb.h"
#include "server/frontend/grpc/wire.h"

namespace perdure::frontend {
namespace {

constexpr std::size_t kMostUnwritten = 1 << 20;       // more is taken from the calls when this has left
constexpr std::int32_t kConnectionWindow = 64 << 20;  // bytes a client may have on their way to us
constexpr std::uint32_t kStreamWindow = 4 << 20;
constexpr std::uint32_t kStreams = 1 << 20;  // the calls of all connections are bounded together
// of an error (ER-04): it travels in a header, three bytes for one that is not ASCII
constexpr std::size_t kLongestMessage = 4000;
// with its detail; clients take 8 KiB of trailers by default, names included
constexpr std::size_t kLongestError = 7800;

// Static text is neither copied nor looked at again by nghttp2.
nghttp2_nv fixed(std::string_view name, std::string_view value) {
  return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}
// Text of one call: copied, and kept out of the compression table.
nghttp2_nv varying(std::string_view name, std::string_view value) {
  nghttp2_nv header = fixed(name, value);
  header.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_INDEX;
  return header;
}

// At most that many bytes, cut between characters.
std::string cut(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
  return text.substr(0, most);
}

// What is not too long as it travels.
std::string shortened(const std::string& message) {
  std::size_t end = 0, length = 0;
  while (end < message.size()) {
    length += travels_as(message[end]);
    if (length > kLongestMessage) break;
    ++end;
  }
  return cut(message, end);
}

// What goes beside the message: everything, or the detail with the beginning of the message, or nothing.
std::string status_detail(const base::Error& error, const std::string& message, std::size_t room) {
  google::rpc::Status status;
  status.set_code(static_cast<int>(error.code));
  status.set_message(message);
  if (error.detail.empty() || !status.add_details()->ParseFromString(error.detail)) return {};
  if (const std::size_t size = status.ByteSizeLong(); size > room) {
    status.set_message(cut(message, message.size() - std::min(message.size(), size - room)));
  }
  return status.ByteSizeLong() > room ? std::string() : base64(status.SerializeAsString());
}

std::string_view text_of(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

struct GrpcConnection::Callbacks {
  static GrpcConnection& of(void* user) { return *static_cast<GrpcConnection*>(user); }

  static bool is_request(const nghttp2_frame* frame) {
    return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
  }

  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (!is_request(frame)) return 0;
    GrpcConnection& self = of(user);
    const std::int32_t stream = frame->hd.stream_id;
    self.calls_[stream].call = std::make_shared<GrpcCall>(self.door_, self.loop_, self, stream);
    return 0;
  }
  static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t,
                    void* user) {
    if (!is_request(frame)) return 0;  // trailers of a request say nothing
    if (GrpcCall* call = of(user).find(frame->hd.stream_id)) {
      call->add_header(text_of(name, name_size), text_of(value, value_size));
    }
    return 0;
  }
  static int frame_received(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    GrpcConnection& self = of(user);
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    GrpcCall* call = self.find(frame->hd.stream_id);
    if (call == nullptr) return 0;
    const std::shared_ptr<GrpcCall> held = call->shared_from_this();
    if (is_request(frame)) held->headers_complete(self.loop_.clock().now());
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) held->request_complete();
    return 0;
  }
  static int data(nghttp2_session*, std::uint8_t, std::int32_t stream, const std::uint8_t* bytes,
                  std::size_t size, void* user) {
    if (GrpcCall* call = of(user).find(stream)) call->add_data(text_of(bytes, size));
    return 0;
  }
  static int closed(nghttp2_session*, std::int32_t stream, std::uint32_t, void* user) {
    GrpcConnection& self = of(user);
    const auto found = self.calls_.find(stream);
    if (found == self.calls_.end()) return 0;
    const std::shared_ptr<GrpcCall> call = std::move(found->second.call);
    self.unread_ -= found->second.unread;
    self.calls_.erase(found);
    call->stream_closed();
    return 0;
  }
  // A client that has its answer need not send the rest of its request.
  static int frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    const GrpcCall* call = of(user).find(frame->hd.stream_id);
    if (call == nullptr || call->client_done()) return 0;
    return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
  }

  static ssize_t send(nghttp2_session*, const std::uint8_t* bytes, std::size_t size, int, void* user) {
    GrpcConnection& self = of(user);
    if (self.out_.size() >= kMostUnwritten) return NGHTTP2_ERR_WOULDBLOCK;
    self.out_.append(text_of(bytes, size));
    return static_cast<ssize_t>(size);
  }
  static ssize_t read_length(nghttp2_session*, std::uint8_t, std::int32_t, std::int32_t connection_window,
                             std::int32_t stream_window, std::uint32_t most_of_frame, void*) {
    constexpr std::uint32_t kMostOfFrame = 256 << 10;  // so that calls take turns
    return std::min(
        {connection_window, stream_window, static_cast<std::int32_t>(std::min(most_of_frame, kMostOfFrame))});
  }
  // How much of a call's messages goes into the next frame; send_data takes it.
  static ssize_t read(nghttp2_session* session, std::int32_t stream, std::uint8_t*, std::size_t most,
                      std::uint32_t* flags, nghttp2_data_source* source, void*) {
    const auto& call = *static_cast<GrpcCall*>(source->ptr);
    const std::size_t size = std::min(most, call.unsent());
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (size == call.unsent() && call.last_message_ready()) {
      *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
      submit_trailer(session, stream, call.status());
    } else if (size == 0) {
      return NGHTTP2_ERR_DEFERRED;
    }
    return static_cast<ssize_t>(size);
  }
  static int send_data(nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* head, std::size_t size,
                       nghttp2_data_source* source, void* user) {
    constexpr std::size_t kFrameHead = 9;
    GrpcConnection& self = of(user);
    if (self.out_.size() >= kMostUnwritten) return NGHTTP2_ERR_WOULDBLOCK;
    self.out_.append(text_of(head, kFrameHead));
    static_cast<GrpcCall*>(source->ptr)->take(size, self.out_);
    if (const auto found = self.calls_.find(frame->hd.stream_id); found != self.calls_.end())
      self.count(found->second);
    return 0;
  }

  static void submit_trailer(nghttp2_session* session, std::int32_t stream, const base::Error& status) {
    if (status.code == base::Code::kOk) {
      const nghttp2_nv ok = fixed("grpc-status", "0");
      nghttp2_submit_trailer(session, stream, &ok, 1);
      return;
    }
    const std::string code = std::to_string(static_cast<int>(status.code));
    const std::string message = percent_encoded(shortened(status.message));
    const std::array<nghttp2_nv, 2> headers{varying("grpc-status", code), varying("grpc-message", message)};
    nghttp2_submit_trailer(session, stream, headers.data(), headers.size());
  }

  static nghttp2_session_callbacks* make() {
    nghttp2_session_callbacks* made = nullptr;
    CHECK(nghttp2_session_callbacks_new(&made) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(made, begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(made, header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, frame_received);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, data);
    nghttp2_session_callbacks_set_on_stream_close_callback(made, closed);
    nghttp2_session_callbacks_set_on_frame_send_callback(made, frame_sent);
    nghttp2_session_callbacks_set_send_callback(made, send);
    nghttp2_session_callbacks_set_send_data_callback(made, send_data);
    nghttp2_session_callbacks_set_data_source_read_length_callback(made, read_length);
    return made;
  }
};

GrpcConnection::GrpcConnection(int socket, std::shared_ptr<GrpcDoorState> door, base::IoLoop& loop,
                               std::function<void()> touched)
    : socket_(socket), door_(std::move(door)), loop_(loop), touched_(std::move(touched)) {
  begin_session();
  loop_.watch(socket_, base::IoLoop::kRead, [this](std::uint32_t ready) {
    if ((ready & base::IoLoop::kRead) != 0) receive();
    touched_();
  });
  touched_();
}

void GrpcConnection::begin_session() {
  static nghttp2_session_callbacks* const callbacks = Callbacks::make();  // the same for all, never freed
  nghttp2_option* option = nullptr;
  CHECK(nghttp2_option_new(&option) == 0);
  nghttp2_option_set_no_closed_streams(option, 1);  // they would only be remembered for priorities
  CHECK(nghttp2_session_server_new2(&session_, callbacks, this, option) == 0);
  nghttp2_option_del(option);
  const std::array<nghttp2_settings_entry, 2> settings{{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kStreams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
  }};
  CHECK(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) == 0);
  CHECK(nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow) == 0);
}

GrpcConnection::~GrpcConnection() {
  loop_.unwatch(socket_);
  close(socket_);
  for (auto calls = std::exchange(calls_, {}); auto& [stream, open] : calls) open.call->stream_closed();
  nghttp2_session_del(session_);
}

void GrpcConnection::receive() {
  constexpr int kRounds = 4;  // then other connections have their turn
  std::array<std::uint8_t, 64 << 10> buffer;
  for (int round = 0; round < kRounds && !over_; ++round) {
    const ssize_t size = recv(socket_, buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0 || nghttp2_session_mem_recv(session_, buffer.data(), static_cast<std::size_t>(size)) < 0) {
      over_ = true;
      return;
    }
    if (static_cast<std::size_t>(size) < buffer.size()) return;
  }
}

void GrpcConnection::flush() {
  while (!over_) {
    over_ = nghttp2_session_send(session_) != 0 || !out_.write_to(socket_);
    if (over_ || !out_.empty() || nghttp2_session_want_write(session_) == 0) break;
  }
  if (over_) return;
  watch(!out_.empty());
  over_ =
      out_.empty() && nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

void GrpcConnection::watch(bool writable) {
  if (writable == watches_write_) return;
  watches_write_ = writable;
  loop_.change(socket_, base::IoLoop::kRead | (writable ? base::IoLoop::kWrite : 0));
}

void GrpcConnection::send(GrpcCall& call) {
  const auto found = calls_.find(call.stream());
  if (found == calls_.end()) return;
  if (!found->second.headers_sent && call.last_message_ready() && !call.has_message()) {
    send_error(call);
  } else if (!found->second.headers_sent) {
    static const std::array<nghttp2_nv, 3> headers{
        fixed(":status", "200"),
        fixed("content-type", "application/grpc"),
        fixed("grpc-accept-encoding", "identity, deflate, gzip"),
    };
    const nghttp2_data_provider body{{.ptr = &call}, Callbacks::read};
    nghttp2_submit_response(session_, call.stream(), headers.data(), headers.size(), &body);
  } else {
    nghttp2_session_resume_data(session_, call.stream());
  }
  found->second.headers_sent = true;
  count(found->second);
  touched_();
}

void GrpcConnection::count(Open& open) {
  constexpr std::size_t kCall = 1 << 10;  // what a call takes beside its message
  constexpr std::size_t kTooMuch = 8;
  unread_ -= open.unread;
  open.unread = (open.call->replied() ? kCall : 0) + open.call->waiting();
  unread_ += open.unread;
  if (unread_ / kTooMuch > door_->options.max_unread_bytes) over_ = true;
}

// An answer without a message is one block of headers.
void GrpcConnection::send_error(GrpcCall& call) {
  std::vector<nghttp2_nv> headers;
  if (call.http_error() != 0) {
    const std::string status = std::to_string(call.http_error());
    headers.push_back(varying(":status", status));
    nghttp2_submit_response(session_, call.stream(), headers.data(), headers.size(), nullptr);
    return;
  }
  const base::Error& error = call.status();
  const std::string code = std::to_string(static_cast<int>(error.code));
  const std::string message = shortened(error.message);
  const std::string encoded = percent_encoded(message);
  headers = {fixed(":status", "200"), fixed("content-type", "application/grpc"),
             varying("grpc-status", code)};
  if (error.code == base::Code::kUnimplemented)
    headers.push_back(fixed("grpc-accept-encoding", "identity, deflate, gzip"));
  if (!message.empty()) headers.push_back(varying("grpc-message", encoded));
  const std::string detail = status_detail(error, message, kLongestError - encoded.size());
  if (!detail.empty()) headers.push_back(varying("grpc-status-details-bin", detail));
  nghttp2_submit_response(session_, call.stream(), headers.data(), headers.size(), nullptr);
}

void GrpcConnection::expire(base::Time now) {
  std::vector<std::shared_ptr<GrpcCall>> late;
  for (const auto& [stream, open] : calls_) {
    if (open.call->deadline() <= now) late.push_back(open.call);
  }
  for (const auto& call : late) {
    if (call->replied()) {  // and the client does not even read it
      nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, call->stream(), NGHTTP2_CANCEL);
      touched_();
    }
    call->give_up({base::Code::kDeadlineExceeded, "Deadline Exceeded", {}});
  }
}

void GrpcConnection::drain() {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                        NGHTTP2_NO_ERROR, nullptr, 0);
  touched_();
}

void GrpcConnection::give_up(const base::Error& error) {
  std::vector<std::shared_ptr<GrpcCall>> all;
  for (const auto& [stream, open] : calls_) all.push_back(open.call);
  for (const auto& call : all) call->give_up(error);
}

bool GrpcConnection::idle() const {
  return calls_.empty() && out_.empty();
}

GrpcCall* GrpcConnection::find(std::int32_t stream) {
  const auto found = calls_.find(stream);
  return found == calls_.end() ? nullptr : found->second.call.get();
}

}  // namespace perdure::frontend
