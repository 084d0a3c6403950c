#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace perdure::base {

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "perdure: CHECK failed: %s at %s:%d\n", condition, file, line);
  std::fflush(stderr);
  std::abort();
}

}  // namespace perdure::base
