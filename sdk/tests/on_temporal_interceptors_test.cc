// Interceptors of workflows that see and change what goes to a child workflow and what comes back from it, and failures of
// children, against Temporal's server.
#include <algorithm>

#include <perdure/interceptors.h>

#include "base/guarded.h"
#include "sdk/tests/on_server.h"

namespace on_temporal_interceptors {  // named: g++ 12 warns about coroutines of unnamed ones

using namespace perdure;

Task<int> doubles(Context, int number) {
  co_return number * 2;
}
Task<std::string> asks(Context ctx, std::string id, int number) {
  const ChildOptions options{.id = id};
  int result = co_await ctx.execute_child<&doubles>(options, number);
  co_return "the child said " + std::to_string(result);
}

// Adds ten to what a child is asked with, and a hundred to the result of each workflow that is named "doubles"; writes down
// what it saw.
class Raises : public WorkflowInterceptor {
 public:
  using Seen = base::Guarded<std::vector<std::string>>;
  explicit Raises(Seen& seen) : seen_(seen) {}
  Task<Payload> call(Context, WorkflowCall call, Next next) override {
    return raised(this, std::move(call), std::move(next));
  }
  void outgoing(Context, OutgoingCall& call) override {
    if (call.kind != OutgoingKind::kChild) return;
    note("asks " + call.name + " " + call.arguments->at(0).data);
    call.arguments->at(0) = detail::encode(detail::decode<int>(call.arguments->at(0)) + 10);
    call.headers["from"] = detail::encode<std::string>("the parent");
  }

 private:
  static Task<Payload> raised(Raises* self, WorkflowCall call, Next next) {
    const std::string name = call.name;
    if (call.headers.contains("from")) self->note(name + " is from " + call.headers.at("from").data);
    Payload result = co_await next(std::move(call));
    self->note(name + " returns " + result.data);
    if (name == "doubles") result = detail::encode(detail::decode<int>(result) + 100);
    co_return result;
  }
  void note(std::string text) {
    seen_.with([&](std::vector<std::string>& all) {
      if (std::ranges::find(all, text) == all.end())
        all.push_back(std::move(text));  // a replay says it again
    });
  }
  Seen& seen_;
};
class Raising : public WorkerInterceptor {
 public:
  std::unique_ptr<WorkflowInterceptor> workflow(const WorkflowInfo&) override {
    return std::make_unique<Raises>(seen);
  }
  Raises::Seen seen;
};

class Interceptors : public OnServer {};
PERDURE_ON_SERVER(Interceptors);

TEST_P(Interceptors, see_and_change_what_goes_to_a_child_and_what_comes_back) {
  const auto raising = std::make_shared<Raising>();
  WorkerOptions options = worker_options();
  options.interceptors.push_back(raising);
  Worker worker(client(), options);
  worker.add<&doubles, &asks>();
  worker.start();
  EXPECT_EQ(client().execute<&asks>(named("asks"), queue() + "-child", 1),
            "the child said 122");  // (1 + 10) * 2 + 100
  EXPECT_EQ(client().handle(queue() + "-child").result<int>(), 122);
  worker.stop();
  raising->seen.with([](const std::vector<std::string>& all) {
    EXPECT_EQ(all, (std::vector<std::string>{"asks doubles 1", "doubles is from \"the parent\"",
                                             "doubles returns 22", "asks returns \"the child said 122\""}));
  });
}

// ---- children that others end, and those that outlive their parent

Task<> waits(Context ctx) {
  co_await ctx.sleep(24h);
}
Task<std::string> mourns(Context ctx, std::string id) {
  const ChildOptions options{.id = id};
  auto outcome = co_await attempt(ctx.execute_child<&waits>(options));
  try {
    outcome.rethrow();
  } catch (const ChildFailure& failure) {
    try {
      std::rethrow_exception(failure.cause());
    } catch (const TerminatedFailure& end) {
      co_return failure.workflow_type() + ": " + end.what();
    }
  }
}
class Waits {
 public:
  Task<> run(Context ctx) { co_await ctx.sleep(24h); }
};
Task<std::string> leaves(Context ctx, std::string id) {
  const ChildOptions options{.id = id, .parent_close = ParentClosePolicy::kAbandon};
  Child<Waits> child = ctx.start_child<Waits>(options);
  co_return co_await child.started();
}

TEST_P(Interceptors, a_child_that_is_terminated_is_a_failure_and_stands_in_the_description_until_then) {
  worker().add<&waits, &mourns>();
  replayer().add<&mourns>();
  start();
  auto handle = client().start<&mourns>(named("mourns"), queue() + "-gone");
  std::vector<PendingChild> children;
  while (children.empty() || children.front().run_id.empty()) children = handle.describe().children;
  EXPECT_EQ(children.front().id, queue() + "-gone");
  EXPECT_EQ(children.front().type, "waits");
  client().handle(queue() + "-gone").terminate("enough");
  EXPECT_EQ(handle.result(), "waits: child workflow terminated");
  check_replay(handle.id());
}

TEST_P(Interceptors, a_child_may_be_left_behind) {
  worker().add<Waits>().add<&leaves>();
  replayer().add<&leaves>();
  start();
  const std::string run_id = client().execute<&leaves>(named("leaves"), queue() + "-left");
  const UntypedHandle left = client().handle(queue() + "-left", run_id);
  EXPECT_TRUE(left.describe().is_running());
  check_replay(named("leaves").id);
  left.terminate();
}

}  // namespace on_temporal_interceptors
