// What every call leaves behind in numbers: how many, how they ended, how long they took, per method of the
// table.
//
// Thread rule: any thread; nothing locks.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "base/histogram.h"
#include "base/log.h"
#include "base/result.h"
#include "base/time.h"
#include "server/frontend/method_table.h"

namespace perdure::frontend {

class CallMetrics {
 public:
  static constexpr std::size_t kCodes = 17;  // of base::Code
  static constexpr auto kBounds = base::Histogram::kBounds;

  struct Row {
    std::array<std::atomic<std::uint64_t>, kCodes> ended{};                // by code
    std::array<std::atomic<std::uint64_t>, kBounds.size() + 1> latency{};  // each call in one bucket only
    std::atomic<std::uint64_t> nanoseconds{0};
  };

  // `methods`: complete, outlives the metrics.
  explicit CallMetrics(const MethodTable& methods) : methods_(methods) {
    methods.each([this](const Method& method) { rows_[method.full_name]; });
    rows_[{}];
  }

  void begin() { pending_.fetch_add(1, std::memory_order_relaxed); }
  // `method`: nullptr for a path that no row has.
  void end(const Method* method, base::Code code, base::Duration took) {
    pending_.fetch_sub(1, std::memory_order_relaxed);
    Row& row = rows_.find(name_of(method))->second;
    row.ended[static_cast<std::size_t>(code) % kCodes].fetch_add(1, std::memory_order_relaxed);
    row.latency[base::Histogram::bucket_of(took)].fetch_add(1, std::memory_order_relaxed);
    row.nanoseconds.fetch_add(static_cast<std::uint64_t>(took.count()), std::memory_order_relaxed);
    if (code == base::Code::kInternal || code == base::Code::kDataLoss) {  // never the client's fault
      LOG(kError, "call_failed", {{"operation", name_of(method)}, {"code", static_cast<int>(code)}});
    }
  }

  std::int64_t pending() const { return pending_.load(std::memory_order_relaxed); }
  const Row& row(const Method* method) const { return rows_.find(name_of(method))->second; }
  const MethodTable& methods() const { return methods_; }

 private:
  static std::string_view name_of(const Method* method) {
    return method == nullptr ? std::string_view() : std::string_view(method->full_name);
  }

  const MethodTable& methods_;
  std::atomic<std::int64_t> pending_{0};
  std::unordered_map<std::string_view, Row> rows_;  // by full name, none added later; "" for unknown methods
};

}  // namespace perdure::frontend
