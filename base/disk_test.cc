// What every Disk promises, on the real one and on the simulated one.
#include "base/disk.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/sim_disk.h"

namespace perdure::base {
namespace {

struct PosixFixture {
  PosixFixture() {
    char name[] = "/tmp/perdure_disk_test_XXXXXX";
    directory = ::mkdtemp(name);
  }
  ~PosixFixture() { std::filesystem::remove_all(directory); }
  Disk& disk() { return posix_disk(); }
  std::string directory;
};

struct SimFixture {
  SimFixture() { EXPECT_TRUE(sim.make_directory(directory)); }
  Disk& disk() { return sim; }
  SimDisk sim;
  std::string directory = "data";
};

template <class Fixture>
class DiskTest : public testing::Test {
 protected:
  std::string path(const std::string& name) { return fixture_.directory + "/" + name; }
  Fixture fixture_;
};
using Disks = testing::Types<PosixFixture, SimFixture>;
TYPED_TEST_SUITE(DiskTest, Disks);

TYPED_TEST(DiskTest, ReadsWhatWasWritten) {
  auto file = this->fixture_.disk().open(this->path("a"), OpenMode::kCreateNew);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->write(0, "hello"));
  ASSERT_TRUE((*file)->write(8, "world"));
  ASSERT_TRUE((*file)->sync());
  EXPECT_EQ((*file)->size(), std::uint64_t{13});
  EXPECT_EQ((*file)->read(0, 100), std::string("hello\0\0\0world", 13));
  EXPECT_EQ((*file)->read(8, 3), "wor");
  EXPECT_EQ((*file)->read(13, 3), "");
  ASSERT_TRUE((*file)->truncate(4));
  EXPECT_EQ((*file)->read(0, 100), "hell");
  bool synced = false;
  (*file)->sync_then([&](Status status) { synced = status.has_value(); });
  EXPECT_TRUE(synced);
}

TYPED_TEST(DiskTest, AllocatesZeros) {
  auto file = this->fixture_.disk().open(this->path("a"), OpenMode::kCreate);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->write(0, "abc"));
  ASSERT_TRUE((*file)->allocate(4096));
  EXPECT_EQ((*file)->size(), std::uint64_t{4096});
  EXPECT_EQ((*file)->read(0, 5), std::string("abc\0\0", 5));
  ASSERT_TRUE((*file)->allocate(10));
  EXPECT_EQ((*file)->size(), std::uint64_t{4096});
}

TYPED_TEST(DiskTest, OpenModesAndErrors) {
  Disk& disk = this->fixture_.disk();
  EXPECT_EQ(disk.open(this->path("a"), OpenMode::kRead).error().code, Code::kNotFound);
  EXPECT_EQ(disk.open(this->path("a"), OpenMode::kReadWrite).error().code, Code::kNotFound);
  EXPECT_TRUE(disk.open(this->path("a"), OpenMode::kCreateNew));
  EXPECT_EQ(disk.open(this->path("a"), OpenMode::kCreateNew).error().code, Code::kAlreadyExists);
  EXPECT_TRUE(disk.open(this->path("a"), OpenMode::kCreate));
  EXPECT_EQ(disk.remove(this->path("b")).error().code, Code::kNotFound);
  EXPECT_EQ(disk.rename(this->path("b"), this->path("c")).error().code, Code::kNotFound);
  EXPECT_EQ(disk.list(this->path("none")).error().code, Code::kNotFound);
}

TYPED_TEST(DiskTest, Directories) {
  Disk& disk = this->fixture_.disk();
  EXPECT_TRUE(disk.make_directory(this->path("sub")));
  EXPECT_TRUE(disk.make_directory(this->path("sub")));
  ASSERT_TRUE(disk.open(this->path("sub/b"), OpenMode::kCreate));
  ASSERT_TRUE(disk.open(this->path("sub/a"), OpenMode::kCreate));
  EXPECT_EQ(disk.list(this->path("sub")), (std::vector<std::string>{"a", "b"}));
  ASSERT_TRUE(disk.rename(this->path("sub/a"), this->path("sub/b")));
  EXPECT_EQ(disk.list(this->path("sub")), std::vector<std::string>{"b"});
  ASSERT_TRUE(disk.sync_directory(this->path("sub")));
  ASSERT_TRUE(disk.remove(this->path("sub/b")));
  EXPECT_FALSE(disk.exists(this->path("sub/b")));
  EXPECT_GT(disk.free_bytes(this->fixture_.directory).value(), 0u);
  EXPECT_EQ(disk.network_file_system(this->fixture_.directory), "");
}

TYPED_TEST(DiskTest, ReplacesFilesWhole) {
  Disk& disk = this->fixture_.disk();
  ASSERT_TRUE(replace_file(disk, this->fixture_.directory, "m", "a longer text"));
  ASSERT_TRUE(replace_file(disk, this->fixture_.directory, "m", "short"));
  EXPECT_EQ(read_file(disk, this->path("m")), "short");
  EXPECT_EQ(disk.list(this->fixture_.directory), std::vector<std::string>{"m"});
}

TYPED_TEST(DiskTest, LocksOnce) {
  Disk& disk = this->fixture_.disk();
  {
    auto first = disk.lock(this->path("lock"));
    ASSERT_TRUE(first);
    auto second = disk.lock(this->path("lock"));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Code::kFailedPrecondition);
    EXPECT_NE(second.error().message.find("process"), std::string::npos);
  }
  EXPECT_TRUE(disk.lock(this->path("lock")));
}

TEST(PosixDiskTest, LockNamesTheOwner) {
  PosixFixture fixture;
  int ready[2], stop[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(stop), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto held = posix_disk().lock(fixture.directory + "/lock");
    char byte = held ? 'y' : 'n';
    ::close(stop[1]);
    if (::write(ready[1], &byte, 1) != 1 || ::read(stop[0], &byte, 1) < 0) ::_exit(1);
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ASSERT_EQ(byte, 'y');
  auto refused = posix_disk().lock(fixture.directory + "/lock");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find(std::to_string(child)), std::string::npos);
  ::close(stop[1]);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(posix_disk().lock(fixture.directory + "/lock"));
}

TEST(PosixDiskTest, DirectoryIsPrivate) {
  PosixFixture fixture;
  ASSERT_TRUE(posix_disk().make_directory(fixture.directory + "/data"));
  const auto mode = std::filesystem::status(fixture.directory + "/data").permissions();
  EXPECT_EQ(mode & std::filesystem::perms::all, std::filesystem::perms::owner_all);
}

}  // namespace
}  // namespace perdure::base
