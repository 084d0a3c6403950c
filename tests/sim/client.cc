#include "tests/sim/client.h"

#include <utility>

namespace perdure::sim {
namespace {

using base::Code;
using std::chrono::milliseconds;
using std::chrono::seconds;

void set(google::protobuf::Duration* duration, std::uint64_t milliseconds) {
  duration->set_seconds(static_cast<std::int64_t>(milliseconds / 1000));
  duration->set_nanos(static_cast<std::int32_t>(milliseconds % 1000) * 1'000'000);
}

}  // namespace

Client::Client(ClientParts parts, int number, std::uint64_t seed)
    : parts_(parts), number_(number), random_(seed), sender_(std::make_shared<Sender>()) {}

void Client::die() {
  sender_->dead = true;
  parts_.network.drop_dead();
  sender_ = std::make_shared<Sender>();
  done();
}

std::string Client::label(const char* kind) {
  return std::string(kind) + "-" + std::to_string(number_) + "-" + std::to_string(++parts_.crowd.last_label);
}

void Client::done() {
  idle_ = true;
  if (parts_.crowd.actions_left <= 0) return;
  const auto think = static_cast<std::uint64_t>(parts_.plan.think.count());
  parts_.events.after(base::Duration(1 + random_.below(think)), [this, sender = sender_] {
    if (!sender->dead) go_on();
  });
}

void Client::go_on() {
  if (parts_.crowd.actions_left <= 0 || !idle_) return;
  --parts_.crowd.actions_left;
  idle_ = false;
  act();
}

void Client::request(std::string method, const google::protobuf::Message& message, Heard heard, int attempts,
                     base::Duration patience) {
  std::string bytes = message.SerializeAsString();
  std::shared_ptr<google::protobuf::Message> again(message.New());
  again->CopyFrom(message);
  parts_.network.send(
      sender_, method, std::move(bytes), patience,
      [this, method, again, attempts, patience,
       heard = std::move(heard)](base::Result<std::string> answer) mutable {
        const bool unknown = !answer && (answer.error().code == Code::kUnavailable ||
                                         answer.error().code == Code::kResourceExhausted);
        if (!unknown || attempts <= 1) {
          heard(std::move(answer));
          return done();
        }
        parts_.events.after(
            milliseconds(50 + random_.below(800)),
            [this, sender = sender_, method, again, attempts, patience, heard = std::move(heard)]() mutable {
              if (!sender->dead) request(method, *again, std::move(heard), attempts - 1, patience);
            });
      });
}

void Client::act() {
  const Plan& plan = parts_.plan;
  const auto may = [&](Feature feature) { return plan.has(feature); };
  switch (random_.below(16)) {
    case 0:
    case 1:
    case 2:
    case 3: return start(false);
    case 4: return start(may(Feature::kSignalWithStart));
    case 5:
    case 6:
      if (may(Feature::kSignal)) return signal();
      break;
    case 7:
      if (may(Feature::kCancel)) return cancel();
      break;
    case 8:
      if (may(Feature::kTerminate)) return terminate();
      break;
    case 9:
      if (may(Feature::kQuery)) return query();
      break;
    case 10:
    case 11:
      if (may(Feature::kList)) return list();
      break;
    case 12:
      if (may(Feature::kDelete) && random_.below(3) == 0) return remove();
      break;
    case 13:
    case 14: return history();
    default: break;
  }
  describe();
}

void Client::start(bool with_signal) {
  const Plan& plan = parts_.plan;
  Input input{.seed = random_.next() >> 8,
              .rest = static_cast<int>(random_.below(3)),
              .features = plan.features.to_ullong(),
              .ids = plan.workflow_ids,
              .label = label("start")};
  const std::string id = some_id();
  const auto fill = [&](auto& request) {
    request.set_namespace_("default");
    request.set_workflow_id(id);
    request.mutable_workflow_type()->set_name("T");
    request.mutable_task_queue()->set_name("tq");
    request.set_request_id(input.label);
    *request.mutable_input() = text_payloads(input.text());
    if (plan.has(Feature::kWorkflowRetry) && random_.below(2) == 0) {
      set(request.mutable_retry_policy()->mutable_initial_interval(), 500 + random_.below(1500));
      request.mutable_retry_policy()->set_maximum_attempts(3);
    }
    if (plan.has(Feature::kRunTimeout) && random_.below(3) == 0)
      set(request.mutable_workflow_run_timeout(), 1000 + random_.below(20'000));
    if (plan.has(Feature::kCron) && random_.below(4) == 0) {
      request.set_cron_schedule("@every 3s");
      parts_.crowd.repeating.insert(id);
    }
    set(request.mutable_workflow_task_timeout(), 2000 + random_.below(4000));
    if (!plan.has(Feature::kIdReuse)) return;
    const std::uint64_t policy = random_.below(4);
    request.set_workflow_id_reuse_policy(policy == 0 ? enums::WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
                                         : policy == 1
                                             ? enums::WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY
                                             : enums::WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE);
    if (policy < 2) return;
    const std::uint64_t conflict = random_.below(3);
    if (conflict == 1)
      request.set_workflow_id_conflict_policy(enums::WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING);
    if (conflict == 2)
      request.set_workflow_id_conflict_policy(enums::WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING);
  };
  if (with_signal) {
    wfs::SignalWithStartWorkflowExecutionRequest request;
    fill(request);
    request.set_signal_name("s");
    *request.mutable_signal_input() = text_payloads(label("sws"));
    parts_.coverage.saw(Feature::kSignalWithStart);
    return this->request("SignalWithStartWorkflowExecution", request, [](base::Result<std::string>) {});
  }
  wfs::StartWorkflowExecutionRequest request;
  fill(request);
  this->request("StartWorkflowExecution", request, [this, id](base::Result<std::string> answer) {
    if (!answer) return;
    wfs::StartWorkflowExecutionResponse response;
    response.ParseFromString(*answer);
    parts_.crowd.runs[response.run_id()] = id;
  });
}

void Client::signal() {
  wfs::SignalWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.mutable_workflow_execution()->set_workflow_id(some_id());
  request.set_signal_name("s");
  request.set_request_id(label("signal"));
  *request.mutable_input() = text_payloads(request.request_id());
  parts_.coverage.saw(Feature::kSignal);
  this->request("SignalWorkflowExecution", request, [](base::Result<std::string>) {});
}

void Client::cancel() {
  wfs::RequestCancelWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.mutable_workflow_execution()->set_workflow_id(some_id());
  request.set_request_id(label("cancel"));
  request.set_reason(request.request_id());
  parts_.coverage.saw(Feature::kCancel);
  this->request("RequestCancelWorkflowExecution", request, [](base::Result<std::string>) {});
}

void Client::terminate() {
  wfs::TerminateWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.mutable_workflow_execution()->set_workflow_id(some_id());
  request.set_reason(label("terminate"));
  parts_.coverage.saw(Feature::kTerminate);
  this->request("TerminateWorkflowExecution", request, [](base::Result<std::string>) {});
}

// Of the last id only, which the oracle then leaves alone.
void Client::remove() {
  if (parts_.plan.workflow_ids == 1) return describe();
  wfs::DeleteWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.mutable_workflow_execution()->set_workflow_id(
      workflow_id(static_cast<std::uint64_t>(parts_.plan.workflow_ids) - 1));
  parts_.coverage.saw(Feature::kDelete);
  this->request("DeleteWorkflowExecution", request, [](base::Result<std::string>) {});
}

void Client::describe() {
  wfs::DescribeWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.mutable_execution()->set_workflow_id(some_id());
  this->request("DescribeWorkflowExecution", request, [](base::Result<std::string>) {});
}

void Client::history() {
  wfs::GetWorkflowExecutionHistoryRequest request;
  request.set_namespace_("default");
  request.mutable_execution()->set_workflow_id(some_id());
  if (!parts_.crowd.runs.empty() && random_.below(2) == 0) {
    auto at = parts_.crowd.runs.begin();
    std::advance(at, static_cast<long>(random_.below(parts_.crowd.runs.size())));
    request.mutable_execution()->set_workflow_id(at->second);
    request.mutable_execution()->set_run_id(at->first);
  }
  base::Duration patience = seconds(6);
  if (parts_.plan.has(Feature::kLongPoll) && random_.below(2) == 0) {
    request.set_wait_new_event(true);
    if (random_.below(2) == 0)
      request.set_history_event_filter_type(enums::HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT);
    patience = seconds(25);
    parts_.coverage.saw(Feature::kLongPoll);
  }
  this->request("GetWorkflowExecutionHistory", request, [](base::Result<std::string>) {}, 3, patience);
}

void Client::query() {
  wfs::QueryWorkflowRequest request;
  request.set_namespace_("default");
  request.mutable_execution()->set_workflow_id(some_id());
  request.mutable_query()->set_query_type("status");
  this->request(
      "QueryWorkflow", request,
      [this](base::Result<std::string> answer) {
        if (answer) parts_.coverage.saw(Feature::kQuery);
      },
      2);
}

void Client::list() {
  if (random_.below(3) == 0) {
    wfs::CountWorkflowExecutionsRequest request;
    request.set_namespace_("default");
    return this->request("CountWorkflowExecutions", request, [](base::Result<std::string>) {});
  }
  wfs::ListWorkflowExecutionsRequest request;
  request.set_namespace_("default");
  request.set_page_size(1000);
  parts_.coverage.saw(Feature::kList);
  this->request("ListWorkflowExecutions", request, [](base::Result<std::string>) {});
}

}  // namespace perdure::sim
