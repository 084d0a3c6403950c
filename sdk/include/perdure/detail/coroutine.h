// Coroutines of workflows: Future (a recorded operation), Task (lazy user code), and what the compiler
// refuses in them.
//
// A run's coroutines resume one another through one queue, never by recursion: a call and a return go to the
// front of it, a future that became ready puts its waiter at the back. Everything here belongs to one run and
// is used on its thread only.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <vector>

#include <perdure/failure.h>
#include <perdure/payload.h>

namespace perdure {
inline namespace v1 {

// A resumed coroutine neither awaited nor ended: the compiler got it wrong. Fails the workflow task.
class MiscompiledCoroutine : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

namespace detail {

class Run;  // the runtime of one workflow run
struct Strand;
struct PromiseBase;

// Something that wants to know when a state is ready.
struct Wait {
  virtual void wake() = 0;

 protected:
  ~Wait() = default;
};

struct StateBase;

// What is cancelled together: a strand's operations and the scopes made in it, each in order of creation.
struct Scope {
  std::size_t references = 0;
  Ref<Scope> parent;  // null: only itself is cancelled
  bool cancelled = false;
  std::vector<StateBase*> operations;
  std::vector<Scope*> children;
  std::vector<Strand*> strands;

  Scope() = default;
  Scope(const Scope&) = delete;
  ~Scope();
  void release() { delete this; }
};

// Behind a Future: a value, an error, or neither yet.
struct StateBase {
  std::size_t references = 0;
  Run* run = nullptr;
  Ref<Scope> scope;           // null: in no scope, never cancelled
  std::uint64_t command = 0;  // of the command that it stands for; 0: none
  std::exception_ptr error;
  bool has_value = false;
  bool observed = false;  // somebody has seen the error
  bool spawned = false;   // an error that nobody sees is the run's
  bool condition = false;
  std::vector<Wait*> waits;

  StateBase() = default;
  StateBase(const StateBase&) = delete;
  virtual ~StateBase();
  virtual void resolve(const Payloads& result) = 0;
  virtual void cancel();
  void release();
  bool ready() const { return has_value || error; }
  void fail(std::exception_ptr why);
  void wake();
  void forget(Wait* wait);
};

template <class T>
struct State : StateBase {
  std::optional<Slot<T>> value;

  void set(Slot<T> result) {
    if (ready()) return;
    value.emplace(std::move(result));
    has_value = true;
    wake();
  }
  // A result that is not of type T is an error of the code: it is thrown at the await and fails the workflow
  // task.
  void resolve(const Payloads& result) override {
    try {
      set(decode_result<T>(result));
    } catch (...) {
      fail(std::current_exception());
    }
  }
};

// A coroutine that waits for a state.
struct CoroutineWait : Wait {
  explicit CoroutineWait(StateBase& waited_for, PromiseBase& promise)
      : state(&waited_for), waiter(&promise) {}
  ~CoroutineWait();
  bool ready();
  void suspend();
  void resumed();  // throws CancelledFailure when the scope ended the wait
  void wake() override;
  void interrupt();

  StateBase* state;
  PromiseBase* waiter;
  bool waiting = false, queued = false, interrupted = false;
};

void call_task(PromiseBase& caller, PromiseBase& callee);
void task_ended(PromiseBase& ended) noexcept;
void* allocate_frame(std::size_t size);
void count_frame(void* frame, Run& run);
void free_frame(void* frame) noexcept;
Run* run_of(const Context& context);

struct PromiseBase {
  Run* run = nullptr;
  Strand* strand = nullptr;
  std::coroutine_handle<> self;
  PromiseBase* caller = nullptr;
  std::coroutine_handle<>* owner = nullptr;  // the handle in the Task that owns this frame
  std::exception_ptr error;
  std::source_location at;

  struct Final {
    bool await_ready() noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> ended) noexcept {
      task_ended(ended.promise());
    }
    void await_resume() noexcept {}
  };
  std::suspend_always initial_suspend() noexcept { return {}; }
  Final final_suspend() noexcept { return {}; }
  void unhandled_exception() { error = std::current_exception(); }

  // The Context among a coroutine's arguments says whose memory the frame is. Not found by an operator new
  // that sees the arguments: g++ warns about that one in every coroutine built without optimisation.
  template <class... A>
  void find_run(A&... arguments) {
    (find_run_in(arguments), ...);
  }
  template <class A>
  void find_run_in(A& argument) {
    if constexpr (std::is_same_v<std::remove_cv_t<A>, Context>) run = run_of(argument);
  }
  void begin(std::coroutine_handle<> frame) {
    self = frame;
    if (run != nullptr) count_frame(frame.address(), *run);
  }
  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* frame) { free_frame(frame); }

  template <class T>
  auto await_transform(Future<T> future, std::source_location where = std::source_location::current());
  template <class T>
  auto await_transform(Task<T>&& task, std::source_location where = std::source_location::current());
  template <class T>
  std::suspend_never await_transform(Task<T>&) {
    static_assert(!sizeof(T*), "perdure: a Task is awaited once; write co_await std::move(task)");
    return {};
  }
  template <class A>
  std::suspend_never await_transform(A&&);
};

template <class A>
inline constexpr bool is_awaitable = false;
template <class T>
inline constexpr bool is_awaitable<Future<T>> = true;
template <class T>
inline constexpr bool is_awaitable<Task<T>> = true;

template <class A>
std::suspend_never PromiseBase::await_transform(A&&) {
  static_assert(
      is_awaitable<std::remove_cvref_t<A>>,
      "perdure: workflow code may only await workflow operations (Future, Task); do this in an activity");
  return {};
}

// ---- what a coroutine's parameters may be

// A closure's type is still incomplete inside its own body; its name tells.
template <class A>
constexpr bool is_closure() {
  using C = std::remove_cvref_t<A>;
  if constexpr (!std::is_reference_v<A> || !std::is_class_v<C>) {
    return false;
  } else {
    constexpr auto name = pretty_type<C>();
    return name.find("<lambda(") != name.npos || name.find("(lambda at") != name.npos;
  }
}
template <class H>
struct ClosureCheck {
  static_assert(
      !is_closure<H&>() || std::is_empty_v<std::remove_cvref_t<H>>,
      "perdure: a coroutine lambda with captures outlives its captures; make it a member or free function, "
      "or pass the values as parameters");
  static constexpr bool passed = true;
};
template <class A>
constexpr bool binds_temporary() {
  return std::is_rvalue_reference_v<A> ||
         (std::is_lvalue_reference_v<A> && std::is_const_v<std::remove_reference_t<A>>);
}
template <class... A>
struct Parameters {
  static constexpr bool by_value = true;
};
template <class H, class... A>
struct Parameters<H, A...> {
  // The first may be the object of a member function: `*this` is passed by reference, to a const one by const
  // reference.
  template <class X>
  static constexpr bool may_be_object() {
    if constexpr (is_closure<X>()) {
      return true;
    } else {
      return requires { &std::remove_cvref_t<X>::run; };
    }
  }
  static constexpr bool by_value =
      (!binds_temporary<A>() && ...) && (!binds_temporary<H>() || may_be_object<H>());
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;

  Promise() = default;
  template <class H, class... A>
  explicit Promise(H& first, A&... others) {
    static_assert(ClosureCheck<H>::passed);
    find_run(first, others...);
  }
  Task<T> get_return_object();
  void return_value(T&& result) { value.emplace(std::move(result)); }
  void return_value(const T& result)
    requires std::is_copy_constructible_v<T>
  {
    value.emplace(result);
  }
  template <class U>
    requires(!std::is_same_v<std::remove_cvref_t<U>, T> && std::is_convertible_v<U, T>)
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T take() {
    if (error) std::rethrow_exception(error);
    return std::move(*value);
  }
};
template <>
struct Promise<void> : PromiseBase {
  Promise() = default;
  template <class H, class... A>
  explicit Promise(H& first, A&... others) {
    static_assert(ClosureCheck<H>::passed);
    find_run(first, others...);
  }
  Task<void> get_return_object();
  void return_void() {}
  void take() {
    if (error) std::rethrow_exception(error);
  }
};

template <class T>
struct FutureAwaiter;
template <class T>
struct TaskAwaiter;

}  // namespace detail

// One recorded operation of this run: hot, copyable; awaiting it twice is fine. Run thread only.
template <class T>
class [[nodiscard]] Future {
 public:
  using value_type = T;
  explicit Future(detail::Ref<detail::State<T>> state) : state_(std::move(state)) {}

  bool ready() const { return state_->ready(); }
  bool failed() const {
    state_->observed = true;
    return static_cast<bool>(state_->error);
  }
  // The value, or throws the failure; std::logic_error before it is ready.
  T get() const {
    if (!ready()) throw std::logic_error("Future::get() before it is ready");
    state_->observed = true;
    if (state_->error) std::rethrow_exception(state_->error);
    if constexpr (!std::is_void_v<T>) {
      if constexpr (std::is_copy_constructible_v<T>) {
        if (state_->references > 1) return *state_->value;
      }
      return std::move(*state_->value);
    }
  }
  // Asks for its end: what then happens is up to the operation (CancellationType).
  void cancel() const { state_->cancel(); }

  const detail::Ref<detail::State<T>>& state() const { return state_; }

 private:
  detail::Ref<detail::State<T>> state_;
};

// Lazy user code: starts when awaited, once, as an rvalue. A Task that nobody awaits never runs.
template <class T>
class [[nodiscard]] Task {
 public:
  using value_type = T;
  explicit Task(std::coroutine_handle<detail::Promise<T>> handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }
  detail::Promise<T>& promise() const {
    return std::coroutine_handle<detail::Promise<T>>::from_address(handle_.address()).promise();
  }
  std::coroutine_handle<>& handle() { return handle_; }

 private:
  std::coroutine_handle<> handle_;
};

namespace detail {

template <class T>
struct FutureAwaiter {
  Future<T> future;
  CoroutineWait wait;

  FutureAwaiter(Future<T> waited_for, PromiseBase& promise)
      : future(std::move(waited_for)), wait(*future.state(), promise) {}
  bool await_ready() { return wait.ready(); }
  void await_suspend(std::coroutine_handle<>) { wait.suspend(); }
  T await_resume() {
    wait.resumed();
    return future.get();
  }
};

template <class T>
struct TaskAwaiter {
  Task<T> task;
  PromiseBase* caller;

  TaskAwaiter(Task<T>&& called, PromiseBase& promise) : task(std::move(called)), caller(&promise) {}
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<>) {
    PromiseBase& callee = task.promise();
    callee.owner = &task.handle();
    call_task(*caller, callee);
  }
  T await_resume() { return task.promise().take(); }
};

template <class T>
auto PromiseBase::await_transform(Future<T> future, std::source_location where) {
  at = where;
  return FutureAwaiter<T>(std::move(future), *this);
}
template <class T>
auto PromiseBase::await_transform(Task<T>&& task, std::source_location where) {
  at = where;
  return TaskAwaiter<T>(std::move(task), *this);
}
template <class T>
Task<T> Promise<T>::get_return_object() {
  const auto handle = std::coroutine_handle<Promise<T>>::from_promise(*this);
  begin(handle);
  return Task<T>{handle};
}
inline Task<void> Promise<void>::get_return_object() {
  const auto handle = std::coroutine_handle<Promise<void>>::from_promise(*this);
  begin(handle);
  return Task<void>{handle};
}

}  // namespace detail
}  // namespace v1
}  // namespace perdure

template <class T, class... A>
struct std::coroutine_traits<perdure::Task<T>, A...> {
  static_assert(
      perdure::detail::Parameters<A...>::by_value,
      "perdure: coroutine parameters are taken by value (const& and && dangle after the first await)");
  using promise_type = perdure::detail::Promise<T>;
};
