#include "base/signals.h"

#include <unistd.h>
#include <csignal>
#include <ctime>

namespace perdure::base {
namespace {

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

void block_stop_signals() {
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

std::optional<int> wait_for_stop_signal(Duration timeout) {
  const sigset_t set = stop_signals();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
  const timespec wait{static_cast<std::time_t>(seconds.count()),
                      static_cast<long>((timeout - seconds).count())};
  const int signal = sigtimedwait(&set, nullptr, &wait);
  if (signal < 0) return std::nullopt;
  return signal;
}

void raise_stop() {
  kill(getpid(), SIGTERM);
}

}  // namespace perdure::base
