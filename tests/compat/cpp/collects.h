// The workflow that most scenarios about messages use: it collects signals until it has the wanted number.
#pragma once

#include <string>
#include <vector>

#include <perdure/workflow.h>

namespace perdure::compat {

class Collects {
 public:
  Task<std::vector<std::string>> run(Context ctx, int wanted) {
    co_await ctx.until([this, wanted] { return static_cast<int>(received_.size()) >= wanted; });
    co_return received_;
  }
  void put(std::string value) { received_.push_back(std::move(value)); }
  std::vector<std::string> got() const { return received_; }
  std::string broken() const { throw ApplicationFailure("this query always fails", "Broken"); }
  using signals = handlers<&Collects::put>;
  using queries = handlers<&Collects::got, &Collects::broken>;

 private:
  std::vector<std::string> received_;
};

}  // namespace perdure::compat
