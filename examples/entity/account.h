// An entity: one workflow for each account, for as long as there is the account. What is asked of it comes as updates, one
// after another, without a lock and without a database.
#pragma once

#include <string>
#include <utility>

#include <perdure/workflow.h>

namespace bank {

using namespace perdure;

struct Account {
  std::string id;
  long cents = 0;
};

// Writes the ledger; tried again until it is written.
inline constexpr Activity<std::string(std::string, long)> book{"BookEntry"};

class AccountWorkflow {
 public:
  // The state is there before the first message comes.
  explicit AccountWorkflow(Account account) : account_(std::move(account)) {}

  Task<long> run(Context ctx, Account) {
    co_await ctx.until([this, ctx] { return closed_ || ctx.continue_as_new_suggested(); });
    co_await ctx.until([ctx] { return ctx.all_handlers_finished(); });
    if (!closed_) co_await ctx.continue_as_new<AccountWorkflow>(account_);
    co_return account_.cents;
  }

  Task<long> deposit(Context ctx, long cents) {
    co_await ctx.execute<&book>({.start_to_close_timeout = 10s}, account_.id, cents);
    account_.cents += cents;
    co_return account_.cents;
  }
  // Refuses an update before it leaves a trace.
  void check_deposit(long cents) const {
    if (cents <= 0) throw ApplicationFailure("a deposit must be positive", "NotPositive");
  }
  long balance() const { return account_.cents; }
  void close() { closed_ = true; }

  using updates = handlers<update<&AccountWorkflow::deposit, &AccountWorkflow::check_deposit>>;
  using signals = handlers<&AccountWorkflow::close>;
  using queries = handlers<&AccountWorkflow::balance>;

 private:
  Account account_;
  bool closed_ = false;
};

}  // namespace bank
