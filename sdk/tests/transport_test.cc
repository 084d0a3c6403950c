// The gRPC transport by itself.
#include "sdk/src/client/transport.h"

#include <gtest/gtest.h>

#include <future>

namespace perdure::client {
namespace {

// Nobody listens on port 1; the call ends soon, on a thread of gRPC.
ClientOptions nobody() {
  ClientOptions options;
  options.address = "127.0.0.1:1";
  return options;
}

TEST(Transport, ends_while_the_callback_of_its_last_call_runs) {
  for (int i = 0; i < 20; ++i) {
    std::shared_ptr<Transport> transport = make_grpc_transport(nobody());
    std::promise<void> ended;
    transport->call("/any.Service/Method", "", std::chrono::seconds(10), [&](const Reply& reply) {
      EXPECT_FALSE(reply);
      transport.reset();
      ended.set_value();
    });
    ended.get_future().wait();
  }
}

TEST(Transport, ends_as_soon_as_its_last_call_was_answered) {
  for (int i = 0; i < 300; ++i) {
    const auto transport = make_grpc_transport(nobody());
    std::promise<void> ended;
    transport->call("/any.Service/Method", "", std::chrono::seconds(10),
                    [&](const Reply&) { ended.set_value(); });
    ended.get_future().wait();
  }
}

}  // namespace
}  // namespace perdure::client
