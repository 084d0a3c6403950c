#include "examples/entity/account.h"

#include <gtest/gtest.h>

#include <perdure/testing.h>

namespace bank {

TEST(Account, handlers_are_members_and_tested_as_such) {
  AccountWorkflow account(Account{"a1", 500});
  EXPECT_EQ(account.balance(), 500);
  EXPECT_NO_THROW(account.check_deposit(1));
  EXPECT_THROW(account.check_deposit(-1), ApplicationFailure);
}

TEST(Account, is_there_until_it_is_closed) {
  perdure::testing::Environment env;
  env.add<AccountWorkflow>();
  auto account = env.start<AccountWorkflow>(Account{"a1", 500});
  env.advance(24h * 365);
  EXPECT_EQ(account.query<&AccountWorkflow::balance>(), 500);
  account.signal<&AccountWorkflow::close>();
  EXPECT_EQ(account.result(), 500);
}

}  // namespace bank
