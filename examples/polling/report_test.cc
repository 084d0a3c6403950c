#include "examples/polling/report.h"

#include <gtest/gtest.h>

#include <perdure/testing.h>

namespace reports {

class After : public Reports {
 public:
  explicit After(int looks) : left_(looks) {}
  std::string order(std::string) override {
    ++orders;
    return "number 7";
  }
  std::optional<std::string> look(std::string number) override {
    if (left_-- > 0) return std::nullopt;
    return "report of " + number;
  }
  int orders = 0;

 private:
  int left_;
};

TEST(Polling, inside_an_activity) {
  perdure::testing::Environment env;
  env.add<&quick_report>();
  env.add<&Poller::fetch>(std::make_shared<Poller>(std::make_shared<After>(60)));
  EXPECT_EQ(env.execute<&quick_report>("sales"), "report of number 7");
}

TEST(Polling, a_second_attempt_orders_nothing_again) {
  auto reports = std::make_shared<After>(2);
  Poller poller(reports);
  auto env = perdure::testing::ActivityEnvironment::after_heartbeat(std::string("number 7"));
  EXPECT_EQ(poller.fetch(env.context(), "sales"), "report of number 7");
  EXPECT_EQ(reports->orders, 0);
  EXPECT_EQ(env.slept(), 2s);
}

TEST(Polling, by_attempts_of_the_server) {
  perdure::testing::Environment env;
  env.add<&slow_report>();
  env.add<&SlowPoller::order, &SlowPoller::look>(std::make_shared<SlowPoller>(std::make_shared<After>(48)));
  const TimePoint before = env.now();
  EXPECT_EQ(env.execute<&slow_report>("sales"), "report of number 7");
  EXPECT_EQ(env.now() - before, 48h);
}

}  // namespace reports
