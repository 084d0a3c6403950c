#include "base/io_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

#include "base/check.h"
#include "base/thread_loop.h"

namespace perdure::base {
namespace {

std::uint32_t epoll_of(std::uint32_t events) {
  return ((events & IoLoop::kRead) != 0 ? EPOLLIN | EPOLLRDHUP : 0u) |
         ((events & IoLoop::kWrite) != 0 ? EPOLLOUT : 0u);
}

std::uint32_t events_of(std::uint32_t epoll) {
  if ((epoll & (EPOLLERR | EPOLLHUP)) != 0) return IoLoop::kRead | IoLoop::kWrite;
  return ((epoll & (EPOLLIN | EPOLLRDHUP)) != 0 ? IoLoop::kRead : 0u) |
         ((epoll & EPOLLOUT) != 0 ? IoLoop::kWrite : 0u);
}

class EpollLoop final : public ThreadLoop<IoLoop> {
 public:
  EpollLoop(std::string name, const Clock& clock, ExecutorLimits limits)
      : ThreadLoop(std::move(name), clock, limits),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        bell_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    CHECK(epoll_ >= 0 && bell_ >= 0);
    // Edge-triggered: each ring is seen once and nothing has to be read.
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.u64 = kBell}};
    CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, bell_, &event) == 0);
    begin();
  }
  ~EpollLoop() override {
    end();
    close(bell_);
    close(epoll_);
  }

  void watch(int fd, std::uint32_t events, std::function<void(std::uint32_t)> ready) override {
    const std::uint64_t id = ++last_watch_;
    epoll_event event{.events = epoll_of(events), .data = {.u64 = id}};
    CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0);
    ids_[fd] = id;
    watches_.emplace(id, std::make_shared<Ready>(std::move(ready)));
  }
  void change(int fd, std::uint32_t events) override {
    epoll_event event{.events = epoll_of(events), .data = {.u64 = ids_.at(fd)}};
    CHECK(epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0);
  }
  void unwatch(int fd) override {
    const auto found = ids_.find(fd);
    if (found == ids_.end()) return;
    CHECK(epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr) == 0);
    watches_.erase(found->second);
    ids_.erase(found);
  }

 private:
  using Ready = std::function<void(std::uint32_t)>;
  static constexpr std::uint64_t kBell = 0;
  static constexpr int kEvents = 64;

  void sleep(std::unique_lock<std::mutex>& lock, Duration most) override {
    lock.unlock();
    constexpr std::int64_t kMostMs = 60'000;  // longer sleeps look at the clock once a minute
    const std::int64_t ms =
        most == kForever ? kMostMs : std::min<std::int64_t>(most / std::chrono::milliseconds(1) + 1, kMostMs);
    collect(static_cast<int>(ms));
    lock.lock();
  }
  void wake() override {
    const std::uint64_t one = 1;
    CHECK(write(bell_, &one, sizeof one) == sizeof one || errno == EAGAIN);
  }

  bool run_outside() override {
    if (count_ == 0 && !ids_.empty()) collect(0);  // a busy loop never sleeps
    const int count = std::exchange(count_, 0);
    bool ran = false;
    for (int i = 0; i < count; ++i) {
      const epoll_event& event =
          events_[static_cast<std::size_t>(i)];  // packed: its parts are copied, never referred to
      const std::uint64_t id = event.data.u64;
      const auto found = watches_.find(id);
      if (found == watches_.end()) continue;  // the bell, or unwatched by one before it
      const std::shared_ptr<Ready> ready = found->second;
      (*ready)(events_of(std::uint32_t{event.events}));
      ran = true;
    }
    return ran;
  }

  void collect(int wait_ms) {
    count_ = epoll_wait(epoll_, events_.data(), kEvents, wait_ms);
    CHECK(count_ >= 0 || errno == EINTR);
    count_ = std::max(count_, 0);
  }

  const int epoll_, bell_;
  // Loop thread only.
  std::array<epoll_event, kEvents> events_{};
  int count_ = 0;
  std::uint64_t last_watch_ = kBell;
  std::unordered_map<int, std::uint64_t> ids_;  // by descriptor; an id is never used twice, descriptors are
  std::unordered_map<std::uint64_t, std::shared_ptr<Ready>> watches_;
};

}  // namespace

std::unique_ptr<IoLoop> make_io_loop(std::string name, const Clock& clock, ExecutorLimits limits) {
  return std::make_unique<EpollLoop>(std::move(name), clock, limits);
}

}  // namespace perdure::base
