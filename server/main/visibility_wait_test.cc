// A list waits for what was acknowledged before it, and for nothing that comes later (rule E11).
#include <gtest/gtest.h>

#include <deque>
#include <optional>

#include "server/main/in_process_server.h"
#include "server/store/memory/memory_store.h"

namespace perdure::server {
namespace {

namespace wfs = temporal::api::workflowservice::v1;

// Its visibility flushes end when the test says so.
class SlowVisibility : public store::MemoryStore {
 public:
  using MemoryStore::MemoryStore;
  void project_visibility(store::VisibilityFlush flush, store::Done<void> done) override {
    if (!slow) return MemoryStore::project_visibility(std::move(flush), std::move(done));
    held.emplace_back(std::move(flush), std::move(done));
  }
  void let_one_go() {
    auto [flush, done] = std::move(held.front());
    held.pop_front();
    MemoryStore::project_visibility(std::move(flush), std::move(done));
  }
  bool slow = false;
  std::deque<std::pair<store::VisibilityFlush, store::Done<void>>> held;
};

class TestCall : public frontend::Call {
 public:
  explicit TestCall(std::string request) : request_(std::move(request)) {}
  std::string_view request() const override { return request_; }
  base::Time deadline() const override { return base::kNever; }
  std::string_view header(std::string_view) const override { return {}; }
  void on_client_gone(std::move_only_function<void()>) override {}
  void finish(base::Result<std::string> response) override { answer = std::move(response); }
  std::optional<base::Result<std::string>> answer;

 private:
  const std::string request_;
};

TEST(VisibilityWait, E11_AListIsAnsweredHoweverBusyTheServerIs) {
  base::ManualClock clock;
  base::SimScheduler scheduler(clock);
  const auto io = scheduler.make_executor("io");
  SlowVisibility store(*io);
  InProcessServer server(scheduler, {.store = &store});
  store.slow = true;
  const auto call = [&](const char* method, const auto& request) {
    auto made = std::make_shared<TestCall>(request.SerializeAsString());
    server.methods().dispatch(std::string(frontend::kWorkflowService) + method, made);
    scheduler.run_until_idle();
    return made;
  };
  const auto start = [&](const std::string& id) {
    wfs::StartWorkflowExecutionRequest request;
    request.set_namespace_("default");
    request.set_workflow_id(id);
    request.mutable_workflow_type()->set_name("T");
    request.mutable_task_queue()->set_name("tq");
    const auto made = call("StartWorkflowExecution", request);
    ASSERT_TRUE(made->answer && *made->answer);
  };
  wfs::ListWorkflowExecutionsRequest list;
  list.set_namespace_("default");

  start("before");
  const auto listed = call("ListWorkflowExecutions", list);
  EXPECT_FALSE(listed->answer);
  start("after");
  scheduler.advance_to(clock.now() + std::chrono::seconds(1));  // and its row is on its way, too
  ASSERT_GE(store.held.size(), 2U);
  store.let_one_go();
  scheduler.run_until_idle();
  ASSERT_TRUE(listed->answer && *listed->answer);
  wfs::ListWorkflowExecutionsResponse response;
  ASSERT_TRUE(response.ParseFromString(**listed->answer));
  ASSERT_EQ(response.executions_size(), 1);
  EXPECT_EQ(response.executions(0).execution().workflow_id(), "before");
  while (!store.held.empty()) {
    store.let_one_go();
    scheduler.run_until_idle();
  }
}

}  // namespace
}  // namespace perdure::server
