// An entity for tests: what is paid in comes as signals, it begins its next run after every third, and ends when it is told to.
#pragma once

#include <string>
#include <utility>

#include <perdure/workflow.h>

namespace savings {

using namespace perdure;

struct Account {
  std::string id;
  long cents = 0;
  int operations = 0;
};
inline constexpr Activity<std::string(std::string, long)> book{"BookEntry"};

class Savings {
 public:
  explicit Savings(Account account) : account_(std::move(account)) {}
  Task<long> run(Context ctx, Account) {
    co_await ctx.until([this] { return closed_ || account_.operations >= 3; });
    co_await ctx.until([ctx] { return ctx.all_handlers_finished(); });
    if (!closed_) {
      account_.operations = 0;
      co_await ctx.continue_as_new<Savings>(account_);
    }
    co_return account_.cents;
  }
  Task<> deposit(Context ctx, long cents) {
    std::string entry = co_await ctx.execute<&book>({.start_to_close_timeout = 10s}, account_.id, cents);
    account_.cents += cents;
    ++account_.operations;
  }
  void close() { closed_ = true; }
  using signals = handlers<&Savings::deposit, &Savings::close>;

 private:
  Account account_;
  bool closed_ = false;
};

}  // namespace savings
