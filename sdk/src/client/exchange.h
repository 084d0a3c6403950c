// What one of the client's verbs says to the server and hears from it, apart from who waits: a thread, or a Pending.
//
// Any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "sdk/src/client/calls.h"
#include "sdk/src/client/pending.h"

namespace perdure {
inline namespace v1 {
namespace detail {

// One call, or as many as it takes, one after another, until there is an answer.
template <class T>
struct Exchange {
  const char* method;
  std::string request;
  // Reads a reply, or throws what the verb throws. Nothing: ask again, with what `request` is then.
  std::function<std::optional<T>(const client::Reply& reply, std::string& request)> read;
  base::Duration timeout = Connection::kCallTimeout;
};

template <class E>
struct AnswerIn;
template <class T>
struct AnswerIn<Exchange<T>> {
  using type = T;
};
template <class E>
using AnswerOf = typename AnswerIn<E>::type;

template <class Response>
Unit nothing_in(const Response&) {
  return {};
}

// One call on a workflow, whose answer is read(response); with typed errors.
template <class Response, class Request, class Read>
auto exchange(const char* method, const Request& request, const ExecutionName& execution, Read read) {
  using T = std::invoke_result_t<Read&, const Response&>;
  return Exchange<T>{method, request.SerializeAsString(),
                     [execution, read](const client::Reply& reply, std::string&) -> std::optional<T> {
                       return read(translated(execution, [&] { return response_in<Response>(reply); }));
                     }};
}

// Blocks.
template <class T>
T wait_for(Connection& connection, Exchange<T> exchange) {
  for (;;) {
    const client::Reply reply = connection.call_bytes(exchange.method, exchange.request, exchange.timeout);
    if (std::optional<T> answer = exchange.read(reply, exchange.request)) return std::move(*answer);
  }
}

// An exchange that holds no thread while the server is asked. Where there is a codec, which may block, what is said is
// made, and what is heard read, on a thread of the SDK; otherwise on the caller's and on the transport's.
template <class T>
class ExchangeUnderWay : public std::enable_shared_from_this<ExchangeUnderWay<T>> {
 public:
  using Make = std::function<Exchange<T>()>;
  using Answered = std::function<void(T)>;
  static void begin(std::shared_ptr<Connection> connection, std::shared_ptr<PendingState> state, Make make,
                    Answered answered) {
    auto self =
        std::make_shared<ExchangeUnderWay>(std::move(connection), std::move(state), std::move(answered));
    self->step([make = std::move(make)](ExchangeUnderWay& under_way) {
      under_way.exchange_ = make();
      under_way.ask();
    });
  }

  ExchangeUnderWay(std::shared_ptr<Connection> connection, std::shared_ptr<PendingState> state,
                   Answered answered)
      : connection_(std::move(connection)), state_(std::move(state)), answered_(std::move(answered)) {}

 private:
  using Step = std::function<void(ExchangeUnderWay&)>;
  void step(Step work) {
    auto guarded = [self = this->shared_from_this(), work = std::move(work)] {
      if (self->state_->cancelled()) return;
      try {
        work(*self);
      } catch (...) {
        self->state_->fail(std::current_exception());
      }
    };
    connection_->has_codec() ? run_on_own_thread(std::move(guarded)) : guarded();
  }
  void ask() {
    connection_->call_async(
        exchange_->method, exchange_->request, retry_timers(),
        [self = this->shared_from_this()](client::Reply reply) {
          self->step([reply = std::move(reply)](ExchangeUnderWay& under_way) { under_way.read(reply); });
        },
        exchange_->timeout,
        [state = state_](std::shared_ptr<client::Transport::Call> call) {
          state->under_way(std::move(call));
        });
  }
  void read(const client::Reply& reply) {
    std::optional<T> answer = exchange_->read(reply, exchange_->request);
    answer ? answered_(std::move(*answer)) : ask();
  }

  std::shared_ptr<Connection> connection_;
  std::shared_ptr<PendingState> state_;
  Answered answered_;
  std::optional<Exchange<T>> exchange_;
};

// What makes an exchange begins it. Interceptors stand around a call that blocks: with one, the verb is called as it is, on
// a thread of the SDK.
template <class Make, class Blocking, class Answered>
void begin_for(const std::shared_ptr<PendingState>& state, const std::shared_ptr<Connection>& connection,
               Make make, Blocking blocking, Answered answered) {
  using T = std::invoke_result_t<Blocking&>;
  if (connection->interceptors().empty())
    return ExchangeUnderWay<T>::begin(connection, state, std::move(make), std::move(answered));
  run_on_own_thread([state, blocking = std::move(blocking), answered = std::move(answered)] {
    if (state->cancelled()) return;
    try {
      answered(blocking());
    } catch (...) {
      state->fail(std::current_exception());
    }
  });
}
// A verb that no interceptor is asked about.
template <class Make>
void begin_for(const std::shared_ptr<PendingState>& state, const std::shared_ptr<Connection>& connection,
               Make make) {
  using T = AnswerOf<std::invoke_result_t<Make&>>;
  ExchangeUnderWay<T>::begin(connection, state, std::move(make),
                             [state](T answer) { state->set(std::make_shared<T>(std::move(answer))); });
}
template <class Make>
std::shared_ptr<PendingState> begin(const std::shared_ptr<Connection>& connection, Make make) {
  auto state = std::make_shared<PendingState>();
  begin_for(state, connection, std::move(make));
  return state;
}
template <class Make, class Blocking>
std::shared_ptr<PendingState> begin(const std::shared_ptr<Connection>& connection, Make make,
                                    Blocking blocking) {
  auto state = std::make_shared<PendingState>();
  begin_for(state, connection, std::move(make), std::move(blocking),
            [state](std::invoke_result_t<Blocking&> answer) {
              state->set(std::make_shared<std::invoke_result_t<Blocking&>>(std::move(answer)));
            });
  return state;
}

}  // namespace detail
}  // namespace v1
}  // namespace perdure
