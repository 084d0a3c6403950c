// expect: perdure: no portable name for this function (a template or operator?); declare an Activity<Sig>{"Name"} for it
// only: g++ 12 (clang 19 leaves template arguments out of names)
#include <perdure/workflow.h>
using namespace perdure;
template <class T>
int work(T);
Task<int> bad(Context ctx) {
  constexpr ActivityOptions options{.start_to_close_timeout = 1s};
  int r = co_await ctx.execute<&work<int>>(options, 1);
  co_return r;
}
