// expect: perdure: the arguments do not match the parameters (count, type, or a narrowing conversion)
#include <perdure/workflow.h>
using namespace perdure;
int charge(int cents, std::string card);
Task<int> bad(Context ctx) {
  constexpr ActivityOptions options{.start_to_close_timeout = 1s};
  int r = co_await ctx.execute<&charge>(options, 3);
  co_return r;
}
