// expect: use of deleted function
// clang: deleted
#include <perdure/workflow.h>
using namespace perdure;
ActivityOptions bad(std::string host) {
  return {.start_to_close_timeout = 1s, .task_queue = "q-" + host};
}
