#include "examples/fan_out/thumbnails.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include <perdure/testing.h>

namespace pictures {

TEST(Thumbnails, a_hundred_of_them_ten_at_a_time) {
  std::atomic<int> running{0}, most{0};
  perdure::testing::Environment env;
  env.add<&thumbnails>();
  env.mock<&make_thumbnail>([&](ActivityContext& context, std::string url) {
    const int now = ++running;
    for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
    }
    context.sleep_for(1s);
    --running;
    return Thumb{url, 3};
  });
  std::vector<std::string> urls(100, "a.png");
  EXPECT_EQ(env.execute<&thumbnails>(urls), 300);
  EXPECT_LE(most, 10);
  EXPECT_GT(most, 1);
}

TEST(Thumbnails, the_first_failure_ends_it) {
  perdure::testing::Environment env;
  env.add<&thumbnails>();
  env.mock<&make_thumbnail>([](std::string url) {
    if (url == "bad") throw ApplicationFailure("no picture", "BadPicture", true);
    return Thumb{std::move(url), 1};
  });
  std::vector<std::string> urls(30, "good");
  urls[7] = "bad";
  EXPECT_THROW(env.execute<&thumbnails>(urls), WorkflowFailed);
}

}  // namespace pictures
