// expect: perdure: coroutine parameters are taken by value (const& and && dangle after the first await)
#include <perdure/workflow.h>
using namespace perdure;
Task<int> bad(Context ctx, const std::string& name) {
  co_await ctx.sleep(1s);
  co_return static_cast<int>(name.size());
}
