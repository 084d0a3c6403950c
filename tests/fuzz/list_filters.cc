// Texts that clients write for the server to read: after one byte, the filter of a list (even) or a cron schedule (odd).
#include "base/check.h"
#include "server/core/cron/cron.h"
#include "server/visibility/filter.h"
#include "tests/fuzz/input.h"

using namespace perdure;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const bool is_cron = input.byte() % 2 != 0;
  const std::string_view text = input.rest();
  if (is_cron) {
    const base::Time after(std::chrono::seconds(1'700'000'000));
    const auto next = core::next_cron_time(text, after);
    CHECK(next ? *next > after : next.error().code == base::Code::kInvalidArgument);
    return 0;
  }
  const auto filter = visibility::parse_filter(text);
  if (!filter) {
    CHECK(filter.error().code == base::Code::kInvalidArgument);
    CHECK(filter.error().message.starts_with("invalid query: "));
  }
  return 0;
}
