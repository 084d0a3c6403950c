// Three counters in a memory-mapped file: they survive the death of the process that counts, for whoever looks afterwards.
//
// Used by the crash test to learn where in the life of a group a SIGKILL fell: file of three little-endian 64-bit integers,
// appended, synced, answered; they never go back. Thread rule: any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

namespace perdure::base {

class CrashMarks {
 public:
  // Creates or takes over the file.
  static Result<std::unique_ptr<CrashMarks>> open(const std::string& path);
  ~CrashMarks();
  CrashMarks(const CrashMarks&) = delete;
  CrashMarks& operator=(const CrashMarks&) = delete;

  void appended(std::uint64_t number) { set(0, number); }
  void synced(std::uint64_t number) { set(1, number); }
  void answered(std::uint64_t number) { set(2, number); }

 private:
  explicit CrashMarks(std::uint64_t* counters) : counters_(counters) {}
  void set(int which, std::uint64_t number);

  std::uint64_t* const counters_;
};

}  // namespace perdure::base
