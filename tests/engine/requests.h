// What tests say to a server.
#pragma once

#include <chrono>
#include <string>

#include "temporal/api/workflowservice/v1/request_response.pb.h"

namespace perdure::engine {

namespace wfs = temporal::api::workflowservice::v1;
namespace enums = temporal::api::enums::v1;
using std::chrono::seconds;

inline wfs::StartWorkflowExecutionRequest start_request(const std::string& id,
                                                        const std::string& queue = "tq") {
  wfs::StartWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.set_workflow_id(id);
  request.mutable_workflow_type()->set_name("T");
  request.mutable_task_queue()->set_name(queue);
  request.set_request_id("start-" + id);
  return request;
}

inline wfs::SignalWorkflowExecutionRequest signal_request(const std::string& id,
                                                          const std::string& request_id) {
  wfs::SignalWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.mutable_workflow_execution()->set_workflow_id(id);
  request.set_signal_name("s");
  request.set_request_id(request_id);
  return request;
}

inline wfs::DescribeWorkflowExecutionRequest describe_request(const std::string& id) {
  wfs::DescribeWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.mutable_execution()->set_workflow_id(id);
  return request;
}

inline wfs::GetWorkflowExecutionHistoryRequest history_request(const std::string& id, bool wait = false) {
  wfs::GetWorkflowExecutionHistoryRequest request;
  request.set_namespace_("default");
  request.mutable_execution()->set_workflow_id(id);
  request.set_wait_new_event(wait);
  if (wait) request.set_history_event_filter_type(enums::HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT);
  return request;
}

inline wfs::PollWorkflowTaskQueueRequest poll_request(const std::string& queue = "tq") {
  wfs::PollWorkflowTaskQueueRequest request;
  request.set_namespace_("default");
  request.mutable_task_queue()->set_name(queue);
  request.set_identity("worker");
  return request;
}

inline wfs::PollActivityTaskQueueRequest activity_poll(const std::string& queue = "tq") {
  wfs::PollActivityTaskQueueRequest request;
  request.set_namespace_("default");
  request.mutable_task_queue()->set_name(queue);
  request.set_identity("worker");
  return request;
}

inline wfs::RespondWorkflowTaskCompletedRequest completion(const std::string& token) {
  wfs::RespondWorkflowTaskCompletedRequest request;
  request.set_namespace_("default");
  request.set_task_token(token);
  request.set_identity("worker");
  return request;
}

inline void add_activity(wfs::RespondWorkflowTaskCompletedRequest& request, const std::string& id,
                         seconds start_to_close) {
  auto& command = *request.add_commands();
  command.set_command_type(enums::COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK);
  auto& attributes = *command.mutable_schedule_activity_task_command_attributes();
  attributes.set_activity_id(id);
  attributes.mutable_activity_type()->set_name("A");
  attributes.mutable_task_queue()->set_name("tq");
  attributes.mutable_start_to_close_timeout()->set_seconds(start_to_close.count());
}

inline void add_completion(wfs::RespondWorkflowTaskCompletedRequest& request) {
  auto& command = *request.add_commands();
  command.set_command_type(enums::COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION);
  command.mutable_complete_workflow_execution_command_attributes();
}

inline void add_external_signal(wfs::RespondWorkflowTaskCompletedRequest& request,
                                const std::string& target) {
  auto& command = *request.add_commands();
  command.set_command_type(enums::COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION);
  auto& attributes = *command.mutable_signal_external_workflow_execution_command_attributes();
  attributes.mutable_execution()->set_workflow_id(target);
  attributes.set_signal_name("from afar");
}

inline wfs::TerminateWorkflowExecutionRequest terminate_request(const std::string& id) {
  wfs::TerminateWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.mutable_workflow_execution()->set_workflow_id(id);
  return request;
}

inline wfs::ListWorkflowExecutionsRequest list_request() {
  wfs::ListWorkflowExecutionsRequest request;
  request.set_namespace_("default");
  return request;
}

}  // namespace perdure::engine
