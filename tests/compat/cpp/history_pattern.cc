#include "tests/compat/cpp/history_pattern.h"

#include <fstream>
#include <limits>
#include <sstream>
#include <stdexcept>

namespace perdure::compat {
namespace {

constexpr int kAny = std::numeric_limits<int>::max();

std::string trimmed(const std::string& text, const char* what = " ") {
  const std::size_t first = text.find_first_not_of(what);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(what) - first + 1);
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, at);) parts.push_back(trimmed(part));
  return parts;
}

}  // namespace

// Reads words: names and ( ) / with an optional ? * + or ×N behind.
struct HistoryPattern::Reader {
  std::vector<std::string> words;
  const std::map<std::string, std::string>& short_names;
  std::size_t at = 0;

  static std::string take_repeat(std::string word, Node& node) {
    static const std::string kTimes = "×";
    if (const std::size_t times = word.find(kTimes); times != word.npos) {
      node.least = node.most = std::stoi(word.substr(times + kTimes.size()));
      return word.substr(0, times);
    }
    const char last = word.back();
    if (last != '?' && last != '*' && last != '+') return word;
    node.least = last == '+' ? 1 : 0;
    node.most = last == '?' ? 1 : kAny;
    return word.substr(0, word.size() - 1);
  }

  Alternatives read(bool inside, Node* around) {
    Alternatives all(1);
    while (at < words.size()) {
      Node node;
      const std::string word = take_repeat(words[at++], node);
      if (word == ")") {
        if (!inside) throw std::runtime_error("a ) too many");
        around->least = node.least;
        around->most = node.most;
        return all;
      }
      if (word == "/") {
        all.emplace_back();
        continue;
      }
      if (word == "(") {
        node.group = std::make_shared<Alternatives>(read(true, &node));
      } else if (const auto found = short_names.find(word); found != short_names.end()) {
        Reader meaning{split(found->second, ' '), short_names};
        node.group = std::make_shared<Alternatives>(meaning.read(false, nullptr));
      } else {
        node.type = word;
      }
      all.back().push_back(node);
    }
    if (inside) throw std::runtime_error("a ( is open");
    return all;
  }
};

HistoryPattern::HistoryPattern(const std::string& text,
                               const std::map<std::string, std::string>& short_names) {
  Reader reader{split(text, ' '), short_names};
  root_ = reader.read(false, nullptr);
}

// Places between events: those that can be reached. A repeat goes on from new ones only, so that thousands of events cost
// little, and there is no recursion over them.
bool HistoryPattern::matches(const std::vector<std::string>& types) const {
  return after(root_, types, {0}).contains(types.size());
}

HistoryPattern::Places HistoryPattern::after(const Alternatives& group, const std::vector<std::string>& types,
                                             const Places& places) {
  Places all;
  for (const std::vector<Node>& sequence : group) {
    Places reached = places;
    for (const Node& node : sequence) reached = after(node, types, reached);
    all.merge(reached);
  }
  return all;
}

HistoryPattern::Places HistoryPattern::after(const Node& node, const std::vector<std::string>& types,
                                             const Places& places) {
  Places all, from = places;
  if (node.least == 0) all = places;
  for (int n = 1; n <= node.most && !from.empty(); ++n) {
    Places reached;
    if (node.group) {
      reached = after(*node.group, types, from);
    } else {
      for (const std::size_t place : from) {
        if (place < types.size() && types[place] == node.type) reached.insert(place + 1);
      }
    }
    if (n >= node.least) {
      std::erase_if(reached, [&](std::size_t place) { return all.contains(place); });
      all.insert(reached.begin(), reached.end());
    }
    from = std::move(reached);
  }
  return all;
}

std::map<std::string, Wanted> read_list(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw std::runtime_error("cannot read " + path);
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("| ")) rows.push_back(split(line.substr(1, line.rfind('|') - 1), '|'));
  }
  std::map<std::string, std::string> short_names;
  for (const auto& row : rows) {
    if (row.size() == 2 && row[0].starts_with("`")) short_names[trimmed(row[0], "`")] = row[1];
  }
  std::map<std::string, Wanted> wanted;
  for (const auto& row : rows) {
    if (row.size() != 3 || row[0] == "name") continue;
    Wanted& one = wanted[row[0]];
    for (const std::string& pattern : split(trimmed(row[2], "`"), ';')) {
      if (pattern == "…") {
        one.open_ended = true;
      } else {
        one.runs.emplace_back(pattern, short_names);
      }
    }
  }
  return wanted;
}

}  // namespace perdure::compat
