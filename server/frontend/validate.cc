#include "server/frontend/validate.h"

#include "server/core/errors.h"
#include "server/core/limits/durations.h"
#include "temporal/api/enums/v1/deployment.pb.h"
#include "temporal/api/enums/v1/namespace.pb.h"
#include "temporal/api/enums/v1/task_queue.pb.h"

namespace perdure::frontend {

namespace enums = ::temporal::api::enums::v1;
using base::invalid_argument;

namespace {

constexpr std::string_view kReservedPrefix = "/_sys/";
constexpr std::size_t kFairnessKeyLength = 64;

Result<NamespaceView> find(const Services& services, const std::string& name,
                           const std::vector<enums::NamespaceState>& allowed) {
  if (name.empty()) return invalid_argument("Namespace is empty.");
  NamespaceView view{services.catalog.snapshot()};
  view.record = view.catalog->find_by_name(name);
  if (view.record == nullptr) return std::unexpected(core::namespace_not_found(name));
  const auto state = static_cast<enums::NamespaceState>(view.record->state());
  for (const auto each : allowed)
    if (state == each) return view;
  return std::unexpected(core::namespace_invalid_state(name, state, allowed));
}

bool looks_like_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (c != '-') return false;
    } else if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))) {
      return false;
    }
  }
  return true;
}

Status check_link(const temporal::api::common::v1::Link& link, const core::Limits& limits) {
  if (link.ByteSizeLong() > limits.link_size) {
    return invalid_argument("link exceeds allowed size of " + std::to_string(limits.link_size) + ", got " +
                            std::to_string(link.ByteSizeLong()));
  }
  if (link.has_workflow_event()) {
    const auto& event = link.workflow_event();
    if (event.namespace_().empty())
      return invalid_argument("workflow event link must not have an empty namespace field");
    if (event.workflow_id().empty())
      return invalid_argument("workflow event link must not have an empty workflow ID field");
    if (event.run_id().empty())
      return invalid_argument("workflow event link must not have an empty run ID field");
    if (event.has_event_ref() && event.event_ref().event_type() == enums::EVENT_TYPE_UNSPECIFIED &&
        event.event_ref().event_id() != 0) {
      return invalid_argument(
          "workflow event link ref cannot have an unspecified event type and a non-zero event ID");
    }
    return {};
  }
  if (link.has_batch_job()) {
    if (link.batch_job().job_id().empty())
      return invalid_argument("batch job link must not have an empty job ID");
    return {};
  }
  return invalid_argument("unsupported link variant");
}

}  // namespace

Result<NamespaceView> find_namespace(const Services& services, const std::string& name) {
  return find(services, name, {enums::NAMESPACE_STATE_REGISTERED, enums::NAMESPACE_STATE_DEPRECATED});
}

Result<NamespaceView> find_namespace_for_start(const Services& services, const std::string& name) {
  return find(services, name, {enums::NAMESPACE_STATE_REGISTERED});
}

Status check_workflow_id(const std::string& id, const core::Limits& limits) {
  if (id.empty()) return invalid_argument("WorkflowId is not set on request.");
  if (id.size() > limits.id_length) {
    return invalid_argument("WorkflowId exceeds maximum allowed length (" + std::to_string(id.size()) + "/" +
                            std::to_string(limits.id_length) + ")");
  }
  return {};
}

Status check_run_id(const std::string& id) {
  if (!id.empty() && !looks_like_uuid(id)) return invalid_argument("Invalid RunId.");
  return {};
}

Status check_execution(bool is_set, const temporal::api::common::v1::WorkflowExecution& execution,
                       const core::Limits& limits) {
  if (!is_set) return invalid_argument("Execution is not set on request.");
  TRY_VOID(check_workflow_id(execution.workflow_id(), limits));
  return check_run_id(execution.run_id());
}

Status check_length(const std::string& value, const char* name, const core::Limits& limits) {
  if (value.size() > limits.id_length) return invalid_argument(std::string(name) + " length exceeds limit.");
  return {};
}

Status check_task_queue(bool is_set, const temporal::api::taskqueue::v1::TaskQueue& queue,
                        const char* missing, const core::Limits& limits) {
  if (!is_set) return invalid_argument(missing);
  if (queue.name().empty()) return invalid_argument("missing task queue name");
  if (queue.name().size() > limits.id_length) return invalid_argument("taskQueue length exceeds limit");
  if (queue.name().starts_with(kReservedPrefix)) {
    return invalid_argument("task queue name cannot start with reserved prefix /_sys/");
  }
  if (queue.kind() == enums::TASK_QUEUE_KIND_STICKY && !queue.normal_name().empty() &&
      queue.normal_name().size() > limits.id_length) {
    return invalid_argument("taskQueue length exceeds limit");
  }
  return {};
}

void normalise(temporal::api::taskqueue::v1::TaskQueue& queue) {
  queue.set_kind(enums::TASK_QUEUE_KIND_NORMAL);
}

Status check_duration(google::protobuf::Duration& duration, const char* name) {
  if (core::is_negative(duration)) {
    return invalid_argument("An invalid " + std::string(name) +
                            " is set on request. cause: negative duration");
  }
  if (duration.nanos() > 999'999'999) {
    return invalid_argument("An invalid " + std::string(name) +
                            " is set on request. cause: more than a second of nanos");
  }
  core::cap(duration);
  return {};
}

Status check_blob(const google::protobuf::Message& blob, const core::Limits& limits) {
  if (blob.ByteSizeLong() > limits.blob_size) return invalid_argument("Blob data size exceeds limit.");
  return {};
}

Status check_links(const google::protobuf::RepeatedPtrField<temporal::api::common::v1::Link>& links,
                   const core::Limits& limits) {
  if (static_cast<std::size_t>(links.size()) > limits.links) {
    return invalid_argument("cannot attach more than " + std::to_string(limits.links) +
                            " links per request, got " + std::to_string(links.size()));
  }
  for (const auto& link : links) TRY_VOID(check_link(link, limits));
  return {};
}

Status check_priority(const temporal::api::common::v1::Priority& priority) {
  if (priority.priority_key() < 0) return invalid_argument("priority key can't be negative");
  if (priority.fairness_key().size() > kFairnessKeyLength)
    return invalid_argument("fairness key length exceeds limit");
  return {};
}

Status check_deployment(const temporal::api::deployment::v1::WorkerDeploymentOptions& options) {
  if (options.worker_versioning_mode() == enums::WORKER_VERSIONING_MODE_VERSIONED) {
    return invalid_argument(
        "deployment_options.worker_versioning_mode VERSIONED is not supported by this server yet");
  }
  return {};
}

}  // namespace perdure::frontend
