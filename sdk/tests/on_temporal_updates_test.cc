// Updates the whole way, against a server that has them: client, server, worker, handlers, with the cache and
// without, and every history replayed.
#include <gtest/gtest.h>

#include <perdure/client.h>
#include <perdure/worker.h>

#include "sdk/tests/on_server.h"

namespace on_temporal_updates {  // named: g++ 12 warns about coroutines of unnamed ones

using namespace perdure;

int book(long cents) {
  return static_cast<int>(cents);
}

class Account {
 public:
  explicit Account(long cents) : cents_(cents) {}
  Task<long> run(Context ctx, long) {
    co_await ctx.until([this] { return closed_; });
    co_await ctx.until([ctx] { return ctx.all_handlers_finished(); });
    co_return cents_;
  }
  Task<long> deposit(Context ctx, long cents) {
    (void)co_await ctx.execute<&book>({.start_to_close_timeout = 10s}, cents);
    co_await ctx.sleep(10ms);
    cents_ += cents;
    co_return cents_;
  }
  void check_deposit(long cents) const {
    if (cents <= 0) throw ApplicationFailure("a deposit must be positive", "NotPositive");
  }
  long add(long cents) { return cents_ += cents; }
  void refuse(std::string why) { throw ApplicationFailure(why, "Refusal"); }
  void close() { closed_ = true; }
  long balance() const { return cents_; }
  using signals = handlers<&Account::close>;
  using queries = handlers<&Account::balance>;
  using updates = handlers<update<&Account::deposit, &Account::check_deposit>,
                           update<&Account::add, nullptr, "plus">, update<&Account::refuse>>;

 private:
  long cents_;
  bool closed_ = false;
};

class Updates : public OnServer {
 protected:
  Updates() {
    worker().add<Account>().add<&book>();
    replayer().add<Account>();
    start();
  }
};

TEST_P(Updates, are_validated_executed_and_answered) {
  auto handle = client().start<Account>(named("typed"), 100L);
  EXPECT_EQ(handle.update<&Account::add>(1L), 101);
  EXPECT_EQ(handle.update<&Account::deposit>(10L), 111);
  try {
    (void)handle.update<&Account::deposit>(-1L);
    FAIL() << "it must be refused";
  } catch (const UpdateFailed& failed) {
    EXPECT_NE(std::string(failed.what()).find("a deposit must be positive"), std::string::npos);
    EXPECT_THROW(std::rethrow_exception(failed.failure()), ApplicationFailure);
  }
  EXPECT_THROW((void)handle.update<&Account::deposit>(-2L), UpdateFailed);  // another task that is dropped
  EXPECT_THROW(handle.update<&Account::refuse>("no"), UpdateFailed);
  EXPECT_EQ(handle.update<&Account::add>(1L), 112);
  EXPECT_EQ(handle.query<&Account::balance>(), 112);
  handle.signal<&Account::close>();
  EXPECT_EQ(handle.result(), 112);
  check_replay(handle.id());
}

TEST_P(Updates, are_started_and_awaited_apart) {
  auto handle = client().start<Account>(named("apart"), 0L);
  std::vector<UpdateHandle<long>> all;
  for (int i = 1; i <= 3; ++i) all.push_back(handle.start_update<&Account::deposit>(10L * i));
  handle.signal<&Account::close>();
  EXPECT_EQ(handle.result(), 60);
  long most = 0;
  for (const auto& one : all) most = std::max(most, one.result());
  EXPECT_EQ(most, 60);
  check_replay(handle.id());
}

TEST_P(Updates, of_one_id_are_one) {
  auto handle = client().start<Account>(named("once"), 0L);
  const UpdateOptions once{.id = "once"};
  for (int i = 0; i < 2; ++i) {
    auto update = handle.start_update<&Account::add>(once, 5L);
    EXPECT_EQ(update.id(), "once");
    EXPECT_EQ(update.result(), 5);
  }
  auto untyped = client().handle(handle.id());
  EXPECT_EQ(untyped.update<long>("plus", 1L), 6);
  EXPECT_EQ(untyped.start_update<long>("plus", {}, 1L).result(), 7);
  EXPECT_THROW(untyped.update<long>("nobody"), UpdateFailed);
  handle.signal<&Account::close>();
  EXPECT_EQ(handle.result(), 7);
  check_replay(handle.id());
}

TEST_P(Updates, with_start_start_once_and_update_every_time) {
  StartOptions options = named("with-start");
  options.id_conflict = IdConflictPolicy::kUseExisting;
  const WithStart<Account> start(options, 100L);
  EXPECT_EQ(client().update_with_start<&Account::deposit>(start, 1L), 101);
  EXPECT_EQ(client().update_with_start<&Account::deposit>(start, 1L), 102);
  EXPECT_EQ(client().start_update_with_start<&Account::add>(start, {}, 1L).result(), 103);
  EXPECT_THROW((void)client().update_with_start<&Account::deposit>(start, -1L), UpdateFailed);
  options.id_conflict = IdConflictPolicy::kFail;
  EXPECT_THROW((void)client().update_with_start<&Account::add>(WithStart<Account>(options, 1L), 1L),
               WorkflowAlreadyStarted);
  auto handle = client().handle<Account>(options.id);
  handle.signal<&Account::close>();
  EXPECT_EQ(handle.result(), 103);
  check_replay(handle.id());
  EXPECT_THROW((void)handle.update<&Account::add>(1L), WorkflowNotFound);
}

PERDURE_ON_SERVER(Updates);

}  // namespace on_temporal_updates
