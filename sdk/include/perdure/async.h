// client.async(): the client's verbs without blocking. Each returns a Pending, which is waited for, handed on
// to an Executor, or awaited by a coroutine of any library (never by a workflow: the compiler says so).
//
//   client.async().start<Order>({.id = "o1", .task_queue = "q"}, order)
//       .then(window, [](Outcome<AsyncHandle<Order>> started) { … });
//
// No thread waits while the server is asked; with an interceptor of the client, which stands around a call that blocks, one
// of the SDK's few threads does. Any thread.
#pragma once

#include <coroutine>

#include <perdure/client.h>
#include <perdure/executor.h>

namespace perdure {
inline namespace v1 {

namespace detail {

class PendingState;  // of one answer; any thread
// The verbs, begun; what each answers with.
std::shared_ptr<PendingState> begin_start(std::shared_ptr<Connection> connection, std::string_view type,
                                          StartOptions options, Payloads arguments);  // the run's id
std::shared_ptr<PendingState> begin_execute(std::shared_ptr<Connection> connection, std::string_view type,
                                            StartOptions options, Payloads arguments);  // Payloads
std::shared_ptr<PendingState> begin_result(std::shared_ptr<Connection> connection,
                                           ExecutionName execution);  // Payloads
std::shared_ptr<PendingState> begin_signal(std::shared_ptr<Connection> connection, ExecutionName execution,
                                           std::string_view name, Payloads arguments);  // nothing
std::shared_ptr<PendingState> begin_query(std::shared_ptr<Connection> connection, ExecutionName execution,
                                          std::string_view name, Payloads arguments);  // Payloads
std::shared_ptr<PendingState> begin_update(std::shared_ptr<Connection> connection, UpdateName update,
                                           std::string_view handler, Payloads arguments);  // Payloads
// nothing
std::shared_ptr<PendingState> begin_cancel(std::shared_ptr<Connection> connection, ExecutionName execution);
std::shared_ptr<PendingState> begin_terminate(std::shared_ptr<Connection> connection, ExecutionName execution,
                                              std::string reason);  // nothing
std::shared_ptr<PendingState> begin_describe(std::shared_ptr<Connection> connection,
                                             ExecutionName execution);  // WorkflowDescription
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

template <class T>
Pending<T> pending(std::shared_ptr<PendingState> state) {
  return {std::move(state), [](const std::shared_ptr<void>& value) -> Slot<T> {
            if constexpr (std::is_void_v<T>) {
              return {};
            } else {
              return std::move(*static_cast<T*>(value.get()));
            }
          }};
}
// Of an answer that is Payloads.
template <class R>
Pending<R> pending_result(std::shared_ptr<PendingState> state) {
  return {std::move(state), [](const std::shared_ptr<void>& value) -> Slot<R> {
            if constexpr (std::is_void_v<R>) {
              return {};
            } else {
              return decode_result<R>(*static_cast<Payloads*>(value.get()));
            }
          }};
}
// Of an answer that is a run's id.
template <class Async, class Handle>
Pending<Async> pending_handle(std::shared_ptr<Connection> connection, std::string id,
                              std::shared_ptr<PendingState> state) {
  return {std::move(state), [connection, id](const std::shared_ptr<void>& value) {
            return Async(connection, Handle(connection, id, *static_cast<std::string*>(value.get())));
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
  Pending<R> result() const {
    return detail::pending_result<R>(detail::begin_result(connection_, {id(), run_id()}));
  }
  Pending<void> cancel() const {
    return detail::pending<void>(detail::begin_cancel(connection_, {id(), {}}));
  }
  Pending<void> terminate(std::string reason = {}) const {
    return detail::pending<void>(detail::begin_terminate(connection_, {id(), {}}, std::move(reason)));
  }
  Pending<WorkflowDescription> describe() const {
    return detail::pending<WorkflowDescription>(detail::begin_describe(connection_, {id(), run_id()}));
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
  Pending<void> signal(A&&... arguments) const {
    return detail::pending<void>(detail::begin_signal(this->connection_, {this->id(), {}},
                                                      W::signals::template name_of<S>(),
                                                      encoded<S>(std::forward<A>(arguments)...)));
  }
  template <auto Q, class... A>
    requires(W::queries::template contains<Q>)
  Pending<typename detail::Callee<Q>::ret> query(A&&... arguments) const {
    return detail::pending_result<typename detail::Callee<Q>::ret>(
        detail::begin_query(this->connection_, {this->id(), this->run_id()},
                            W::queries::template name_of<Q>(), encoded<Q>(std::forward<A>(arguments)...)));
  }
  template <auto U, class... A>
    requires(W::updates::template contains<U>)
  Pending<typename detail::Callee<U>::ret> update(A&&... arguments) const {
    return detail::pending_result<typename detail::Callee<U>::ret>(
        detail::begin_update(this->connection_, {this->id(), this->run_id(), {}},
                             W::updates::template name_of<U>(), encoded<U>(std::forward<A>(arguments)...)));
  }

 private:
  template <auto F, class... A>
  static Payloads encoded(A&&... arguments) {
    return detail::ArgumentList<typename detail::Callee<F>::args>::encode_all(std::forward<A>(arguments)...);
  }
};

template <class R>
using AsyncResultHandle = AsyncHandleBase<R, ResultHandle<R>>;

class AsyncClient {
 public:
  explicit AsyncClient(Client client) : client_(std::move(client)) {}
  const Client& blocking() const { return client_; }

  template <class W, class... A>
  Pending<AsyncHandle<W>> start(const StartOptions& options, A&&... arguments) const {
    return detail::pending_handle<AsyncHandle<W>, WorkflowHandle<W>>(
        client_.connection(), options.id,
        detail::begin_start(
            client_.connection(), detail::workflow_name_of<W>(), options,
            encoded<typename detail::WorkflowTraits<W>::args>(std::forward<A>(arguments)...)));
  }
  template <auto F, class... A>
  Pending<AsyncResultHandle<typename detail::Callee<F>::ret>> start(const StartOptions& options,
                                                                    A&&... arguments) const {
    using R = typename detail::Callee<F>::ret;
    return detail::pending_handle<AsyncResultHandle<R>, ResultHandle<R>>(
        client_.connection(), options.id,
        detail::begin_start(client_.connection(), detail::name_of<F>(), options,
                            encoded<typename detail::Callee<F>::args>(std::forward<A>(arguments)...)));
  }
  template <class W, class... A>
  Pending<typename detail::WorkflowTraits<W>::ret> execute(const StartOptions& options,
                                                           A&&... arguments) const {
    return detail::pending_result<typename detail::WorkflowTraits<W>::ret>(detail::begin_execute(
        client_.connection(), detail::workflow_name_of<W>(), options,
        encoded<typename detail::WorkflowTraits<W>::args>(std::forward<A>(arguments)...)));
  }
  template <auto F, class... A>
  Pending<typename detail::Callee<F>::ret> execute(const StartOptions& options, A&&... arguments) const {
    return detail::pending_result<typename detail::Callee<F>::ret>(
        detail::begin_execute(client_.connection(), detail::name_of<F>(), options,
                              encoded<typename detail::Callee<F>::args>(std::forward<A>(arguments)...)));
  }
  template <class W>
  AsyncHandle<W> handle(std::string id, std::string run_id = {}) const {
    return {client_.connection(), client_.handle<W>(std::move(id), std::move(run_id))};
  }

 private:
  template <class Params, class... A>
  static Payloads encoded(A&&... arguments) {
    static_assert(
        detail::args_fit<Params, A...>,
        "perdure: the arguments do not match the parameters (count, type, or a narrowing conversion)");
    return detail::ArgumentList<Params>::encode_all(std::forward<A>(arguments)...);
  }
  Client client_;
};

inline AsyncClient Client::async() const {
  return AsyncClient(*this);
}

}  // namespace v1
}  // namespace perdure
