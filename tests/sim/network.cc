#include "tests/sim/network.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "temporal/api/workflowservice/v1/service.pb.h"

namespace perdure::sim {
namespace {

using base::Code;
using base::Duration;
using std::chrono::milliseconds;

// For the reader of a trace.
std::string text_of(const std::string& method, const std::string& bytes, bool answer) {
  const auto* found = google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(
      "temporal.api.workflowservice.v1.WorkflowService." + method);
  if (found == nullptr) return {};
  const auto* prototype = google::protobuf::MessageFactory::generated_factory()->GetPrototype(
      answer ? found->output_type() : found->input_type());
  const std::unique_ptr<google::protobuf::Message> message(prototype->New());
  message->ParseFromString(bytes);
  std::string text = message->ShortDebugString();
  if (text.size() > 400) {
    text.resize(400);
    text += " …";
  }
  return text;
}

base::Error lost() {
  return {Code::kUnavailable, "the connection broke", {}};
}

}  // namespace

struct Network::Exchange {
  std::shared_ptr<Sender> sender;
  std::string method, request;
  base::Time patience_ends;
  Heard heard;
  bool over = false;
  base::Time reached = base::kNever;  // when it reached a live server
};

class Network::ServerCall : public frontend::Call {
 public:
  ServerCall(Network& network, std::uint64_t number, std::shared_ptr<Exchange> exchange, base::Time deadline)
      : network_(&network), number_(number), exchange_(std::move(exchange)), deadline_(deadline) {}

  std::string_view request() const override { return exchange_->request; }
  base::Time deadline() const override { return deadline_; }
  std::string_view header(std::string_view) const override { return {}; }
  void on_client_gone(std::move_only_function<void()> left) override {
    if (gone_) return left();
    left_ = std::move(left);
  }
  void finish(base::Result<std::string> answer) override {
    if (network_ == nullptr) return;  // of a server that died
    Network& network = *std::exchange(network_, nullptr);
    left_ = {};
    network.answered(exchange_, number_, std::move(answer));
  }
  void client_gone() {
    gone_ = true;
    if (auto left = std::exchange(left_, {})) left();
  }
  void server_died() {
    network_ = nullptr;
    left_ = {};
  }

 private:
  Network* network_;
  const std::uint64_t number_;
  std::shared_ptr<Exchange> exchange_;
  const base::Time deadline_;
  bool gone_ = false;
  std::move_only_function<void()> left_;
};

bool Network::chance(Fault fault, std::uint64_t in) {
  if (healed_ || !parts_.plan.has(fault) || random_.below(in) != 0) return false;
  parts_.coverage.saw(fault);
  return true;
}

Duration Network::delay() {
  if (chance(Fault::kDelay, 4)) return milliseconds(random_.below(random_.below(8) == 0 ? 4000 : 60));
  return Duration(random_.below(400'000));
}

void Network::send(std::shared_ptr<Sender> sender, std::string method, std::string request, Duration patience,
                   Heard heard) {
  auto exchange = std::make_shared<Exchange>();
  exchange->sender = std::move(sender);
  exchange->method = std::move(method);
  exchange->request = std::move(request);
  exchange->patience_ends = parts_.events.now() + patience;
  exchange->heard = std::move(heard);
  const int copies = chance(Fault::kDuplicate, 12) ? 2 : 1;
  for (int copy = 0; copy < copies; ++copy) {
    if (chance(Fault::kDrop, 15)) continue;
    parts_.events.after(delay(), [this, exchange] { arrive(exchange); });
  }
  // Late enough that a server that keeps the deadline has answered.
  Duration waits = patience + milliseconds(500);
  const bool early = chance(Fault::kDisconnect, 10);
  if (early) waits = Duration(random_.below(static_cast<std::uint64_t>(patience.count())));
  parts_.events.after(waits, [this, exchange, early] {
    if (exchange->over) return;
    if (!early && waits_at_server(exchange) && parts_.calm_since() <= exchange->reached)
      parts_.oracle.violated("E16: " + exchange->method + " is not answered by its deadline");
    parts_.trace.note("gone", exchange->method);
    leave(exchange);
    give(exchange, std::unexpected(lost()));
  });
}

void Network::arrive(const std::shared_ptr<Exchange>& exchange) {
  if (exchange->over || exchange->sender->dead) return;
  const frontend::MethodTable* server = parts_.server();
  if (server == nullptr) {
    parts_.events.after(delay(), [this, exchange] { give(exchange, std::unexpected(lost())); });
    return;
  }
  const base::Time paused = parts_.paused_until();
  if (paused > parts_.events.now()) {
    parts_.events.after(paused - parts_.events.now(), [this, exchange] { arrive(exchange); });
    return;
  }
  exchange->reached = std::min(exchange->reached, parts_.events.now());
  const std::uint64_t number = ++last_call_;
  parts_.trace.note("request", exchange->method + " " + std::to_string(number), exchange->request);
  if (parts_.trace.readable()) parts_.trace.remark(text_of(exchange->method, exchange->request, false));
  parts_.oracle.arrived(number, exchange->method, exchange->request, server_now());
  auto call =
      std::make_shared<ServerCall>(*this, number, exchange, exchange->patience_ends + parts_.clock_offset());
  at_server_[number] = {exchange, call};
  server->dispatch(std::string(frontend::kWorkflowService) + exchange->method, call);
}

void Network::answered(const std::shared_ptr<Exchange>& exchange, std::uint64_t call,
                       base::Result<std::string> answer) {
  if (!parts_.answering()) return;
  at_server_.erase(call);
  if (!answer && answer.error().code == Code::kResourceExhausted && parts_.plan.has(Fault::kFullQueues))
    parts_.coverage.saw(Fault::kFullQueues);
  parts_.trace.note("answer",
                    exchange->method + " " + std::to_string(call) +
                        (answer ? ""
                                : ": " + std::to_string(static_cast<int>(answer.error().code)) + " " +
                                      answer.error().message),
                    answer ? *answer : std::string());
  if (parts_.trace.readable() && answer) parts_.trace.remark(text_of(exchange->method, *answer, true));
  parts_.oracle.left(call, answer, server_now());
  if (chance(Fault::kDrop, 15)) return;
  parts_.events.after(
      delay(), [this, exchange, answer = std::move(answer)]() mutable { give(exchange, std::move(answer)); });
}

void Network::give(const std::shared_ptr<Exchange>& exchange, base::Result<std::string> answer) {
  if (std::exchange(exchange->over, true)) return;
  auto heard = std::exchange(exchange->heard, {});
  if (!exchange->sender->dead) heard(std::move(answer));
}

bool Network::waits_at_server(const std::shared_ptr<Exchange>& exchange) const {
  return std::ranges::any_of(at_server_, [&](const auto& at) { return at.second.first == exchange; });
}

void Network::leave(const std::shared_ptr<Exchange>& exchange) {
  std::vector<std::shared_ptr<ServerCall>> calls;
  for (auto& [number, at] : at_server_) {
    if (at.first == exchange) calls.push_back(at.second);
  }
  for (const auto& call : calls) call->client_gone();
}

void Network::drop_dead() {
  std::vector<std::shared_ptr<Exchange>> dead;
  for (auto& [number, at] : at_server_) {
    if (at.first->sender->dead) dead.push_back(at.first);
  }
  for (const auto& exchange : dead) {
    leave(exchange);
    exchange->over = true;
  }
}

void Network::server_died() {
  for (auto& [number, at] : std::exchange(at_server_, {})) {
    at.second->server_died();
    parts_.events.after(delay(), [this, exchange = at.first] { give(exchange, std::unexpected(lost())); });
  }
}

}  // namespace perdure::sim
