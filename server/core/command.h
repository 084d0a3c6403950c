// Commands: everything that can be asked of one id, and what each answers. API requests travel inside as they came.
//
// A Command is validated before it gets here (frontend/validate): fields are present and within limits, the namespace is resolved.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "server/core/state.h"
#include "temporal/api/workflowservice/v1/request_response.pb.h"

namespace perdure::core {

namespace wfs = ::temporal::api::workflowservice::v1;

// ---- answers -------------------------------------------------------------------------------------------------------------------

// A workflow task was started: what a poll reply is made of. The shell adds token, history and queries.
struct WorkflowTaskStarted {
  std::string workflow_id, run_id, workflow_type, task_queue;
  std::int64_t previous_started_id = 0, scheduled_id = 0, started_id = 0;
  int attempt = 1;
  Time scheduled_time{}, started_time{};
  std::uint64_t nonce = 0;
  std::int64_t first_event_id = 1;  // history in the reply starts here
  std::int64_t next_event_id = 1;   // … and ends before this (events of the store and memory)
  std::vector<HistoryEvent> tail;   // events of a transient attempt, beyond the history
  bool sticky = false;              // only the part of the history that a caching worker lacks
};

// An activity task was started. Input and header come from the scheduled event.
struct ActivityTaskStarted {
  std::string workflow_id, run_id, workflow_type;
  std::string activity_id;
  std::uint64_t nonce = 0;
  std::int64_t scheduled_id = 0;
  std::shared_ptr<const pb::Activity> activity;
  std::shared_ptr<const HistoryEvent> scheduled_event;
};

struct WorkflowTaskCompleted {
  std::optional<WorkflowTaskStarted> new_task;  // return_new_workflow_task (WT-26)
  std::vector<ActivityTaskStarted> eager_activities;
  std::int64_t reset_history_event_id = 0;
};

struct StartAnswer {
  wfs::StartWorkflowExecutionResponse response;
  std::optional<WorkflowTaskStarted> eager_task;
};

struct Heartbeat {
  bool cancel_requested = false;
};

// The outcome of an effect that another id asked for (rule E7).
struct ExternalOutcome {
  int failed_cause = 0;  // 0: it took effect
  std::string run_id;    // the run that took it
};

// How a query is to be dispatched (WT-51).
struct QueryRoute {
  enum class How : std::uint8_t { kDirect, kAttach, kRejected } how = How::kDirect;
  int rejected_status = 0;
  std::string run_id, workflow_type, task_queue, sticky_queue;  // sticky_queue: empty when not bound
  Duration sticky_timeout{};
  std::int64_t previous_started_id = 0, next_event_id = 1;
  bool pending_first_task = false;  // still in the first workflow task backoff
};

struct Nothing {};

// Where the history of a run stands: for reads and long polls.
struct HistoryPosition {
  std::string run_id, new_run_id;
  bool running = false;
  std::int64_t next_event_id = 1, close_event_id = 0;
  std::vector<HistoryEvent> tail;  // of a transient workflow task in flight (WT-66)
};

using Reply = std::variant<Nothing, StartAnswer, wfs::SignalWithStartWorkflowExecutionResponse,
                           wfs::SignalWorkflowExecutionResponse, wfs::DescribeWorkflowExecutionResponse,
                           WorkflowTaskStarted, WorkflowTaskCompleted, ActivityTaskStarted, Heartbeat,
                           ExternalOutcome, QueryRoute, HistoryPosition>;

// clang-format off: one command a line, as a table.
// ---- commands ------------------------------------------------------------------------------------------------------------------
// run_id: the run that is meant; empty: the current one.

struct StartWorkflow { wfs::StartWorkflowExecutionRequest request; };                       // → StartAnswer
struct SignalWithStart { wfs::SignalWithStartWorkflowExecutionRequest request; };           // → SignalWithStart…Response
struct SignalWorkflow { wfs::SignalWorkflowExecutionRequest request; };                     // → SignalWorkflow…Response
struct RequestCancelWorkflow { wfs::RequestCancelWorkflowExecutionRequest request; };       // → Nothing
struct TerminateWorkflow { wfs::TerminateWorkflowExecutionRequest request; };               // → Nothing
struct DeleteWorkflow { std::string run_id; bool even_if_running = true; };                 // → Nothing
struct DescribeWorkflow { std::string run_id; };                                            // → Describe…Response
struct ResetSticky { std::string run_id; };                                                 // → Nothing
struct ReadHistory { std::string run_id; bool with_tail = true; };                          // → HistoryPosition
struct RouteQuery { std::string run_id; int reject_condition = 0; };                        // → QueryRoute

// Matching hands a task to a poller. NOT_FOUND: the task is no more (obsolete); matching drops it and goes on.
struct StartWorkflowTask {                                                                  // → WorkflowTaskStarted
  std::string run_id;
  std::int64_t scheduled_id = 0;
  int attempt = 1;
  bool sticky = false;                        // found in a sticky queue
  std::string queue, identity, request_id, build_id;
};
struct StartActivityTask {                                                                  // → ActivityTaskStarted
  std::string run_id;
  std::int64_t scheduled_id = 0;
  int attempt = 1;
  std::string identity, request_id, build_id;
};
// The poller was gone when the started task should have been delivered: the attempt is not consumed (rule E16).
struct UndoStart {                                                                          // → Nothing
  std::string run_id;
  TaskKind kind{};
  std::int64_t scheduled_id = 0;
  std::uint64_t nonce = 0;
};

struct TaskRef {                              // from a task token, or by activity id (nonce 0, scheduled_id 0)
  std::string run_id;
  std::int64_t scheduled_id = 0, started_id = 0;
  int attempt = 0;
  std::uint64_t nonce = 0;
  std::string activity_id;
  bool by_id() const { return scheduled_id == 0; }
};
struct CompleteWorkflowTask { TaskRef task; wfs::RespondWorkflowTaskCompletedRequest request; };  // → WorkflowTaskCompleted
struct FailWorkflowTask { TaskRef task; wfs::RespondWorkflowTaskFailedRequest request; };         // → Nothing
struct CompleteActivity {                                                                   // → Nothing
  TaskRef task;
  temporal::api::common::v1::Payloads result;
  bool has_result = false;
  std::string identity;
};
struct FailActivity {                                                                       // → Nothing
  TaskRef task;
  temporal::api::failure::v1::Failure failure;
  std::optional<temporal::api::common::v1::Payloads> last_heartbeat_details;
  std::string identity;
};
struct CancelActivity {                                                                     // → Nothing
  TaskRef task;
  temporal::api::common::v1::Payloads details;
  bool has_details = false;
  std::string identity;
};
struct HeartbeatActivity {                                                                  // → Heartbeat
  TaskRef task;
  temporal::api::common::v1::Payloads details;
  bool has_details = false;
  std::string identity;
};

// No poller of the sticky queue is alive: the task goes to the normal queue (WT-06).
struct StickyUnavailable { std::string run_id; std::int64_t scheduled_id = 0; };            // → Nothing

// The clock reached the unit's wake time: everything due happens, in order of time.
struct Wake {};                                                                             // → Nothing

// An effect owed by another id (rule E7); answered again from the head when it is repeated.
struct DeliverExternal {                                                                    // → ExternalOutcome
  std::string sender_workflow_id, sender_run_id;
  std::int64_t initiated_id = 0;
  int kind = 1;                               // as pb::External.kind
  std::string run_id;                         // target run; empty: current
  bool child_workflow_only = false;
  std::string request_id, signal_name;
  temporal::api::common::v1::Payloads input;
  temporal::api::common::v1::Header header;
  std::string reason;
  bool has_input = false, has_header = false;
};
struct RecordExternal { std::string run_id; std::int64_t initiated_id = 0; ExternalOutcome outcome; };  // → Nothing
struct ForgetReceived { std::string key; };                                                 // → Nothing; unknown keys are fine
struct ForgottenExternal { std::string run_id; std::int64_t initiated_id = 0; };            // → Nothing

// clang-format on

using Command =
    std::variant<StartWorkflow, SignalWithStart, SignalWorkflow, RequestCancelWorkflow, TerminateWorkflow,
                 DeleteWorkflow, DescribeWorkflow, ResetSticky, ReadHistory, RouteQuery, StartWorkflowTask,
                 StartActivityTask, UndoStart, StickyUnavailable, CompleteWorkflowTask, FailWorkflowTask,
                 CompleteActivity, FailActivity, CancelActivity, HeartbeatActivity, Wake, DeliverExternal,
                 RecordExternal, ForgetReceived, ForgottenExternal>;

}  // namespace perdure::core
