#include "server/matching/reply_hints.h"

#include "temporal/api/workflowservice/v1/request_response.pb.h"

namespace perdure::matching {
namespace {

using Decision = ::temporal::api::taskqueue::v1::PollerScalingDecision;
using WorkflowReply = ::temporal::api::workflowservice::v1::PollWorkflowTaskQueueResponse;
using ActivityReply = ::temporal::api::workflowservice::v1::PollActivityTaskQueueResponse;

constexpr int kVarint = 0, kBytes = 2;  // wire types

void append_varint(std::string& to, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) to.push_back(static_cast<char>(value | 0x80));
  to.push_back(static_cast<char>(value));
}

void append_tag(std::string& to, int field, int wire_type) {
  append_varint(to, static_cast<std::uint64_t>(field) << 3 | static_cast<std::uint64_t>(wire_type));
}

}  // namespace

void append_hints(std::string& response, core::TaskKind kind, const core::ReplyHints& hints) {
  const bool workflow = kind == core::TaskKind::kWorkflow;
  if (workflow && hints.backlog > 0) {
    append_tag(response, WorkflowReply::kBacklogCountHintFieldNumber, kVarint);
    append_varint(response, static_cast<std::uint64_t>(hints.backlog));
  }
  if (!hints.poll_delta) return;
  Decision decision;
  decision.set_poll_request_delta_suggestion(*hints.poll_delta);
  const int field = workflow ? int{WorkflowReply::kPollerScalingDecisionFieldNumber}
                             : int{ActivityReply::kPollerScalingDecisionFieldNumber};
  append_tag(response, field, kBytes);
  append_varint(response, decision.ByteSizeLong());
  decision.AppendToString(&response);
}

}  // namespace perdure::matching
