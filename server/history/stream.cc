#include "server/history/stream.h"

namespace perdure::history {

void Stream::append(std::string bytes, Appended done) {
  if (home_.is_current()) return append_here(std::move(bytes), std::move(done));
  const std::size_t size = bytes.size();
  home_.post(base::Lane::kCompletion, size,
             [this, bytes = std::move(bytes), done = std::move(done)]() mutable {
               append_here(std::move(bytes), std::move(done));
             });
}

void Stream::append_here(std::string bytes, Appended done) {
  const store::GroupNumber number = ++last_;
  store_.append(number, std::move(bytes),
                [number, durable = durable_, done = std::move(done)](base::Status status) mutable {
                  if (!status) return done(std::unexpected(std::move(status).error()));
                  durable->store(number, std::memory_order_release);
                  done(number);
                });
}

}  // namespace perdure::history
