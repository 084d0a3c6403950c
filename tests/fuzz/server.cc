#include "tests/fuzz/server.h"

#include <google/protobuf/descriptor.h>

#include "base/check.h"
#include "temporal/api/operatorservice/v1/service.pb.h"
#include "temporal/api/workflowservice/v1/service.pb.h"
#include "tests/engine/requests.h"

namespace perdure::fuzz {
namespace {

namespace wfs = engine::wfs;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

constexpr int kOperator = 200;

const ServiceDescriptor& service(const char* name) {
  const auto* found = google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(name);
  CHECK(found);
  return *found;
}
const ServiceDescriptor& workflow_service() {
  static const ServiceDescriptor& found = service("temporal.api.workflowservice.v1.WorkflowService");
  return found;
}
const ServiceDescriptor& operator_service() {
  static const ServiceDescriptor& found = service("temporal.api.operatorservice.v1.OperatorService");
  return found;
}

engine::WorldOptions with_known_keys(engine::WorldOptions options) {
  options.secure_bytes = [](std::size_t) { return Server::key(); };
  return options;
}

}  // namespace

const MethodDescriptor& method_of(std::uint8_t number) {
  const bool is_operator = number >= kOperator;
  const ServiceDescriptor& service = is_operator ? operator_service() : workflow_service();
  return *service.method((is_operator ? number - kOperator : number) % service.method_count());
}

std::uint8_t number_of(std::string_view method) {
  const std::string name(method);
  const MethodDescriptor* found = workflow_service().FindMethodByName(name);
  if (found != nullptr) return static_cast<std::uint8_t>(found->index());
  found = operator_service().FindMethodByName(name);
  CHECK(found);
  return static_cast<std::uint8_t>(kOperator + found->index());
}

class Server::Call : public frontend::Call {
 public:
  Call(std::string request, base::Time deadline) : request_(std::move(request)), deadline_(deadline) {}
  std::string_view request() const override { return request_; }
  base::Time deadline() const override { return deadline_; }
  std::string_view header(std::string_view) const override { return {}; }
  void on_client_gone(std::move_only_function<void()> left) override { left_ = std::move(left); }
  void finish(base::Result<std::string> response) override {
    CHECK(!answer);
    answer = std::move(response);
  }
  void leave() {
    if (left_ && !answer) left_();
  }
  std::optional<base::Result<std::string>> answer;

 private:
  const std::string request_;
  const base::Time deadline_;
  std::move_only_function<void()> left_;
};

Server::Server(engine::WorldOptions options) : world_(with_known_keys(std::move(options))) {}

void Server::send(const MethodDescriptor& method, std::string_view request) {
  std::string bytes(request);
  if (bytes.find('@') != bytes.npos) {
    const auto message = make_message(*method.input_type());
    if (message->ParseFromString(bytes)) {
      fill_in(*message, names_);
      bytes = message->SerializeAsString();
    }
  }
  const auto call = std::make_shared<Call>(std::move(bytes), world_.clock.now() + std::chrono::seconds(20));
  waiting_.emplace_back(&method, call);
  world_.methods().dispatch("/" + method.service()->full_name() + "/" + method.name(), call);
  CHECK(world_.scheduler.run_until_idle());
  look();
}

void Server::send(const google::protobuf::Message& request) {
  constexpr std::string_view kEnd = "Request";
  const std::string& type = request.GetDescriptor()->name();
  send(method_of(number_of(std::string_view(type).substr(0, type.size() - kEnd.size()))),
       request.SerializeAsString());
}

void Server::pass(base::Duration time) {
  world_.advance(time);
  look();
}

void Server::end() {
  pass(std::chrono::seconds(25));
  for (const auto& [method, call] : waiting_) call->leave();
  CHECK(world_.scheduler.run_until_idle());
  look();
  const std::size_t waited = waiting_.size();
  send(wfs::GetClusterInfoRequest());
  CHECK(waiting_.size() == waited);
}

void Server::look() {
  std::erase_if(waiting_, [this](const auto& one) {
    if (!one.second->answer) return false;
    judge(*one.first, *one.second->answer);
    return true;
  });
}

void Server::judge(const MethodDescriptor& method, const base::Result<std::string>& answer) {
  if (answer) {
    const auto response = make_message(*method.output_type());
    CHECK(response->ParseFromString(*answer));
    return learn(*response, method.name());
  }
  const base::Error& error = answer.error();
  CHECK(!error.message.empty());
  CHECK(error.code != base::Code::kInternal && error.code != base::Code::kUnknown);
  CHECK(error.code != base::Code::kDataLoss || may_be_damaged);
}

void Server::learn(const google::protobuf::Message& response, std::string_view method) {
  const auto keep = [&](const char* field, const char* name) {
    const auto* found = response.GetDescriptor()->FindFieldByName(field);
    if (found == nullptr || found->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_STRING) return;
    std::string value = response.GetReflection()->GetString(response, found);
    if (!value.empty()) names_[name] = std::move(value);
  };
  keep("task_token", method.starts_with("PollActivity") ? "@a" : "@w");
  keep("next_page_token", "@p");
  keep("run_id", "@r");
  if (const auto* completed = dynamic_cast<const wfs::RespondWorkflowTaskCompletedResponse*>(&response)) {
    if (completed->has_workflow_task()) learn(completed->workflow_task(), "PollWorkflowTaskQueue");
    if (!completed->activity_tasks().empty()) learn(completed->activity_tasks(0), "PollActivityTaskQueue");
  }
}

void Server::look_at(const std::string& workflow_id) {
  send(engine::describe_request(workflow_id));
  send(engine::history_request(workflow_id));
}

void Server::prepare() {
  send(engine::start_request("w"));
  send(engine::poll_request());
  auto completed = engine::completion("@w");
  completed.set_force_create_new_workflow_task(true);
  engine::add_activity(completed, "a1", engine::seconds(10));
  send(completed);
  send(engine::poll_request());
  send(engine::activity_poll());
  CHECK(names_.contains("@w") && names_.contains("@a") && names_.contains("@r"));
}

}  // namespace perdure::fuzz
