// Children, signals to other workflows and their cancellation, the whole way, against a server that has them.
#include <gtest/gtest.h>

#include <perdure/client.h>
#include <perdure/worker.h>

#include "sdk/tests/on_server.h"

namespace on_temporal_children {  // named: g++ 12 warns about coroutines of unnamed ones

using namespace perdure;

class Packing {
 public:
  Task<int> run(Context ctx, std::string order) {
    co_await ctx.until([this] { return level_ > 0; });
    if (order == "bad") throw ApplicationFailure("torn");
    co_return level_* static_cast<int>(order.size());
  }
  void hurry(int level) { level_ = level; }
  using signals = handlers<&Packing::hurry>;

 private:
  int level_ = 0;
};
Task<std::string> endless(Context ctx) {
  auto outcome = co_await attempt(ctx.sleep(24h));
  co_return outcome.is_cancelled() ? "cancelled" : "slept";
}

Task<std::string> parent(Context ctx, std::string id, std::string order) {
  ChildOptions options{.id = id, .summary = "a box", .details = "of paper"};
  Child<Packing> packing = ctx.start_child<Packing>(options, order);
  std::string run_id = co_await packing.started();
  co_await packing.signal<&Packing::hurry>(3);
  auto outcome = co_await attempt(packing.result());
  if (!outcome) co_return describe(outcome.error());
  co_return std::to_string(*outcome) + (run_id.empty() ? "" : " from a run");
}
Task<std::string> refused(Context ctx, std::string id) {
  ChildOptions options{.id = id};
  Child<Packing> first = ctx.start_child<Packing>(options, "one");
  (void)co_await first.started();
  auto second = co_await attempt(ctx.execute_child<Packing>(options, "two"));
  first.cancel();
  auto end = co_await attempt(first.result());
  co_return describe(second.error()) + " | " + (end.is_cancelled() ? "cancelled" : "not cancelled");
}
Task<std::string> meddler(Context ctx, std::string id) {
  External<Packing> other = ctx.external<Packing>(id);
  co_await other.signal<&Packing::hurry>(2);
  External<Packing> nobody = ctx.external<Packing>("nobody-is-called-this");
  auto lost = co_await attempt(nobody.signal<&Packing::hurry>(2));
  auto gone = co_await attempt(nobody.cancel());
  co_return describe(lost.error()) + " | " + describe(gone.error());
}
Task<> stopper(Context ctx, std::string id) {
  External<Packing> other = ctx.external<Packing>(id);
  co_await other.cancel();
}

class Children : public OnServer {
 protected:
  Children() {
    worker().add<Packing>().add<&endless, &parent, &refused, &meddler, &stopper>();
    replayer().add<Packing>().add<&endless, &parent, &refused, &meddler, &stopper>();
    start();
  }
};

TEST_P(Children, are_started_signalled_and_awaited) {
  EXPECT_EQ(client().execute<&parent>(named("parent"), queue() + "-child", "o1"), "6 from a run");
  const WorkflowDescription child = client().handle(queue() + "-child").describe();
  EXPECT_EQ(child.summary, "a box");
  EXPECT_EQ(child.details, "of paper");
  check_replay(named("parent").id);
}
TEST_P(Children, that_fail_tell_why) {
  const std::string told = client().execute<&parent>(named("parent"), queue() + "-child", "bad");
  EXPECT_EQ(told, "child workflow failed <- torn");
  check_replay(named("parent").id);
}
TEST_P(Children, that_are_refused_or_cancelled) {
  EXPECT_EQ(client().execute<&refused>(named("refused"), queue() + "-child"),
            "child workflow was not started <- a workflow with this id is running already | cancelled");
  check_replay(named("refused").id);
}
TEST_P(Children, others_are_signalled) {
  auto packing = client().start<Packing>(named("packing"), "four");
  const std::string told = client().execute<&meddler>(named("meddler"), packing.id());
  EXPECT_EQ(told, "the workflow to be reached is not there | the workflow to be reached is not there");
  EXPECT_EQ(packing.result(), 8);
  check_replay(named("meddler").id);
}
TEST_P(Children, others_are_cancelled) {
  auto other = client().start<&endless>(named("endless"));
  client().execute<&stopper>(named("stopper"), other.id());
  EXPECT_EQ(other.result(), "cancelled");
  check_replay(named("stopper").id);
}
PERDURE_ON_SERVER(Children);

}  // namespace on_temporal_children
