// client.async(): the client's verbs without blocking. Each returns a Pending, which is waited for, handed on
// to an Executor, or awaited by a coroutine of any library (never by a workflow: the compiler says so).
//
//   client.async().start<Order>({.id = "o1", .task_queue = "q"}, order)
//       .then(window, [](Outcome<AsyncHandle<Order>> started) { … });
//
// Short calls run on a few threads of the SDK; waiting for a workflow's result holds none. Any thread.
#pragma once

#include <coroutine>

#include <perdure/client.h>
#include <perdure/executor.h>

namespace perdure {
inline namespace v1 {

namespace detail {

class PendingState;  // of one answer; any thread
// Runs `work` on a thread of the SDK; what it returns or throws is the answer.
std::shared_ptr<PendingState> begin_pending(std::function<std::shared_ptr<void>()> work);
// Starts a workflow there (unless `start` is empty) and waits for its result, which is the answer: Payloads.
std::shared_ptr<PendingState> begin_result(std::shared_ptr<Connection> connection, ExecutionName execution,
                                           std::function<ExecutionName()> start);
bool is_ready(const PendingState& state);
bool wait_for(PendingState& state, Duration most);
std::shared_ptr<void> take(PendingState& state);  // waits; throws the error
void when_ready(PendingState& state, std::function<void()> call);
void cancel(PendingState& state);

}  // namespace detail

// An answer that is under way. Used once: by get(), then() or co_await; dropping it drops the interest only.
template <class T>
class [[nodiscard]] Pending {
 public:
  using Read = std::function<detail::Slot<T>(const std::shared_ptr<void>&)>;
  Pending(std::shared_ptr<detail::PendingState> state, Read read)
      : state_(std::move(state)), read_(std::move(read)) {}

  bool ready() const { return detail::is_ready(*state_); }
  // Blocks; throws what the blocking verb throws, RpcError of code 1 (cancelled) after cancel().
  T get() {
    if constexpr (std::is_void_v<T>) {
      (void)detail::take(*state_);
    } else {
      return read_(detail::take(*state_));
    }
  }
  // False: not within that time.
  bool wait_for(Duration most) const { return detail::wait_for(*state_, most); }
  // Calls function(Outcome<T>) once, where the executor puts it. The executor outlives the answer.
  template <class F>
  void then(Executor& executor, F function) {
    detail::when_ready(*state_, [state = state_, read = read_, &executor, function] {
      executor.post([state, read, function] { function(outcome(*state, read)); });
    });
  }
  // Resumes on a thread of the SDK, which must not be blocked.
  auto operator co_await() && {
    struct Awaiter {
      explicit Awaiter(Pending&& awaited) : pending(std::move(awaited)) {}  // g++ 12: no aggregate
      Pending pending;
      bool await_ready() const { return pending.ready(); }
      void await_suspend(std::coroutine_handle<> waiting) const {
        detail::when_ready(*pending.state_, [waiting] { waiting.resume(); });
      }
      T await_resume() { return pending.get(); }
    };
    return Awaiter(std::move(*this));
  }
  // Gives the call up: it may have reached the server, its answer is not heard.
  void cancel() const { detail::cancel(*state_); }

 private:
  static Outcome<T> outcome(detail::PendingState& state, const Read& read) {
    try {
      if constexpr (std::is_void_v<T>) {
        (void)detail::take(state);
        return Outcome<T>(detail::Unit());
      } else {
        return Outcome<T>(read(detail::take(state)));
      }
    } catch (...) {
      return Outcome<T>(std::current_exception());
    }
  }

  std::shared_ptr<detail::PendingState> state_;
  Read read_;
};

namespace detail {

template <class T, class F>
Pending<T> pending_call(F call) {
  auto work = [call = std::move(call)]() mutable -> std::shared_ptr<void> {
    if constexpr (std::is_void_v<T>) {
      call();
      return nullptr;
    } else {
      return std::make_shared<T>(call());
    }
  };
  return {begin_pending(std::move(work)), [](const std::shared_ptr<void>& value) -> Slot<T> {
            if constexpr (std::is_void_v<T>) {
              return {};
            } else {
              return std::move(*static_cast<T*>(value.get()));
            }
          }};
}
template <class R>
Pending<R> pending_result(std::shared_ptr<Connection> connection, ExecutionName execution,
                          std::function<ExecutionName()> start = {}) {
  return {begin_result(std::move(connection), std::move(execution), std::move(start)),
          [](const std::shared_ptr<void>& value) -> Slot<R> {
            if constexpr (std::is_void_v<R>) {
              return {};
            } else {
              return decode_result<R>(*static_cast<Payloads*>(value.get()));
            }
          }};
}

}  // namespace detail

// What every asynchronous handle can do.
template <class R, class Handle>
class AsyncHandleBase {
 public:
  AsyncHandleBase(std::shared_ptr<detail::Connection> connection, Handle handle)
      : connection_(std::move(connection)), handle_(std::move(handle)) {}
  const std::string& id() const { return handle_.id(); }
  const std::string& run_id() const { return handle_.run_id(); }
  const Handle& blocking() const { return handle_; }
  Pending<R> result() const { return detail::pending_result<R>(connection_, {id(), run_id()}); }
  Pending<void> cancel() const {
    return detail::pending_call<void>([handle = handle_] { handle.cancel(); });
  }
  Pending<void> terminate(std::string reason = {}) const {
    return detail::pending_call<void>(
        [handle = handle_, reason = std::move(reason)] { handle.terminate(reason); });
  }
  Pending<WorkflowDescription> describe() const {
    return detail::pending_call<WorkflowDescription>([handle = handle_] { return handle.describe(); });
  }

 protected:
  std::shared_ptr<detail::Connection> connection_;
  Handle handle_;
};

template <class W>
class AsyncHandle : public AsyncHandleBase<typename detail::WorkflowTraits<W>::ret, WorkflowHandle<W>> {
 public:
  using AsyncHandleBase<typename detail::WorkflowTraits<W>::ret, WorkflowHandle<W>>::AsyncHandleBase;
  template <auto S, class... A>
    requires(W::signals::template contains<S>)
  Pending<void> signal(A... arguments) const {
    return detail::pending_call<void>(
        [handle = this->handle_, arguments...] { handle.template signal<S>(arguments...); });
  }
  template <auto Q, class... A>
    requires(W::queries::template contains<Q>)
  Pending<typename detail::Callee<Q>::ret> query(A... arguments) const {
    return detail::pending_call<typename detail::Callee<Q>::ret>(
        [handle = this->handle_, arguments...] { return handle.template query<Q>(arguments...); });
  }
  template <auto U, class... A>
    requires(W::updates::template contains<U>)
  Pending<typename detail::Callee<U>::ret> update(A... arguments) const {
    return detail::pending_call<typename detail::Callee<U>::ret>(
        [handle = this->handle_, arguments...] { return handle.template update<U>(arguments...); });
  }
};

template <class R>
using AsyncResultHandle = AsyncHandleBase<R, ResultHandle<R>>;

class AsyncClient {
 public:
  explicit AsyncClient(Client client) : client_(std::move(client)) {}
  const Client& blocking() const { return client_; }

  template <class W, class... A>
  Pending<AsyncHandle<W>> start(StartOptions options, A... arguments) const {
    return detail::pending_call<AsyncHandle<W>>(
        [client = client_, options = std::move(options), arguments...] {
          return AsyncHandle<W>(client.connection(), client.start<W>(options, arguments...));
        });
  }
  template <auto F, class... A>
  Pending<AsyncResultHandle<typename detail::Callee<F>::ret>> start(StartOptions options,
                                                                    A... arguments) const {
    using Handle = AsyncResultHandle<typename detail::Callee<F>::ret>;
    return detail::pending_call<Handle>([client = client_, options = std::move(options), arguments...] {
      return Handle(client.connection(), client.start<F>(options, arguments...));
    });
  }
  template <class W, class... A>
  Pending<typename detail::WorkflowTraits<W>::ret> execute(StartOptions options, A... arguments) const {
    return detail::pending_result<typename detail::WorkflowTraits<W>::ret>(
        client_.connection(), {}, [client = client_, options = std::move(options), arguments...] {
          const auto handle = client.start<W>(options, arguments...);
          return detail::ExecutionName{handle.id(), handle.run_id()};
        });
  }
  template <auto F, class... A>
  Pending<typename detail::Callee<F>::ret> execute(StartOptions options, A... arguments) const {
    return detail::pending_result<typename detail::Callee<F>::ret>(
        client_.connection(), {}, [client = client_, options = std::move(options), arguments...] {
          const auto handle = client.start<F>(options, arguments...);
          return detail::ExecutionName{handle.id(), handle.run_id()};
        });
  }
  template <class W>
  AsyncHandle<W> handle(std::string id, std::string run_id = {}) const {
    return {client_.connection(), client_.handle<W>(std::move(id), std::move(run_id))};
  }

 private:
  Client client_;
};

inline AsyncClient Client::async() const {
  return AsyncClient(*this);
}

}  // namespace v1
}  // namespace perdure
