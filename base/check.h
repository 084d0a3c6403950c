// CHECK: a broken invariant of memory or of the log ends the process at once, with the place and the condition.
//
// Always compiled in. Never on outside input, and never for a rule of one execution (that is Code::kDataLoss from core,
// which quarantines one id: rule E12).
#pragma once

namespace perdure::base {
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}

#define CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::perdure::base::check_failed(#condition, __FILE__, __LINE__))
