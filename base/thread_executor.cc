#include <condition_variable>

#include "base/thread_loop.h"

namespace perdure::base {
namespace {

class ThreadExecutor final : public ThreadLoop<Executor> {
 public:
  ThreadExecutor(std::string name, const Clock& clock, ExecutorLimits limits)
      : ThreadLoop(std::move(name), clock, limits) {
    begin();
  }
  ~ThreadExecutor() override { end(); }

 private:
  // A wake-up without cause only makes the loop look once more.
  void sleep(std::unique_lock<std::mutex>& lock, Duration most) override {
    if (most == kForever) {
      wake_.wait(lock);
    } else {
      wake_.wait_for(lock, most);
    }
  }
  void wake() override { wake_.notify_one(); }

  std::condition_variable wake_;
};

}  // namespace

std::unique_ptr<Executor> make_thread_executor(std::string name, const Clock& clock, ExecutorLimits limits) {
  return std::make_unique<ThreadExecutor>(std::move(name), clock, limits);
}

}  // namespace perdure::base
