// The files of this folder: scenarios, what is expected of them, and which of them must pass (README.md,
// "Lists").
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/golden/json.h"

namespace perdure::golden {

class Book {
 public:
  // `folder`: tests/golden; `compiled`: what compile_scenarios.py wrote; `recorded`: usually folder/recorded.
  // CHECKs that they can be read.
  Book(std::filesystem::path folder, const std::filesystem::path& compiled, std::filesystem::path recorded);

  // Names of all scenarios in order; those that `wanted` names (a scenario or a group), all when it is empty.
  std::vector<std::string> select(const std::vector<std::string>& wanted) const;
  const Json& scenario(const std::string& name) const { return scenarios_.at(name); }
  // What must come out: our own better answer where there is one, otherwise the recording; null without
  // either.
  Json expected(const std::string& name) const;

  // Must pass, and never leaves the list.
  const std::set<std::string>& passing() const { return passing_; }
  void add_passing(const std::set<std::string>& names);
  bool better(const std::string& name) const;
  bool not_due(const std::string& name) const;

  // Belongs to a group that is finished, or is named in also_due.txt.
  bool due(const std::string& name) const;
  // What is wrong with the lists: a scenario that is due, but in none of them; a name that no scenario has; …
  std::vector<std::string> faults() const;

 private:
  std::filesystem::path folder_, recorded_;
  Json scenarios_;
  std::set<std::string> passing_, also_due_;
  std::map<std::string, std::string> not_due_;  // name or group -> why
};

std::string group_of(const std::string& name);
// Of what only a gRPC transport can answer, there is nothing to ask in process.
bool needs_grpc(const std::string& name);

}  // namespace perdure::golden
