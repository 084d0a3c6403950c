// expect: perdure: workflow code may only await workflow operations
#include <perdure/async.h>

perdure::Task<int> other(perdure::Context);
perdure::Task<int> waits(perdure::Context, perdure::AsyncClient client) {
  const int n = co_await client.execute<&other>({.id = "x", .task_queue = "q"});
  co_return n;
}
