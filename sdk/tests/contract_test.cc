// The scheduling contract, line by line (src/runtime/run.h). The command orders that it leads to stand in
// contract_flag_1.txt and never change: another order is a new SDK flag, and a new file beside that one.
#include <gtest/gtest.h>

#include <deque>
#include <fstream>
#include <string>

#include "sdk/tests/fake_server.h"

namespace perdure::test::contract {  // named: g++ 12 warns about coroutines of unnamed ones

using detail::define_workflow;

// Each test meets the orders of its section, one after the other, and all of them.
class Contract : public ::testing::Test {
 protected:
  Contract() {
    std::ifstream file("sdk/tests/contract_flag_1.txt");
    EXPECT_TRUE(file) << "run from the project's root";
    const std::string section =
        std::string("[") + ::testing::UnitTest::GetInstance()->current_test_info()->name() + "]";
    std::string line;
    while (std::getline(file, line) && line != section) {
    }
    while (std::getline(file, line) && !line.empty()) orders_.push_back(line == "-" ? "" : line);
  }
  ~Contract() override { EXPECT_TRUE(orders_.empty()) << "not reached: " << orders_.front(); }
  void expect_next(const std::string& order) {
    ASSERT_FALSE(orders_.empty()) << "no order is left for: " << order;
    EXPECT_EQ(order, orders_.front());
    orders_.pop_front();
  }

 private:
  std::deque<std::string> orders_;
};

int work(int);
constexpr ActivityOptions kOptions{.start_to_close_timeout = 10s};

// ---- line 1

class Order {
 public:
  explicit Order(std::string start) : log_(std::move(start)) {}
  Task<std::string> run(Context ctx, std::string) {
    log_ += " run";
    co_await ctx.sleep(1s);
    log_ += " woke";
    co_await ctx.until([this] { return signals_ == 2; });
    co_return log_;
  }
  void note(std::string text) {
    log_ += " " + text;
    ++signals_;
  }
  std::string log() const { return log_; }
  using signals = handlers<&Order::note>;
  using queries = handlers<&Order::log>;

 private:
  std::string log_;
  int signals_ = 0;
};

TEST_F(Contract, line_1_signals_of_the_first_task_run_after_construction_and_before_run) {
  FakeServer server(define_workflow<Order>(), std::string("made"));
  server.signal("note", std::string("a"));
  expect_next(server.task());
  EXPECT_EQ(detail::decode<std::string>(server.run().query("log", {})), "made a run");
  server.signal("note", std::string("b"));
  server.fire_timer(0);
  expect_next(server.task());
  EXPECT_EQ(server.result<std::string>(), "made a run b woke");
}

TEST_F(Contract, line_1_history_order_one_job_then_drain) {
  FakeServer server(define_workflow<Order>(), std::string("made"));
  server.task();
  server.fire_timer(0);
  server.signal("note", std::string("a"));
  server.signal("note", std::string("b"));
  expect_next(server.task());
  EXPECT_EQ(server.result<std::string>(), "made run woke a b");
}

class Asked {
 public:
  Task<> run(Context ctx) {
    co_await ctx.until([this] { return asked_; });
    co_await ctx.sleep(1s);
  }
  bool ask() const { return asked_ = true; }  // what no query should do
  void poke() {}
  using queries = handlers<&Asked::ask>;
  using signals = handlers<&Asked::poke>;

 private:
  mutable bool asked_ = false;
};

TEST_F(Contract, line_1_queries_come_last_and_never_drain) {
  auto asked = std::make_unique<FakeServer>(define_workflow<Asked>());
  expect_next(asked->task());
  const std::string waiting = asked->run().stack_trace();
  (void)asked->run().query("ask", {});
  EXPECT_EQ(asked->run().stack_trace(), waiting);  // though its condition holds now
}

class Updated {
 public:
  Task<> run(Context ctx) {
    (void)ctx.sleep(3s);
    co_await ctx.until([] { return false; });
  }
  void signal(Context ctx) { (void)ctx.sleep(1s); }
  void change(Context ctx) { (void)ctx.sleep(2s); }
  using signals = handlers<&Updated::signal>;
  using updates = handlers<update<&Updated::change>>;
};

TEST_F(Contract, line_1_updates_come_after_history_and_in_the_first_task_before_run) {
  FakeServer server(define_workflow<Updated>());
  server.update("u1", "change");
  server.signal("signal");
  expect_next(server.task());
  server.update("u2", "change");
  server.signal("signal");
  expect_next(server.task());
}

// ---- line 2

Task<> one_of_three(Context ctx, int number) {
  (void)ctx.sleep(Duration(number * 1000));
  co_await ctx.until([] { return true; });
  (void)ctx.sleep(Duration(number * 10'000));
}
Task<> three(Context ctx) {
  std::vector<Future<void>> all;
  for (int i = 1; i <= 3; ++i) all.push_back(ctx.spawn(one_of_three(ctx, i)));
  (void)ctx.sleep(9s);
  co_await when_all(all);
}

TEST_F(Contract, line_2_strands_are_first_in_first_out) {
  FakeServer server(define_workflow<&three>());
  expect_next(server.task());
}

Task<int> part(Context ctx) {
  (void)ctx.sleep(3s);
  co_return 1;
}
Task<> beside(Context ctx) {
  co_await ctx.sleep(1s);
  (void)ctx.sleep(5s);
  (void)ctx.sleep(6s);
}
Task<int> written_out(Context ctx) {
  Future<void> other = ctx.spawn(beside(ctx));
  co_await ctx.sleep(2s);
  (void)ctx.sleep(3s);
  (void)ctx.sleep(4s);
  co_await other;
  co_return 1;
}
Task<int> with_helper(Context ctx) {
  Future<void> other = ctx.spawn(beside(ctx));
  co_await ctx.sleep(2s);
  int one = co_await part(ctx);
  (void)ctx.sleep(4s);
  co_await other;
  co_return one;
}

TEST_F(Contract, line_2_moving_code_into_a_helper_keeps_the_order) {
  const auto orders = [](detail::WorkflowDefinition definition) {
    FakeServer server(std::move(definition));
    std::string all = server.task();
    server.fire_timer(0);
    server.fire_timer(1);
    return all + " | " + server.task();
  };
  expect_next(orders(define_workflow<&written_out>()));
  expect_next(orders(define_workflow<&with_helper>()));
}

Task<int> deep(Context ctx, int n) {
  if (n == 0) co_return 0;
  int below = co_await deep(ctx, n - 1);
  co_return below + 1;
}
Task<int> deep_and_wait(Context ctx, int n) {
  if (n == 0) {
    co_await ctx.sleep(1s);
    co_return 0;
  }
  int below = co_await deep_and_wait(ctx, n - 1);
  co_return below + 1;
}

TEST_F(Contract, line_2_calls_are_flat) {
  FakeServer server(define_workflow<&deep>(), 100'000);
  expect_next(server.task());
  EXPECT_EQ(server.result<int>(), 100'000);
}

TEST_F(Contract, a_deep_run_is_evicted_without_recursion) {
  FakeServer server(define_workflow<&deep_and_wait>(), 100'000);
  expect_next(server.task());
}

// ---- line 3

class Lock {
 public:
  Task<> run(Context ctx) {
    std::vector<Future<void>> all;
    for (int i = 1; i <= 3; ++i) all.push_back(ctx.spawn(enter(ctx, i)));
    co_await when_all(all);
  }
  Task<> enter(Context ctx, int seconds) {
    co_await ctx.until([this] { return !taken_; });
    taken_ = true;
    co_await ctx.sleep(Duration(seconds * 1000));
    taken_ = false;
  }

 private:
  bool taken_ = false;
};

TEST_F(Contract, line_3_when_until_returns_its_predicate_holds_and_the_order_is_that_of_registration) {
  FakeServer server(define_workflow<Lock>());
  expect_next(server.task());
  server.fire_timer(0);
  expect_next(server.task());
  server.fire_timer(1);
  expect_next(server.task());
  server.fire_timer(2);
  expect_next(server.task());
}

Task<int> throwing_condition(Context ctx) {
  auto outcome = co_await attempt(ctx.until([]() -> bool { throw ApplicationFailure("bad"); }));
  co_return outcome ? 0 : 1;
}

TEST_F(Contract, line_3_what_a_predicate_throws_is_thrown_at_the_await) {
  FakeServer server(define_workflow<&throwing_condition>());
  expect_next(server.task());
  EXPECT_EQ(server.result<int>(), 1);
}

// ---- lines 4 and 5

Task<> child_task(Context ctx) {
  co_await ctx.sleep(2s);
}
Task<> cancelled_in_order(Context ctx) {
  Future<int> first = ctx.execute<&work>(kOptions, 1);
  Future<void> inner = ctx.spawn(child_task(ctx));
  Future<void> second = ctx.sleep(1s);
  Future<int> third =
      ctx.execute<&work>({.start_to_close_timeout = 1s, .cancellation = CancellationType::kAbandon}, 3);
  std::vector<Future<void>> both{inner, second};
  co_await when_all(both);
  (void)first;
  (void)third;
}

TEST_F(Contract, line_4_a_cancel_visits_commands_then_child_scopes_in_order_of_creation) {
  FakeServer server(define_workflow<&cancelled_in_order>());
  expect_next(server.task());
  server.cancel();
  expect_next(server.task());
}

class Entity {
 public:
  Task<> run(Context ctx) {
    co_await ctx.until([this] { return done_; });
  }
  Task<> serve(Context ctx) {
    co_await ctx.sleep(1s);
    done_ = true;
  }
  using signals = handlers<&Entity::serve>;

 private:
  bool done_ = false;
};

Task<int> shielding(Context ctx) {
  auto outcome = co_await attempt(ctx.sleep(1s));
  auto again = co_await attempt(ctx.sleep(2s));
  co_await ctx.shielded().sleep(3s);
  co_return outcome.is_cancelled() && again.is_cancelled() ? 1 : 0;
}

TEST_F(Contract, line_5_a_cancelled_scope_is_level_triggered_and_a_shielded_verb_is_in_none) {
  FakeServer server(define_workflow<&shielding>());
  expect_next(server.task());
  server.cancel();
  expect_next(server.task());
  server.fire_timer(1);
  expect_next(server.task());
  EXPECT_EQ(server.result<int>(), 1);
}

TEST_F(Contract, line_5_handler_calls_are_not_cancelled_with_the_workflow) {
  FakeServer server(define_workflow<Entity>());
  server.task();
  server.signal("serve");
  expect_next(server.task());
  server.cancel();
  expect_next(server.task());
}

Task<int> waiting_for_the_end(Context ctx) {
  auto outcome = co_await attempt(ctx.execute<&work>(
      {.start_to_close_timeout = 1s, .cancellation = CancellationType::kWaitCompleted}, 1));
  co_return outcome ? *outcome : -1;
}

TEST_F(Contract, line_5_wait_completed_keeps_the_future_pending_until_the_server_answers) {
  for (const bool completes : {true, false}) {
    FakeServer server(define_workflow<&waiting_for_the_end>());
    server.task();
    server.cancel();
    expect_next(server.task());
    completes ? server.complete_activity(0, 5) : server.cancel_activity(0);
    expect_next(server.task());
    EXPECT_EQ(server.result<int>(), completes ? 5 : -1);
  }
}

// ---- line 6

class Outside {
 public:
  Task<int> run(Context ctx) {
    Future<void> timer = ctx.sleep(1h);
    Future<int> inner = ctx.spawn(look(timer));
    inner.cancel();
    auto outcome = co_await attempt(inner);
    co_return outcome.is_cancelled() && !timer.ready() ? 1 : 0;
  }

 private:
  static Task<int> look(Future<void> timer) {
    co_await timer;
    co_return 1;
  }
};

TEST_F(Contract, line_6_a_cancelled_scope_ends_a_wait_for_what_is_outside_which_goes_on) {
  FakeServer server(define_workflow<Outside>());
  expect_next(server.task());
  EXPECT_EQ(server.result<int>(), 1);
}

// ---- line 7

std::string& deaths() {
  static std::string text;
  return text;
}
struct Mourned {
  explicit Mourned(int number) : number_(number) {}
  ~Mourned() { deaths() += std::to_string(number_); }
  int number_;
};
Task<> mortal(Context ctx, int number) {
  Mourned mourned(number);
  co_await ctx.sleep(1h);
}
Task<> ends_first(Context ctx) {
  Mourned mourned(0);
  std::vector<Future<void>> kept;
  for (int i = 1; i <= 3; ++i) kept.push_back(ctx.spawn(mortal(ctx, i)));
  co_await ctx.sleep(1s);
}

TEST_F(Contract, line_7_run_returning_destroys_the_other_strands_in_reverse_order_of_start) {
  FakeServer server(define_workflow<&ends_first>());
  server.task();
  server.fire_timer(0);
  deaths().clear();
  expect_next(server.task());
  EXPECT_EQ(deaths().substr(0, 4), "0321");
}

TEST_F(Contract, eviction_destroys_strands_in_reverse_order_of_start_then_run) {
  auto server = std::make_unique<FakeServer>(define_workflow<&ends_first>());
  server->task();
  deaths().clear();
  server.reset();
  EXPECT_EQ(deaths(), "3210");
}

}  // namespace perdure::test::contract
