#include "server/visibility/filter.h"

#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

namespace perdure::visibility {
namespace {

using base::Result;
using base::Status;

std::unexpected<base::Error> bad(const std::string& text) {
  return base::invalid_argument("invalid query: " + text);
}

std::unexpected<base::Error> not_served(std::string_view what) {
  return bad("operation is not supported: " + std::string(what) +
             " (this server compares WorkflowId, WorkflowType and ExecutionStatus with =, joined by AND)");
}

enum class Kind { kEnd, kName, kString, kNumber, kEquals, kOpen, kClose, kOther };

struct Token {
  Kind kind = Kind::kEnd;
  std::string text;
  std::size_t at = 0;
};

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  Result<Token> next() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
    if (at_ == text_.size()) return Token{Kind::kEnd, "", at_};
    const std::size_t begin = at_;
    const char c = text_[at_];
    if (c == '\'' || c == '"' || c == '`') return quoted(c);
    if (is_letter(c) || is_digit(c)) {
      while (at_ < text_.size() && (is_letter(text_[at_]) || is_digit(text_[at_]) || text_[at_] == '.'))
        ++at_;
      return Token{is_digit(c) ? Kind::kNumber : Kind::kName, std::string(text_.substr(begin, at_ - begin)),
                   begin};
    }
    ++at_;
    const Kind kind = c == '='   ? Kind::kEquals
                      : c == '(' ? Kind::kOpen
                      : c == ')' ? Kind::kClose
                                 : Kind::kOther;
    return Token{kind, std::string(1, c), begin};
  }

 private:
  // A quote is written twice, or after a backslash.
  Result<Token> quoted(char quote) {
    const std::size_t begin = at_++;
    std::string value;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == quote) {
        if (at_ == text_.size() || text_[at_] != quote)
          return Token{quote == '`' ? Kind::kName : Kind::kString, value, begin};
        ++at_;
      } else if (c == '\\' && at_ < text_.size()) {
        value.push_back(text_[at_++]);
        continue;
      }
      value.push_back(c);
    }
    return bad("malformed query: the quote at position " + std::to_string(begin) + " is never closed");
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

bool is_word(const Token& token, std::string_view word) {
  if (token.kind != Kind::kName || token.text.size() != word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i)
    if ((token.text[i] & ~0x20) != word[i]) return false;
  return true;
}

// Names as clients write them, in the order of temporal.api.enums.v1.WorkflowExecutionStatus.
constexpr std::array<std::string_view, 8> kStatusNames = {
    "Running", "Completed", "Failed", "Canceled", "Terminated", "ContinuedAsNew", "TimedOut", "Paused"};

Result<int> status_of(const Token& value) {
  for (std::size_t i = 0; i < kStatusNames.size(); ++i)
    if (value.kind == Kind::kString && value.text == kStatusNames[i]) return static_cast<int>(i) + 1;
  int number = 0;
  const char* end = value.text.data() + value.text.size();
  if (value.kind == Kind::kNumber && std::from_chars(value.text.data(), end, number).ptr == end &&
      number >= 0 && number <= static_cast<int>(kStatusNames.size())) {
    return number;
  }
  return bad("invalid expression: invalid ExecutionStatus value " +
             (value.kind == Kind::kString ? "'" + value.text + "'" : value.text));
}

class Parser {
 public:
  explicit Parser(std::string_view text) : scanner_(text) {}

  Result<store::VisibilityFilter> parse() {
    TRY_VOID(advance());
    if (token_.kind == Kind::kEnd) return filter_;
    TRY_VOID(conjunction(0));
    if (token_.kind != Kind::kEnd) return trailing();
    return std::move(filter_);
  }

 private:
  static constexpr int kDeepest = 100;

  Status advance() {
    TRY(token_, scanner_.next());
    return {};
  }

  std::unexpected<base::Error> unexpected() const {
    return bad("malformed query: syntax error at position " + std::to_string(token_.at + 1) +
               (token_.text.empty() ? "" : " near '" + token_.text + "'"));
  }

  std::unexpected<base::Error> trailing() const {
    for (const char* word : {"OR", "ORDER", "GROUP", "LIMIT", "IN", "LIKE", "BETWEEN", "IS", "STARTS_WITH"})
      if (is_word(token_, word)) return not_served("'" + std::string(word) + "'");
    return unexpected();
  }

  Status conjunction(int depth) {
    if (depth > kDeepest) return bad("too many parentheses");
    for (;;) {
      if (token_.kind == Kind::kOpen) {
        TRY_VOID(advance());
        TRY_VOID(conjunction(depth + 1));
        if (token_.kind != Kind::kClose) return trailing();
        TRY_VOID(advance());
      } else {
        TRY_VOID(comparison());
      }
      if (!is_word(token_, "AND")) return {};
      TRY_VOID(advance());
    }
  }

  Status comparison() {
    if (is_word(token_, "NOT")) return not_served("'NOT'");
    if (token_.kind == Kind::kString)
      return bad("invalid expression: must be a column name but was '" + token_.text + "'");
    if (token_.kind != Kind::kName) return unexpected();
    const std::string name = token_.text;
    if (name != "WorkflowId" && name != "WorkflowType" && name != "ExecutionStatus") {
      return bad("invalid search attribute: " + name +
                 " (this server lists by WorkflowId, WorkflowType and ExecutionStatus)");
    }
    TRY_VOID(advance());
    if (token_.kind == Kind::kEnd) return bad("invalid expression: incomplete expression");
    if (token_.kind != Kind::kEquals) return not_served("operator '" + token_.text + "'");
    TRY_VOID(advance());
    if (token_.kind != Kind::kString && token_.kind != Kind::kNumber) return unexpected();
    TRY_VOID(constrain(name, token_));
    return advance();
  }

  Status constrain(const std::string& name, const Token& value) {
    if (name == "ExecutionStatus") {
      TRY(const int status, status_of(value));
      return keep(filter_.status, status, name);
    }
    if (value.kind != Kind::kString) {
      return bad("invalid expression: invalid value type for search attribute " + name +
                 " of type Keyword: " + value.text);
    }
    return keep(name == "WorkflowId" ? filter_.workflow_id : filter_.workflow_type, value.text, name);
  }

  template <class Value>
  static Status keep(std::optional<Value>& place, const Value& value, const std::string& name) {
    if (place && *place != value) return not_served(name + " compared with two values");
    place = value;
    return {};
  }

  Scanner scanner_;
  Token token_;
  store::VisibilityFilter filter_;
};

}  // namespace

Result<store::VisibilityFilter> parse_filter(std::string_view query) {
  return Parser(query).parse();
}

}  // namespace perdure::visibility
