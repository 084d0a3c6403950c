// Runs every *.table beside it; --update writes what came of them into the files instead of complaining.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "server/core/testing/table.h"

namespace perdure::core {
namespace {

bool update = false;

std::string content_of(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// The first lines that differ, with their number.
std::string difference(const std::string& expected, const std::string& found) {
  std::istringstream a(expected), b(found);
  std::string left, right;
  for (int line = 1;; ++line) {
    const bool more_left = static_cast<bool>(std::getline(a, left)),
               more_right = static_cast<bool>(std::getline(b, right));
    if (!more_left && !more_right) return "the ends of the files";
    if (more_left != more_right || left != right) {
      return "line " + std::to_string(line) + "\n  expected: " + (more_left ? left : "(end)") +
             "\n  found:    " + (more_right ? right : "(end)");
    }
  }
}

class Table : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(Table, Holds) {
  const std::string expected = content_of(GetParam());
  const std::string found = run_table(expected);
  ASSERT_EQ(found.find("\n  !!"), std::string::npos) << difference(expected, found);
  if (update) {
    std::ofstream(GetParam()) << found;
    return;
  }
  EXPECT_TRUE(expected == found) << GetParam() << ": " << difference(expected, found);
}

std::vector<std::filesystem::path> tables() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(CORE_TABLES)) {
    if (entry.path().extension() == ".table") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

INSTANTIATE_TEST_SUITE_P(Core, Table, testing::ValuesIn(tables()),
                         [](const auto& info) { return info.param.stem().string(); });

}  // namespace
}  // namespace perdure::core

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  perdure::core::update = argc > 1 && std::string(argv[1]) == "--update";
  return RUN_ALL_TESTS();
}
