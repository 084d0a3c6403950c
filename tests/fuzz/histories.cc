// Histories given to the replayer: after one byte, a temporal.api.history.v1.History (even) or its JSON
// (odd).
#include <perdure/replayer.h>

#include "base/check.h"
#include "examples/fan_out/thumbnails.h"
#include "examples/hello/hello.h"
#include "examples/order_saga/order.h"
#include "sdk/tests/savings.h"
#include "temporal/api/history/v1/message.pb.h"
#include "tests/fuzz/histories_programs.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/messages.h"

using namespace perdure;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Replayer replayer = [] {
    Replayer made;
    made.add<fuzz::programs::Everything>().add<shop::OrderWorkflow>().add<savings::Savings>();
    made.add<&hello::greet, &pictures::thumbnails>();
    return made;
  }();
  fuzz::Input input(data, size);
  input.byte();
  const std::string_view history = input.rest();
  try {
    const auto wrong = replayer.replay(history);
    CHECK(!wrong || !wrong->empty());
    CHECK(replayer.replay(history) == wrong);
  } catch (const std::invalid_argument& refused) {
    CHECK(refused.what()[0] != '\0');
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most,
                                               unsigned seed) {
  if (size > 0 && data[0] % 2 != 0 && LLVMFuzzerMutate != nullptr) return LLVMFuzzerMutate(data, size, most);
  return fuzz::change_message(*temporal::api::history::v1::History::descriptor(), 1, data, size, most, seed);
}
