// expect: perdure: g++ before 13 destroys this closure twice inside co_await
// only: g++ 12
#include <perdure/workflow.h>
using namespace perdure;
Task<int> bad(Context ctx, std::string wanted) {
  co_await ctx.until([wanted] { return wanted.empty(); });
  co_return 1;
}
