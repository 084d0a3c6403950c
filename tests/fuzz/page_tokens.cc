// Page tokens: what a client may hand back to read on. An input is a byte that picks a method, then a message that is merged over
// a token of a history, or the body of a token of a list, or (from 0x80) the bytes of a token that nobody signed.
#include "base/check.h"
#include "proto/internal/record.pb.h"
#include "server/history/token.h"
#include "temporal/api/workflowservice/v1/request_response.pb.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/server.h"

namespace perdure::fuzz {
namespace {

namespace wfs = temporal::api::workflowservice::v1;

constexpr std::uint8_t kAsItIs = 0x80, kWaits = 0x40;

std::string history_token(Server& server, bool reverse, std::string_view body) {
  internal::v1::HistoryToken change;
  if (!change.ParseFromArray(body.data(), static_cast<int>(body.size())))
    return history::sign('H', body, Server::key());
  fill_in(change, server.names());
  const auto given = history::read_page_token(server.names().at(reverse ? "@reverse" : "@p"), Server::key());
  CHECK(given);
  internal::v1::HistoryToken token = *given;
  token.MergeFrom(change);
  return history::write_page_token(token, Server::key());
}

void read_history(Server& server, std::uint8_t head, std::string_view rest) {
  const bool reverse = head % 2 != 0;
  const std::string token = (head & kAsItIs) != 0 ? std::string(rest) : history_token(server, reverse, rest);
  if (reverse) {
    wfs::GetWorkflowExecutionHistoryReverseRequest request;
    request.set_namespace_("default");
    request.mutable_execution()->set_workflow_id("w");
    request.set_next_page_token(token);
    return server.send("GetWorkflowExecutionHistoryReverse", request);
  }
  wfs::GetWorkflowExecutionHistoryRequest request;
  request.set_namespace_("default");
  request.mutable_execution()->set_workflow_id("w");
  request.set_maximum_page_size(2);
  request.set_wait_new_event((head & kWaits) != 0);
  request.set_next_page_token(token);
  server.send("GetWorkflowExecutionHistory", request);
}

void list(Server& server, std::uint8_t head, std::string_view rest) {
  wfs::ListWorkflowExecutionsRequest request;
  request.set_namespace_("default");
  request.set_page_size(1);
  request.set_next_page_token((head & kAsItIs) != 0 ? std::string(rest)
                                                    : history::sign('V', rest, Server::key()));
  server.send("ListWorkflowExecutions", request);
}

// Two workflows, one of which has a history of several pages.
void make_pages(Server& server) {
  server.prepare();
  wfs::StartWorkflowExecutionRequest start;
  start.set_namespace_("default");
  start.set_workflow_id("v");
  start.set_request_id("v");
  start.mutable_workflow_type()->set_name("T");
  start.mutable_task_queue()->set_name("other");
  server.send("StartWorkflowExecution", start);
  wfs::GetWorkflowExecutionHistoryReverseRequest back;
  back.set_namespace_("default");
  back.mutable_execution()->set_workflow_id("w");
  back.set_maximum_page_size(2);
  server.send("GetWorkflowExecutionHistoryReverse", back);
  server.names()["@reverse"] = server.names().at("@p");
  wfs::GetWorkflowExecutionHistoryRequest forth;
  forth.set_namespace_("default");
  forth.mutable_execution()->set_workflow_id("w");
  forth.set_maximum_page_size(2);
  server.send("GetWorkflowExecutionHistory", forth);
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
                                               unsigned seed);
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most,
                                               unsigned seed) {
  return fuzz::change_message(*internal::v1::HistoryToken::descriptor(), 1, data, size, most, seed);
}
