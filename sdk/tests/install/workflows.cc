#include "workflows.h"

using namespace perdure;

std::string compose(std::string name) {
  if (name.empty()) throw ApplicationFailure("nobody to greet", "Nobody", true);
  return "Hello, " + name;
}

Task<std::string> greet(Context ctx, std::string name) {
  co_return co_await ctx.execute<&compose>({.start_to_close_timeout = 10s}, name);
}
