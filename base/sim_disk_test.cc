// The faults of the simulated disk.
#include "base/sim_disk.h"

#include <gtest/gtest.h>

#include <set>

namespace perdure::base {
namespace {

class SimDiskTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(disk_.make_directory("d"));
    file_ = open("d/f");
    ASSERT_TRUE(disk_.sync_directory("d"));
    ASSERT_TRUE(file_->write(0, "synced"));
    ASSERT_TRUE(file_->sync());
  }
  std::unique_ptr<File> open(const std::string& path) { return disk_.open(path, OpenMode::kCreate).value(); }
  std::string content(const std::string& path) { return read_file(disk_, path).value_or("missing"); }

  SimDisk disk_{7};
  std::unique_ptr<File> file_;
};

TEST_F(SimDiskTest, CrashDropsWhatWasNotSynced) {
  ASSERT_TRUE(file_->write(6, " lost"));
  EXPECT_EQ(content("d/f"), "synced lost");
  disk_.crash(Crash::kDropUnsynced);
  EXPECT_EQ(content("d/f"), "synced");
  EXPECT_FALSE(file_->write(0, "x"));  // of the life before
}

TEST_F(SimDiskTest, ProcessCrashKeepsThePageCache) {
  ASSERT_TRUE(file_->write(6, " kept"));
  disk_.crash(Crash::kKeepAll);
  EXPECT_EQ(content("d/f"), "synced kept");
  disk_.crash(Crash::kDropUnsynced);  // it never became durable
  EXPECT_EQ(content("d/f"), "synced");
}

TEST_F(SimDiskTest, UnsyncedEntriesVanish) {
  ASSERT_TRUE(open("d/new")->sync());
  ASSERT_TRUE(disk_.rename("d/f", "d/g"));
  disk_.crash(Crash::kDropUnsynced);
  EXPECT_EQ(content("d/new"), "missing");
  EXPECT_EQ(content("d/f"), "synced");
  EXPECT_EQ(content("d/g"), "missing");

  ASSERT_TRUE(disk_.rename("d/f", "d/g"));
  ASSERT_TRUE(disk_.sync_directory("d"));
  disk_.crash(Crash::kDropUnsynced);
  EXPECT_EQ(content("d/g"), "synced");
}

TEST_F(SimDiskTest, RandomCrashTearsWrites) {
  std::set<std::string> outcomes;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    auto copy = disk_.copy(seed);
    ASSERT_TRUE(copy->open("d/f", OpenMode::kReadWrite).value()->write(0, std::string(1024, 'x')));
    copy->crash(Crash::kRandom);
    const std::string after = read_file(*copy, "d/f").value();
    EXPECT_TRUE(after.starts_with("synced") || after.starts_with("xxxxxx"));
    outcomes.insert(after);
  }
  EXPECT_EQ(outcomes.size(), 4u);  // nothing, all, either sector
}

TEST_F(SimDiskTest, FailedSyncLosesSilently) {
  disk_.fail_next_sync();
  ASSERT_TRUE(file_->write(6, "!"));
  EXPECT_FALSE(file_->sync());
  EXPECT_TRUE(file_->sync());  // reports success, wrote nothing
  EXPECT_EQ(content("d/f"), "synced!");
  disk_.crash(Crash::kDropUnsynced);
  EXPECT_EQ(content("d/f"), "synced");
}

TEST_F(SimDiskTest, HeldSyncsAnswerLater) {
  disk_.hold_syncs();
  ASSERT_TRUE(file_->write(6, "!"));
  int answered = 0;
  file_->sync_then([&](Status status) { answered += status.has_value(); });
  EXPECT_EQ(answered, 0);
  disk_.release_syncs();
  EXPECT_EQ(answered, 1);
  disk_.crash(Crash::kDropUnsynced);
  EXPECT_EQ(content("d/f"), "synced!");
}

TEST_F(SimDiskTest, StopsAtAnOperation) {
  const std::uint64_t next = disk_.operations() + 1;
  disk_.stop_at(next + 1, true);
  EXPECT_TRUE(file_->write(6, "12"));
  EXPECT_FALSE(file_->write(8, "3456"));  // half through
  EXPECT_FALSE(file_->sync());
  EXPECT_FALSE(file_->read(0, 1));
  disk_.crash(Crash::kKeepAll);
  EXPECT_EQ(content("d/f"), "synced1234");
}

TEST_F(SimDiskTest, FullDisk) {
  disk_.set_capacity(10);
  EXPECT_EQ(disk_.free_bytes("d"), std::uint64_t{4});
  EXPECT_EQ(file_->write(6, "12345").error().code, Code::kResourceExhausted);
  EXPECT_EQ(file_->allocate(11).error().code, Code::kResourceExhausted);
  EXPECT_TRUE(file_->write(6, "1234"));
  EXPECT_TRUE(file_->write(0, "S"));
}

TEST_F(SimDiskTest, FlippedByteIsReadFlipped) {
  disk_.flip("d/f", 0, 0x20);
  EXPECT_EQ(content("d/f"), "Synced");
  disk_.crash(Crash::kDropUnsynced);
  EXPECT_EQ(content("d/f"), "Synced");
}

TEST_F(SimDiskTest, Counts) {
  const auto writes = disk_.writes(), bytes = disk_.bytes_written(), syncs = disk_.syncs();
  ASSERT_TRUE(file_->write(0, "abc"));
  ASSERT_TRUE(file_->sync());
  EXPECT_EQ(disk_.writes() - writes, 1u);
  EXPECT_EQ(disk_.bytes_written() - bytes, 3u);
  EXPECT_EQ(disk_.syncs() - syncs, 1u);
  EXPECT_EQ(disk_.used(), 6u);
}

}  // namespace
}  // namespace perdure::base
