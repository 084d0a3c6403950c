#include "bench/worker.h"

#include <charconv>

namespace perdure::bench {
namespace {

namespace wf = temporal::api::workflowservice::v1;
namespace enums = temporal::api::enums::v1;
constexpr std::string_view kTypePrefix = "activities-";
constexpr const char* kIdentity = "perdure-bench-worker";

void set_payload(temporal::api::common::v1::Payloads* payloads, std::string_view json) {
  auto* payload = payloads->add_payloads();
  (*payload->mutable_metadata())["encoding"] = "json/plain";
  payload->set_data(std::string(json));
}

}  // namespace

std::string workflow_type(int activities) {
  return std::string(kTypePrefix) + std::to_string(activities);
}

int activities_of(const std::string& workflow_type) {
  int n = 0;
  if (workflow_type.starts_with(kTypePrefix)) {
    std::from_chars(workflow_type.data() + kTypePrefix.size(), workflow_type.data() + workflow_type.size(),
                    n);
  }
  return n;
}

Worker::Worker(Api& api, std::string task_queue, std::size_t pollers, bool activities)
    : api_(api), task_queue_(std::move(task_queue)) {
  for (std::size_t i = 0; i < pollers; ++i) {
    poll_workflow_task(i);
    if (activities) poll_activity_task(i);
  }
}

void Worker::note(const base::Error& error) {
  if (stopped_) return;
  ++errors_;
  last_error_ = "code " + std::to_string(static_cast<int>(error.code)) + ": " + error.message;
}

void Worker::poll_workflow_task(std::size_t connection) {
  wf::PollWorkflowTaskQueueRequest request;
  request.set_namespace_(api_.name_space());
  request.mutable_task_queue()->set_name(task_queue_);
  request.mutable_task_queue()->set_kind(enums::TASK_QUEUE_KIND_NORMAL);
  request.set_identity(kIdentity);
  api_.call<wf::PollWorkflowTaskQueueResponse>(connection, path::kPollWorkflowTask, request, kPollTimeout,
                                               [this, connection](auto reply) {
                                                 if (stopped_) return;
                                                 if (!reply) note(reply.error());
                                                 poll_workflow_task(connection);
                                                 if (reply && !(*reply)->task_token().empty())
                                                   work(connection, **reply);
                                               });
}

void Worker::poll_activity_task(std::size_t connection) {
  wf::PollActivityTaskQueueRequest request;
  request.set_namespace_(api_.name_space());
  request.mutable_task_queue()->set_name(task_queue_);
  request.mutable_task_queue()->set_kind(enums::TASK_QUEUE_KIND_NORMAL);
  request.set_identity(kIdentity);
  api_.call<wf::PollActivityTaskQueueResponse>(connection, path::kPollActivityTask, request, kPollTimeout,
                                               [this, connection](auto reply) {
                                                 if (stopped_) return;
                                                 if (!reply) note(reply.error());
                                                 poll_activity_task(connection);
                                                 if (reply && !(*reply)->task_token().empty())
                                                   work(connection, **reply);
                                               });
}

void Worker::work(std::size_t connection, const wf::PollWorkflowTaskQueueResponse& task) {
  int completed = 0;
  for (const auto& event : task.history().events()) {
    completed += event.event_type() == enums::EVENT_TYPE_ACTIVITY_TASK_COMPLETED ? 1 : 0;
  }
  wf::RespondWorkflowTaskCompletedRequest request;
  request.set_namespace_(api_.name_space());
  request.set_task_token(task.task_token());
  request.set_identity(kIdentity);
  auto* command = request.add_commands();
  if (completed < activities_of(task.workflow_type().name())) {
    command->set_command_type(enums::COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK);
    auto* activity = command->mutable_schedule_activity_task_command_attributes();
    activity->set_activity_id(std::to_string(completed + 1));
    activity->mutable_activity_type()->set_name("echo");
    activity->mutable_task_queue()->set_name(task_queue_);
    activity->mutable_start_to_close_timeout()->set_seconds(60);
    set_payload(activity->mutable_input(), R"({"customer":"0000-0000","amount":12345})");
  } else {
    command->set_command_type(enums::COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION);
    set_payload(command->mutable_complete_workflow_execution_command_attributes()->mutable_result(),
                R"({"ok":true})");
  }
  api_.call<wf::RespondWorkflowTaskCompletedResponse>(connection, path::kRespondWorkflowTask, request,
                                                      kCallTimeout, [this](auto reply) {
                                                        if (!reply) note(reply.error());
                                                      });
}

void Worker::work(std::size_t connection, const wf::PollActivityTaskQueueResponse& task) {
  wf::RespondActivityTaskCompletedRequest request;
  request.set_namespace_(api_.name_space());
  request.set_task_token(task.task_token());
  request.set_identity(kIdentity);
  set_payload(request.mutable_result(), R"({"customer":"0000-0000","amount":12345})");
  api_.call<wf::RespondActivityTaskCompletedResponse>(connection, path::kRespondActivityTask, request,
                                                      kCallTimeout, [this](auto reply) {
                                                        if (!reply) note(reply.error());
                                                      });
}

}  // namespace perdure::bench
