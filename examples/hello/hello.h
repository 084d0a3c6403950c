// The smallest program: a workflow that calls one activity.
#pragma once

#include <string>

#include <perdure/workflow.h>

namespace hello {

using namespace perdure;

// An activity is a function. It may block, fail, and be tried again.
inline std::string compose(std::string greeting, std::string name) {
  return greeting + ", " + name + "!";
}

// A workflow is a coroutine. Whatever dies while it waits, it goes on from here.
inline Task<std::string> greet(Context ctx, std::string name) {
  co_return co_await ctx.execute<&compose>({.start_to_close_timeout = 10s}, "Hello", name);
}

}  // namespace hello
