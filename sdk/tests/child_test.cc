// Child workflows and signals to other workflows, against the fake server.
#include <gtest/gtest.h>

#include "sdk/tests/fake_server.h"
#include "sdk/tests/packing.h"

namespace perdure::test::child {  // named: g++ 12 warns about coroutines of unnamed ones

using detail::define_workflow;

Task<int> parent(Context ctx) {
  ChildOptions options{.id = "packing-1"};
  Child<Packing> packing = ctx.start_child<Packing>(options, "o1");
  std::string run_id = co_await packing.started();
  co_await packing.signal<&Packing::hurry>(3);
  int boxes = co_await packing.result();
  co_return boxes + static_cast<int>(run_id.size());
}

TEST(Child, is_started_signalled_and_awaited) {
  FakeServer server(define_workflow<&parent>());
  EXPECT_EQ(server.task(), "StartChildWorkflow(Packing)");
  server.start_child(0);
  EXPECT_EQ(server.task(), "SignalExternalWorkflow(hurry)");
  server.deliver_signal(1);
  server.complete_child(0, 5);
  EXPECT_EQ(server.task(), "CompleteWorkflow");
  EXPECT_EQ(server.result<int>(), 14);
}

TEST(Child, that_is_refused_fails_its_start_and_its_result) {
  FakeServer server(define_workflow<&parent>());
  server.task();
  server.refuse_child(0);
  EXPECT_EQ(server.task(), "FailWorkflow");
  EXPECT_EQ(server.failure(), "child workflow was not started <- a workflow with this id is running already");
}

TEST(Child, is_cancelled_with_its_parent_which_waits_for_its_end) {
  FakeServer server(define_workflow<&parent>());
  server.task();
  server.start_child(0);
  server.task();
  server.deliver_signal(1);
  server.task();
  server.cancel();
  EXPECT_EQ(server.task(), "RequestCancelExternalWorkflow");
  server.cancel_child(0);
  EXPECT_EQ(server.task(), "CancelWorkflow");
}

Task<> caller(Context ctx) {
  External<Packing> other = ctx.external<Packing>("packing-2");
  co_await other.signal<&Packing::hurry>(1);
}

TEST(External, is_signalled) {
  FakeServer server(define_workflow<&caller>());
  EXPECT_EQ(server.task(), "SignalExternalWorkflow(hurry)");
  server.deliver_signal(0);
  EXPECT_EQ(server.task(), "CompleteWorkflow");
}

}  // namespace perdure::test::child
