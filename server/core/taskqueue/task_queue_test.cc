// Task queues by table: each row is a small script, each line of it one step and what comes of it.
//
//   offer RUN [p=PRIORITY] [age=MS] [attempt=N]     a task is due, waiting since `age` before now
//   park POLL [for=MS]                              a poll comes; it ends after `for` (60 s)
//   first POLL / leave POLL                         its start came to nothing / it ended
//   rate R                                          a worker wishes R tasks a second
//   wait MS                                         time passes
//   match -> POLL RUN … | nothing                   all matches that are there now
//   started RUN POLL / obsolete RUN / failed RUN / undone RUN
#include "server/core/taskqueue/task_queue.h"

#include <gtest/gtest.h>

#include <sstream>

namespace perdure::core {
namespace {

using namespace std::chrono_literals;

const Time kStart{1'700'000'000s};

class Script {
 public:
  Script() : queue_(TaskWindow::Bounds{}) {
    queue_.window().wanted_page(now_);
    queue_.window().loaded({}, now_);
  }

  void run(const std::string& script) {
    std::istringstream lines(script);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      if (std::string verb; words >> verb) step(verb, words, line);
    }
  }
  TaskQueue& queue() { return queue_; }
  Time now() const { return now_; }
  std::optional<int> advice() const { return advice_; }

 private:
  static std::int64_t option(std::istringstream& words, const std::string& name, std::int64_t otherwise) {
    const std::string text = words.str();
    const std::size_t at = text.find(name + "=");
    return at == std::string::npos ? otherwise : std::stoll(text.substr(at + name.size() + 1));
  }

  void step(const std::string& verb, std::istringstream& words, const std::string& line) {
    std::string name;
    if (verb != "match") words >> name;
    if (verb == "offer") {
      queue_.offer({.priority = static_cast<int>(option(words, "p", 3)),
                    .time = now_ - option(words, "age", 0) * 1ms,
                    .run_id = name,
                    .task_id = 5,
                    .attempt = static_cast<int>(option(words, "attempt", 1))},
                   now_);
    } else if (verb == "park") {
      polls_[name] = {.id = ++last_poll_, .since = now_, .end = now_ + option(words, "for", 60'000) * 1ms};
      names_[last_poll_] = name;
      places_[name] = queue_.park(polls_[name]);
    } else if (verb == "first") {
      places_[name] = queue_.park_first(polls_[name]);
    } else if (verb == "leave") {
      queue_.leave(places_[name]);
    } else if (verb == "rate") {
      queue_.saw_poller({.identity = "w", .last_access = now_, .max_tasks_per_second = std::stod(name)});
    } else if (verb == "wait") {
      now_ += std::stoll(name) * 1ms;
    } else if (verb == "match") {
      EXPECT_EQ(matches(), line.substr(line.find("->") + 3)) << line;
    } else {
      outcome(verb, name, words);
    }
  }

  void outcome(const std::string& verb, const std::string& run, std::istringstream& words) {
    const TaskIdentity task{run, 5};
    if (verb == "started") {
      std::string poll;
      words >> poll;
      advice_ = queue_.started(task, polls_[poll], now_).poll_delta;
    } else if (verb == "obsolete") {
      queue_.obsolete(task, now_);
    } else if (verb == "failed") {
      queue_.failed(task, now_);
    } else if (verb == "undone") {
      queue_.undone(task, now_);
    } else {
      FAIL() << "no such step: " << verb;
    }
  }

  std::string matches() {
    std::string found;
    while (const auto match = queue_.match(now_)) {
      found += (found.empty() ? "" : ", ") + names_[match->poll.id] + " " + match->task->run_id;
    }
    return found.empty() ? "nothing" : found;
  }

  TaskQueue queue_;
  Time now_ = kStart;
  std::map<std::string, IdlePoll> polls_;
  std::map<std::string, PollPlace> places_;
  std::map<std::uint64_t, std::string> names_;
  std::uint64_t last_poll_ = 0;
  std::optional<int> advice_;
};

TEST(TaskQueue, Matching) {
  struct Row {
    const char* what;
    const char* script;
  };
  const Row rows[] = {
      {"a waiting poll gets a new task (MA-02)", "park p\n match -> nothing\n offer r\n match -> p r"},
      {"a waiting task goes to a new poll", "offer r\n match -> nothing\n park p\n match -> p r"},
      {"polls: first come, first served", "park p\n park q\n offer a\n offer b age=9\n match -> p b, q a"},
      {"a poll that left gets nothing (MA-05)", "park p\n park q\n leave p\n offer a\n match -> q a"},
      {"a poll past its end gets nothing (E16)",
       "park p for=1000\n park q\n wait 1001\n offer a\n match -> q a"},
      {"a poll at its end still does (E16)", "park p for=1000\n wait 1000\n offer a\n match -> p a"},
      {"sync match only when no older task waits (E16)",
       "offer old age=500\n offer new\n park p\n match -> p old\n park q\n match -> q new"},
      {"priority before age (MA-13)", "offer a p=4 age=900\n offer b p=2\n park p\n match -> p b"},
      {"an obsolete task is dropped, the poll is first again (MA-06)",
       "offer a age=2\n offer b age=1\n park p\n park q\n match -> p a, q b\n obsolete a\n first p\n park r\n"
       "offer c\n match -> p c"},
      {"a start that failed: poll to the head, task to its place after a pause (E16)",
       "offer a age=9\n park p\n park q\n match -> p a\n failed a\n first p\n match -> nothing\n offer b\n match -> p b\n"
       "wait 100\n match -> q a"},
      {"first of the firsts is the last that came back",
       "park a\n park b\n offer x age=2\n offer y age=1\n match -> a x, b y\n"
       "failed x\n first a\n failed y\n first b\n offer z\n match -> b z"},
      {"a rate of 0 stops dispatch (MA-08)",
       "rate 0\n offer a\n park p\n match -> nothing\n wait 60000\n match -> nothing"},
      {"the last writer wins (MA-08)",
       "rate 0\n offer a\n park p\n match -> nothing\n rate 10\n wait 100\n match -> p a"},
      {"a rate spreads tasks (MA-08)",
       "rate 2\n offer a age=3\n offer b age=2\n offer c age=1\n park p\n park q\n park r\n match -> p a\n wait 499\n"
       "match -> nothing\n wait 1\n match -> q b\n wait 500\n match -> r c"},
      {"a token is not used up by an obsolete task (MA-08)",
       "rate 1\n offer a age=2\n offer b age=1\n park p\n match -> p a\n obsolete a\n first p\n match -> p b"},
      {"a start undone is offered again (E16)",
       "offer a\n park p\n match -> p a\n undone a\n offer a\n park q\n match -> q a"},
      {"a repeated offer is one task (E16)",
       "offer a\n offer a\n park p\n park q\n match -> p a\n offer a\n match -> nothing"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    Script().run(row.script);
  }
}

TEST(TaskQueue, AdviceToPollers_MA11) {
  struct Row {
    const char* what;
    const char* script;
    std::optional<int> advice;
  };
  const Row rows[] = {
      {"waited a second, nothing else to do", "park p\n wait 1000\n offer a\n match -> p a\n started a p",
       -1},
      {"waited less", "park p\n wait 999\n offer a\n match -> p a\n started a p", std::nullopt},
      {"an old backlog", "offer a age=300\n offer b age=201\n park p\n match -> p a\n started a p", 1},
      {"waited long, but there is a backlog now",
       "park p\n wait 1000\n offer a age=300\n offer b age=250\n match -> p a\n started a p", 1},
      {"more comes than goes", "park p\n offer a\n offer b\n match -> p a\n started a p", 1},
      {"in balance", "park p\n offer a\n match -> p a\n started a p", std::nullopt},
      {"held back by the rate, not by polls",
       "rate 1\n offer a age=300\n offer b age=300\n park p\n park q\n match -> p a\n started a p",
       std::nullopt},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    Script script;
    script.run(row.script);
    EXPECT_EQ(script.advice(), row.advice);
  }
}

TEST(TaskQueue, AtMostTenAdvicesASecond_MA11) {
  Script script;
  int given = 0;
  for (int i = 0; i < 200; ++i) {
    script.run(
        "offer a age=900\n offer b age=901\n park p\n match -> p b\n started b p\n"
        "park q\n match -> q a\n undone a\n wait 10");
    given += script.advice().has_value();
  }
  EXPECT_GE(given, 19);
  EXPECT_LE(given, 22);
}

TEST(TaskQueue, Figures_MA12) {
  Script script;
  script.run(
      "offer a p=1 age=4000\n offer b age=500\n offer c age=200\n park p\n match -> p a\n started a p\n wait 1000");
  const QueueFigures figures = script.queue().figures(script.now());
  EXPECT_EQ(figures.backlog, 2);
  EXPECT_EQ(figures.backlog_age, 1500ms);
  EXPECT_NEAR(figures.add_rate, 3, 0.01);
  EXPECT_NEAR(figures.dispatch_rate, 1, 0.01);
  ASSERT_EQ(figures.priorities.size(), 2u);
  EXPECT_EQ(figures.priorities[0].priority, 1);
  EXPECT_EQ(figures.priorities[0].backlog, 0);
  EXPECT_NEAR(figures.priorities[0].dispatch_rate, 1, 0.01);
  EXPECT_EQ(figures.priorities[1].priority, 3);
  EXPECT_EQ(figures.priorities[1].backlog, 2);
}

TEST(TaskQueue, NextLook_E15) {
  Script script;
  EXPECT_EQ(script.queue().next_look(script.now()), base::kNever);
  script.run("rate 2\n offer a age=2\n offer b age=1\n park p\n park q\n match -> p a");
  EXPECT_EQ(script.queue().next_look(script.now()), script.now() + 500ms);
  script.run("wait 500\n match -> q b\n failed b");
  EXPECT_EQ(script.queue().next_look(script.now()), script.now() + 100ms);
}

TEST(TaskQueue, PolledLately_MA09_WT53) {
  TaskQueue queue{TaskWindow::Bounds{}};
  EXPECT_FALSE(queue.polled_within(10s, 0, kStart));
  EXPECT_TRUE(queue.polled_within(10s, 1, kStart));
  queue.saw_poller({.identity = "w", .last_access = kStart});
  EXPECT_TRUE(queue.polled_within(10s, 0, kStart + 10s));
  EXPECT_FALSE(queue.polled_within(10s, 0, kStart + 10s + 1ns));
  EXPECT_TRUE(queue.polled_within(20s, 0, kStart + 20s));
}

}  // namespace
}  // namespace perdure::core
