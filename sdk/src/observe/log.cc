#include <perdure/log.h>

namespace perdure {
inline namespace v1 {

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarn: return "warn";
    case LogLevel::kError: return "error";
  }
  return "error";
}

namespace {

// What would end a field or a line is written as an escape, inside quotes.
void append_value(std::string& out, std::string_view value) {
  static constexpr std::string_view kSpecial = " \t\r\n\"=";
  if (!value.empty() && value.find_first_of(kSpecial) == value.npos) {
    out.append(value);
    return;
  }
  out += '"';
  for (const char c : value) {
    switch (c) {
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '"': out += "\\\""; break;
      default: out += c;
    }
  }
  out += '"';
}

}  // namespace

std::string to_text(const LogRecord& record) {
  std::string line(level_name(record.level));
  line.append(" ").append(record.event);
  for (const LogField& field : record.fields) {
    line.append(" ").append(field.key).append("=");
    append_value(line, field.value);
  }
  return line;
}

}  // namespace v1
}  // namespace perdure
