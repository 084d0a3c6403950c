// E6 and E16: what of a queue is held in memory, in which order it goes out, and that nothing is lost beyond it.
//
// The tests play the owner of the window and the store's index: `rows` is what the index holds.
#include "server/core/taskqueue/task_window.h"

#include <gtest/gtest.h>

#include <tuple>

namespace perdure::core {
namespace {

using namespace std::chrono_literals;

const Time kStart{1'700'000'000s};

TaskReference task(int id, int priority = 3, Duration age = 0s, int attempt = 1) {
  return {.priority = priority,
          .time = kStart + age,
          .unit_id = "w",
          .run_id = "run-" + std::to_string(id),
          .task_id = 5,
          .attempt = attempt};
}

TaskIdentity identity(const TaskReference& reference) {
  return {reference.run_id, reference.task_id};
}

struct ByPlace {
  bool operator()(const TaskReference& a, const TaskReference& b) const {
    return std::tie(a.priority, a.time, a.run_id) < std::tie(b.priority, b.time, b.run_id);
  }
};

struct Index {
  std::set<TaskReference, ByPlace> rows;
  int reads = 0;

  std::vector<TaskReference> page(const TaskWindow::Page& page) {
    ++reads;
    std::vector<TaskReference> found;
    for (auto at = page.after ? rows.upper_bound(*page.after) : rows.begin();
         at != rows.end() && found.size() < page.limit; ++at) {
      found.push_back(*at);
    }
    return found;
  }
  void serve(TaskWindow& window, Time now) {
    while (const auto wanted = window.wanted_page(now)) window.loaded(page(*wanted), now);
  }
};

// Dispatches until nothing is left, every task started; reads pages as wanted.
std::vector<std::string> dispatch_all(TaskWindow& window, Index& index, Time now) {
  std::vector<std::string> runs;
  for (;;) {
    index.serve(window, now);
    if (window.next(now) == nullptr) return runs;
    const TaskReference taken = window.take();
    runs.push_back(taken.run_id);
    window.finished(identity(taken), false, now);
  }
}

TaskWindow known(TaskWindow::Bounds bounds = {}) {
  TaskWindow window(bounds);
  Index().serve(window, kStart);
  return window;
}

TEST(TaskWindow, PriorityThenAge_MA13) {
  struct Row {
    const char* what;
    std::vector<TaskReference> offered;
    std::vector<std::string> dispatched;
  };
  const std::vector<Row> rows = {
      {"age within a priority",
       {task(1, 3, -1s), task(2, 3, -3s), task(3, 3, -2s)},
       {"run-2", "run-3", "run-1"}},
      {"lower number first", {task(1, 5, -9s), task(2, 1), task(3, 3, -5s)}, {"run-2", "run-3", "run-1"}},
      {"same age: a fixed order", {task(3), task(1), task(2)}, {"run-1", "run-2", "run-3"}},
      {"an offer repeated is one task", {task(1), task(1), task(1)}, {"run-1"}},
      {"a newer attempt takes its own place",
       {task(1, 3, -9s, 1), task(2, 3, -5s), task(1, 3, -1s, 2)},
       {"run-2", "run-1"}},
  };
  for (const Row& row : rows) {
    TaskWindow window = known();
    Index index;
    for (const TaskReference& offered : row.offered) window.add(offered, kStart);
    EXPECT_EQ(dispatch_all(window, index, kStart), row.dispatched) << row.what;
  }
}

TEST(TaskWindow, NothingGoesOutBeforeTheIndexWasRead_E6_E16) {
  TaskWindow window;
  Index index;
  index.rows = {task(1, 3, -10s)};
  window.add(task(2, 3, -1s), kStart);
  EXPECT_EQ(window.next(kStart), nullptr);
  EXPECT_EQ(dispatch_all(window, index, kStart), (std::vector<std::string>{"run-1", "run-2"}));
}

TEST(TaskWindow, AttemptOfOffersAndOfRows_E16) {
  TaskWindow window = known();
  EXPECT_EQ(window.add(task(1, 3, 0s, 1), kStart), TaskWindow::Added::kNew);
  EXPECT_EQ(window.add(task(1, 3, 0s, 1), kStart), TaskWindow::Added::kRepeated);
  EXPECT_EQ(window.add(task(1, 2, 0s, 2), kStart), TaskWindow::Added::kReplaced);
  ASSERT_NE(window.next(kStart), nullptr);
  EXPECT_EQ(window.next(kStart)->attempt, 2);
  EXPECT_EQ(window.next(kStart)->priority, 2);
  EXPECT_EQ(window.size(), 1u);
}

TEST(TaskWindow, WhatIsOfferedWhileUnderWayWaits_E16) {
  struct Row {
    const char* what;
    int offered_attempt;
    bool obsolete;
    bool waits;
  };
  for (const Row& row :
       {Row{"the same, started", 1, false, false}, Row{"the same, obsolete", 1, true, true},
        Row{"a newer one, started", 2, false, true}, Row{"a newer one, obsolete", 2, true, true}}) {
    TaskWindow window = known();
    window.add(task(1), kStart);
    window.next(kStart);
    window.take();
    window.add(task(1, 3, 0s, row.offered_attempt), kStart);
    EXPECT_EQ(window.next(kStart), nullptr) << row.what;  // never twice at a time
    window.finished({"run-1", 5}, row.obsolete, kStart);
    EXPECT_EQ(window.next(kStart) != nullptr, row.waits) << row.what;
    EXPECT_EQ(window.size(), row.waits ? 1u : 0u) << row.what;
  }
}

TEST(TaskWindow, AFailedStartWaitsAndKeepsItsPlace_E16) {
  TaskWindow window = known();
  window.add(task(1, 3, -9s), kStart);
  window.add(task(2, 3, -5s), kStart);
  Time now = kStart;
  for (const Duration pause : {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms, 10000ms, 10000ms}) {
    ASSERT_EQ(window.next(now)->run_id, "run-1");
    window.take();
    window.failed({"run-1", 5}, now);
    EXPECT_EQ(window.next(now)->run_id, "run-2");  // nobody waits behind it
    EXPECT_EQ(window.next_look(), now + pause);
    now += pause;
  }
  EXPECT_EQ(window.next(now)->run_id, "run-1");  // ahead again
}

TEST(TaskWindow, ATaskOfTheFutureWaitsForItsTime) {
  TaskWindow window = known();
  window.add(task(1, 1, 5s), kStart);
  window.add(task(2, 3), kStart);
  EXPECT_EQ(window.next(kStart)->run_id, "run-2");
  EXPECT_EQ(window.next_look(), kStart + 5s);
  EXPECT_EQ(window.backlog_count(), 1);
  EXPECT_EQ(window.next(kStart + 5s)->run_id, "run-1");
}

TEST(TaskWindow, PagesInOrderWithinItsBound_E6) {
  constexpr int kTasks = 5'000;
  TaskWindow window({.held = 100, .page = 30});
  Index index;
  std::vector<std::string> expected;
  for (int i = 0; i < kTasks; ++i) index.rows.insert(task(i, 1 + i % 5, -1h + i * 1ms));
  for (const TaskReference& row : index.rows) expected.push_back(row.run_id);
  std::vector<std::string> dispatched;
  for (;;) {
    index.serve(window, kStart);
    ASSERT_LE(window.size(), 100u);
    if (window.next(kStart) == nullptr) break;
    const TaskReference taken = window.take();
    EXPECT_EQ(taken.attempt, 0);  // whatever the state says
    dispatched.push_back(taken.run_id);
    window.finished(identity(taken), false, kStart);
  }
  EXPECT_EQ(dispatched, expected);
  EXPECT_LE(index.reads, kTasks / 30 + 2);
}

// E16, last sentence: what comes while older ones wait in the index goes behind them.
TEST(TaskWindow, OffersGoBehindWhatWaitsInTheIndex_E16) {
  TaskWindow window({.held = 20, .page = 10});
  Index index;
  std::vector<std::string> expected;
  for (int i = 100; i < 200; ++i) {
    index.rows.insert(task(i, 3, -1h + i * 1ms));
    expected.push_back("run-" + std::to_string(i));
  }
  index.serve(window, kStart);
  for (int i = 200; i < 205; ++i) {
    window.add(task(i, 3, i * 1us), kStart + 1s);
    expected.push_back("run-" + std::to_string(i));
  }
  EXPECT_EQ(dispatch_all(window, index, kStart + 1s), expected);
}

TEST(TaskWindow, AnUrgentOfferOvertakesTheIndex_MA13) {
  TaskWindow window({.held = 20, .page = 10});
  Index index;
  for (int i = 100; i < 200; ++i) index.rows.insert(task(i, 3, -1h + i * 1ms));
  index.serve(window, kStart);
  window.add(task(7, 1), kStart);
  EXPECT_EQ(window.next(kStart)->run_id, "run-7");
}

// More is offered than is held, the index being written a second late: all go out, in order, and none twice at a time.
TEST(TaskWindow, WhatIsDroppedComesBackInOrder_E6) {
  TaskWindow window({.held = 100, .page = 40});
  Index index;
  Time now = kStart;
  std::vector<std::string> expected;
  for (int i = 1'000; i < 3'000; ++i, now += 50ms) {
    window.add(task(i, 3, -5s + i * 1ms), now);
    ASSERT_LE(window.size(), 100u);
    if (i >= 1'020) index.rows.insert(task(i - 20, 3, -5s + (i - 20) * 1ms));
    expected.push_back("run-" + std::to_string(i));
  }
  for (int i = 2'980; i < 3'000; ++i) index.rows.insert(task(i, 3, -5s + i * 1ms));
  EXPECT_EQ(window.backlog_count(), 2'000);
  EXPECT_EQ(dispatch_all(window, index, now), expected);
}

// The index is written later than the window hopes: a second look finds what a page had passed.
TEST(TaskWindow, WhatWasDroppedTooEarlyIsFoundByASecondLook_E6) {
  TaskWindow window({.held = 10, .page = 5});
  Index index;
  Index empty;
  empty.serve(window, kStart);
  // the index knows none of them
  for (int i = 100; i < 150; ++i) window.add(task(i, 3, i * 1ms), kStart + 1s);
  std::vector<std::string> first = dispatch_all(window, index, kStart + 1s);
  EXPECT_EQ(first.size(), 10u);
  EXPECT_LE(window.next_look(), kStart + 2s);
  for (int i = 100; i < 150; ++i) index.rows.insert(task(i, 3, i * 1ms));
  std::set<std::string> seen(first.begin(), first.end());
  for (const std::string& run : dispatch_all(window, index, window.next_look())) seen.insert(run);
  EXPECT_EQ(seen.size(), 50u);
}

TEST(TaskWindow, DoubtEnds_E6) {
  TaskWindow window({.held = 10, .page = 5}, kStart);
  Index index;
  int looks = 0;
  Time now = kStart;
  for (; now != base::kNever && now < kStart + 1h; now = window.next_look(), ++looks)
    index.serve(window, now);
  EXPECT_EQ(now, base::kNever);
  EXPECT_LE(looks, 12);
}

TEST(TaskWindow, AFailedReadIsRepeatedAndHoldsNothingBackForever_E6) {
  TaskWindow window;
  Index index;
  index.rows = {task(1, 3, -10s), task(2, 3, -9s)};
  window.add(task(3), kStart);
  ASSERT_TRUE(window.wanted_page(kStart));
  window.load_failed(kStart);
  ASSERT_NE(window.next(kStart), nullptr);
  EXPECT_EQ(window.next(kStart)->run_id, "run-3");
  EXPECT_FALSE(window.wanted_page(kStart));
  const Time again = window.next_look();
  EXPECT_EQ(again, kStart + 100ms);
  EXPECT_EQ(dispatch_all(window, index, again), (std::vector<std::string>{"run-1", "run-2", "run-3"}));
  EXPECT_EQ(window.next_look(), base::kNever);
}

TEST(TaskWindow, ReadsNothingWhileItHoldsEnough) {
  TaskWindow window = known();
  Index index;
  for (int i = 0; i < 1'000; ++i) window.add(task(i), kStart);
  EXPECT_EQ(dispatch_all(window, index, kStart).size(), 1'000u);
  EXPECT_EQ(index.reads, 0);
}

TEST(TaskWindow, BacklogByPriority_MA12) {
  TaskWindow window = known();
  window.add(task(1, 1, -3s), kStart);
  window.add(task(2, 4, -9s), kStart);
  window.add(task(3, 4, -2s), kStart);
  const auto backlog = window.backlog();
  ASSERT_EQ(backlog.size(), 2u);
  EXPECT_EQ(backlog.at(1).count, 1);
  EXPECT_EQ(backlog.at(4).count, 2);
  EXPECT_EQ(backlog.at(4).oldest, kStart - 9s);
  EXPECT_EQ(window.oldest(), kStart - 9s);
  EXPECT_EQ(window.take_waiting().size(), 3u);
  EXPECT_EQ(window.backlog_count(), 0);
  EXPECT_EQ(window.size(), 0u);
}

}  // namespace
}  // namespace perdure::core
