// Updates, handlers of any name, and what looks but must not touch: against the fake server.
#include <gtest/gtest.h>

#include "sdk/tests/fake_server.h"

namespace perdure::test::update_case {  // named: g++ 12 warns about coroutines of unnamed ones

using detail::define_workflow;

int book(long cents);
constexpr ActivityOptions kOptions{.start_to_close_timeout = 10s};

class Account {
 public:
  Task<long> run(Context ctx) {
    log_ += "run ";
    co_await ctx.until([this] { return closed_; });
    co_await ctx.until([ctx] { return ctx.all_handlers_finished(); });
    co_return cents_;
  }
  Task<long> deposit(Context ctx, long cents) {
    log_ += "deposit ";
    (void)co_await ctx.execute<&book>(kOptions, cents);
    cents_ += cents;
    co_return cents_;
  }
  void check_deposit(long cents) const {
    if (cents <= 0) throw ApplicationFailure("a deposit must be positive");
  }
  long add(long cents) { return cents_ += cents; }
  void fail(std::string how) {
    if (how == "failure") throw ApplicationFailure("no");
    throw std::runtime_error("a bug");
  }
  void close() { closed_ = true; }
  std::string log() const { return log_; }
  using signals = handlers<&Account::close>;
  using queries = handlers<&Account::log>;
  using updates = handlers<update<&Account::deposit, &Account::check_deposit>,
                           update<&Account::add, nullptr, "plus">, update<&Account::fail>>;

 private:
  long cents_ = 0;
  bool closed_ = false;
  std::string log_;
};

TEST(Update, is_accepted_and_completed_each_in_its_place) {
  FakeServer server(define_workflow<Account>());
  EXPECT_EQ(server.task(), "");
  server.update("u1", "deposit", 5L);
  EXPECT_EQ(server.task(), "AcceptUpdate(u1) ScheduleActivity(book)");
  EXPECT_EQ(server.outcome("u1"), "accepted");
  server.complete_activity(0, 0);
  EXPECT_EQ(server.task(), "CompleteUpdate(u1)");
  EXPECT_EQ(server.outcome("u1"), "= 5");
  server.update("u2", "plus", 7L);
  EXPECT_EQ(server.task(), "AcceptUpdate(u2) CompleteUpdate(u2)");
  EXPECT_EQ(server.outcome("u2"), "= 12");
  server.signal("close");
  EXPECT_EQ(server.task(), "CompleteWorkflow");
  EXPECT_EQ(server.result<long>(), 12);
}

TEST(Update, of_the_first_task_runs_before_run) {
  FakeServer server(define_workflow<Account>());
  server.update("u1", "deposit", 5L);
  EXPECT_EQ(server.task(), "AcceptUpdate(u1) ScheduleActivity(book)");
  EXPECT_EQ(detail::decode<std::string>(server.run().query("log", {})), "deposit run ");
}

TEST(Update, comes_after_what_history_says) {
  FakeServer server(define_workflow<Account>());
  server.update("u1", "deposit", 5L);
  server.task();
  server.update("u2", "plus", 2L);
  server.complete_activity(0, 0);
  server.signal("close");
  EXPECT_EQ(server.task(), "CompleteUpdate(u1) CompleteWorkflow");  // an update is no job of a closed run
  EXPECT_EQ(server.outcome("u2"), "");
}

TEST(Update, that_its_validator_refuses_leaves_no_trace) {
  FakeServer server(define_workflow<Account>());
  server.task();
  server.update("u1", "deposit", -1L);
  server.update("u2", "nobody", 1L);
  server.update("u3", "deposit", std::string("ten"));
  EXPECT_EQ(server.task(), "RejectUpdate(u1) RejectUpdate(u2) RejectUpdate(u3)");
  EXPECT_EQ(server.outcome("u1"), "rejected: a deposit must be positive");
  EXPECT_EQ(server.outcome("u2"), "rejected: unknown update 'nobody'; known: [deposit plus fail]");
  EXPECT_TRUE(server.outcome("u3").starts_with("rejected: ")) << server.outcome("u3");
}

TEST(Update, that_fails_is_completed_with_its_failure) {
  FakeServer server(define_workflow<Account>());
  server.task();
  server.update("u1", "fail", std::string("failure"));
  EXPECT_EQ(server.task(), "AcceptUpdate(u1) CompleteUpdate(u1)");
  EXPECT_EQ(server.outcome("u1"), "failed: no");
}

TEST(Update, that_throws_something_else_fails_the_task) {
  FakeServer server(define_workflow<Account>());
  server.task();
  server.update("u1", "fail", std::string("bug"));
  EXPECT_THROW(server.task(), std::runtime_error);
}

struct Stricter {
  static constexpr std::string_view workflow_name = "Account";
  Task<long> run(Context ctx) {
    co_await ctx.until([] { return false; });
    co_return 0;
  }
  long deposit(Context, long cents) { return cents; }
  void check(long) const { throw ApplicationFailure("never"); }
  using updates = handlers<update<&Stricter::deposit, &Stricter::check>>;
};
struct Without {
  static constexpr std::string_view workflow_name = "Account";
  Task<long> run(Context ctx) {
    co_await ctx.until([] { return false; });
    co_return 0;
  }
};
TEST(Update, replay_does_not_validate_but_sees_other_code) {
  FakeServer server(define_workflow<Account>());
  server.task();
  server.update("u1", "deposit", 5L);
  server.task();
  EXPECT_EQ(server.replay_into(define_workflow<Stricter>()),
            "event 9 ActivityTaskScheduled(book), but the code asked CompleteUpdate(u1)");
  EXPECT_THROW(server.replay_into(define_workflow<Without>()), ApplicationFailure);
  FakeServer quick(define_workflow<Account>());
  quick.task();
  quick.update("u1", "plus", 5L);
  quick.task();
  quick.history()
      .back()
      .mutable_workflow_execution_update_completed_event_attributes()
      ->mutable_meta()
      ->set_update_id("u2");
  EXPECT_EQ(quick.replay_into(define_workflow<Account>()),
            "event 9 WorkflowExecutionUpdateCompleted(u2), but the code asked CompleteUpdate(u1)");
}

TEST(Update, that_was_admitted_by_a_reset_has_its_request_in_history) {
  FakeServer server(define_workflow<Account>());
  server.admit("u1", "plus", 3L);
  EXPECT_EQ(server.task(), "AcceptUpdate(u1) CompleteUpdate(u1)");
  EXPECT_EQ(server.outcome("u1"), "= 3");
}

// ---- a task that only rejected is dropped by the server

TEST(Update, a_dropped_task_is_taken_back) {
  FakeServer server(define_workflow<Account>());
  server.task();
  for (int i = 0; i < 2; ++i) {
    server.update("u" + std::to_string(i), "deposit", -1L);
    EXPECT_EQ(server.dropped_task(), "RejectUpdate(u" + std::to_string(i) + ")");
    EXPECT_TRUE(server.run().idle());
  }
  server.update("u9", "plus", 1L);
  EXPECT_EQ(server.task(), "AcceptUpdate(u9) CompleteUpdate(u9)");
  EXPECT_EQ(server.outcome("u9"), "= 1");
}

// ---- handlers of any name

class Anything {
 public:
  Task<std::string> run(Context ctx) {
    co_await ctx.until([this] { return done_; });
    co_return log_;
  }
  void finish() { done_ = true; }
  void on_signal(std::string name, Payloads arguments) {
    log_ += name + std::to_string(arguments.size()) + " ";
  }
  std::string look(std::string name, Payloads) const { return "asked " + name; }
  Task<std::string> change(Context ctx, std::string name, Payloads arguments) {
    co_await ctx.sleep(1s);
    log_ += name + detail::decode<std::string>(arguments.at(0)) + " ";
    co_return name;
  }
  void check(std::string name, Payloads arguments) const {
    if (arguments.empty()) throw ApplicationFailure(name + " needs an argument");
  }
  using signals = handlers<dynamic<&Anything::on_signal>, &Anything::finish>;
  using queries = handlers<dynamic<&Anything::look>>;
  using updates = handlers<dynamic<&Anything::change, &Anything::check>>;

 private:
  std::string log_;
  bool done_ = false;
};

TEST(Dynamic, handlers_take_what_has_none_of_its_name) {
  FakeServer server(define_workflow<Anything>());
  server.signal("hello", 1, 2);
  EXPECT_EQ(server.task(), "");
  EXPECT_EQ(detail::decode<std::string>(server.run().query("weather", {})), "asked weather");
  server.update("u1", "paint");
  server.update("u2", "paint", std::string("red"));
  EXPECT_EQ(server.task(), "RejectUpdate(u1) AcceptUpdate(u2) StartTimer(1s)");
  EXPECT_EQ(server.outcome("u1"), "rejected: paint needs an argument");
  server.fire_timer(0);
  server.signal("finish");
  EXPECT_EQ(server.task(), "CompleteUpdate(u2) CompleteWorkflow");
  EXPECT_EQ(server.result<std::string>(), "hello2 paintred ");
}

// ---- what still runs when the workflow ends

class Hasty {
 public:
  Task<> run(Context ctx) { co_await ctx.sleep(1s); }
  Task<> linger(Context ctx) { co_await ctx.sleep(1h); }
  Task<> forget(Context ctx) { co_await ctx.sleep(1h); }
  using signals = handlers<&Hasty::linger, abandonable<&Hasty::forget>>;
};
TEST(Handlers, that_are_unfinished_at_the_end_are_warned_about_unless_they_are_abandonable) {
  for (const char* name : {"linger", "forget"}) {
    FakeServer server(define_workflow<Hasty>());
    server.signal(name);
    EXPECT_EQ(server.task(), "StartTimer(3600s) StartTimer(1s)");
    server.fire_timer(1);
    EXPECT_EQ(server.task(), "CompleteWorkflow");
    EXPECT_EQ(server.logged().size(), std::string(name) == "linger" ? 1u : 0u);
  }
}

// ---- who only looks

class Sneaky {
 public:
  Task<> run(Context ctx) {
    kept_.emplace(ctx);
    co_await ctx.sleep(1h);
  }
  int look() const {
    (void)kept_->sleep(1s);
    return 1;
  }
  void change() {}
  void check() const {
    (void)kept_->side_effect([] { return 1; });
  }
  using queries = handlers<&Sneaky::look>;
  using updates = handlers<update<&Sneaky::change, &Sneaky::check>>;

 private:
  std::optional<Context> kept_;
};
TEST(Looking, allows_no_verb) {
  FakeServer server(define_workflow<Sneaky>());
  server.task();
  EXPECT_THROW(server.run().query("look", {}), std::logic_error);
  server.update("u1", "change");
  EXPECT_EQ(server.task(), "RejectUpdate(u1)");
  server.fire_timer(0);
  EXPECT_EQ(server.task(), "CompleteWorkflow");
}

}  // namespace perdure::test::update_case
