// Task tokens: what a worker may hand back. An input is a byte that picks a method and whose token is altered, then a message
// that is merged over the token (signed as the server would), or the bytes of a token (not signed).
#include "proto/internal/record.pb.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/tokens.h"

namespace perdure::fuzz {
namespace {

constexpr const char* kMethods[] = {
    "RespondWorkflowTaskCompleted", "RespondWorkflowTaskFailed",   "RespondActivityTaskCompleted",
    "RespondActivityTaskFailed",    "RespondActivityTaskCanceled", "RecordActivityTaskHeartbeat",
    "RespondQueryTaskCompleted",
};
constexpr std::uint8_t kOfActivity = 0x40, kAsItIs = 0x80;

std::string token_of(Server& server, std::uint8_t head, std::string_view rest) {
  if ((head & kAsItIs) != 0) return std::string(rest);
  const std::string& given = server.names().at((head & kOfActivity) != 0 ? "@a" : "@w");
  return altered_token(server, history::read_token(given, Server::key()), rest, 'T');
}

}  // namespace
}  // namespace perdure::fuzz

using namespace perdure;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint8_t head = input.byte();
  fuzz::Server server;
  server.prepare();
  const std::string token = fuzz::token_of(server, head, input.rest());
  const auto& method =
      fuzz::method_of(fuzz::number_of(fuzz::kMethods[(head & 0x3f) % std::size(fuzz::kMethods)]));
  const auto request = fuzz::make_message(*method.input_type());
  const auto& reflection = *request->GetReflection();
  reflection.SetString(request.get(), method.input_type()->FindFieldByName("task_token"), token);
  if (const auto* failure = method.input_type()->FindFieldByName("failure")) {
    reflection.MutableMessage(request.get(), failure)->MergeFromString(std::string("\x2a\x00", 2));
  }
  server.send(method, request->SerializeAsString());
  server.send(method, request->SerializeAsString());  // and again, late or twice
  server.end();
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most,
                                               unsigned seed) {
  return fuzz::change_message(*internal::v1::TaskToken::descriptor(), 1, data, size, most, seed);
}
