// Logs of workflow and activity code, and of the worker itself: events with fields, to a sink that may be
// replaced (WorkerOptions::log).
//
//   ctx.log().info("paid", {{"cents", cents}});
//
// A workflow's log is silent while the run is replayed: each line is written once, whatever happens to the
// worker. The sink is called on any thread, by several at a time.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace perdure {
inline namespace v1 {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

struct LogField {
  std::string_view key;
  std::string value;
  LogField(std::string_view name, std::string_view text) : key(name), value(text) {}
  LogField(std::string_view name, const char* text) : key(name), value(text) {}
  template <class T>
    requires std::is_arithmetic_v<T>
  LogField(std::string_view name, T number) : key(name), value(std::to_string(number)) {}
};

// Valid during the call. After the fields that the code named stand those that say where it ran: namespace,
// task_queue, workflow_id, run_id, workflow_type, and for activities activity_id, activity_type, attempt.
struct LogRecord {
  LogLevel level;
  std::string_view event;
  std::vector<LogField> fields;
};

// "debug", "info", "warn", "error"
std::string_view level_name(LogLevel level);
// A line for people: level event key=value …
std::string to_text(const LogRecord& record);

namespace detail {

class LogTarget {
 public:
  virtual void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) const = 0;

 protected:
  ~LogTarget() = default;
};

}  // namespace detail

class Log {
 public:
  explicit Log(const detail::LogTarget& target) : target_(&target) {}
  void debug(std::string_view event, std::initializer_list<LogField> fields = {}) const {
    target_->log(LogLevel::kDebug, event, fields);
  }
  void info(std::string_view event, std::initializer_list<LogField> fields = {}) const {
    target_->log(LogLevel::kInfo, event, fields);
  }
  void warn(std::string_view event, std::initializer_list<LogField> fields = {}) const {
    target_->log(LogLevel::kWarn, event, fields);
  }
  void error(std::string_view event, std::initializer_list<LogField> fields = {}) const {
    target_->log(LogLevel::kError, event, fields);
  }

 private:
  const detail::LogTarget* target_;
};

}  // namespace v1
}  // namespace perdure
