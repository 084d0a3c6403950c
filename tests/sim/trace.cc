#include "tests/sim/trace.h"

#include <xxhash.h>

namespace perdure::sim {
namespace {

constexpr std::int64_t kOrigin = 1'700'000'000'000'000'000;  // where simulated clocks start

}  // namespace

void Trace::note(std::string_view kind, std::string_view what, std::string_view bytes) {
  ++notes_;
  const std::int64_t now = now_.time_since_epoch().count();
  hash_ = XXH3_64bits_withSeed(&now, sizeof now, hash_);
  hash_ = XXH3_64bits_withSeed(kind.data(), kind.size(), hash_);
  hash_ = XXH3_64bits_withSeed(what.data(), what.size(), hash_);
  hash_ = XXH3_64bits_withSeed(bytes.data(), bytes.size(), hash_);
  if (out_ == nullptr) return;
  std::fprintf(out_, "%14.6f %-8.*s %.*s", static_cast<double>(now - kOrigin) / 1e9,
               static_cast<int>(kind.size()), kind.data(), static_cast<int>(what.size()), what.data());
  if (!bytes.empty()) std::fprintf(out_, " (%zu bytes)", bytes.size());
  std::fprintf(out_, " #%016llx\n", static_cast<unsigned long long>(hash_));
}

void Trace::remark(std::string_view text) {
  if (out_ == nullptr) return;
  std::fprintf(out_, "%14.6f          %.*s\n",
               static_cast<double>(now_.time_since_epoch().count() - kOrigin) / 1e9,
               static_cast<int>(text.size()), text.data());
}

}  // namespace perdure::sim
