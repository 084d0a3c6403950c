// A worker for orders, with a stock and a bank that are always ready: runs until SIGINT or SIGTERM.
#include <unistd.h>

#include <cstdio>

#include <perdure/worker.h>

#include "examples/order_saga/order.h"

namespace {

class Stock : public shop::Inventory {
 public:
  std::string reserve(std::string order_id) override { return "shelf of " + order_id; }
  void release(std::string reservation) override { std::printf("released %s\n", reservation.c_str()); }
};
class Bank : public shop::Payments {
 public:
  shop::Receipt charge(shop::Card card, int cents) override { return {"paid by card " + card.number, cents}; }
  void refund(std::string receipt) override { std::printf("refunded %s\n", receipt.c_str()); }
};

}  // namespace

int main() {
  const std::stop_token stop = perdure::stop_on_signals();
  perdure::Worker worker(perdure::Client::connect(), {.task_queue = "orders"});
  worker.add<shop::OrderWorkflow>();
  worker.add<&shop::Inventory::reserve, &shop::Inventory::release>(std::make_shared<Stock>());
  worker.add<&shop::Payments::charge, &shop::Payments::refund>(std::make_shared<Bank>());
  worker.add<&shop::ship>([](std::string order, std::string) { return order + " is on its way"; });
  std::printf("worker %d polls orders\n", getpid());
  std::fflush(stdout);
  worker.run(stop);
}
