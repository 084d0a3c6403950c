// A server in process that can be killed: what its memory store was told to keep survives, everything else is
// gone.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/sim_scheduler.h"
#include "server/frontend/method_table.h"
#include "server/main/wiring.h"
#include "server/store/memory/memory_store.h"

namespace perdure::engine {

// A call from a client, and what became of it.
class ClientCall : public frontend::Call {
 public:
  ClientCall(std::string request, base::Time deadline) : request_(std::move(request)), deadline_(deadline) {}
  std::string_view request() const override { return request_; }
  base::Time deadline() const override { return deadline_; }
  std::string_view header(std::string_view) const override { return {}; }
  void on_client_gone(std::move_only_function<void()> left) override { left_ = std::move(left); }
  void finish(base::Result<std::string> response) override { answer = std::move(response); }

  bool answered() const { return answer.has_value(); }
  void leave() {
    if (left_) left_();
  }
  std::optional<base::Result<std::string>> answer;

 private:
  std::string request_;
  base::Time deadline_;
  std::move_only_function<void()> left_;
};

class World {
 public:
  World();
  ~World();

  base::ManualClock clock;
  base::SimScheduler scheduler{clock};

  // The table of whichever server lives now: calls go to it.
  const frontend::MethodTable& methods() const { return forwarding_; }
  store::MemoryStore& store() { return *store_; }
  // kill -9 and a new start on what was durable. Calls under way are never answered.
  void crash();
  // A new start on a log that ends with this group more: serialized perdure.internal.v1.Group.
  void crash_and_plant(std::string group);
  // The clock goes on by that much, with everything that is due on the way.
  void advance(base::Duration by) { scheduler.advance_to(clock.now() + by); }

  // Issues a call; run() lets everything happen that can without time.
  template <class Request>
  std::shared_ptr<ClientCall> start(std::string_view method, const Request& request,
                                    base::Duration deadline = std::chrono::seconds(20)) {
    auto call = std::make_shared<ClientCall>(request.SerializeAsString(), clock.now() + deadline);
    methods().dispatch(std::string(frontend::kWorkflowService) + std::string(method), call);
    scheduler.run_until_idle();
    return call;
  }
  template <class Response, class Request>
  base::Result<Response> call(std::string_view method, const Request& request) {
    auto call = start(method, request);
    if (!call->answered()) return base::fail(base::Code::kDeadlineExceeded, "not answered");
    if (!*call->answer) return std::unexpected(call->answer->error());
    Response response;
    if (!response.ParseFromString(**call->answer))
      return base::fail(base::Code::kInternal, "unreadable answer");
    return response;
  }

 private:
  void begin();

  std::uint64_t life_ = 0;
  std::shared_ptr<store::MemoryContent> content_ = store::make_memory_content();
  std::unique_ptr<base::Executor> loop_, io_;
  std::unique_ptr<store::MemoryStore> store_;
  std::unique_ptr<server::Wiring> wiring_;
  frontend::MethodTable forwarding_;
};

}  // namespace perdure::engine
