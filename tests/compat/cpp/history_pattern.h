// The shared list ../scenarios.md: its names, and its patterns of event types.
//
// Values; any thread.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace perdure::compat {

// One pattern, as the list's head explains them.
class HistoryPattern {
 public:
  // `short_names`: what "wt", "act", … stand for. Throws std::runtime_error when the text is no pattern.
  HistoryPattern(const std::string& text, const std::map<std::string, std::string>& short_names);
  bool matches(const std::vector<std::string>& types) const;

 private:
  struct Node;
  using Alternatives = std::vector<std::vector<Node>>;
  struct Node {
    std::string type;  // empty: a group
    std::shared_ptr<Alternatives> group;
    int least = 1, most = 1;
  };
  struct Reader;
  using Places = std::set<std::size_t>;
  static Places after(const Alternatives& group, const std::vector<std::string>& types, const Places& places);
  static Places after(const Node& node, const std::vector<std::string>& types, const Places& places);
  Alternatives root_;
};

struct Wanted {
  std::vector<HistoryPattern> runs;  // in the order of their start
  bool open_ended = false;           // more may follow
};
std::map<std::string, Wanted> read_list(const std::string& path);

}  // namespace perdure::compat
