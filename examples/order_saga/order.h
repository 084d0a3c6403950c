// An order: goods are reserved, somebody approves within a day, the card is charged, another department ships. When a step
// fails, what was done before it is undone, in reverse order.
#pragma once

#include <string>
#include <utility>

#include <perdure/activity.h>
#include <perdure/workflow.h>

namespace shop {

using namespace perdure;

struct Card {
  std::string number;
  int cvc = 0;
};
struct Order {
  std::string id;
  Card card;
  int cents = 0;
};
struct Receipt {
  std::string id;
  int cents = 0;
};

// Workflow code knows interfaces; the worker is given what implements them.
struct Inventory {
  virtual ~Inventory() = default;
  virtual std::string reserve(std::string order_id) = 0;
  virtual void release(std::string reservation) = 0;
};
struct Payments {
  virtual ~Payments() = default;
  virtual Receipt charge(Card card, int cents) = 0;
  virtual void refund(std::string receipt) = 0;
};
// Another department's worker, maybe in another language: name and signature are all that is known.
inline constexpr Activity<std::string(std::string, std::string)> ship{"ShipOrder"};

class OrderWorkflow {
 public:
  Task<Receipt> run(Context ctx, Order order) {
    co_return co_await saga_.guard(ctx, place(ctx, std::move(order)));
  }

  void approve(std::string by) { approved_by_ = std::move(by); }
  std::string status() const { return status_; }
  using signals = handlers<&OrderWorkflow::approve>;
  using queries = handlers<named<"order-status", &OrderWorkflow::status>>;

 private:
  Task<Receipt> place(Context ctx, Order order) {
    constexpr ActivityOptions quick{.start_to_close_timeout = 10s, .retry = {.maximum_attempts = 5}};
    std::string reservation = co_await ctx.execute<&Inventory::reserve>(quick, order.id);
    saga_.compensate<&Inventory::release>(quick, reservation);

    status_ = "waiting for approval";
    bool approved = co_await ctx.within(24h, ctx.until([this] { return !approved_by_.empty(); }));
    if (!approved) throw ApplicationFailure("nobody approved " + order.id + " within a day");

    Receipt paid = co_await ctx.execute<&Payments::charge>(quick, order.card, order.cents);
    saga_.compensate<&Payments::refund>(quick, paid.id);

    status_ = "shipping";
    constexpr ActivityOptions slow{.start_to_close_timeout = 1h, .retry = {.maximum_attempts = 3}};
    co_await ctx.execute<&ship>(slow, order.id, reservation);
    status_ = "done";
    co_return paid;
  }

  Saga saga_;
  std::string approved_by_, status_ = "new";
};

}  // namespace shop
