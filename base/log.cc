#include "base/log.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <string>

namespace perdure::base {
namespace internal {
std::atomic<int> least_logged{static_cast<int>(LogLevel::kNever)};
}
namespace {

constexpr std::array<const char*, 5> kNames = {"debug", "info", "warn", "error", "never"};
constexpr std::array<const char*, 4> kShown = {"DEBUG", "INFO", "WARN", "ERROR"};
constexpr std::size_t kLongestText = 1000;  // of one field: what is longer is cut

// Written once, by start_log(), before anything is logged.
LogFormat format = LogFormat::kText;
const Clock* clock_of_lines = nullptr;
int descriptor = 2;

std::string shown(Time time) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(time);
  const std::time_t seconds = whole.time_since_epoch().count();
  const auto millis = std::chrono::floor<std::chrono::milliseconds>(time - whole).count();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 24> date{};
  std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%s.%03dZ", date.data(), static_cast<int>(millis));
  return text.data();
}

// Bytes of the UTF-8 character at `at`; 0 when there is none.
std::size_t character(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  const std::size_t size = first < 0x80                    ? 1
                           : first >= 0xC2 && first < 0xE0 ? 2
                           : first >= 0xE0 && first < 0xF0 ? 3
                           : first >= 0xF0 && first < 0xF5 ? 4
                                                           : 0;
  if (size == 0 || at + size > text.size()) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
  }
  return size;
}

// As JSON writes a string; what is not text becomes U+FFFD.
void append_quoted(std::string& line, std::string_view text) {
  line += '"';
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = character(text, at);
    const char c = text[at];
    if (size == 0) {
      line += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      line += {'\\', c};
    } else if (c == '\n') {
      line += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      std::array<char, 8> escaped{};
      std::snprintf(escaped.data(), escaped.size(), "\\u%04x", static_cast<unsigned>(c));
      line += escaped.data();
    } else {
      line += text.substr(at, size);
    }
    at += std::max<std::size_t>(size, 1);
  }
  line += '"';
}

bool plain(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (c <= ' ' || c == '=' || c == '"' || c == '\\' || c == 0x7F)
      return false;  // char is signed: beyond ASCII is quoted
  }
  return true;
}

void append_value(std::string& line, const LogField& field) {
  if (field.kind == LogField::Kind::kNumber) {
    line += std::to_string(field.number);
  } else if (field.kind == LogField::Kind::kTruth) {
    line += field.number != 0 ? "true" : "false";
  } else if (format == LogFormat::kText && plain(field.text)) {
    line += field.text.substr(0, kLongestText);
  } else {
    append_quoted(line, field.text.substr(0, kLongestText));
  }
}

void append_field(std::string& line, const LogField& field) {
  if (format == LogFormat::kText) {
    if (!line.empty()) line += ' ';
    line.append(field.name).append("=");
  } else {
    line += line.empty() ? '{' : ',';
    append_quoted(line, field.name);
    line += ':';
  }
  append_value(line, field);
}

}  // namespace

std::optional<LogLevel> log_level_of(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

void start_log(LogLevel least, LogFormat wanted, const Clock& clock, int file_descriptor) {
  format = wanted;
  clock_of_lines = &clock;
  descriptor = file_descriptor;
  internal::least_logged.store(static_cast<int>(least), std::memory_order_release);
}

void log_line(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (clock_of_lines == nullptr || level == LogLevel::kNever) return;
  std::string line;
  append_field(line, {"time", shown(clock_of_lines->now())});
  append_field(line, {"level", kShown[static_cast<std::size_t>(level)]});
  append_field(line, {"msg", event});
  for (const LogField& field : fields) append_field(line, field);
  line += format == LogFormat::kJson ? "}\n" : "\n";
  // One write: lines of several threads do not mix. A log that cannot be written is nobody's reason to stop.
  if (write(descriptor, line.data(), line.size()) < 0) return;
}

}  // namespace perdure::base
