#include "examples/order_saga/order.h"

#include <gtest/gtest.h>

#include <perdure/testing.h>

namespace shop {

class Orders : public ::testing::Test {
 protected:
  Orders() {
    env.add<OrderWorkflow>();
    env.mock<&Inventory::reserve>([](std::string order) { return "shelf of " + order; });
    env.mock<&Inventory::release>(
        [this](std::string reservation) { undone.push_back("release " + reservation); });
    env.mock<&Payments::charge>(
        [](Card card, int cents) { return Receipt{"paid by " + card.number, cents}; });
    env.mock<&Payments::refund>([this](std::string receipt) { undone.push_back("refund " + receipt); });
    env.mock<&ship>([](std::string, std::string) { return std::string("van 7"); });
  }
  Order order{"o1", {"42", 7}, 100};
  std::vector<std::string> undone;
  perdure::testing::Environment env;
};

TEST_F(Orders, an_approved_order_is_paid_and_shipped) {
  auto handle = env.start<OrderWorkflow>(order);
  env.advance(23h);
  EXPECT_EQ(handle.query<&OrderWorkflow::status>(), "waiting for approval");
  handle.signal<&OrderWorkflow::approve>("ann");
  EXPECT_EQ(handle.result().id, "paid by 42");
  EXPECT_EQ(handle.query<&OrderWorkflow::status>(), "done");
  EXPECT_TRUE(undone.empty());
}

TEST_F(Orders, after_a_day_without_approval_the_goods_are_released) {
  EXPECT_THROW(env.execute<OrderWorkflow>(order), WorkflowFailed);
  EXPECT_EQ(undone, std::vector<std::string>{"release shelf of o1"});
}

TEST_F(Orders, what_cannot_be_shipped_is_undone_in_reverse_order) {
  env.mock<&ship>([](std::string, std::string) -> std::string { throw std::runtime_error("no truck"); });
  auto handle = env.start<OrderWorkflow>(order);
  handle.signal<&OrderWorkflow::approve>("ann");
  EXPECT_THROW(handle.result(), WorkflowFailed);
  EXPECT_EQ(undone, (std::vector<std::string>{"refund paid by 42", "release shelf of o1"}));
}

TEST_F(Orders, a_cancelled_order_is_undone_too) {
  auto handle = env.start<OrderWorkflow>(order);
  env.advance(1h);
  handle.cancel();
  EXPECT_THROW(handle.result(), WorkflowCanceled);
  EXPECT_EQ(undone, std::vector<std::string>{"release shelf of o1"});
}

}  // namespace shop
