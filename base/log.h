// Log: what an operator reads. A line is an event name with fields, never a sentence put together, never a payload.
//
//   LOG(kWarn, "low_space", {{"free_bytes", free}, {"directory", path}});
//
// A level that is off costs one load, and its fields are not computed. Nothing is written before start_log(): a host program and
// tests hear nothing. Thread rule: any thread; a line is written whole.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "base/clock.h"

namespace perdure::base {

enum class LogLevel : int { kDebug, kInfo, kWarn, kError, kNever };
enum class LogFormat { kText, kJson };

// "debug", "info", "warn", "error", "never"; nullopt: none of them.
std::optional<LogLevel> log_level_of(std::string_view name);

class LogField {
 public:
  enum class Kind { kText, kNumber, kTruth };

  LogField(std::string_view name, std::string_view value) : name(name), kind(Kind::kText), text(value) {}
  LogField(std::string_view name, const char* value) : LogField(name, std::string_view(value)) {}
  LogField(std::string_view name, bool value) : name(name), kind(Kind::kTruth), number(value ? 1 : 0) {}
  template <std::integral T>
  LogField(std::string_view name, T value)
      : name(name), kind(Kind::kNumber), number(static_cast<std::int64_t>(value)) {}

  std::string_view name;
  Kind kind;
  std::string_view text;
  std::int64_t number = 0;
};

// Lines of `least` and above go to the file descriptor. `clock` outlives the process's last line. Before the threads that log.
void start_log(LogLevel least, LogFormat format, const Clock& clock, int file_descriptor = 2);

// One line; see LOG.
void log_line(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

namespace internal {
extern std::atomic<int> least_logged;
}
inline bool logs(LogLevel level) {
  return static_cast<int>(level) >= internal::least_logged.load(std::memory_order_relaxed);
}

}  // namespace perdure::base

#define LOG(level, ...)                                                           \
  (::perdure::base::logs(::perdure::base::LogLevel::level)                        \
       ? ::perdure::base::log_line(::perdure::base::LogLevel::level, __VA_ARGS__) \
       : static_cast<void>(0))
