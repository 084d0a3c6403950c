// Where the code of a run is, for whoever finds that it does not give the thread back.
//
// Written by the run's thread at every step and every verb, read by any.
#pragma once

#include <atomic>
#include <cstdint>
#include <source_location>
#include <string>

namespace perdure {
inline namespace v1 {
namespace detail {

class Place {
 public:
  void clear() { begin("nothing that is known"); }
  // A step that begins at no line that is known. `what` is a literal.
  void begin(const char* what) {
    what_.store(what, std::memory_order_relaxed);
    line_.store(0, std::memory_order_relaxed);
  }
  void at(const std::source_location& where) {
    what_.store(where.file_name(), std::memory_order_relaxed);
    line_.store(where.line(), std::memory_order_relaxed);
  }
  std::string text() const {
    const std::uint32_t line = line_.load(std::memory_order_relaxed);
    std::string text(what_.load(std::memory_order_relaxed));
    return line == 0 ? text : text + ":" + std::to_string(line);
  }

 private:
  std::atomic<const char*> what_{""};
  std::atomic<std::uint32_t> line_{0};
};

}  // namespace detail
}  // namespace v1
}  // namespace perdure
