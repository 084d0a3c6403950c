// Payloads, failures and times that come from elsewhere, as the SDK reads them. An input begins with a byte: what to read.
#include <perdure/attributes.h>
#include <perdure/failure.h>
#include <perdure/payload.h>

#include <cmath>

#include "base/check.h"
#include "sdk/src/payload/convert.h"
#include "tests/fuzz/input.h"

namespace perdure::fuzz {
namespace {

struct Small {
  int number = 0;
  std::optional<std::string> text;
  bool yes = false;
};
struct Large {
  std::vector<Small> all;
  std::map<std::string, double> figures;
  std::tuple<std::int8_t, std::uint64_t, float> three;
  std::pair<std::string, std::vector<std::vector<int>>> pair;
};

Payload json(std::string_view text) {
  return detail::make_payload("json/plain", std::string(text));
}

// What was read is written, and read again as the same.
template <class T>
void read(const Payload& payload) {
  const Payload written = detail::encode<T>(detail::decode<T>(payload));
  CHECK(detail::encode<T>(detail::decode<T>(written)).data == written.data);
}

void failure(std::string_view bytes) {
  temporal::api::failure::v1::Failure wire, again;
  if (!wire.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  convert::to_wire(convert::from_wire(wire), &again);
  CHECK(!describe(convert::from_wire(again)).empty() || wire.message().empty());
}

void read_one(std::uint8_t what, std::string_view bytes) {
  switch (what % 8) {
    case 0: return read<Large>(json(bytes));
    case 1: return read<std::string>(json(bytes));
    case 2: return read<double>(json(bytes));
    case 3: return read<std::int64_t>(json(bytes));
    case 4: return read<std::vector<std::optional<bool>>>(json(bytes));
    case 5: return read<std::map<std::string, Small>>(json(bytes));
    case 6: return failure(bytes);
    default: (void)detail::rfc3339(detail::parse_rfc3339(bytes));
  }
}

}  // namespace
}  // namespace perdure::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  perdure::fuzz::Input input(data, size);
  const std::uint8_t what = input.byte();
  try {
    perdure::fuzz::read_one(what, input.rest());
  } catch (const perdure::PayloadError& error) {
    CHECK(error.what()[0] != '\0');
  }
  return 0;
}
