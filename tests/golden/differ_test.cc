#include "tests/golden/differ.h"

#include <gtest/gtest.h>

namespace perdure::golden {
namespace {

using Lines = std::vector<std::string>;

const Json kRecorded = Json::parse(R"([
  {"step": 1, "what": "Start", "response": {"run_id": "<run:1>", "started": true}},
  {"step": 2, "what": "Poll", "error": {"code": "NOT_FOUND", "message": "gone", 
   "details": [{"@type": "t", "message": "m", "n": 1}]}},
  {"step": 3, "what": "history", "history": [{"event_id": "1"}, {"event_id": "2", "x": "<unstable>"}]}])");

bool differ(const char* pointer, const Json& value, bool strict = false) {
  Json actual = kRecorded;
  actual[Json::json_pointer(pointer)] = value;
  return !differences(kRecorded, actual, strict).empty();
}

TEST(Differ, EqualOutcomesAgree) {
  EXPECT_TRUE(differences(kRecorded, kRecorded, true).empty());
}

TEST(Differ, EveryKindOfChangeIsSeen) {
  EXPECT_TRUE(differ("/0/response/started", false));
  EXPECT_TRUE(differ("/0/response/more", 1));
  EXPECT_TRUE(differ("/1/error/code", "INTERNAL"));
  EXPECT_TRUE(differ("/1/error/details/0/n", 2));
  EXPECT_TRUE(differ("/1/error/details", Json::array()));
  EXPECT_TRUE(differ("/2/history/0/event_id", "2"));
  EXPECT_TRUE(differ("/2/step", 4));
}

TEST(Differ, AStepMoreOrLessIsSeen) {
  for (std::size_t i = 0; i < kRecorded.size(); ++i) {
    Json less = kRecorded;
    less.erase(i);
    EXPECT_FALSE(differences(kRecorded, less, false).empty());
    EXPECT_FALSE(differences(less, kRecorded, false).empty());
  }
}

TEST(Differ, AnUnstableValueMatchesAnythingButNothing) {
  EXPECT_FALSE(differ("/2/history/1/x", "other"));
  Json absent = kRecorded;
  absent[2]["history"][1].erase("x");
  EXPECT_FALSE(differences(kRecorded, absent, false).empty());
}

TEST(Differ, TextsOfErrorsCountOnlyWhenStrict) {
  for (const char* pointer : {"/1/error/message", "/1/error/details/0/message"}) {
    EXPECT_FALSE(differ(pointer, "else", false));
    EXPECT_TRUE(differ(pointer, "else", true));
  }
}

TEST(Differ, ShowsTheFirstTwoDifferingSteps) {
  Json actual = kRecorded;
  for (auto& outcome : actual) outcome["what"] = "other";
  const Lines lines = differences(kRecorded, actual, false);
  EXPECT_EQ(std::ranges::count_if(lines, [](const auto& line) { return line.starts_with("  step "); }), 2);
  EXPECT_EQ(differences(kRecorded, actual, false, 5).size(), 5u);
}

TEST(UnifiedDiff, KeepsTwoLinesOfContextAndSplitsHunks) {
  const Lines before{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
  Lines after = before;
  after[0] = "A";
  after[9] = "J";
  EXPECT_EQ(unified_diff(before, after),
            (Lines{"@@ -1,3 +1,3 @@", "-a", "+A", " b", " c", "@@ -8,3 +8,3 @@", " h", " i", "-j", "+J"}));
  EXPECT_EQ(unified_diff({"a"}, {"a", "b"}), (Lines{"@@ -1 +1,2 @@", " a", "+b"}));
  EXPECT_TRUE(unified_diff(before, before).empty());
}

TEST(UnifiedDiff, JoinsChangesThatShareContext) {
  const Lines before{"a", "b", "c", "d", "e", "f"};
  EXPECT_EQ(unified_diff(before, {"A", "b", "c", "d", "e", "F"}),
            (Lines{"@@ -1,6 +1,6 @@", "-a", "+A", " b", " c", " d", " e", "-f", "+F"}));
}

}  // namespace
}  // namespace perdure::golden
