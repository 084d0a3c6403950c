// A workflow that tests start, signal and cancel from others. Only a contract: its code is elsewhere.
#pragma once

#include <string>

#include <perdure/workflow.h>

namespace perdure::test {

class Packing {
 public:
  Task<int> run(Context ctx, std::string order);
  void hurry(int level);
  using signals = handlers<&Packing::hurry>;
};

}  // namespace perdure::test
