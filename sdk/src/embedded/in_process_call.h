// One RPC of the SDK on its way into a server of the same process.
//
// Any thread. The reply is given once: by the server, or before that by who gives the call up.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "base/guarded.h"
#include "sdk/src/client/transport.h"
#include "server/frontend/call.h"

namespace perdure::embedded {

// The detail of an error as gRPC's trailer carries it: a google.rpc.Status.
client::Reply as_over_grpc(base::Result<std::string> response);

class InProcessCall final : public frontend::Call {
 public:
  using Done = std::function<void(client::Reply)>;

  InProcessCall(std::string request, std::string ns, base::Time deadline, Done done)
      : request_(std::move(request)), ns_(std::move(ns)), deadline_(deadline) {
    state_.with([&](State& state) { state.done = std::move(done); });
  }

  std::string_view request() const override { return request_; }
  base::Time deadline() const override { return deadline_; }
  std::string_view header(std::string_view name) const override {
    if (name == "client-name") return "perdure-cpp";
    if (name == "client-version") return "0.1.0";
    if (name == "temporal-namespace") return ns_;
    return {};
  }

  void on_client_gone(std::move_only_function<void()> left) override {
    const bool gone = state_.with([&](State& state) {
      if (!state.done && !state.given_up) return false;  // finished: nobody leaves any more
      if (!state.given_up) state.left = std::move(left);
      return state.given_up;
    });
    if (gone) left();
  }

  void finish(base::Result<std::string> response) override {
    auto [done, left] = state_.with([](State& state) {
      return std::pair(std::exchange(state.done, nullptr), std::exchange(state.left, nullptr));
    });
    if (done) done(as_over_grpc(std::move(response)));
  }

  // The caller hears `error` at once, and the server that nobody waits; nothing happens after a reply.
  void give_up(base::Error error) {
    auto [done, left] = state_.with([](State& state) {
      if (state.done) state.given_up = true;
      return std::pair(std::exchange(state.done, nullptr), std::exchange(state.left, nullptr));
    });
    if (done) done(std::unexpected(std::move(error)));
    if (left) left();
  }

 private:
  struct State {
    Done done;  // empty: the caller has its reply
    std::move_only_function<void()> left;
    bool given_up = false;
  };
  const std::string request_, ns_;
  const base::Time deadline_;
  base::Guarded<State> state_;
};

}  // namespace perdure::embedded
