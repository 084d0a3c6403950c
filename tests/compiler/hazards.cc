// What g++ before 13 makes of coroutines, one hazard a case, and beside each the form that is safe. canaries_test.py builds and
// runs each alone: -DHAZARD=if_bad. Prints "right" when the coroutine did what the language says.
#include <coroutine>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <utility>

namespace {

// A value that notices when it is copied bit by bit, destroyed twice, or used when it is gone.
struct Probe {
  static inline int alive = 0;
  std::string text;
  Probe* self = this;
  explicit Probe(std::string t) : text(std::move(t)) { ++alive; }
  Probe(const Probe& other) : text(other.text) { ++alive; }
  Probe(Probe&& other) noexcept : text(std::move(other.text)) { ++alive; }
  ~Probe() {
    if (self != this) wrong();
    self = nullptr;
    --alive;
  }
  void check() const {
    if (self != this) wrong();
  }
  [[noreturn]] static void wrong() {
    std::puts("wrong");
    std::fflush(stdout);
    std::_Exit(0);
  }
};

std::coroutine_handle<> parked;

struct Task {
  struct promise_type {
    int value = -1;
    std::coroutine_handle<> caller;
    Task get_return_object() { return Task{std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    struct Final {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> done) noexcept {
        const auto caller = done.promise().caller;
        return caller ? caller : std::noop_coroutine();
      }
      void await_resume() noexcept {}
    };
    Final final_suspend() noexcept { return {}; }
    void unhandled_exception() { std::terminate(); }
    void return_value(int given) { value = given; }
  };
  std::coroutine_handle<promise_type> handle;
  explicit Task(std::coroutine_handle<promise_type> made) : handle(made) {}
  Task(Task&& other) noexcept : handle(std::exchange(other.handle, {})) {}
  ~Task() {
    if (handle) handle.destroy();
  }
  bool await_ready() { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) {
    handle.promise().caller = caller;
    return handle;
  }
  int await_resume() { return handle.promise().value; }
};
struct Park {
  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> waiting) { parked = waiting; }
  bool await_resume() { return true; }
};

struct Options {  // an aggregate with a member that has a destructor
  Probe queue{"q"};
  int attempts = 0;
};
Task take(Options options) {
  co_await Park{};
  options.queue.check();
  co_return 5;
}
template <class F>
Task call(F function) {
  co_await Park{};
  co_return function();
}

// An await in the head of a statement, in a body without local variables.
Task if_bad() {
  if (co_await Park{}) co_return 5;
  co_return 0;
}
Task if_good() {
  bool yes = co_await Park{};
  if (yes) co_return 5;
  co_return 0;
}
Task while_bad() {
  while (co_await Park{}) {
    co_return 5;
  }
  co_return 0;
}
Task while_good() {
  for (;;) {
    bool yes = co_await Park{};
    if (yes) co_return 5;
  }
}
// A braced aggregate temporary in the full expression of an await.
Task aggregate_bad() {
  int result = co_await take({.queue = Probe("a text too long for the string itself"), .attempts = 1});
  co_return result;
}
Task aggregate_good() {
  Options options{.queue = Probe("a text too long for the string itself"), .attempts = 1};
  int result = co_await take(options);
  co_return result;
}
// A closure with a destructor, as a temporary.
Task closure_bad() {
  Probe probe("a text too long for the string itself");
  int result = co_await call([probe] {
    probe.check();
    return 5;
  });
  co_return result;
}
Task closure_good() {
  Probe probe("a text too long for the string itself");
  auto look = [probe] {
    probe.check();
    return 5;
  };
  int result = co_await call(look);
  co_return result;
}

int run(Task (*coroutine)()) {
  int value = 0;
  {
    Task task = coroutine();
    task.handle.resume();
    for (int i = 0; parked && i < 100; ++i) std::exchange(parked, {}).resume();
    if (task.handle.done()) value = task.handle.promise().value;
  }
  std::puts(value == 5 && Probe::alive == 0 ? "right" : "wrong");
  return 0;
}

}  // namespace

int main() {
  return run(&HAZARD);
}
