// expect: perdure: workflow code may only await workflow operations (Future, Task); do this in an activity
#include <perdure/workflow.h>
using namespace perdure;
Task<int> bad(Context) {
  co_await std::suspend_always{};
  co_return 1;
}
