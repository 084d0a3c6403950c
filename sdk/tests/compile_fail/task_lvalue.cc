// expect: perdure: a Task is awaited once; write co_await std::move(task)
#include <perdure/workflow.h>
using namespace perdure;
Task<int> other(Context);
Task<int> bad(Context ctx) {
  Task<int> task = other(ctx);
  int r = co_await task;
  co_return r;
}
