#include "bench/workloads.h"

#include <optional>

#include "bench/worker.h"

namespace perdure::bench {
namespace {

namespace wf = temporal::api::workflowservice::v1;
namespace enums = temporal::api::enums::v1;
constexpr const char* kIdentity = "perdure-bench-client";

using UnitDone = Workload::UnitDone;

base::Status status_of(const auto& reply) {
  if (!reply) return std::unexpected(reply.error());
  return {};
}

class Noop : public Workload {
 public:
  explicit Noop(Api& api) : api_(api) {}
  void run(std::size_t slot, UnitDone done) override {
    api_.call<wf::GetSystemInfoResponse>(
        slot, path::kGetSystemInfo, wf::GetSystemInfoRequest(), kCallTimeout,
        [done = std::move(done)](auto reply) mutable { done(status_of(reply)); });
  }

 private:
  Api& api_;
};

// Starts on a task queue that nobody polls.
class Start : public Workload {
 public:
  Start(Api& api, const WorkloadOptions& options) : api_(api), name_(options.run_name) {}
  void run(std::size_t slot, UnitDone done) override {
    start_workflow(api_, slot, name_ + "-" + std::to_string(started_++), workflow_type(0), name_,
                   [done = std::move(done)](auto run_id) mutable { done(status_of(run_id)); });
  }

 private:
  Api& api_;
  std::string name_;
  std::size_t started_ = 0;
};

// Signals open workflows whose first workflow task nobody polls for, in turn.
class Signal : public Workload {
 public:
  Signal(Api& api, const WorkloadOptions& options)
      : api_(api), name_(options.run_name), workflows_(options.in_flight * kWorkflowsPerSlot) {}

  void prepare(UnitDone done) override {
    waiting_ = workflows_;
    prepared_ = std::move(done);
    for (std::size_t i = 0; i < workflows_; ++i) {
      start_workflow(api_, i, id(i), workflow_type(0), name_, [this](auto run_id) {
        if (!run_id) failure_ = std::unexpected(run_id.error());
        if (--waiting_ == 0) prepared_(failure_);
      });
    }
  }

  void run(std::size_t slot, UnitDone done) override {
    wf::SignalWorkflowExecutionRequest request;
    request.set_namespace_(api_.name_space());
    request.mutable_workflow_execution()->set_workflow_id(id(sent_ % workflows_));
    request.set_signal_name("paid");
    request.set_identity(kIdentity);
    request.set_request_id(name_ + "-" + std::to_string(sent_));
    auto* payload = request.mutable_input()->add_payloads();
    (*payload->mutable_metadata())["encoding"] = "json/plain";
    payload->set_data(R"({"amount":12345})");
    ++sent_;
    api_.call<wf::SignalWorkflowExecutionResponse>(
        slot, path::kSignalWorkflow, request, kCallTimeout,
        [done = std::move(done)](auto reply) mutable { done(status_of(reply)); });
  }

 private:
  static constexpr std::size_t kWorkflowsPerSlot = 8;
  std::string id(std::size_t i) const { return name_ + "-" + std::to_string(i); }

  Api& api_;
  std::string name_;
  std::size_t workflows_;
  std::size_t waiting_ = 0;
  std::size_t sent_ = 0;
  base::Status failure_;
  UnitDone prepared_;
};

// Start, the worker's part, and the long poll that tells the end.
class WholeWorkflow : public Workload {
 public:
  WholeWorkflow(Api& api, const WorkloadOptions& options, int activities)
      : api_(api), options_(options), activities_(activities), type_(workflow_type(activities)) {}

  void prepare(UnitDone done) override {
    worker_.emplace(api_, options_.run_name, options_.pollers, activities_ > 0);
    done({});
  }

  void run(std::size_t slot, UnitDone done) override {
    std::string id = options_.run_name + "-" + std::to_string(started_++);
    start_workflow(api_, slot, id, type_, options_.run_name,
                   [this, slot, id, done = std::move(done)](base::Result<std::string> run_id) mutable {
                     if (!run_id) return done(std::unexpected(run_id.error()));
                     wait_for_close(slot, std::move(id), std::move(*run_id), {}, std::move(done));
                   });
  }

  std::size_t worker_errors() const override { return worker_ ? worker_->errors() : 0; }
  std::string last_worker_error() const override { return worker_ ? worker_->last_error() : std::string(); }
  void stop() override {
    if (worker_) worker_->stop();
  }

 private:
  void wait_for_close(std::size_t slot, std::string id, std::string run_id, std::string page_token,
                      UnitDone done) {
    wf::GetWorkflowExecutionHistoryRequest request;
    request.set_namespace_(api_.name_space());
    request.mutable_execution()->set_workflow_id(id);
    request.mutable_execution()->set_run_id(run_id);
    request.set_wait_new_event(true);
    request.set_history_event_filter_type(enums::HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT);
    request.set_next_page_token(page_token);
    auto answered = [this, slot, id = std::move(id), run_id = std::move(run_id), done = std::move(done)](
                        base::Result<const wf::GetWorkflowExecutionHistoryResponse*> reply) mutable {
      if (!reply) return done(std::unexpected(reply.error()));
      const auto& events = (*reply)->history().events();
      if (events.empty()) {
        return wait_for_close(slot, std::move(id), std::move(run_id), (*reply)->next_page_token(),
                              std::move(done));
      }
      const auto type = events.rbegin()->event_type();
      if (type != enums::EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED) {
        return done(base::fail(base::Code::kFailedPrecondition,
                               "the workflow ended with " + enums::EventType_Name(type)));
      }
      done({});
    };
    api_.call<wf::GetWorkflowExecutionHistoryResponse>(slot, path::kGetHistory, request, kPollTimeout,
                                                       std::move(answered));
  }

  Api& api_;
  WorkloadOptions options_;
  int activities_;
  std::string type_;
  std::size_t started_ = 0;
  std::optional<Worker> worker_;
};

}  // namespace

void start_workflow(Api& api, std::size_t connection, const std::string& workflow_id,
                    const std::string& workflow_type, const std::string& task_queue,
                    std::move_only_function<void(base::Result<std::string>)> done, base::Duration timeout) {
  wf::StartWorkflowExecutionRequest request;
  request.set_namespace_(api.name_space());
  request.set_workflow_id(workflow_id);
  request.mutable_workflow_type()->set_name(workflow_type);
  request.mutable_task_queue()->set_name(task_queue);
  request.mutable_task_queue()->set_kind(enums::TASK_QUEUE_KIND_NORMAL);
  request.set_identity(kIdentity);
  request.set_request_id(workflow_id);
  auto* payload = request.mutable_input()->add_payloads();
  (*payload->mutable_metadata())["encoding"] = "json/plain";
  payload->set_data(R"({"customer":"0000-0000","amount":12345})");
  api.call<wf::StartWorkflowExecutionResponse>(
      connection, path::kStartWorkflow, request, timeout,
      [done = std::move(done)](base::Result<const wf::StartWorkflowExecutionResponse*> reply) mutable {
        if (!reply) return done(std::unexpected(reply.error()));
        done((*reply)->run_id());
      });
}

std::unique_ptr<Workload> make_workload(std::string_view name, Api& api, const WorkloadOptions& options) {
  if (name == "noop") return std::make_unique<Noop>(api);
  if (name == "start") return std::make_unique<Start>(api, options);
  if (name == "signal") return std::make_unique<Signal>(api, options);
  if (name == "start_complete") return std::make_unique<WholeWorkflow>(api, options, 0);
  if (name == "one_activity") return std::make_unique<WholeWorkflow>(api, options, 1);
  if (name == "three_activities") return std::make_unique<WholeWorkflow>(api, options, 3);
  return nullptr;
}

}  // namespace perdure::bench
