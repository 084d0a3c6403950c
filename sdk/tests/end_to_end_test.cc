// The whole way: client, server, worker, workflow code, activities. The server is another process:
// tests/run.py starts it and says where it is in TEMPORAL_ADDRESS.
#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include <perdure/client.h>
#include <perdure/worker.h>

#include "examples/fan_out/thumbnails.h"
#include "examples/hello/hello.h"
#include "examples/order_saga/order.h"
#include "sdk/tests/savings.h"

namespace end_to_end {  // named: g++ 12 warns about coroutines of unnamed ones

using namespace perdure;
using namespace shop;

class Shop : public Inventory {
 public:
  std::string reserve(std::string order_id) override { return "res-" + order_id; }
  void release(std::string) override { ++released; }
  std::atomic<int> released{0};
};
class Bank : public Payments {
 public:
  Receipt charge(Card card, int cents) override {
    if (!busy.exchange(true)) throw std::runtime_error("the line is busy");  // the first time
    return {"paid-" + card.number, cents};
  }
  void refund(std::string) override { ++refunded; }
  std::atomic<bool> busy{false};
  std::atomic<int> refunded{0};
};

std::promise<void>& heart_started() {
  static std::promise<void> promise;
  return promise;
}
// Until it is cancelled.
void beat(ActivityContext& context) {
  heart_started().set_value();
  for (int i = 0;; ++i) {
    context.heartbeat(i);
    context.sleep_for(100ms);
  }
}
Task<std::string> patient(Context ctx) {
  auto outcome = co_await attempt(ctx.execute<&beat>({.start_to_close_timeout = 1min,
                                                      .heartbeat_timeout = 30s,
                                                      .cancellation = CancellationType::kWaitCompleted}));
  if (!outcome.is_cancelled()) co_return "not cancelled";
  co_await ctx.shielded().sleep(1ms);
  co_return "cleaned up";
}
Task<> forever(Context ctx) {
  co_await ctx.sleep(24h);
}
Task<int> fails(Context) {
  throw ApplicationFailure("no", "Refusal");
  co_return 1;
}
Task<int> late(Context ctx) {
  co_await ctx.sleep(10ms);
  const int drawn = ctx.side_effect([] { return 7; });
  co_await ctx.sleep(10ms);
  co_return drawn + (ctx.patched("more") ? 100 : 0);
}

class EndToEnd : public ::testing::TestWithParam<std::size_t> {
 protected:
  EndToEnd() : queue_("sdk-" + std::to_string(getpid()) + "-" + std::to_string(GetParam()) + "-" + unique()) {
    WorkerOptions options;
    options.task_queue = queue_;
    options.cache_bytes = GetParam();
    options.max_heartbeat_throttle_interval = 200ms;
    worker_ = std::make_unique<Worker>(client_, options);
    worker_->add<OrderWorkflow>().add<savings::Savings>();
    worker_->add<&hello::greet, &hello::compose, &pictures::thumbnails, &pictures::make_thumbnail, &patient,
                 &beat, &forever, &fails, &late>();
    worker_->add<&savings::book>(
        [](std::string account, long cents) { return account + "/" + std::to_string(cents); });
    worker_->add<&Inventory::reserve, &Inventory::release>(std::shared_ptr<Inventory>(shop_));
    worker_->add<&Payments::charge, &Payments::refund>(std::shared_ptr<Payments>(bank_));
    worker_->add<&ship>([this](std::string order, std::string reservation) {
      if (no_truck_) throw ApplicationFailure("no truck", "NoTruck", true);
      return order + reservation;
    });
    worker_->start();
  }
  static std::string unique() {
    static int number = 0;
    return std::to_string(++number);
  }
  StartOptions named(const std::string& id) const { return {.id = queue_ + "-" + id, .task_queue = queue_}; }

  Client client_ = Client::connect();
  const std::string queue_;
  std::shared_ptr<Shop> shop_ = std::make_shared<Shop>();
  std::shared_ptr<Bank> bank_ = std::make_shared<Bank>();
  std::atomic<bool> no_truck_{false};
  std::unique_ptr<Worker> worker_;
};

TEST_P(EndToEnd, hello) {
  EXPECT_EQ(client_.execute<&hello::greet>(named("hello"), "Ann"), "Hello, Ann!");
}

TEST_P(EndToEnd, an_order_is_approved_by_signal_and_its_failed_charge_retried) {
  Order order{"o1", {"42", 7}, 100};
  auto handle = client_.start<OrderWorkflow>(named("order"), order);
  handle.signal<&OrderWorkflow::approve>("ann");
  EXPECT_EQ(handle.result().id, "paid-42");
  EXPECT_EQ(handle.query<&OrderWorkflow::status>(), "done");
  EXPECT_EQ(shop_->released, 0);
}

TEST_P(EndToEnd, a_failed_order_is_compensated) {
  no_truck_ = true;
  Order order{"o2", {"43", 7}, 100};
  auto handle = client_.signal_with_start<&OrderWorkflow::approve>(
      WithStart<OrderWorkflow>(named("bad"), order), "ann");
  try {
    (void)handle.result();
    FAIL() << "it must fail";
  } catch (const WorkflowFailed& failed) {
    EXPECT_NE(std::string(failed.what()).find("no truck"), std::string::npos) << failed.what();
  }
  EXPECT_EQ(shop_->released, 1);
  EXPECT_EQ(bank_->refunded, 1);
}

TEST_P(EndToEnd, fan_out) {
  std::vector<std::string> urls(25, "abcd");
  EXPECT_EQ(client_.execute<&pictures::thumbnails>(named("fan"), urls), 100);
}

TEST_P(EndToEnd, an_entity_continues_as_new_and_is_queried) {
  auto handle = client_.start<savings::Savings>(named("entity"), savings::Account{"a", 5, 0});
  auto current = client_.handle<savings::Savings>(handle.id());
  for (int i = 0; i < 7; ++i) current.signal<&savings::Savings::deposit>(10);
  current.signal<&savings::Savings::close>();
  EXPECT_EQ(handle.result(), 75);
}

TEST_P(EndToEnd, a_cancelled_workflow_is_cancelled) {
  auto handle = client_.start<&forever>(named("forever"));
  handle.cancel();
  EXPECT_THROW(handle.result(), WorkflowCanceled);
}

TEST_P(EndToEnd, a_failure_reaches_the_client) {
  try {
    (void)client_.execute<&fails>(named("fails"));
    FAIL() << "it must fail";
  } catch (const WorkflowFailed& failed) {
    EXPECT_THROW(std::rethrow_exception(failed.failure()), ApplicationFailure);
  }
}

TEST_P(EndToEnd, timers_side_effects_and_patches) {
  EXPECT_EQ(client_.execute<&late>(named("late")), 107);
}

TEST_P(EndToEnd, an_id_that_runs_is_not_started_twice) {
  auto handle = client_.start<&forever>(named("twice"));
  EXPECT_THROW(client_.start<&forever>(named("twice")), WorkflowAlreadyStarted);
  handle.terminate("enough");
  EXPECT_THROW(handle.result(), WorkflowTerminated);
  EXPECT_THROW(client_.handle("nobody-is-called-this").signal("x"), WorkflowNotFound);
}

TEST_P(EndToEnd, a_cancelled_activity_hears_of_it_by_its_heartbeat) {
  heart_started() = {};
  auto handle = client_.start<&patient>(named("patient"));
  heart_started().get_future().wait();
  handle.cancel();
  EXPECT_EQ(handle.result(), "cleaned up");
}

// What it encodes cannot be read without it.
class Veil : public PayloadCodec {
 public:
  Payloads encode(Payloads payloads) override {
    for (Payload& payload : payloads) {
      for (char& c : payload.data) c = static_cast<char>(c ^ 0x55);
      payload.metadata["was"] = std::exchange(payload.metadata["encoding"], "binary/veiled");
    }
    return payloads;
  }
  Payloads decode(Payloads payloads) override {
    for (Payload& payload : payloads) {
      if (payload.metadata["encoding"] != "binary/veiled") continue;
      for (char& c : payload.data) c = static_cast<char>(c ^ 0x55);
      payload.metadata["encoding"] = payload.metadata["was"];
      payload.metadata.erase("was");
    }
    return payloads;
  }
};

TEST_P(EndToEnd, what_leaves_the_process_has_been_through_the_codec) {
  ClientOptions options = ClientOptions::from_environment();
  options.codec = std::make_shared<Veil>();
  Client veiled = Client::connect(options);
  WorkerOptions worker_options;
  worker_options.task_queue = queue_ + "-veiled";
  worker_options.cache_bytes = GetParam();
  Worker worker(veiled, worker_options);
  worker.add<&hello::greet, &hello::compose, &fails>();
  worker.start();
  StartOptions start = named("veiled");
  start.task_queue = worker_options.task_queue;
  EXPECT_EQ(veiled.execute<&hello::greet>(start, "Ann"), "Hello, Ann!");
  EXPECT_THROW(client_.handle(start.id).result<std::string>(), PayloadError);
}

std::string cache_name(const ::testing::TestParamInfo<std::size_t>& info) {
  return info.param == 0 ? "without_cache" : "with_cache";
}
INSTANTIATE_TEST_SUITE_P(Sdk, EndToEnd, ::testing::Values(std::size_t{0}, std::size_t{1} << 20), cache_name);

}  // namespace end_to_end
