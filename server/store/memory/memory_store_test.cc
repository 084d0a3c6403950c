// What only the memory store has: held appends, an ended stream, reopening from its content.
#include "server/store/memory/memory_store.h"

#include <gtest/gtest.h>

#include "base/sim_scheduler.h"

namespace perdure::store {
namespace {

class MemoryStoreTest : public testing::Test {
 protected:
  base::ManualClock clock_;
  base::SimScheduler scheduler_{clock_};
  std::unique_ptr<base::Executor> executor_ = scheduler_.make_executor("store");
};

TEST_F(MemoryStoreTest, HeldAppendIsNotDurable) {  // E1
  MemoryStore store(*executor_);
  ASSERT_EQ(store.replay([](GroupNumber, std::string_view) {}), GroupNumber{0});
  store.hold_appends();
  int answered = 0;
  store.append(1, "one", [&](Status status) { answered += status.has_value(); });
  scheduler_.run_until_idle();
  EXPECT_EQ(answered, 0);

  MemoryStore crashed(*executor_, store.content());
  EXPECT_EQ(crashed.replay([](GroupNumber, std::string_view) { FAIL(); }), GroupNumber{0});

  store.release_appends();
  EXPECT_EQ(answered, 1);
}

TEST_F(MemoryStoreTest, ReplaysGroupsAboveTheCursor) {
  MemoryStore store(*executor_);
  for (GroupNumber n = 1; n <= 3; ++n) store.append(n, std::to_string(n), [](Status) {});
  store.project_visibility({.position = 2}, [](Status status) { EXPECT_TRUE(status); });
  store.project({.position = 2}, [](Status status) { EXPECT_TRUE(status); });
  scheduler_.run_until_idle();
  EXPECT_EQ(store.cursor(), 2u);
  EXPECT_EQ(store.statistics().unprojected_bytes, 1u);

  MemoryStore reopened(*executor_, store.content());
  std::vector<std::string> seen;
  EXPECT_EQ(reopened.replay([&](GroupNumber n, std::string_view bytes) {
    EXPECT_EQ(std::to_string(n), bytes);
    seen.emplace_back(bytes);
  }),
            GroupNumber{3});
  EXPECT_EQ(seen, std::vector<std::string>{"3"});
}

TEST_F(MemoryStoreTest, EndedStreamTakesNothing) {  // E2
  MemoryStore store(*executor_);
  store.hold_appends();
  std::vector<base::Code> codes;
  auto done = [&](Status status) { codes.push_back(status ? base::Code::kOk : status.error().code); };
  store.append(1, "x", done);
  scheduler_.run_until_idle();
  store.end_stream({base::Code::kUnavailable, "sync failed"});
  store.append(2, "y", done);
  store.check_open(done);
  scheduler_.run_until_idle();
  EXPECT_EQ(codes, std::vector<base::Code>(3, base::Code::kUnavailable));
}

}  // namespace
}  // namespace perdure::store
