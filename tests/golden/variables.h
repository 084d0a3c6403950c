// The ${…} of scenarios: names of kept answers, the text unique to a run, repetitions (README.md, "A
// scenario").
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "tests/golden/json.h"

namespace perdure::golden {

// The path that led nowhere.
struct Unresolved {
  std::string path;
};

// Follows a.b[0].c; @key is the first key of an object. The result lives as long as `node`, except that of
// @key, which is a value of its own: hence a copy.
std::expected<Json, Unresolved> find(const Json& node, std::string_view path);

class Variables {
 public:
  // `uid`: see README.md.
  Variables(std::string uid, std::string name_space);

  void keep(const std::string& name, Json answer) { values_[name] = std::move(answer); }
  // `node` with every ${…} replaced. A string that is nothing but one ${…} takes the value with its type.
  std::expected<Json, Unresolved> fill(const Json& node) const;
  const std::string& uid() const { return uid_; }

 private:
  std::expected<Json, Unresolved> lookup(std::string_view expression) const;
  std::expected<Json, Unresolved> fill_text(const std::string& text) const;

  std::string uid_;
  Json values_;
};

}  // namespace perdure::golden
