// What a client or worker says to its user's Metrics: the names, and the labels that stand at all of them.
//
// A Meter without Metrics does nothing. Any thread.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"

#include <perdure/metrics.h>

namespace perdure::observe {

namespace metric {
// Of the client; label: operation, and status_code for failures.
inline constexpr char kRequest[] = "temporal_request", kRequestFailure[] = "temporal_request_failure",
                      kRequestLatency[] = "temporal_request_latency",
                      kLongRequest[] = "temporal_long_request",
                      kLongRequestFailure[] = "temporal_long_request_failure",
                      kLongRequestLatency[] = "temporal_long_request_latency";
// Of the worker; labels: worker_type, poller_type.
inline constexpr char kWorkerStart[] = "temporal_worker_start", kNumPollers[] = "temporal_num_pollers",
                      kSlotsAvailable[] = "temporal_worker_task_slots_available",
                      kSlotsUsed[] = "temporal_worker_task_slots_used";
// Of workflows; label: workflow_type.
inline constexpr char kWorkflowCompleted[] = "temporal_workflow_completed",
                      kWorkflowCanceled[] = "temporal_workflow_canceled",
                      kWorkflowFailed[] = "temporal_workflow_failed",
                      kWorkflowContinueAsNew[] = "temporal_workflow_continue_as_new",
                      kWorkflowEndToEndLatency[] = "temporal_workflow_endtoend_latency";
// Of workflow tasks.
inline constexpr char kWorkflowTaskPollEmpty[] = "temporal_workflow_task_queue_poll_empty",
                      kWorkflowTaskPollSucceed[] = "temporal_workflow_task_queue_poll_succeed",
                      kWorkflowTaskScheduleToStart[] = "temporal_workflow_task_schedule_to_start_latency",
                      kWorkflowTaskExecution[] = "temporal_workflow_task_execution_latency",
                      kWorkflowTaskReplay[] = "temporal_workflow_task_replay_latency",
                      kWorkflowTaskFailed[] = "temporal_workflow_task_execution_failed";
inline constexpr char kStickyCacheHit[] = "temporal_sticky_cache_hit",
                      kStickyCacheMiss[] = "temporal_sticky_cache_miss",
                      kStickyCacheSize[] = "temporal_sticky_cache_size",
                      kStickyCacheForcedEviction[] = "temporal_sticky_cache_total_forced_eviction";
// Of activities; labels: activity_type, workflow_type.
inline constexpr char kActivityPollNoTask[] = "temporal_activity_poll_no_task",
                      kActivityScheduleToStart[] = "temporal_activity_schedule_to_start_latency",
                      kActivityExecution[] = "temporal_activity_execution_latency",
                      kActivityFailed[] = "temporal_activity_execution_failed",
                      kActivitySucceedEndToEnd[] = "temporal_activity_succeed_endtoend_latency",
                      kActivityUnregistered[] = "temporal_unregistered_activity_invocation";
// Of local activities, each attempt; the same labels.
inline constexpr char kLocalActivityTotal[] = "temporal_local_activity_total",
                      kLocalActivityExecution[] = "temporal_local_activity_execution_latency",
                      kLocalActivityFailed[] = "temporal_local_activity_execution_failed",
                      kLocalActivityCancelled[] = "temporal_local_activity_execution_cancelled",
                      kLocalActivitySucceedEndToEnd[] = "temporal_local_activity_succeed_endtoend_latency";
}  // namespace metric

class Meter {
 public:
  Meter() = default;
  Meter(std::shared_ptr<Metrics> metrics, std::string ns, std::string task_queue = {})
      : metrics_(std::move(metrics)), ns_(std::move(ns)), task_queue_(std::move(task_queue)) {}

  void count(const char* name, std::initializer_list<MetricLabel> labels = {}) const {
    if (metrics_) metrics_->count(name, with_own(labels), 1);
  }
  void gauge(const char* name, double value, std::initializer_list<MetricLabel> labels = {}) const {
    if (metrics_) metrics_->gauge(name, with_own(labels), value);
  }
  void took(const char* name, base::Duration time, std::initializer_list<MetricLabel> labels = {}) const {
    if (metrics_)
      metrics_->observe(name, with_own(labels), std::max(0.0, std::chrono::duration<double>(time).count()));
  }

 private:
  std::vector<MetricLabel> with_own(std::initializer_list<MetricLabel> labels) const {
    std::vector<MetricLabel> all{{"namespace", ns_}};
    if (!task_queue_.empty()) all.push_back({"task_queue", task_queue_});
    all.insert(all.end(), labels);
    return all;
  }

  std::shared_ptr<Metrics> metrics_;
  std::string ns_, task_queue_;
};

}  // namespace perdure::observe
