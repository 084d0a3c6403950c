// What is built of the verbs: TaskGroup, Saga, Semaphore, Mutex. Part of workflow.h. Run thread only.
#pragma once

#include <utility>
#include <vector>

#include <perdure/workflow.h>

namespace perdure {
inline namespace v1 {

// Structured concurrency: tasks in one cancel scope. join(): the first failure cancels the others, waits for
// all, is thrown. Destroyed unjoined: its commands are cancelled and its frames destroyed at once; none of
// its code runs again.
class TaskGroup {
 public:
  explicit TaskGroup(Context ctx);
  TaskGroup(const TaskGroup&) = delete;
  ~TaskGroup();
  void spawn(Task<> task);
  void cancel() { detail::cancel_scope(*scope_); }
  Task<> join();

 private:
  static Task<> join_all(detail::Ref<detail::Scope> scope, std::vector<Future<void>> tasks);
  Context ctx_;
  detail::Ref<detail::Scope> scope_;
  std::vector<Future<void>> tasks_;
};

// Compensations: run last in, first out, shielded from cancellation; a failed one is logged, the rest go on.
class Saga {
 public:
  template <auto F, class... A>
  void compensate(ActivityOptions options, A... arguments) {
    steps_.push_back([options, ... arguments = std::move(arguments)](Context ctx) {
      return detail::Ref<detail::StateBase>(ctx.execute<F>(options, arguments...).state());
    });
  }
  Task<void> unwind(Context ctx);
  // The result of `body`; when it fails, everything registered is compensated and the failure thrown on.
  template <class T>
  Task<T> guard(Context ctx, Task<T> body) {
    return guard_body(this, ctx, std::move(body));
  }

 private:
  template <class T>
  static Task<T> guard_body(Saga* saga, Context ctx, Task<T> body) {
    auto outcome = co_await attempt(std::move(body));
    if (!outcome) {
      co_await saga->unwind(ctx);
      outcome.rethrow();
    }
    if constexpr (!std::is_void_v<T>) co_return std::move(*outcome);
  }
  std::vector<detail::Function<detail::Ref<detail::StateBase>(Context)>> steps_;
};

// Permits, handed out in the order of asking. A permit may outlive the semaphore's owner.
class Semaphore {
  struct Core {
    std::size_t references = 0;
    void release() { delete this; }
    std::size_t free = 0;
  };

 public:
  class Permit {
   public:
    explicit Permit(detail::Ref<Core> core) : core_(std::move(core)) {}
    Permit(Permit&&) noexcept = default;
    Permit& operator=(Permit&& other) noexcept {
      std::swap(core_, other.core_);
      return *this;
    }
    ~Permit() { release(); }
    void release() {
      if (core_) ++core_->free;
      core_ = {};
    }

   private:
    detail::Ref<Core> core_;
  };
  explicit Semaphore(std::size_t permits);
  Task<Permit> lock(Context ctx);

 private:
  static Task<Permit> acquire(Context ctx, detail::Ref<Core> core);
  detail::Ref<Core> core_;
};
class Mutex : public Semaphore {
 public:
  Mutex() : Semaphore(1) {}
};

}  // namespace v1
}  // namespace perdure
