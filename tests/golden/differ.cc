#include "tests/golden/differ.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace perdure::golden {
namespace {

using Lines = std::vector<std::string>;

constexpr const char* kUnstable = "<unstable>";
constexpr std::size_t kContext = 2;

// `actual`, with <unstable> wherever the recording says so.
Json adopt(const Json& recorded, const Json& actual) {
  if (recorded == kUnstable) return recorded;
  Json out = actual;
  if (recorded.is_object() && actual.is_object()) {
    for (auto& [key, item] : out.items())
      if (const Json* there = member(recorded, key)) item = adopt(*there, item);
  } else if (recorded.is_array() && actual.is_array()) {
    for (std::size_t i = 0; i < std::min(recorded.size(), out.size()); ++i)
      out[i] = adopt(recorded[i], out[i]);
  }
  return out;
}

void remove_messages(Json& node) {
  if (node.is_object()) node.erase("message");
  if (node.is_structured())
    for (auto& item : node) remove_messages(item);
}

Json comparable(Json outcome, bool strict) {
  if (!strict && outcome.contains("error")) remove_messages(outcome["error"]);
  return outcome;
}

Lines split(const std::string& text) {
  Lines lines;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

struct Edit {
  char sign;  // ' ', '-' or '+'
  const std::string* line;
};

// A longest common subsequence, read off as edits. Quadratic, after equal ends are set aside: outcomes are
// some hundred lines.
std::vector<Edit> edits(const Lines& before, const Lines& after) {
  const std::size_t n = before.size(), m = after.size();
  std::vector<std::vector<std::uint32_t>> common(n + 1, std::vector<std::uint32_t>(m + 1));
  for (std::size_t i = n; i-- > 0;)
    for (std::size_t j = m; j-- > 0;)
      common[i][j] =
          before[i] == after[j] ? common[i + 1][j + 1] + 1 : std::max(common[i + 1][j], common[i][j + 1]);
  std::vector<Edit> out;
  for (std::size_t i = 0, j = 0; i < n || j < m;) {
    if (i < n && j < m && before[i] == after[j]) {
      out.push_back({' ', &before[i++]});
      ++j;
    } else if (i < n && (j == m || common[i + 1][j] >= common[i][j + 1])) {
      out.push_back({'-', &before[i++]});
    } else {
      out.push_back({'+', &after[j++]});
    }
  }
  return out;
}

std::string range(std::size_t begin, std::size_t count) {
  return std::to_string(count == 0 ? begin : begin + 1) + (count == 1 ? "" : "," + std::to_string(count));
}

}  // namespace

Lines unified_diff(const Lines& before, const Lines& after) {
  const std::vector<Edit> all = edits(before, after);
  Lines out;
  std::size_t old_line = 0, new_line = 0;
  for (std::size_t at = 0; at < all.size();) {
    std::size_t change = at;
    while (change < all.size() && all[change].sign == ' ') ++change;
    if (change == all.size()) break;
    const std::size_t begin = std::max(at, change - std::min(change, kContext));
    std::size_t end = change, quiet = 0;
    for (; end < all.size() && quiet <= 2 * kContext; ++end) quiet = all[end].sign == ' ' ? quiet + 1 : 0;
    end -= quiet > kContext ? quiet - kContext : 0;
    old_line += begin - at;
    new_line += begin - at;
    std::size_t old_count = 0, new_count = 0;
    Lines body;
    for (std::size_t i = begin; i < end; ++i) {
      old_count += all[i].sign != '+';
      new_count += all[i].sign != '-';
      body.push_back(all[i].sign + *all[i].line);
    }
    out.push_back("@@ -" + range(old_line, old_count) + " +" + range(new_line, new_count) + " @@");
    out.insert(out.end(), body.begin(), body.end());
    old_line += old_count;
    new_line += new_count;
    at = end;
  }
  return out;
}

Lines differences(const Json& recorded, const Json& actual, bool strict, std::size_t limit) {
  Lines lines;
  int shown = 0;
  for (std::size_t i = 0; i < std::max(recorded.size(), actual.size()); ++i) {
    const Json want = i < recorded.size() ? comparable(recorded[i], strict) : Json::object();
    Json got = i < actual.size() ? actual[i] : Json::object();
    if (i < recorded.size() && i < actual.size()) got = comparable(adopt(recorded[i], got), strict);
    if (want == got) continue;
    const Json& title = want.empty() ? got : want;
    lines.push_back("  step " + title.value("step", Json()).dump() + " " + title.value("what", ""));
    for (const auto& line : unified_diff(split(pretty_json(want)), split(pretty_json(got))))
      lines.push_back("    " + line);
    if (++shown == 2 || lines.size() > limit) break;
  }
  if (lines.size() > limit) lines.resize(limit);
  return lines;
}

}  // namespace perdure::golden
