// The local store (log and SQLite) under the real shell, on a disk that loses everything unsynced: nothing that was said is taken
// back (E1, E4, E7, E9). And the proof that this test can fail: with syncs left out, it does.
#include <gtest/gtest.h>

#include <utility>

#include "tests/engine/load.h"

namespace perdure::engine {
namespace {

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

struct Sum {
  int acknowledged = 0, crashes = 0, lost_calls = 0;
};

void expect_all_right(const WorldOptions& world_options, std::uint64_t first_seed, std::uint64_t seeds,
                      LoadOptions options, Sum& sum) {
  for (std::uint64_t seed = first_seed; seed < first_seed + seeds; ++seed) {
    WorldOptions own = world_options;
    own.seed = options.seed = seed;
    World world(own);
    Load load(world, options);
    load.run();
    ASSERT_EQ(joined(load.violations()), "") << "seed " << seed;
    sum.acknowledged += load.acknowledged();
    sum.crashes += load.crashes();
    sum.lost_calls += load.lost_calls();
  }
}

TEST(PowerLoss, E1_E9_NothingAcknowledgedIsLostOnTheLocalStore) {
  Sum sum;
  expect_all_right({.local = true}, 1, 60, {}, sum);
  EXPECT_GT(sum.crashes, 300);
  EXPECT_GT(sum.acknowledged, 1500);
  EXPECT_GT(sum.lost_calls, 1000);
}

TEST(PowerLoss, E1_E9_NeitherWithTwoExecutorsAndNoCache) {
  Sum sum;
  expect_all_right({.local = true, .loops = 2, .cache_bytes = 0}, 1000, 60, {}, sum);
  EXPECT_GT(sum.crashes, 300);
}

TEST(PowerLoss, E1_E4_NeitherOnTheMemoryStoreWhenTheProcessDies) {
  Sum sum;
  expect_all_right({}, 200, 20, {.kinds = {base::Crash::kKeepAll}}, sum);
  expect_all_right({.loops = 2, .cache_bytes = 0}, 300, 20, {.kinds = {base::Crash::kKeepAll}}, sum);
  EXPECT_GT(sum.crashes, 200);
}

// ---- the proof that the test sees what it is there for -------------------------------------------------

enum class Lie : std::uint8_t { kGroupSync, kFileSync, kDirectorySync };

class LyingFile : public base::File {
 public:
  LyingFile(std::unique_ptr<base::File> file, Lie lie) : file_(std::move(file)), lie_(lie) {}
  base::Result<std::size_t> read_into(std::uint64_t offset, std::span<char> out) override {
    return file_->read_into(offset, out);
  }
  base::Status write(std::uint64_t offset, std::string_view bytes) override {
    return file_->write(offset, bytes);
  }
  base::Status sync() override { return lie_ == Lie::kFileSync ? base::Status() : file_->sync(); }
  void sync_then(std::move_only_function<void(base::Status)> done) override {
    if (lie_ != Lie::kDirectorySync) return done({});
    file_->sync_then(std::move(done));
  }
  base::Result<std::uint64_t> size() override { return file_->size(); }
  base::Status truncate(std::uint64_t size) override { return file_->truncate(size); }
  base::Status allocate(std::uint64_t size) override { return file_->allocate(size); }

 private:
  std::unique_ptr<base::File> file_;
  const Lie lie_;
};

// A disk that says "synced" and did nothing.
class LyingDisk : public base::Disk {
 public:
  LyingDisk(base::SimDisk& disk, Lie lie) : disk_(disk), lie_(lie) {}
  base::Result<std::unique_ptr<base::File>> open(const std::string& path, base::OpenMode mode) override {
    TRY(auto file, disk_.open(path, mode));
    return std::make_unique<LyingFile>(std::move(file), lie_);
  }
  base::Result<std::vector<std::string>> list(const std::string& directory) override {
    return disk_.list(directory);
  }
  bool exists(const std::string& path) override { return disk_.exists(path); }
  base::Status make_directory(const std::string& path) override { return disk_.make_directory(path); }
  base::Status rename(const std::string& from, const std::string& to) override {
    return disk_.rename(from, to);
  }
  base::Status remove(const std::string& path) override { return disk_.remove(path); }
  base::Status sync_directory(const std::string& path) override {
    return lie_ == Lie::kDirectorySync ? base::Status() : disk_.sync_directory(path);
  }
  base::Result<std::unique_ptr<base::File>> lock(const std::string& path) override {
    return disk_.lock(path);
  }
  base::Result<std::uint64_t> free_bytes(const std::string& path) override { return disk_.free_bytes(path); }
  std::string network_file_system(const std::string& path) override {
    return disk_.network_file_system(path);
  }
  void pause(base::Duration) override {}

 private:
  base::SimDisk& disk_;
  const Lie lie_;
};

int seeds_that_notice(Lie lie, int seeds) {
  int noticed = 0;
  for (int seed = 1; seed <= seeds; ++seed) {
    World world({.local = true, .seed = static_cast<std::uint64_t>(seed), .wrap = [lie](base::SimDisk& disk) {
                   return std::make_unique<LyingDisk>(disk, lie);
                 }});
    Load load(world, {.seed = static_cast<std::uint64_t>(seed)});
    load.run();
    noticed += load.violations().empty() ? 0 : 1;
  }
  return noticed;
}

// Every seed must notice: it is the same load that passes above.
TEST(PowerLoss, E9_AServerThatSkipsTheSyncOfItsGroupsIsCaught) {
  EXPECT_EQ(seeds_that_notice(Lie::kGroupSync, 5), 5);
}
TEST(PowerLoss, E9_AServerThatSkipsEverySyncIsCaught) {
  EXPECT_EQ(seeds_that_notice(Lie::kFileSync, 5), 5);
}
TEST(PowerLoss, E9_AServerThatSkipsTheSyncOfDirectoriesIsCaught) {
  EXPECT_EQ(seeds_that_notice(Lie::kDirectorySync, 5), 5);
}

}  // namespace
}  // namespace perdure::engine
