#include "server/main/data_directory.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/clock.h"
#include "base/executor.h"

namespace perdure::server {
namespace {

TEST(DataDirectory, a_temporary_one_is_gone_also_when_it_is_written_to_meanwhile) {
  const std::string place = ::testing::TempDir() + "data-directory-" + std::to_string(getpid());
  std::filesystem::create_directory(place);
  ASSERT_EQ(setenv("TMPDIR", place.c_str(), 1), 0);
  for (int round = 0; round < 5; ++round) {
    ServerOptions options;
    options.dev = true;
    auto data = DataDirectory::open(options);
    ASSERT_TRUE(data) << data.error().message;
    std::atomic<int> files = 0;
    std::atomic<bool> stop = false;
    const auto writer = base::make_thread_executor("writer", base::system_clock());
    writer->post(base::Lane::kCompletion, 0, [&, path = (*data)->path()] {
      while (!stop) std::ofstream(path + "/" + std::to_string(++files));
    });
    while (files < 100) {
    }
    (*data)->abandon();
    stop = true;
    writer->run_and_wait([] {});
    EXPECT_TRUE(std::filesystem::is_empty(place));
  }
  std::filesystem::remove_all(place);
}

}  // namespace
}  // namespace perdure::server
