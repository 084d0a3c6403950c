#include "examples/hello/hello.h"

#include <gtest/gtest.h>

#include <perdure/testing.h>

namespace hello {

TEST(Hello, greets) {
  perdure::testing::Environment env;
  env.add<&greet, &compose>();
  EXPECT_EQ(env.execute<&greet>("Ann"), "Hello, Ann!");
}

TEST(Hello, an_activity_that_fails_is_tried_again) {
  int attempts = 0;
  perdure::testing::Environment env;
  env.add<&greet>();
  env.mock<&compose>([&](std::string, std::string name) {
    if (++attempts < 5) throw std::runtime_error("out of ink");
    return "Good evening, " + name;
  });
  EXPECT_EQ(env.execute<&greet>("Ann"), "Good evening, Ann");
  EXPECT_EQ(attempts, 5);
}

}  // namespace hello
