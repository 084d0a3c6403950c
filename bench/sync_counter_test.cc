#include "bench/sync_counter.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace perdure::bench {
namespace {

// Where the kernel lets us count it counts exactly; where it does not, it says so.
TEST(SyncCounter, CountsOwnCallsOrNothing) {
  const auto file =
      std::filesystem::temp_directory_path() / ("sync_counter_test." + std::to_string(getpid()));
  const SyncCounter counter(getpid());
  const int fd = open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(counter.count().value_or(0), 0);
  fdatasync(fd);
  fsync(fd);
  fsync(fd);
  EXPECT_EQ(counter.count().value_or(3), 3);
  close(fd);
  std::filesystem::remove(file);
}

TEST(SyncCounter, NoSuchProcess) {
  EXPECT_EQ(SyncCounter(1 << 30).count(), std::nullopt);
}

}  // namespace
}  // namespace perdure::bench
