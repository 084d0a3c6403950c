#include "tests/golden/variables.h"

#include <gtest/gtest.h>

namespace perdure::golden {
namespace {

Json filled(const Variables& variables, const char* json) {
  const auto out = variables.fill(Json::parse(json));
  return out ? *out : Json("unresolved " + out.error().path);
}

TEST(Find, FollowsNamesIndicesAndFirstKeys) {
  const Json node = Json::parse(R"({"a":{"b":[{"c":1},{"c":2}]},"queries":{"zz":1,"aa":2}})");
  EXPECT_EQ(*find(node, "a.b[1].c"), 2);
  EXPECT_EQ(*find(node, "queries.@key"), "aa");
  for (const char* path : {"a.x", "a.b[2]", "a.b.c", "a[0]", "a.b[0].c.d", "a.@key.x"})
    EXPECT_FALSE(find(node, path)) << path;
}

TEST(Variables, KeepsTheTypeOfALoneReference) {
  Variables variables("zuid", "default");
  variables.keep("x", Json::parse(R"({"n":7,"flag":true,"text":"t","object":{"k":"v"}})"));
  EXPECT_EQ(filled(variables, R"({"a":"${x.n}","b":["${x.object}"],"c":3})"),
            Json::parse(R"({"a":7,"b":[{"k":"v"}],"c":3})"));
  EXPECT_EQ(filled(variables, R"("wf-${uid}-${x.n}${x.text}${x.flag}")"), "wf-zuid-7tTrue");
  EXPECT_EQ(filled(variables, R"({"k-${uid}":"${ns}"})"), Json::parse(R"({"k-zuid":"default"})"));
}

TEST(Variables, RepeatsText) {
  const Variables variables("zuid", "default");
  EXPECT_EQ(filled(variables, R"("${repeat:ab:3}")"), "ababab");
  EXPECT_EQ(filled(variables, R"("a${repeat:x:1001}")").get<std::string>().size(), 1002u);
}

TEST(Variables, AnAbsentPathIsNamed) {
  Variables variables("zuid", "default");
  variables.keep("poll", Json::object());
  EXPECT_EQ(filled(variables, R"(["${poll.task_token}"])"), "unresolved poll.task_token");
  EXPECT_EQ(filled(variables, R"("a${nobody}")"), "unresolved nobody");
  EXPECT_EQ(filled(variables, R"("${} and ${open")"), "${} and ${open");
}

}  // namespace
}  // namespace perdure::golden
