// The tripwire: what the compiler got wrong fails its workflow task by name. On compilers that get it right
// the code just runs.
#include <gtest/gtest.h>

#include "sdk/tests/fake_server.h"
#include "sdk/tests/silent_shapes.h"

namespace perdure::test {

namespace {
void expect_caught(std::vector<detail::WorkflowDefinition> shapes) {
  for (auto& definition : shapes) {
    const std::string name = definition.name;
    FakeServer server(std::move(definition), 1);
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
    EXPECT_THROW(server.task(), MiscompiledCoroutine) << name;
#else
    EXPECT_NE(server.task(), "") << name;
#endif
  }
}
}  // namespace

TEST(Tripwire, no_shape_that_the_compiler_gets_wrong_stays_silent) {
  expect_caught(shapes_O0::silent_shapes());
}
TEST(Tripwire, nor_does_one_in_optimised_code) {
  expect_caught(shapes_O2::silent_shapes());
}

}  // namespace perdure::test
