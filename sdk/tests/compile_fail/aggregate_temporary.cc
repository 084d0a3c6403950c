// expect: perdure: g++ before 13 destroys an aggregate temporary inside co_await twice: name the argument first
// only: g++ 12
#include <perdure/workflow.h>
using namespace perdure;
struct Card {
  std::string number;
};
int charge(Card card);
Task<int> bad(Context ctx) {
  constexpr ActivityOptions options{.start_to_close_timeout = 1s};
  int r = co_await ctx.execute<&charge>(options, Card{"42"});
  co_return r;
}
