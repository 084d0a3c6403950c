// Reading histories. Answers are put together from serialized events, which are not parsed (except one close event, WT-64).
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "server/frontend/api.h"
#include "server/frontend/method.h"
#include "server/frontend/validate.h"
#include "server/history/token.h"
#include "temporal/api/enums/v1/workflow.pb.h"

namespace perdure::frontend {
namespace {

using base::invalid_argument;
using CallPtr = std::shared_ptr<Call>;
namespace enums = ::temporal::api::enums::v1;
namespace io = ::google::protobuf::io;
using history::HistoryPage;
using history::HistoryRequest;
using temporal::api::history::v1::HistoryEvent;

constexpr int kMostEvents = 256;  // of one page (WT-65)
// an empty page reaches the client before it gives up
constexpr base::Duration kDeadlineMargin = std::chrono::seconds(1);

int page_size(int asked) {
  return asked <= 0 || asked > kMostEvents ? kMostEvents : asked;
}

constexpr std::uint32_t length_delimited(int field) {
  return static_cast<std::uint32_t>(field << 3 | 2);
}

void append_varint(std::string& bytes, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
  bytes.push_back(static_cast<char>(value));
}

void append_field(std::string& bytes, int field, std::string_view content) {
  append_varint(bytes, length_delimited(field));
  append_varint(bytes, content.size());
  bytes.append(content);
}

// Both responses: history = 1 { events = 1 … }, next_page_token = 3.
std::string compose(const std::vector<std::shared_ptr<const std::string>>& events, std::string_view token) {
  std::size_t size = 0;
  for (const auto& event : events)
    size += 1 + io::CodedOutputStream::VarintSize64(event->size()) + event->size();
  std::string bytes;
  bytes.reserve(size + token.size() + 16);
  append_varint(bytes, length_delimited(1));
  append_varint(bytes, size);
  for (const auto& event : events) append_field(bytes, 1, *event);
  if (!token.empty()) append_field(bytes, 3, token);
  return bytes;
}

// Old clients follow only ContinuedAsNew: for them a close event that names a next run is told as one (WT-64).
std::shared_ptr<const std::string> followable(const std::shared_ptr<const std::string>& bytes) {
  HistoryEvent event;
  if (!event.ParseFromString(*bytes)) return bytes;
  HistoryEvent told;
  auto& attributes = *told.mutable_workflow_execution_continued_as_new_event_attributes();
  if (event.has_workflow_execution_completed_event_attributes()) {
    const auto& completed = event.workflow_execution_completed_event_attributes();
    attributes.set_new_execution_run_id(completed.new_execution_run_id());
    if (completed.has_result()) *attributes.mutable_last_completion_result() = completed.result();
  } else if (event.has_workflow_execution_failed_event_attributes()) {
    const auto& failed = event.workflow_execution_failed_event_attributes();
    attributes.set_new_execution_run_id(failed.new_execution_run_id());
    if (failed.has_failure()) *attributes.mutable_failure() = failed.failure();
  } else if (event.has_workflow_execution_timed_out_event_attributes()) {
    attributes.set_new_execution_run_id(
        event.workflow_execution_timed_out_event_attributes().new_execution_run_id());
    attributes.mutable_failure()->set_message("workflow timeout");
    attributes.mutable_failure()->mutable_timeout_failure_info()->set_timeout_type(
        enums::TIMEOUT_TYPE_START_TO_CLOSE);
  }
  if (attributes.new_execution_run_id().empty()) return bytes;
  told.set_event_id(event.event_id());
  *told.mutable_event_time() = event.event_time();
  told.set_event_type(enums::EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW);
  told.set_version(event.version());
  told.set_task_id(event.task_id());
  return std::make_shared<const std::string>(told.SerializeAsString());
}

bool follows_next_run(const Call& call) {
  return call.header("supported-features").find("follows-next-run-id") != std::string_view::npos;
}

// A token of another namespace or workflow is as good as none of ours.
Result<history::pb::HistoryToken> read_own_token(
    const std::string& bytes, const NamespaceView& ns,
    const temporal::api::common::v1::WorkflowExecution& execution, bool reverse) {
  TRY(auto token, history::read_page_token(bytes, ns.catalog->token_key));
  if (token.namespace_id() != ns->id() || token.workflow_id() != execution.workflow_id() ||
      token.reverse() != reverse) {
    return invalid_argument("Invalid NextPageToken.");
  }
  if (!execution.run_id().empty() && execution.run_id() != token.run_id()) {
    return invalid_argument("RunId in the request does not match the NextPageToken.");
  }
  return token;
}

template <class Request>
Result<HistoryRequest> read_request(const Request& request, const NamespaceView& ns,
                                    const core::Limits& limits, bool reverse) {
  const auto& execution = request.execution();
  TRY_VOID(check_execution(request.has_execution(), execution, limits));
  HistoryRequest read{.key = workflow_key(*ns, execution.workflow_id()),
                      .run_id = execution.run_id(),
                      .first_event_id = reverse ? 0 : 1,
                      .page_size = page_size(request.maximum_page_size()),
                      .reverse = reverse};
  if (!request.next_page_token().empty()) {
    TRY(const auto token, read_own_token(request.next_page_token(), ns, execution, reverse));
    read.run_id = token.run_id();
    read.first_event_id = token.next_event_id();
  }
  return read;
}

std::string token_after(const HistoryPage& page, const UnitKey& key, bool reverse,
                        const std::string& signing_key) {
  history::pb::HistoryToken token;
  token.set_namespace_id(key.namespace_id);
  token.set_workflow_id(key.id);
  token.set_run_id(page.run_id);
  token.set_next_event_id(page.next_event_id);
  token.set_running(page.running);
  token.set_reverse(reverse);
  return history::write_page_token(token, signing_key);
}

Status get_history(Services& services, const CallPtr& call, wfs::GetWorkflowExecutionHistoryRequest request) {
  TRY(NamespaceView ns, find_namespace(services, request.namespace_()));
  TRY(HistoryRequest read, read_request(request, ns, services.limits, false));
  read.wait_new_event = request.wait_new_event();
  read.close_event_only = request.history_event_filter_type() == enums::HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
  const Time now = services.clock.now();
  read.wait_until = base::add(now, services.history_long_poll);
  if (call->deadline() != base::kNever) {
    read.wait_until = std::max(now, std::min(read.wait_until, call->deadline() - kDeadlineMargin));
  }
  const bool disguise = read.close_event_only && !follows_next_run(*call);
  const bool waits = read.wait_new_event;
  const UnitKey key = read.key;
  const std::uint64_t waiter = services.executions.read_history(
      std::move(read), [call, ns = std::move(ns), key, disguise, waits](Result<HistoryPage> page) {
        if (!page) {
          call->finish(std::unexpected(std::move(page).error()));
          return;
        }
        if (disguise && !page->events.empty()) page->events.back() = followable(page->events.back());
        const bool goes_on = page->more || (waits && page->running);  // WT-60, WT-61
        call->finish(compose(
            page->events, goes_on ? token_after(*page, key, false, ns.catalog->token_key) : std::string()));
      });
  if (waits)
    call->on_client_gone([&services, key, waiter] { services.executions.leave_history(key, waiter); });
  return {};
}

Status get_history_reverse(Services& services, const CallPtr& call,
                           wfs::GetWorkflowExecutionHistoryReverseRequest request) {
  TRY(NamespaceView ns, find_namespace(services, request.namespace_()));
  TRY(HistoryRequest read, read_request(request, ns, services.limits, true));
  read.with_tail = false;
  const UnitKey key = read.key;
  services.executions.read_history(
      std::move(read), [call, ns = std::move(ns), key](Result<HistoryPage> page) {
        if (!page) {
          call->finish(std::unexpected(std::move(page).error()));
          return;
        }
        call->finish(compose(
            page->events, page->more ? token_after(*page, key, true, ns.catalog->token_key) : std::string()));
      });
  return {};
}

}  // namespace

void add_history_methods(MethodTable& table, Services& services) {
  add_method(table, services, kWorkflowService, "GetWorkflowExecutionHistory", Policy::kReadNamespace,
             RateClass::kExecution, get_history);
  add_method(table, services, kWorkflowService, "GetWorkflowExecutionHistoryReverse", Policy::kReadNamespace,
             RateClass::kExecution, get_history_reverse);
}

}  // namespace perdure::frontend
