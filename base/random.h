// Randomness as an argument: every user holds a Random that somebody seeded, so a run can be repeated from its seed.
#pragma once

#include <cstdint>
#include <string>

namespace perdure::base {

// xoshiro256**: small, fast, good enough for ids and jitter (never for keys: see secure_bytes). Not thread-safe.
class Random {
 public:
  explicit Random(std::uint64_t seed);
  std::uint64_t next();
  // Uniform in [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  // Random (version 4) UUID in canonical lower-case text.
  std::string uuid();

 private:
  std::uint64_t state_[4];
};

// A seed for one part of a process out of the process's own: parts and lives never share a sequence.
std::uint64_t derive_seed(std::uint64_t seed, std::uint64_t part);

// A seed from the operating system.
std::uint64_t random_seed();
// Bytes from the operating system, fit for keys.
std::string secure_bytes(std::size_t count);

}  // namespace perdure::base
