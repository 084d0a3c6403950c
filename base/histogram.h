// Durations, counted in the buckets that every latency of the metrics has. A value: whoever owns it counts, copies are read.
#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"

namespace perdure::base {

struct Histogram {
  // Upper bounds; beyond the last one stands +Inf.
  static constexpr std::array<Duration, 12> kBounds = {
      std::chrono::milliseconds(1),   std::chrono::milliseconds(2),   std::chrono::milliseconds(5),
      std::chrono::milliseconds(10),  std::chrono::milliseconds(20),  std::chrono::milliseconds(50),
      std::chrono::milliseconds(100), std::chrono::milliseconds(200), std::chrono::milliseconds(500),
      std::chrono::seconds(1),        std::chrono::seconds(5),        std::chrono::seconds(60)};
  static constexpr std::size_t bucket_of(Duration took) {
    std::size_t bucket = 0;
    while (bucket < kBounds.size() && took > kBounds[bucket]) ++bucket;
    return bucket;
  }

  std::array<std::uint64_t, kBounds.size() + 1> buckets{};  // each duration in one only
  Duration sum{};

  void count(Duration took) {
    ++buckets[bucket_of(took)];
    sum += took;
  }
  void add(const Histogram& other) {
    for (std::size_t i = 0; i < buckets.size(); ++i) buckets[i] += other.buckets[i];
    sum += other.sum;
  }
};

}  // namespace perdure::base
