// Task queues as they are seen from outside, and workers that leave.
#include "server/core/draft.h"
#include "server/frontend/api.h"
#include "server/frontend/method.h"
#include "server/frontend/validate.h"
#include "temporal/api/enums/v1/task_queue.pb.h"

namespace perdure::frontend {
namespace {

using base::invalid_argument;
using CallPtr = std::shared_ptr<Call>;
namespace enums = ::temporal::api::enums::v1;
using matching::QueueDescription;
using temporal::api::taskqueue::v1::TaskQueueStats;

constexpr float kSystemRate = 4000;                 // as told when no worker asked for less
constexpr std::int64_t kYearOne = -62'135'596'800;  // "never", as clients know it

void fill(TaskQueueStats& stats, std::int64_t backlog, base::Duration age, double add_rate,
          double dispatch_rate) {
  stats.set_approximate_backlog_count(backlog);
  core::assign(stats.mutable_approximate_backlog_age(), age.count());
  stats.set_tasks_add_rate(static_cast<float>(add_rate));
  stats.set_tasks_dispatch_rate(static_cast<float>(dispatch_rate));
}

wfs::DescribeTaskQueueResponse describe(QueueDescription queue, bool with_stats, bool with_status) {
  wfs::DescribeTaskQueueResponse response;
  for (auto& poller : queue.pollers) *response.add_pollers() = std::move(poller);
  response.mutable_versioning_info()->set_current_version("__unversioned__");
  response.mutable_versioning_info()->mutable_update_time()->set_seconds(kYearOne);
  auto& limit = *response.mutable_effective_rate_limit();
  limit.set_requests_per_second(queue.max_tasks_per_second ? static_cast<float>(*queue.max_tasks_per_second)
                                                           : kSystemRate);
  limit.set_rate_limit_source(queue.max_tasks_per_second ? enums::RATE_LIMIT_SOURCE_WORKER
                                                         : enums::RATE_LIMIT_SOURCE_SYSTEM);
  if (with_stats) {
    fill(*response.mutable_stats(), queue.backlog, queue.backlog_age, queue.add_rate, queue.dispatch_rate);
    auto& by_priority = *response.mutable_stats_by_priority_key();
    fill(by_priority[3], 0, {}, 0, 0);
    for (const auto& each : queue.priorities) {
      fill(by_priority[each.priority], each.backlog, each.backlog_age, each.add_rate, each.dispatch_rate);
    }
  }
  if (with_status) response.mutable_task_queue_status()->set_backlog_count_hint(queue.backlog);
  return response;
}

Status describe_task_queue(Services& services, const CallPtr& call, wfs::DescribeTaskQueueRequest request) {
  TRY(const NamespaceView ns, find_namespace(services, request.namespace_()));
  if (!request.has_task_queue()) return invalid_argument("taskQueue is not set");
  if (request.api_mode() == enums::DESCRIBE_TASK_QUEUE_MODE_ENHANCED) {
    return invalid_argument("DescribeTaskQueueRequest.api_mode ENHANCED is not supported by this server yet");
  }
  const std::string& name = request.task_queue().name();
  if (name.empty()) return invalid_argument("missing task queue name");
  if (name.size() > services.limits.id_length) return invalid_argument("taskQueue length exceeds limit");
  const bool with_stats = request.report_stats(), with_status = request.include_task_queue_status();
  if (request.task_queue_type() == enums::TASK_QUEUE_TYPE_NEXUS) {  // nobody polls there
    answer(*call, describe({}, with_stats, with_status));
    return {};
  }
  const bool activity = request.task_queue_type() == enums::TASK_QUEUE_TYPE_ACTIVITY;
  services.queues.describe({ns->id(), activity ? core::TaskKind::kActivity : core::TaskKind::kWorkflow, name},
                           [call, with_stats, with_status](Result<QueueDescription> queue) {
                             if (queue) {
                               answer(*call, describe(std::move(*queue), with_stats, with_status));
                             } else {
                               call->finish(std::unexpected(std::move(queue).error()));
                             }
                           });
  return {};
}

Status shutdown_worker(Services& services, const CallPtr& call, wfs::ShutdownWorkerRequest request) {
  TRY(const NamespaceView ns, find_namespace(services, request.namespace_()));
  services.queues.shutdown_worker(ns->id(), request.sticky_task_queue(), request.identity(),
                                  request.worker_instance_key());
  call->finish(std::string());
  return {};
}

}  // namespace

void add_task_queue_methods(MethodTable& table, Services& services) {
  add_method(table, services, kWorkflowService, "DescribeTaskQueue", Policy::kReadNamespace,
             RateClass::kExecution, describe_task_queue);
  add_method(table, services, kWorkflowService, "ShutdownWorker", Policy::kWorker, RateClass::kExecution,
             shutdown_worker);
}

}  // namespace perdure::frontend
