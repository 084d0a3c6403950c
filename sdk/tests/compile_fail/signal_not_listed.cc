// expect: constraints not satisfied
// clang: no matching member function
#include <perdure/client.h>
using namespace perdure;
struct Order {
  Task<> run(Context);
  void approve();
  void other();
  using signals = handlers<&Order::approve>;
};
void bad(WorkflowHandle<Order> handle) {
  handle.signal<&Order::other>();
}
