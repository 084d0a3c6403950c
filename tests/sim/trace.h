// Trace: what happened in a simulated run, as one hash and, when asked for, as lines to read.
//
// Every message, disk operation and answer goes in. The same seed gives the same hash in every process; where
// two runs part, their lines show it.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "base/time.h"

namespace perdure::sim {

class Trace {
 public:
  // `out`: where lines go; nullptr: nowhere.
  explicit Trace(std::FILE* out = nullptr) : out_(out) {}

  bool readable() const { return out_ != nullptr; }
  // Of now on, for the lines and the hash.
  void at(base::Time now) { now_ = now; }
  // `what` names it; `bytes` is its content, of which a line shows only the size.
  void note(std::string_view kind, std::string_view what, std::string_view bytes = {});
  // Only for the reader: not in the hash.
  void remark(std::string_view text);

  std::uint64_t hash() const { return hash_; }
  std::uint64_t notes() const { return notes_; }

 private:
  std::FILE* out_;
  base::Time now_ = base::Time(std::chrono::seconds(1'700'000'000));
  std::uint64_t hash_ = 0;
  std::uint64_t notes_ = 0;
};

}  // namespace perdure::sim
