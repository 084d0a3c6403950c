// The four programs, whose runs are destroyed after the n-th task for every n, at every await that they have: what follows is
// a replay, and what they do is the same.
#include <gtest/gtest.h>

#include <functional>

#include <perdure/testing.h>

#include "examples/fan_out/thumbnails.h"
#include "examples/hello/hello.h"
#include "examples/order_saga/order.h"
#include "sdk/tests/savings.h"

namespace eviction {

using namespace perdure;
using namespace shop;
using perdure::testing::Environment;

constexpr int kEnough = 100;

// Runs `program` again and again, evicting one task later each time, until it has ended before; its result must be `wanted`.
template <class R>
void evict_everywhere(const R& wanted, const std::function<R(Environment&)>& program) {
  int after = 1;
  for (std::int64_t tasks = kEnough; after <= tasks && after < kEnough; ++after) {
    Environment env({.replay = false, .evict_after = after});
    EXPECT_EQ(program(env), wanted) << "evicted after task " << after;
    tasks = (env.client().handle("workflow-1").describe().history_length - 2) / 3;  // at most
  }
  EXPECT_GT(after, 2);
  EXPECT_LT(after, kEnough);
}

TEST(Eviction, hello) {
  evict_everywhere<std::string>("Hello, Ann!", [](Environment& env) {
    env.add<&hello::greet, &hello::compose>();
    return env.execute<&hello::greet>("Ann");
  });
}

TEST(Eviction, order) {
  evict_everywhere<std::string>("paid 42", [](Environment& env) {
    env.add<OrderWorkflow>();
    env.mock<&Inventory::reserve>([](std::string order) { return "shelf of " + order; });
    env.mock<&Payments::charge>([](Card card, int cents) { return Receipt{"paid " + card.number, cents}; });
    env.mock<&ship>([](std::string, std::string) { return std::string("van 7"); });
    auto handle = env.start<OrderWorkflow>(Order{"o1", {"42", 7}, 100});
    env.advance(1h);
    EXPECT_EQ(handle.query<&OrderWorkflow::status>(), "waiting for approval");
    handle.signal<&OrderWorkflow::approve>("ann");
    return handle.result().id;
  });
}

TEST(Eviction, compensated_order) {
  evict_everywhere<int>(2, [](Environment& env) {
    int undone = 0;
    env.add<OrderWorkflow>();
    env.mock<&Inventory::reserve>([](std::string order) { return "shelf of " + order; });
    env.mock<&Inventory::release>([&](std::string) { ++undone; });
    env.mock<&Payments::charge>([](Card card, int cents) { return Receipt{card.number, cents}; });
    env.mock<&Payments::refund>([&](std::string) { ++undone; });
    env.mock<&ship>(
        [](std::string, std::string) -> std::string { throw ApplicationFailure("no", "No", true); });
    auto handle = env.start<OrderWorkflow>(Order{"o1", {"42", 7}, 100});
    handle.signal<&OrderWorkflow::approve>("ann");
    EXPECT_THROW(handle.result(), WorkflowFailed);
    return undone;
  });
}

TEST(Eviction, fan_out) {
  evict_everywhere<int>(100, [](Environment& env) {
    env.add<&pictures::thumbnails, &pictures::make_thumbnail>();
    const std::vector<std::string> urls(25, "abcd");
    return env.execute<&pictures::thumbnails>(urls);
  });
}

TEST(Eviction, entity) {
  evict_everywhere<long>(75, [](Environment& env) {
    env.add<savings::Savings>();
    env.mock<&savings::book>([](std::string, long) { return std::string("booked"); });
    auto handle = env.start<savings::Savings>(savings::Account{"a", 5, 0});
    auto current = env.client().handle<savings::Savings>(handle.id());
    for (int i = 0; i < 7; ++i) current.signal<&savings::Savings::deposit>(10);
    current.signal<&savings::Savings::close>();
    return handle.result();
  });
}

}  // namespace eviction
