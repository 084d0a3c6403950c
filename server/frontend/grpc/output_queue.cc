#include "server/frontend/grpc/output_queue.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

namespace perdure::frontend {

void OutputQueue::append(std::string_view bytes) {
  if (pieces_.empty() || pieces_.back().owner) pieces_.emplace_back();
  pieces_.back().copied.append(bytes);
  size_ += bytes.size();
}

void OutputQueue::refer(std::shared_ptr<const void> owner, std::string_view bytes) {
  pieces_.push_back({{}, std::move(owner), bytes});
  size_ += bytes.size();
}

bool OutputQueue::write_to(int socket) {
  constexpr std::size_t kPieces = 64;  // in one call
  while (size_ > 0) {
    std::array<iovec, kPieces> parts;
    std::size_t count = 0;
    for (const Piece& piece : pieces_) {
      std::string_view bytes = piece.bytes();
      if (count == 0) bytes.remove_prefix(written_);
      parts[count++] = {const_cast<char*>(bytes.data()), bytes.size()};
      if (count == kPieces) break;
    }
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    const ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN;
    drop_written(static_cast<std::size_t>(sent));
  }
  return true;
}

void OutputQueue::drop_written(std::size_t count) {
  constexpr std::size_t kKept = 64 << 10;  // of room, for the next turn
  size_ -= count;
  written_ += count;
  while (!pieces_.empty() && written_ >= pieces_.front().bytes().size()) {
    written_ -= pieces_.front().bytes().size();
    if (pieces_.size() == 1 && !pieces_.front().owner && pieces_.front().copied.capacity() <= kKept) {
      pieces_.front().copied.clear();
      return;
    }
    pieces_.pop_front();
  }
}

}  // namespace perdure::frontend
