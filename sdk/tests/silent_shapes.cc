// An await in the head of a statement, in a coroutine without local variables: what users must not write for
// g++ before 13. Compiled once for each of the namespaces of the header.
#include "sdk/tests/silent_shapes.h"

namespace perdure::test::PERDURE_SHAPES {

bool reserve(int);

Task<int> negated(Context ctx, int x) {
  if (!co_await ctx.execute<&reserve>({.start_to_close_timeout = 1s}, x)) co_return 0;
  co_return x;
}
struct Member {
  Task<int> run(Context ctx, int x) {
    if (!co_await ctx.execute<&reserve>({.start_to_close_timeout = 1s}, x))
      throw ApplicationFailure("out of stock");
    co_return x;
  }
  bool ok = false;
};
Task<int> loop(Context ctx, int x) {
  while (!co_await ctx.execute<&reserve>({.start_to_close_timeout = 1s}, x)) {
    co_await ctx.sleep(1s);
  }
  co_return x;
}
Task<int> limited(Context ctx, int x) {
  if (!co_await ctx.within(1s, ctx.sleep(2s))) co_return 0;
  co_return x;
}
Task<int> compared(Context ctx, int x) {
  if (co_await when_any(ctx.sleep(1s), ctx.sleep(2s)) == 0) co_return x;
  co_return 0;
}
Task<> guarded(Context ctx, int x) {
  if (co_await ctx.execute<&reserve>({.start_to_close_timeout = 1s}, x)) {
    co_await ctx.sleep(1s);
  }
}
Task<> endless(Context ctx, int x) {
  for (;;) {
    if (co_await ctx.execute<&reserve>({.start_to_close_timeout = 1s}, x)) break;
    co_await ctx.sleep(1s);
  }
}

std::vector<detail::WorkflowDefinition> silent_shapes() {
  return {detail::define_workflow<&negated>(),  detail::define_workflow<Member>(),
          detail::define_workflow<&loop>(),     detail::define_workflow<&limited>(),
          detail::define_workflow<&compared>(), detail::define_workflow<&guarded>(),
          detail::define_workflow<&endless>()};
}

}  // namespace perdure::test::PERDURE_SHAPES
