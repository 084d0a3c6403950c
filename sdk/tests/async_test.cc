// client.async(): answers that are waited for, handed on, awaited by coroutines that are no workflows, or
// given up. Against a server, which tests/run.py starts.
#include <gtest/gtest.h>

#include <deque>
#include <future>

#include "base/guarded.h"

#include <perdure/async.h>
#include <perdure/worker.h>

namespace async_test {  // named: g++ 12 warns about coroutines of unnamed ones

using namespace perdure;

Task<int> adds(Context, int a, int b) {
  co_return a + b;
}
Task<int> refuses(Context) {
  throw ApplicationFailure("no", "No");
  co_return 0;
}
Task<int> counts_down(Context ctx, int n) {
  if (n > 0) co_await ctx.continue_as_new<&counts_down>(n - 1);
  co_return 7;
}
class Door {
 public:
  Task<std::string> run(Context ctx) {
    co_await ctx.until([this] { return !by_.empty(); });
    co_return by_;
  }
  void open(std::string by) { by_ = std::move(by); }
  bool is_open() const { return !by_.empty(); }
  using signals = handlers<&Door::open>;
  using queries = handlers<&Door::is_open>;

 private:
  std::string by_;
};

// A coroutine of no library.
struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

// Runs what it is given when it is told to.
class Hand : public Executor {
 public:
  void post(std::function<void()> work) override { work_.set_value(std::move(work)); }
  void run_one() { work_.get_future().get()(); }

 private:
  std::promise<std::function<void()>> work_;
};

class Async : public ::testing::Test {
 protected:
  Async() : worker_(client_, options()) {
    worker_.add<Door>().add<&adds, &refuses, &counts_down>();
    worker_.start();
  }
  WorkerOptions options() const {
    WorkerOptions options;
    options.task_queue = queue_;
    return options;
  }
  StartOptions named(const std::string& id) const { return {.id = queue_ + "-" + id, .task_queue = queue_}; }

  Client client_ = Client::connect();
  AsyncClient async_ = client_.async();
  const std::string queue_ = "async-" + std::to_string(getpid()) + "-" +
                             ::testing::UnitTest::GetInstance()->current_test_info()->name();
  Worker worker_;
};

TEST_F(Async, answers_are_waited_for) {
  Pending<int> sum = async_.execute<&adds>(named("sum"), 1, 2);
  EXPECT_EQ(sum.get(), 3);
  EXPECT_EQ(async_.execute<&counts_down>(named("again"), 1).get(), 7);
  auto handle = async_.start<Door>(named("door")).get();
  Pending<std::string> opened = handle.result();
  EXPECT_FALSE(opened.wait_for(1ms));
  EXPECT_FALSE(opened.ready());
  EXPECT_FALSE(handle.query<&Door::is_open>().get());
  handle.signal<&Door::open>(std::string("Ann")).get();
  EXPECT_EQ(opened.get(), "Ann");
  EXPECT_EQ(handle.describe().get().status, WorkflowStatus::kCompleted);
}

TEST_F(Async, errors_are_those_of_the_blocking_verbs) {
  EXPECT_THROW(async_.execute<&refuses>(named("refused")).get(), WorkflowFailed);
  EXPECT_THROW(async_.handle<Door>("nobody").result().get(), WorkflowNotFound);
  EXPECT_THROW(async_.handle<Door>("nobody").signal<&Door::open>(std::string("x")).get(), WorkflowNotFound);
  auto door = async_.start<Door>(named("door")).get();
  door.terminate("enough").get();
  EXPECT_THROW(door.result().get(), WorkflowTerminated);
}

TEST_F(Async, an_answer_is_handed_to_an_executor_once) {
  Hand hand;
  std::optional<int> sum;
  async_.execute<&adds>(named("sum"), 20, 3).then(hand, [&](Outcome<int> outcome) { sum = *outcome; });
  EXPECT_EQ(sum, std::nullopt);
  hand.run_one();
  EXPECT_EQ(sum, 23);
  Hand other;
  bool failed = false;
  async_.execute<&refuses>(named("refused")).then(other, [&](Outcome<int> outcome) { failed = !outcome; });
  other.run_one();
  EXPECT_TRUE(failed);
}

Detached chain(AsyncClient client, StartOptions first, StartOptions second, std::promise<int>* result) {
  const int three = co_await client.execute<&adds>(first, 1, 2);
  const int thirteen = co_await client.execute<&adds>(second, three, 10);
  result->set_value(thirteen);
}
TEST_F(Async, a_coroutine_of_any_library_awaits_it) {
  std::promise<int> result;
  chain(async_, named("first"), named("second"), &result);
  EXPECT_EQ(result.get_future().get(), 13);
}

TEST_F(Async, what_is_given_up_ends_at_once_and_what_is_dropped_goes_on) {
  auto door = async_.start<Door>(named("door")).get();
  Pending<std::string> given_up = door.result();
  given_up.cancel();
  try {
    (void)given_up.get();
    FAIL() << "it was given up";
  } catch (const RpcError& error) {
    EXPECT_EQ(error.code(), 1);
  }
  {
    const Pending<void> dropped = door.signal<&Door::open>(std::string("Bob"));
  }
  EXPECT_EQ(door.result().get(), "Bob");
}

TEST_F(Async, many_results_are_waited_for_at_a_time) {
  std::vector<Pending<std::string>> results;
  std::vector<AsyncHandle<Door>> doors;
  for (int i = 0; i < 50; ++i) {
    doors.push_back(async_.start<Door>(named("door-" + std::to_string(i))).get());
    results.push_back(doors.back().result());
  }
  for (const auto& door : doors) door.signal<&Door::open>(door.id()).get();
  for (std::size_t i = 0; i < doors.size(); ++i) EXPECT_EQ(results[i].get(), doors[i].id());
}

}  // namespace async_test
