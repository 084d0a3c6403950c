// The checks that requests share: each answers the error that clients know, naming the field.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "server/frontend/call.h"
#include "server/frontend/services.h"
#include "temporal/api/common/v1/message.pb.h"
#include "temporal/api/deployment/v1/message.pb.h"
#include "temporal/api/taskqueue/v1/message.pb.h"

namespace perdure::frontend {

// A namespace with the catalog snapshot that holds it.
struct NamespaceView {
  std::shared_ptr<const core::Catalog> catalog;
  const core::Namespace* record = nullptr;
  const core::Namespace* operator->() const { return record; }
  const core::Namespace& operator*() const { return *record; }
};

// By name. INVALID_ARGUMENT when empty, NOT_FOUND when unknown, FAILED_PRECONDITION when its state forbids the call (NS-04).
Result<NamespaceView> find_namespace(const Services& services, const std::string& name);
// The same for a call that starts something: a deprecated namespace refuses it.
Result<NamespaceView> find_namespace_for_start(const Services& services, const std::string& name);

// `execution` must name a workflow; a run id, when given, must look like one.
Status check_execution(bool is_set, const temporal::api::common::v1::WorkflowExecution& execution,
                       const core::Limits& limits);
Status check_workflow_id(const std::string& id, const core::Limits& limits);
Status check_run_id(const std::string& id);  // empty is fine
// `text length exceeds limit.` unless `value` is short enough.
Status check_length(const std::string& value, const char* name, const core::Limits& limits);
Status check_task_queue(bool is_set, const temporal::api::taskqueue::v1::TaskQueue& queue,
                        const char* missing, const core::Limits& limits);
// Fills the defaults of a queue that a workflow is started on: kind normal.
void normalise(temporal::api::taskqueue::v1::TaskQueue& queue);
// `An invalid X is set on request. cause: negative duration`; caps what is longer than a century.
Status check_duration(google::protobuf::Duration& duration, const char* name);
// `Blob data size exceeds limit.`
Status check_blob(const google::protobuf::Message& blob, const core::Limits& limits);
Status check_links(const google::protobuf::RepeatedPtrField<temporal::api::common::v1::Link>& links,
                   const core::Limits& limits);
Status check_priority(const temporal::api::common::v1::Priority& priority);
// Versioned workers are not served yet.
Status check_deployment(const temporal::api::deployment::v1::WorkerDeploymentOptions& options);

inline UnitKey workflow_key(const core::Namespace& ns, const std::string& workflow_id) {
  return {ns.id(), store::Kind::kWorkflow, workflow_id};
}

}  // namespace perdure::frontend
