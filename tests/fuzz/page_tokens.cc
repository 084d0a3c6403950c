// Page tokens: what a client may hand back to read on. An input is a byte that picks a method, then a message that is merged over
// a token of a history, or the body of a token of a list, or (from 0x80) the bytes of a token that nobody signed.
#include "proto/internal/record.pb.h"
#include "tests/engine/requests.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/tokens.h"

namespace perdure::fuzz {
namespace {

namespace wfs = engine::wfs;

constexpr std::uint8_t kAsItIs = 0x80, kWaits = 0x40;

wfs::GetWorkflowExecutionHistoryReverseRequest backwards() {
  wfs::GetWorkflowExecutionHistoryReverseRequest request;
  request.set_namespace_("default");
  request.mutable_execution()->set_workflow_id("w");
  request.set_maximum_page_size(2);
  return request;
}

wfs::GetWorkflowExecutionHistoryRequest forwards(bool waits) {
  auto request = engine::history_request("w");
  request.set_maximum_page_size(2);
  request.set_wait_new_event(waits);
  return request;
}

std::string history_token(Server& server, bool reverse, std::string_view change) {
  const std::string& given = server.names().at(reverse ? "@reverse" : "@p");
  return altered_token(server, history::read_page_token(given, Server::key()), change, 'H');
}

void read_history(Server& server, std::uint8_t head, std::string_view rest) {
  const bool reverse = head % 2 != 0;
  const std::string token = (head & kAsItIs) != 0 ? std::string(rest) : history_token(server, reverse, rest);
  if (reverse) {
    auto request = backwards();
    request.clear_maximum_page_size();
    request.set_next_page_token(token);
    return server.send(request);
  }
  auto request = forwards((head & kWaits) != 0);
  request.set_next_page_token(token);
  server.send(request);
}

void list(Server& server, std::uint8_t head, std::string_view rest) {
  auto request = engine::list_request();
  request.set_page_size(1);
  request.set_next_page_token((head & kAsItIs) != 0 ? std::string(rest)
                                                    : history::sign('V', rest, Server::key()));
  server.send(request);
}

// Two workflows, one of which has a history of several pages.
void make_pages(Server& server) {
  server.prepare();
  server.send(engine::start_request("v", "other"));
  server.send(backwards());
  server.names()["@reverse"] = server.names().at("@p");
  server.send(forwards(false));
}

}  // namespace
}  // namespace perdure::fuzz

using namespace perdure;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint8_t head = input.byte();
  const std::string_view rest = input.rest();
  fuzz::Server server;
  fuzz::make_pages(server);
  if (head % 3 == 2) {
    fuzz::list(server, head, rest);
  } else {
    fuzz::read_history(server, head, rest);
  }
  server.end();
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most,
                                               unsigned seed) {
  return fuzz::change_message(*internal::v1::HistoryToken::descriptor(), 1, data, size, most, seed);
}
