// Makes the outcomes of two runs comparable: ids, times, tokens and counts become symbols (README.md,
// "Normalisation").
//
// The rules and their order are those of golden.py, to the letter: a recording normalised by it must equal
// one normalised here.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "tests/golden/json.h"

namespace perdure::golden {

class Normaliser {
 public:
  // `ignore`: field names that the scenario removes everywhere.
  Normaliser(std::string uid, const Json& ignore);

  // Outcomes of one run, in order: the numbers in <run:N> go up from one to the next.
  Json outcome(const Json& outcome);

 private:
  Json value(const Json& node, const std::string& key);
  Json object(const Json& node);
  std::string text(const std::string& text, const std::string& key);
  std::string name_uuids(const std::string& text, const std::string& key);
  std::string symbol(const std::string& uuid, const std::string& key);

  std::string uid_;
  std::set<std::string, std::less<>> dropped_;
  std::map<std::string, std::string> symbols_;
  int runs_ = 0;
  int uuids_ = 0;
};

}  // namespace perdure::golden
