#include "tests/golden/book.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/check.h"

namespace perdure::golden {
namespace {

// Every scenario of these must pass, be answered better, or be excused.
constexpr std::array<std::string_view, 10> kDueGroups{
    "activity", "cancel_terminate", "close", "continue_as_new", "limits",
    "query",    "signal",           "start", "timer",           "workflow_task"};
constexpr std::size_t kMostBetter = 10;

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path);
  CHECK(file.good());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Lines without comments and blanks.
std::vector<std::string> lines_of(const std::filesystem::path& path) {
  std::vector<std::string> lines;
  std::istringstream text(read(path));
  for (std::string line; std::getline(text, line);)
    if (!line.empty() && line[0] != '#') lines.push_back(line);
  return lines;
}

bool named_by(const std::string& name, const std::string& wanted) {
  return name == wanted || group_of(name) == wanted;
}

}  // namespace

std::string group_of(const std::string& name) {
  return name.substr(0, name.find('/'));
}

bool needs_grpc(const std::string& name) {
  return name.starts_with("limits/grpc_message");
}

Book::Book(std::filesystem::path folder, const std::filesystem::path& compiled,
           std::filesystem::path recorded)
    : folder_(std::move(folder)), recorded_(std::move(recorded)), scenarios_(Json::parse(read(compiled))) {
  for (const auto& line : lines_of(folder_ / "passing.txt")) passing_.insert(line);
  for (const auto& line : lines_of(folder_ / "also_due.txt")) also_due_.insert(line);
  for (const auto& line : lines_of(folder_ / "not_due.txt")) {
    const std::size_t end = std::min(line.find(' '), line.size());
    not_due_[line.substr(0, end)] = line.substr(std::min(line.find_first_not_of(' ', end), line.size()));
  }
}

std::vector<std::string> Book::select(const std::vector<std::string>& wanted) const {
  std::vector<std::string> names;
  for (const auto& [name, scenario] : scenarios_.items()) {
    const bool chosen = std::ranges::any_of(wanted, [&](const auto& one) { return named_by(name, one); });
    if (chosen || wanted.empty()) names.push_back(name);
  }
  return names;
}

bool Book::better(const std::string& name) const {
  return std::filesystem::exists(folder_ / "better" / (name + ".json"));
}

Json Book::expected(const std::string& name) const {
  if (better(name)) return Json::parse(read(folder_ / "better" / (name + ".json"))).at("outcomes");
  const auto recording = recorded_ / (name + ".json");
  return std::filesystem::exists(recording) ? Json::parse(read(recording)) : Json();
}

bool Book::due(const std::string& name) const {
  return also_due_.contains(name) || std::ranges::find(kDueGroups, group_of(name)) != kDueGroups.end();
}

bool Book::not_due(const std::string& name) const {
  return not_due_.contains(name);
}

void Book::add_passing(const std::set<std::string>& names) {
  const std::string text = read(folder_ / "passing.txt");
  passing_.insert(names.begin(), names.end());
  std::ofstream file(folder_ / "passing.txt");
  std::istringstream old(text);
  for (std::string line; std::getline(old, line) && line.starts_with('#');) file << line << '\n';
  for (const auto& name : passing_) file << name << '\n';
  CHECK(file.good());
}

std::vector<std::string> Book::faults() const {
  std::vector<std::string> faults;
  std::size_t count = 0;
  for (const auto& [name, scenario] : scenarios_.items()) {
    if (due(name) && better(name)) ++count;
    if (due(name) && !passing_.contains(name) && !not_due(name))
      faults.push_back(name + " is due, but in none of the lists");
    if (passing_.contains(name) && not_due(name))
      faults.push_back(name + " passes, but is excused in not_due.txt");
    if (better(name) && !Json::parse(read(folder_ / "better" / (name + ".json"))).contains("reason"))
      faults.push_back(name + " is answered better without a reason");
  }
  if (count > kMostBetter)
    faults.push_back(std::to_string(count) + " scenarios are answered better; at most 10 may be");
  for (const auto* list : {&passing_, &also_due_})
    for (const auto& name : *list)
      if (!scenarios_.contains(name)) faults.push_back(name + " of the lists is no scenario");
  for (const auto& [name, why] : not_due_) {
    if (!scenarios_.contains(name)) faults.push_back(name + " of not_due.txt is no scenario");
    if (why.empty()) faults.push_back(name + " of not_due.txt has no reason");
  }
  return faults;
}

}  // namespace perdure::golden
