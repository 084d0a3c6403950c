#include "tests/compat/cpp/history_pattern.h"

#include <gtest/gtest.h>

namespace perdure::compat {
namespace {

const std::map<std::string, std::string> kShort{{"wt", "A B C"}};
using Types = std::vector<std::string>;

bool matches(const std::string& pattern, const Types& types) {
  return HistoryPattern(pattern, kShort).matches(types);
}

TEST(HistoryPattern, sequences_and_short_names) {
  EXPECT_TRUE(matches("start wt done", {"start", "A", "B", "C", "done"}));
  EXPECT_FALSE(matches("start wt done", {"start", "A", "B", "done"}));
  EXPECT_FALSE(matches("start", {"start", "more"}));
  EXPECT_FALSE(matches("start more", {"start"}));
}

TEST(HistoryPattern, repeats) {
  EXPECT_TRUE(matches("x?", {}));
  EXPECT_FALSE(matches("x?", {"x", "x"}));
  EXPECT_TRUE(matches("x*", {"x", "x"}));
  EXPECT_FALSE(matches("x+", {}));
  EXPECT_TRUE(matches("x×3", {"x", "x", "x"}));
  EXPECT_FALSE(matches("x×3", {"x", "x"}));
}

TEST(HistoryPattern, groups_and_alternatives) {
  EXPECT_TRUE(matches("( x / wt )+ z", {"A", "B", "C", "x", "x", "z"}));
  EXPECT_FALSE(matches("( x / wt )+ z", {"z"}));
  EXPECT_TRUE(matches("( x y? / z )×2", {"x", "z"}));
  EXPECT_THROW(matches("( x", {}), std::runtime_error);
  EXPECT_THROW(matches("x )", {}), std::runtime_error);
}

TEST(HistoryPattern, thousands_of_events) {
  Types types(20'000, "x");
  EXPECT_TRUE(matches("( x / y )*", types));
  types.push_back("z");
  EXPECT_FALSE(matches("( x / y )*", types));
}

}  // namespace
}  // namespace perdure::compat
