#include "base/random.h"

#include <sys/random.h>

#include "base/check.h"

namespace perdure::base {
namespace {

std::uint64_t splitmix(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

std::uint64_t rotate_left(std::uint64_t x, int k) {
  return (x << k) | (x >> (64 - k));
}

}  // namespace

Random::Random(std::uint64_t seed) {
  for (std::uint64_t& word : state_) word = splitmix(seed);
}

std::uint64_t Random::next() {
  const std::uint64_t result = rotate_left(state_[1] * 5, 7) * 9;
  const std::uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = rotate_left(state_[3], 45);
  return result;
}

std::string Random::uuid() {
  static constexpr char kHex[] = "0123456789abcdef";
  const std::uint64_t words[2] = {(next() & ~0xf000ULL) | 0x4000ULL, (next() & ~(3ULL << 62)) | (2ULL << 62)};
  std::string text(36, '-');
  int digit = 0;
  for (int i = 0; i < 36; ++i) {
    if (i == 8 || i == 13 || i == 18 || i == 23) continue;
    text[i] = kHex[(words[digit / 16] >> (60 - 4 * (digit % 16))) & 15];
    ++digit;
  }
  return text;
}

std::uint64_t derive_seed(std::uint64_t seed, std::uint64_t part) {
  std::uint64_t state = seed;
  std::uint64_t mixed = splitmix(state) ^ (part * 0xd6e8feb86659fd93ULL);
  return splitmix(mixed);
}

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  CHECK(getrandom(&seed, sizeof seed, 0) == sizeof seed);
  return seed;
}

std::string secure_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  CHECK(count <= 256 && getrandom(bytes.data(), count, 0) == static_cast<ssize_t>(count));
  return bytes;
}

}  // namespace perdure::base
