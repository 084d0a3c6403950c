// expect: perdure: a coroutine lambda with captures outlives its captures; make it a member or free function
// only: g++ 12 (clang 19 does not show a closure to its coroutine; the hazard lint finds it there too)
#include <perdure/workflow.h>
using namespace perdure;
Task<int> bad(Context) {
  int k = 3;
  auto f = [k]() -> Task<int> { co_return k; };
  int r = co_await f();
  co_return r;
}
