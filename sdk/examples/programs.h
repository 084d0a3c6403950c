// The four programs that show what workflow code looks like: hello, an order with compensations and approval,
// a fan-out, an entity.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <perdure/activity.h>
#include <perdure/workflow.h>

namespace examples {

using namespace perdure;

// ---- hello

inline std::string compose(std::string greeting, std::string name) {
  return greeting + ", " + name + "!";
}

inline Task<std::string> greet(Context ctx, std::string name) {
  co_return co_await ctx.execute<&compose>({.start_to_close_timeout = 10s}, "Hello", name);
}

// ---- an order: each step has a compensation, and somebody must approve within a day

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

// Workflow code sees interfaces only; the worker is given what implements them.
struct Inventory {
  virtual ~Inventory() = default;
  virtual std::string reserve(std::string order_id) = 0;
  virtual void release(std::string reservation) = 0;
};
struct Payments {
  virtual ~Payments() = default;
  virtual Receipt charge(ActivityContext&, Card card, int cents) = 0;
  virtual void refund(std::string receipt) noexcept = 0;
};
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
    constexpr ActivityOptions quick{.start_to_close_timeout = 10s, .retry = {.maximum_attempts = 2}};
    std::string reservation = co_await ctx.execute<&Inventory::reserve>(quick, order.id);
    saga_.compensate<&Inventory::release>(quick, reservation);
    status_ = "waiting for approval";
    bool approved = co_await ctx.within(24h, ctx.until([this] { return !approved_by_.empty(); }));
    if (!approved) throw ApplicationFailure("nobody approved " + order.id + " within a day");
    Receipt paid =
        co_await ctx.execute<&Payments::charge>({.start_to_close_timeout = 1min}, order.card, order.cents);
    saga_.compensate<&Payments::refund>(quick, paid.id);
    status_ = "shipping";
    co_await ctx.execute<&ship>({.start_to_close_timeout = 1h, .retry = {.maximum_attempts = 1}}, order.id,
                                reservation);
    status_ = "done";
    co_return paid;
  }
  Saga saga_;
  std::string approved_by_, status_ = "new";
};

// ---- a fan-out, ten at a time

struct Thumb {
  std::string url;
  int bytes = 0;
};
inline Thumb make_thumbnail(std::string url) {
  const int bytes = static_cast<int>(url.size());
  return {std::move(url), bytes};
}

inline Task<int> thumbnails(Context ctx, std::vector<std::string> urls) {
  constexpr ActivityOptions quick{.start_to_close_timeout = 1min, .retry = {.maximum_attempts = 3}};
  std::vector<Thumb> thumbs = co_await ctx.map_concurrent(
      10, urls, [=](const std::string& url) { return ctx.execute<&make_thumbnail>(quick, url); });
  int bytes = 0;
  for (const Thumb& thumb : thumbs) bytes += thumb.bytes;
  co_return bytes;
}

// ---- an entity that continues as new

struct Account {
  std::string id;
  long cents = 0;
  int operations = 0;
};
inline std::string book(std::string account, long cents) {
  return account + "/" + std::to_string(cents);
}

class AccountWorkflow {
 public:
  explicit AccountWorkflow(Account account)
      : account_(std::move(account)) {}  // state before the first message
  Task<long> run(Context ctx, Account) {
    co_await ctx.until([this] { return closed_ || account_.operations >= 3; });
    co_await ctx.until([ctx] { return ctx.all_handlers_finished(); });
    if (!closed_) {
      account_.operations = 0;
      co_await ctx.continue_as_new<AccountWorkflow>(account_);
    }
    co_return account_.cents;
  }
  Task<> deposit(Context ctx, long cents) {
    std::string entry = co_await ctx.execute<&book>({.start_to_close_timeout = 10s}, account_.id, cents);
    account_.cents += cents;
    ++account_.operations;
  }
  long balance() const { return account_.cents; }
  void close() { closed_ = true; }
  using signals = handlers<&AccountWorkflow::deposit, &AccountWorkflow::close>;
  using queries = handlers<&AccountWorkflow::balance>;

 private:
  Account account_;
  bool closed_ = false;
};

}  // namespace examples
