#include "workflows.h"

using namespace perdure;

std::string compose(std::string name) {
  return "Hello, " + name;
}

Task<std::string> greet(Context ctx, std::string name) {
  co_return co_await ctx.execute<&compose>({.start_to_close_timeout = 10s}, name);
}
