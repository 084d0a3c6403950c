// Executors of both kinds know whether they are the one that runs (rule E15: no hop to where one already is).
#include "base/executor.h"

#include <gtest/gtest.h>

#include <future>

#include "base/sim_scheduler.h"

namespace perdure::base {
namespace {

TEST(SimExecutor, IsCurrentOnlyDuringItsOwnTurn) {
  ManualClock clock;
  SimScheduler scheduler(clock);
  auto one = scheduler.make_executor("one"), two = scheduler.make_executor("two");
  EXPECT_FALSE(one->is_current());
  std::vector<bool> seen;
  const auto look = [&] {
    seen.push_back(one->is_current());
    seen.push_back(two->is_current());
  };
  one->post(Lane::kNewWork, 0, look);
  two->post(Lane::kNewWork, 0, [&] {
    look();
    two->call_at(clock.now(), look);
  });
  scheduler.run_until_idle();
  EXPECT_EQ(seen, (std::vector<bool>{true, false, false, true, false, true}));
  EXPECT_FALSE(two->is_current());
}

TEST(ThreadExecutor, IsCurrentOnItsThreadOnly) {
  auto one = make_thread_executor("one", system_clock()), two = make_thread_executor("two", system_clock());
  std::promise<std::pair<bool, bool>> seen;
  one->post(Lane::kNewWork, 0, [&] { seen.set_value({one->is_current(), two->is_current()}); });
  EXPECT_EQ(seen.get_future().get(), std::pair(true, false));
  EXPECT_FALSE(one->is_current());
}

}  // namespace
}  // namespace perdure::base
