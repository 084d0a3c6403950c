#include "tests/sim/worker.h"

#include <utility>

namespace perdure::sim {
namespace {

using std::chrono::seconds;
constexpr int kPolls = 2;

bool lost(const base::Result<std::string>& answer) {
  return !answer;
}

template <class Message>
void sign(Message& message, const std::string& identity) {
  message.set_namespace_("default");
  message.set_identity(identity);
}

}  // namespace

Worker::Worker(WorkerParts parts, int number, std::uint64_t seed)
    : parts_(parts), number_(number), random_(seed) {}

void Worker::start() {
  identity_ = "worker-" + std::to_string(number_) + "-" + std::to_string(++life_);
  sender_ = std::make_shared<Sender>();
  for (int n = 0; n < kPolls; ++n) {
    poll_workflow(false);
    poll_activity();
  }
  if (parts_.plan.has(Feature::kSticky)) poll_workflow(true);
}

void Worker::die() {
  if (!sender_) return;
  sender_->dead = true;
  sender_.reset();
  cache_.clear();
  parts_.network.drop_dead();
}

void Worker::send(std::string method, const google::protobuf::Message& request, base::Duration patience,
                  Heard heard) {
  parts_.network.send(sender_, std::move(method), request.SerializeAsString(), patience, std::move(heard));
}

void Worker::later(std::uint64_t milliseconds, std::move_only_function<void()> action) {
  parts_.events.after(std::chrono::milliseconds(milliseconds),
                      [sender = sender_, action = std::move(action)]() mutable {
                        if (!sender->dead) action();
                      });
}

// ---- workflow tasks
// --------------------------------------------------------------------------------------------------------------

void Worker::poll_workflow(bool sticky) {
  wfs::PollWorkflowTaskQueueRequest request;
  sign(request, identity_);
  request.mutable_task_queue()->set_name(sticky ? sticky_queue() : "tq");
  if (sticky) {
    request.mutable_task_queue()->set_kind(enums::TASK_QUEUE_KIND_STICKY);
    request.mutable_task_queue()->set_normal_name("tq");
  }
  send("PollWorkflowTaskQueue", request, seconds(parts_.network.healed() ? 20 : 5 + random_.below(20)),
       [this, sticky](base::Result<std::string> answer) {
         if (lost(answer)) return later(100 + random_.below(400), [this, sticky] { poll_workflow(sticky); });
         PollAnswer task;
         task.ParseFromString(*answer);
         if (!task.task_token().empty()) take(std::move(task));
         poll_workflow(sticky);
       });
}

void Worker::take(PollAnswer task) {
  later(random_.below(30), [this, task = std::move(task)]() mutable {
    std::vector<HistoryEvent> events(task.history().events().begin(), task.history().events().end());
    const auto cached = cache_.find(task.workflow_execution().run_id());
    const bool whole = !events.empty() && events.front().event_id() == 1;
    if (whole) {
      cache_.erase(task.workflow_execution().run_id());
      return work(task, std::move(events));
    }
    const std::int64_t first = events.empty() ? 0 : events.front().event_id();
    const bool fits = cached != cache_.end() && (events.empty() || first == cached->second.next_event_id());
    if (!fits) return fetch(std::move(task));
    parts_.coverage.saw(Feature::kSticky);
    work(task, std::move(events));
  });
}

void Worker::fetch(PollAnswer task) {
  cache_.erase(task.workflow_execution().run_id());
  wfs::GetWorkflowExecutionHistoryRequest request;
  request.set_namespace_("default");
  *request.mutable_execution() = task.workflow_execution();
  send("GetWorkflowExecutionHistory", request, seconds(5),
       [this, task = std::move(task)](base::Result<std::string> answer) {
         if (lost(answer)) return;  // the task times out
         wfs::GetWorkflowExecutionHistoryResponse response;
         response.ParseFromString(*answer);
         std::vector<HistoryEvent> events;
         for (const HistoryEvent& event : response.history().events()) {
           if (task.has_query() || event.event_id() <= task.started_event_id()) events.push_back(event);
         }
         // Something else may have happened to the run meanwhile: then this is nobody's task any more.
         if (!task.has_query() &&
             (events.empty() || events.back().event_type() != enums::EVENT_TYPE_WORKFLOW_TASK_STARTED))
           return;
         work(task, std::move(events));
       });
}

void Worker::work(const PollAnswer& task, std::vector<HistoryEvent> events) {
  const std::string& run_id = task.workflow_execution().run_id();
  std::string wrong;
  if (task.has_query()) {
    Execution execution = cache_.contains(run_id) ? cache_[run_id] : Execution();
    if (!execution.replay(events, wrong)) {
      parts_.oracle.violated("a worker cannot replay " + run_id + " for a query: " + wrong);
      return;
    }
    return answer_query(task, execution);
  }
  Execution& execution = cache_[run_id];
  const auto commands = execution.replay(events, wrong);
  if (!commands) {
    parts_.oracle.violated("a worker cannot replay " + run_id + ": " + wrong);
    cache_.erase(run_id);
    return;
  }
  if (parts_.plan.has(Feature::kTaskFailure) && !parts_.network.healed() && random_.below(8) == 0)
    return fail_task(task);
  complete(task, *commands);
}

void Worker::fail_task(const PollAnswer& task) {
  cache_.erase(task.workflow_execution().run_id());
  wfs::RespondWorkflowTaskFailedRequest request;
  sign(request, identity_);
  request.set_task_token(task.task_token());
  request.set_cause(enums::WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE);
  request.mutable_failure()->set_message("a bad day");
  parts_.coverage.saw(Feature::kTaskFailure);
  send("RespondWorkflowTaskFailed", request, seconds(5), [](base::Result<std::string>) {});
}

void Worker::complete(const PollAnswer& task, const std::vector<Command>& commands) {
  const std::string run_id = task.workflow_execution().run_id();
  wfs::RespondWorkflowTaskCompletedRequest request;
  sign(request, identity_);
  request.set_task_token(task.task_token());
  for (const Command& command : commands) *request.add_commands() = command;
  if (parts_.plan.has(Feature::kSticky)) {
    request.mutable_sticky_attributes()->mutable_worker_task_queue()->set_name(sticky_queue());
    request.mutable_sticky_attributes()->mutable_worker_task_queue()->set_kind(enums::TASK_QUEUE_KIND_STICKY);
    request.mutable_sticky_attributes()->mutable_worker_task_queue()->set_normal_name("tq");
    request.mutable_sticky_attributes()->mutable_schedule_to_start_timeout()->set_seconds(3);
  }
  if (parts_.plan.has(Feature::kNextTask)) request.set_return_new_workflow_task(true);
  const Execution& execution = cache_[run_id];
  for (const auto& [id, query] : task.queries()) {
    auto& result = (*request.mutable_query_results())[id];
    result.set_result_type(enums::QUERY_RESULT_TYPE_ANSWERED);
    *result.mutable_answer() = text_payloads(run_id + "/" + execution.program().status());
  }
  const bool closes = execution.program().done();
  send("RespondWorkflowTaskCompleted", request, seconds(5),
       [this, run_id, closes](base::Result<std::string> answer) {
         if (lost(answer) || closes) cache_.erase(run_id);
         if (lost(answer)) return;
         wfs::RespondWorkflowTaskCompletedResponse response;
         response.ParseFromString(*answer);
         if (!response.has_workflow_task()) return;
         parts_.coverage.saw(Feature::kNextTask);
         take(response.workflow_task());
       });
}

void Worker::answer_query(const PollAnswer& task, const Execution& execution) {
  wfs::RespondQueryTaskCompletedRequest request;
  request.set_namespace_("default");
  request.set_task_token(task.task_token());
  request.set_completed_type(enums::QUERY_RESULT_TYPE_ANSWERED);
  *request.mutable_query_result() =
      text_payloads(task.workflow_execution().run_id() + "/" + execution.program().status());
  send("RespondQueryTaskCompleted", request, seconds(5), [](base::Result<std::string>) {});
}

// ---- activities
// ------------------------------------------------------------------------------------------------------------------

void Worker::poll_activity() {
  wfs::PollActivityTaskQueueRequest request;
  sign(request, identity_);
  request.mutable_task_queue()->set_name("tq");
  send("PollActivityTaskQueue", request, seconds(parts_.network.healed() ? 20 : 5 + random_.below(20)),
       [this](base::Result<std::string> answer) {
         if (lost(answer)) return later(100 + random_.below(400), [this] { poll_activity(); });
         wfs::PollActivityTaskQueueResponse task;
         task.ParseFromString(*answer);
         if (!task.task_token().empty()) run(task);
         poll_activity();
       });
}

void Worker::run(const wfs::PollActivityTaskQueueResponse& task) {
  using How = ActivityInput::How;
  const ActivityInput input = ActivityInput::parse(text_of(task.input()));
  const auto soon = random_.below(300);
  switch (input.how) {
    case How::kSucceeds: return later(soon, [this, task] { finish(task); });
    case How::kFailsFirst:
      if (task.attempt() <= input.number) return later(soon, [this, task] { fail(task); });
      return later(soon, [this, task] { finish(task); });
    case How::kFailsForGood: return later(soon, [this, task] { fail(task); });
    case How::kHangsFirst:
      if (task.attempt() == 1) return;
      return later(soon, [this, task] { finish(task); });
    case How::kHangs: return;
    case How::kBeats: return beat(task, input.number, false);
    case How::kStopsBeating: return beat(task, input.number, task.attempt() == 1);
  }
}

void Worker::finish(const wfs::PollActivityTaskQueueResponse& task) {
  wfs::RespondActivityTaskCompletedRequest request;
  sign(request, identity_);
  request.set_task_token(task.task_token());
  *request.mutable_result() = text_payloads(identity_ + "." + std::to_string(++results_));
  send("RespondActivityTaskCompleted", request, seconds(5), [](base::Result<std::string>) {});
}

void Worker::fail(const wfs::PollActivityTaskQueueResponse& task) {
  wfs::RespondActivityTaskFailedRequest request;
  sign(request, identity_);
  request.set_task_token(task.task_token());
  request.mutable_failure()->set_message("as planned");
  request.mutable_failure()->mutable_application_failure_info()->set_type("Planned");
  send("RespondActivityTaskFailed", request, seconds(5), [](base::Result<std::string>) {});
}

void Worker::beat(wfs::PollActivityTaskQueueResponse task, int beats, bool stops) {
  if (beats == 0) {
    if (!stops) later(random_.below(200), [this, task] { finish(task); });
    return;
  }
  wfs::RecordActivityTaskHeartbeatRequest request;
  sign(request, identity_);
  request.set_task_token(task.task_token());
  *request.mutable_details() = text_payloads(std::to_string(task.attempt() * 100 + 10 - beats));
  send("RecordActivityTaskHeartbeat", request, seconds(5),
       [this, task = std::move(task), beats, stops](base::Result<std::string> answer) mutable {
         if (!answer && answer.error().code == base::Code::kNotFound) return;  // it was given up
         if (answer) {
           parts_.coverage.saw(Feature::kHeartbeat);
           wfs::RecordActivityTaskHeartbeatResponse response;
           response.ParseFromString(*answer);
           if (response.cancel_requested()) {
             wfs::RespondActivityTaskCanceledRequest canceled;
             sign(canceled, identity_);
             canceled.set_task_token(task.task_token());
             *canceled.mutable_details() = text_payloads(identity_ + "." + std::to_string(++results_));
             return send("RespondActivityTaskCanceled", canceled, seconds(5),
                         [](base::Result<std::string>) {});
           }
         }
         later(100 + random_.below(500), [this, task = std::move(task), beats, stops]() mutable {
           beat(std::move(task), beats - 1, stops);
         });
       });
}

}  // namespace perdure::sim
