// perdure-hazards: finds, in files with workflow code, what g++ before 13 miscompiles in coroutines and what
// no replay would repeat.
//
//   perdure-hazards FILE…      prints "FILE:LINE: what and what to write instead"; exit status 1 when it
//   found something
//
// It works on tokens, not on types: a line that is known to be fine says so in a comment, `// hazard: fine`.
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Token {
  std::string text;
  int line;
};

bool is_word(char c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Splits into words, literals ("") and single signs; comments and preprocessor lines are skipped.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::vector<Token> tokens() {
    while (at_ < text_.size()) step();
    return std::move(tokens_);
  }
  const std::set<int>& fine() const { return fine_; }

 private:
  void step() {
    const char c = text_[at_];
    if (c == '\n') {
      ++line_;
      ++at_;
    } else if (text_.substr(at_).starts_with("//")) {
      const std::size_t end = std::min(text_.find('\n', at_), text_.size());
      if (text_.substr(at_, end - at_).find("hazard: fine") != text_.npos) fine_.insert(line_);
      at_ = end;
    } else if (text_.substr(at_).starts_with("/*")) {
      pass(std::min(text_.find("*/", at_ + 2), text_.size() - 2) + 2);
    } else if (c == '#') {
      while (at_ < text_.size() && !(text_[at_] == '\n' && text_[at_ - 1] != '\\')) pass(at_ + 1);
    } else if (text_.substr(at_).starts_with("R\"")) {
      const std::size_t open = std::min(text_.find('(', at_), text_.size() - 1);
      std::string end = ")";
      end.append(text_.substr(at_ + 2, open - at_ - 2)).append("\"");
      const int line = line_;
      pass(std::min(text_.find(end, open), text_.size() - end.size()) + end.size());
      tokens_.push_back({"\"\"", line});
    } else if (c == '"' || (c == '\'' && (at_ == 0 || !is_word(text_[at_ - 1])))) {
      literal(c);
    } else if (is_word(c)) {
      const std::size_t begin = at_;
      while (at_ < text_.size() && (is_word(text_[at_]) || text_[at_] == '\'')) ++at_;
      tokens_.push_back({std::string(text_.substr(begin, at_ - begin)), line_});
    } else {
      if (c != ' ' && c != '\t' && c != '\r') tokens_.push_back({std::string(1, c), line_});
      ++at_;
    }
  }
  void literal(char quote) {
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' ? 2 : 1;
    pass(std::min(end + 1, text_.size()));
    tokens_.push_back({"\"\"", line_});
  }
  void pass(std::size_t to) {
    for (; at_ < to; ++at_) line_ += text_[at_] == '\n';
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1;
  std::vector<Token> tokens_;
  std::set<int> fine_;
};

class Check {
 public:
  Check(std::string file, std::vector<Token> tokens, std::set<int> fine)
      : file_(std::move(file)), tokens_(std::move(tokens)), fine_(std::move(fine)) {}

  int run() {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      head(i);
      not_repeatable(i);
      if (is(i, "co_await")) awaited(i);
    }
    return found_;
  }

 private:
  bool is(std::size_t i, std::string_view text) const {
    return i < tokens_.size() && tokens_[i].text == text;
  }
  bool is_name(std::size_t i) const { return i < tokens_.size() && is_word(tokens_[i].text[0]); }

  void report(std::size_t i, const char* what) {
    if (fine_.contains(tokens_[i].line) || !reported_.emplace(tokens_[i].line, what).second) return;
    std::printf("%s:%d: %s\n", file_.c_str(), tokens_[i].line, what);
    ++found_;
  }

  // The token after the bracket that closes tokens_[open].
  std::size_t after(std::size_t open) const {
    int depth = 0;
    for (std::size_t i = open; i < tokens_.size(); ++i) {
      const std::string& text = tokens_[i].text;
      if (text == "(" || text == "{" || text == "[") ++depth;
      if ((text == ")" || text == "}" || text == "]") && --depth == 0) return i + 1;
    }
    return tokens_.size();
  }

  void head(std::size_t i) {
    if (!is(i, "if") && !is(i, "while") && !is(i, "for") && !is(i, "switch")) return;
    std::size_t open = i + 1;
    if (is(open, "constexpr")) ++open;
    if (!is(open, "(")) return;
    const std::size_t end = after(open);
    for (std::size_t k = open; k < end; ++k) {
      if (is(k, "co_await"))
        report(k, "co_await in the head of a statement: bind the value to a local first, then test that");
    }
  }

  // From the co_await outwards to the ends of its full expression.
  void awaited(std::size_t at) {
    std::size_t begin = at;
    for (int depth = 0; begin > 0; --begin) {
      const std::string& text = tokens_[begin - 1].text;
      if (text == ")" || text == "]") ++depth;
      if (text == "(" || text == "[") --depth;
      if (text == ";" || text == "}" || (text == "{" && depth <= 0)) break;
    }
    std::size_t end = at;
    int depth = 0;
    for (; end < tokens_.size(); ++end) {
      const std::string& text = tokens_[end].text;
      if (text == "{" && !opens_body(end)) {
        end = after(end) - 1;
        continue;
      }
      if (text == "(") ++depth;
      if (text == ")") --depth;
      if (text == ";" || text == "}") break;
      if (text == "{") {
        end = after(end) - 1;  // the body of a lambda has expressions of its own
        continue;
      }
      if (text == "?" && depth <= 0) report(at, "co_await inside ?: is destroyed twice: write if and else");
    }
    for (std::size_t k = begin; k < at; ++k) {
      if (is(k, "?")) report(at, "co_await inside ?: is destroyed twice: write if and else");
    }
    for (std::size_t k = at; k < end; ++k) temporary(at, k);
    if (begin == at) discarded(at, end);
  }

  // A brace after ) or ] or a specifier begins a lambda's body; after a name or nothing it makes a value.
  bool opens_body(std::size_t brace) const {
    return brace > 0 && (is(brace - 1, ")") || is(brace - 1, "]") || is(brace - 1, "mutable"));
  }

  void temporary(std::size_t await, std::size_t k) {
    static const std::set<std::string> kTrivial = {"Duration",     "Text",    "seconds",
                                                   "milliseconds", "minutes", "hours"};
    if (is(k, "{") && k > 0 && (is_name(k - 1) || is(k - 1, ">")) &&
        !kTrivial.contains(tokens_[k - 1].text)) {
      report(await,
             "a braced temporary in the same expression as co_await is destroyed twice: name it first");
    }
    const bool lambda = is(k, "[") && k > 0 && (is(k - 1, "(") || is(k - 1, ","));
    if (lambda && captures_by_value(k) && !checked_verb(k)) {
      report(await,
             "a closure with captures by value in the same expression as co_await is destroyed twice: name "
             "it first");
    }
  }
  bool captures_by_value(std::size_t open) const {
    const std::size_t end = after(open) - 1;
    for (std::size_t k = open + 1; k < end; ++k) {
      const bool first = k == open + 1 || is(k - 1, ",");
      if (first && !is(k, "this") && !is(k, "&")) return true;
    }
    return false;
  }
  // until and map_concurrent look at the closure's type themselves.
  bool checked_verb(std::size_t lambda) const {
    int depth = 0;
    for (std::size_t k = lambda; k > 0; --k) {
      const std::string& text = tokens_[k - 1].text;
      if (text == ")") ++depth;
      if (text == "(" && depth-- == 0) return k > 1 && (is(k - 2, "until") || is(k - 2, "map_concurrent"));
    }
    return false;
  }

  void discarded(std::size_t at, std::size_t end) {
    int depth = 0;
    for (std::size_t k = at; k < end; ++k) {
      if (is(k, "(")) ++depth;
      if (is(k, ")")) --depth;
      if (is(k, "within") && depth == 0)
        report(at, "the result of within() is dropped: whether it was in time is what it is for");
    }
  }

  void not_repeatable(std::size_t i) {
    const bool scoped = i >= 2 && is(i - 1, ":") && is(i - 2, ":");
    const bool member = i >= 1 && (is(i - 1, ".") || (is(i - 1, ">") && i >= 2 && is(i - 2, "-")));
    static const std::set<std::string> kStd = {
        "thread", "jthread", "async", "mutex", "condition_variable", "random_device"};
    static const std::set<std::string> kCalls = {"rand",          "srand",  "getenv",   "time",
                                                 "clock_gettime", "usleep", "nanosleep"};
    const std::string& text = tokens_[i].text;
    if (scoped && i >= 3 && is(i - 3, "std") && kStd.contains(text)) report(i, kNotRepeatable);
    if ((text == "system_clock" || text == "steady_clock") && is(i + 3, "now")) report(i, kNotRepeatable);
    if (!member && kCalls.contains(text) && is(i + 1, "(") && (i == 0 || !is_name(i - 1)))
      report(i, kNotRepeatable);
  }

  static constexpr const char* kNotRepeatable =
      "a replay would not repeat this: take time, chance and waiting from the Context, and do the rest in an "
      "activity";
  std::string file_;
  std::vector<Token> tokens_;
  std::set<int> fine_;
  std::set<std::pair<int, std::string>> reported_;
  int found_ = 0;
};

}  // namespace

int main(int count, char** arguments) {
  int found = 0;
  for (int i = 1; i < count; ++i) {
    std::ifstream in(arguments[i], std::ios::binary);
    if (!in) {
      std::fprintf(stderr, "perdure-hazards: cannot read %s\n", arguments[i]);
      return 2;
    }
    const std::string text(std::istreambuf_iterator<char>(in), {});
    Scanner scanner(text);
    std::vector<Token> tokens = scanner.tokens();
    found += Check(arguments[i], std::move(tokens), scanner.fine()).run();
  }
  return found == 0 ? 0 : 1;
}
