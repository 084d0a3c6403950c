// E15: many deadlines behind one timer.
#include "server/matching/alarms.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "base/random.h"

namespace perdure::matching {
namespace {

using namespace std::chrono_literals;

const base::Time kStart{1'700'000'000s};

struct Numbered : Alarm {
  explicit Numbered(int number) : number(number) {}
  void fire(base::Time) override {}
  int number;
};

std::vector<int> due(Alarms& alarms, base::Time now) {
  std::vector<int> fired;
  while (Alarm* alarm = alarms.pop_due(now)) fired.push_back(static_cast<Numbered*>(alarm)->number);
  return fired;
}

TEST(Alarms, FireInOrderOfTimeThenOfSetting_E15) {
  Alarms alarms;
  std::deque<Numbered> all;
  for (int i = 0; i < 6; ++i) all.emplace_back(i);
  EXPECT_EQ(alarms.next(), base::kNever);
  for (const int i : {3, 1, 2, 0, 5, 4}) alarms.set(all[static_cast<std::size_t>(i)], kStart + (i % 2) * 1s);
  alarms.set(all[1], kStart - 1s);  // moved
  alarms.cancel(all[0]);
  alarms.cancel(all[0]);
  EXPECT_EQ(alarms.next(), kStart - 1s);
  EXPECT_EQ(due(alarms, kStart - 2s), std::vector<int>{});
  EXPECT_EQ(due(alarms, kStart + 1s), (std::vector<int>{1, 2, 4, 3, 5}));
  EXPECT_EQ(alarms.next(), base::kNever);
}

TEST(Alarms, AsASortedList_E15) {
  base::Random random(7);
  Alarms alarms;
  std::deque<Numbered> all;
  std::vector<bool> set(500);
  for (int i = 0; i < 500; ++i) all.emplace_back(i);
  for (int step = 0; step < 5'000; ++step) {
    const std::size_t i = random.below(all.size());
    if (random.below(3) == 0) {
      alarms.cancel(all[i]);
      set[i] = false;
    } else {
      alarms.set(all[i], kStart + static_cast<std::int64_t>(random.below(1'000)) * 1ms);
      set[i] = true;
    }
    base::Time first = base::kNever;
    for (std::size_t k = 0; step % 50 == 0 && k < all.size(); ++k) {
      if (set[k]) first = std::min(first, all[k].when());
    }
    if (step % 50 == 0) {
      ASSERT_EQ(alarms.next(), first);
    }
  }
  base::Time last = kStart;
  std::size_t fired = 0;
  while (Alarm* alarm = alarms.pop_due(base::kNever)) {
    EXPECT_GE(alarm->when(), last);
    last = alarm->when();
    ++fired;
  }
  EXPECT_EQ(fired, static_cast<std::size_t>(std::ranges::count(set, true)));
}

}  // namespace
}  // namespace perdure::matching
