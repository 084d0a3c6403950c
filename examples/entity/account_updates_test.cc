// Updates, against a server that has them: sdk/tests/run.py says where it is.
#include <gtest/gtest.h>

#include <perdure/client.h>
#include <perdure/worker.h>

#include "examples/entity/account.h"

namespace bank {

TEST(AccountUpdates, are_answered_one_after_another) {
  Client client = Client::connect();
  Worker worker(client, {.task_queue = "accounts"});
  worker.add<AccountWorkflow>();
  worker.add<&book>([](std::string account, long cents) { return account + "/" + std::to_string(cents); });
  worker.start();
  const Account opened{"a1", 500};
  auto account = client.start<AccountWorkflow>({.id = "account-a1", .task_queue = "accounts"}, opened);
  EXPECT_EQ(account.update<&AccountWorkflow::deposit>(20L), 520);
  EXPECT_EQ(account.update<&AccountWorkflow::deposit>(5L), 525);
  EXPECT_THROW((void)account.update<&AccountWorkflow::deposit>(-1L), UpdateFailed);
  EXPECT_EQ(account.query<&AccountWorkflow::balance>(), 525);
  account.signal<&AccountWorkflow::close>();
  EXPECT_EQ(account.result(), 525);
}

}  // namespace bank
