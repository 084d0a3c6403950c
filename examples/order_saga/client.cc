// The client of orders:
//
//   order start ID        starts it and waits for the result
//   order status ID
//   order approve ID WHO
#include <cstdio>
#include <string>

#include <perdure/client.h>

#include "examples/order_saga/order.h"

namespace {

using shop::OrderWorkflow;

int run(const std::string& verb, const std::string& id, const std::string& who) {
  perdure::Client client = perdure::Client::connect();
  auto order = client.handle<OrderWorkflow>("order-" + id);
  if (verb == "status") {
    std::puts(order.query<&OrderWorkflow::status>().c_str());
  } else if (verb == "approve") {
    order.signal<&OrderWorkflow::approve>(who);
  } else if (verb == "start") {
    const shop::Order goods{id, {"4242", 7}, 1999};
    order = client.start<OrderWorkflow>({.id = "order-" + id, .task_queue = "orders"}, goods);
    std::printf("started %s, run %s\n", order.id().c_str(), order.run_id().c_str());
    std::fflush(stdout);
    const shop::Receipt receipt = order.result();
    std::printf("%s: %d cents\n", receipt.id.c_str(), receipt.cents);
  } else {
    return 2;
  }
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    if (count >= 3 && run(arguments[1], arguments[2], count > 3 ? arguments[3] : "somebody") == 0) return 0;
    std::fputs("order start|status|approve ID [WHO]\n", stderr);
    return 2;
  } catch (const perdure::Error& error) {
    std::fprintf(stderr, "order: %s\n", error.what());
    return 1;
  }
}
