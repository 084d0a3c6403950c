// Tasks on the threads that post them: one at a time, in order, also with timers, and while the strand ends.
#include "sdk/src/worker/strand.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <future>
#include <string>
#include <vector>

#include "base/clock.h"

namespace perdure::worker {
namespace {

constexpr auto kLane = base::Lane::kCompletion;

TEST(Strand, runs_a_task_before_post_returns) {
  Strand strand("test", base::system_clock());
  pid_t ran = 0;
  EXPECT_FALSE(strand.is_current());
  strand.post(kLane, 0, [&] {
    ran = gettid();
    EXPECT_TRUE(strand.is_current());
  });
  EXPECT_EQ(ran, gettid());
  EXPECT_FALSE(strand.is_current());
}

TEST(Strand, runs_what_a_task_posts_after_that_task) {
  Strand strand("test", base::system_clock());
  std::string order;
  strand.post(kLane, 0, [&] {
    strand.post(kLane, 0, [&] { order += "b"; });
    strand.run_and_wait([&] { order += "at once "; });
    order += "a";
  });
  EXPECT_EQ(order, "at once ab");
}

TEST(Strand, knows_which_of_two_it_is_in) {
  Strand outer("outer", base::system_clock()), inner("inner", base::system_clock());
  outer.post(kLane, 0, [&] {
    inner.post(kLane, 0, [&] {
      EXPECT_TRUE(inner.is_current());
      EXPECT_FALSE(outer.is_current());
    });
    EXPECT_TRUE(outer.is_current());
  });
}

TEST(Strand, keeps_the_order_of_each_thread_and_runs_one_at_a_time) {
  constexpr int kThreads = 4, kTasks = 2000;
  std::vector<int> last(kThreads, -1);  // unguarded: the sanitizer of threads looks on
  int ran = 0, turns = 0;
  Strand strand("test", base::system_clock());
  strand.set_end_of_turn([&] { ++turns; });
  {
    std::vector<std::unique_ptr<base::Executor>> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.push_back(base::make_thread_executor("posts", base::system_clock()));
      threads.back()->post(kLane, 0, [&, thread] {
        for (int task = 0; task < kTasks; ++task) {
          strand.post(kLane, 0, [&, thread, task] {
            EXPECT_EQ(std::exchange(last[static_cast<std::size_t>(thread)], task), task - 1);
            ++ran;
          });
        }
      });
    }
  }
  strand.run_and_wait([&] {
    EXPECT_EQ(ran, kThreads * kTasks);
    EXPECT_GE(turns, 1);
  });
}

TEST(Strand, timers_fire_in_order_and_not_when_they_are_cancelled) {
  std::promise<void> over;
  std::string order;
  Strand strand("test", base::system_clock());
  strand.post(kLane, 0, [&] {
    const base::Time now = strand.clock().now();
    const auto at = [&](int milliseconds) { return now + std::chrono::milliseconds(milliseconds); };
    strand.call_at(at(4), [&] {
      EXPECT_TRUE(strand.is_current());
      order += "c";
      over.set_value();
    });
    const base::TimerId no = strand.call_at(at(1), [&] { order += "never"; });
    strand.call_at(at(3), [&] { order += "b"; });
    strand.call_at(at(2), [&, now, no] {
      order += "a";
      strand.cancel(no);
      strand.call_at(now, [&] { order += "now"; });  // its time is over: at once, but not inside this one
    });
    strand.cancel(no);
  });
  over.get_future().wait();
  strand.run_and_wait([&] { EXPECT_EQ(order, "anowbc"); });
}

TEST(Strand, ends_while_timers_are_due_and_drops_the_others) {
  for (int round = 0; round < 50; ++round) {
    auto strand = std::make_unique<Strand>("test", base::system_clock());
    bool ended = false;
    strand->post(kLane, 0, [&] {
      strand->call_at(strand->clock().now() + std::chrono::microseconds(20 * round),
                      [&] { EXPECT_FALSE(ended); });
      strand->call_at(base::kNever, [] { FAIL() << "it never comes"; });
    });
    strand->run_and_wait([] {});
    strand.reset();
    ended = true;
  }
}

// Who waits for a task may end the strand as soon as it has run, while who ran it is still on its way out.
TEST(Strand, may_end_as_soon_as_its_last_task_has_run) {
  const auto other = base::make_thread_executor("posts", base::system_clock());
  for (int round = 0; round < 200; ++round) {
    auto strand = std::make_unique<Strand>("test", base::system_clock());
    auto ran = std::make_shared<std::promise<void>>();
    other->post(kLane, 0,
                [ran, posting = strand.get()] { posting->post(kLane, 0, [ran] { ran->set_value(); }); });
    ran->get_future().wait();
    strand.reset();
  }
}

}  // namespace
}  // namespace perdure::worker
