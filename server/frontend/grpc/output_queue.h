// OutputQueue: bytes on their way to a socket. Small ones are copied together, large ones are referred to and
// never copied.
//
// Thread rule: one thread.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

namespace perdure::frontend {

class OutputQueue {
 public:
  void append(std::string_view bytes);
  // `bytes` live as long as `owner`, which is kept until they are written.
  void refer(std::shared_ptr<const void> owner, std::string_view bytes);

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Writes as much as the socket takes now. False: the connection is broken.
  bool write_to(int socket);

 private:
  struct Piece {
    std::string copied;
    std::shared_ptr<const void> owner;  // null: the bytes are `copied`
    std::string_view referred;
    std::string_view bytes() const { return owner ? referred : std::string_view(copied); }
  };

  void drop_written(std::size_t count);

  std::deque<Piece> pieces_;
  std::size_t size_ = 0;     // unwritten
  std::size_t written_ = 0;  // of the first piece
};

}  // namespace perdure::frontend
