// Whatever a client sends is answered: with what it asked for, or with a clear error. Never INTERNAL, never the end of the server.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <map>
#include <optional>

#include "server/main/in_process_server.h"
#include "tests/fuzz/random_message.h"

namespace perdure::fuzz {
namespace {

namespace wfs = temporal::api::workflowservice::v1;
namespace enums = temporal::api::enums::v1;
using google::protobuf::Descriptor;

class FuzzCall : public frontend::Call {
 public:
  FuzzCall(std::string request, base::Time deadline) : request_(std::move(request)), deadline_(deadline) {}
  std::string_view request() const override { return request_; }
  base::Time deadline() const override { return deadline_; }
  std::string_view header(std::string_view) const override { return {}; }
  void on_client_gone(std::move_only_function<void()> left) override { left_ = std::move(left); }
  void finish(base::Result<std::string> response) override {
    ++answers;
    answer = std::move(response);
  }
  void leave() {
    if (left_ && !answer) left_();
  }
  std::optional<base::Result<std::string>> answer;
  int answers = 0;

 private:
  const std::string request_;
  const base::Time deadline_;
  std::move_only_function<void()> left_;
};

class RequestsFuzz : public testing::Test {
 protected:
  std::shared_ptr<FuzzCall> call(const std::string& method, std::string request) {
    auto made = std::make_shared<FuzzCall>(std::move(request), clock.now() + std::chrono::seconds(20));
    server.methods().dispatch(method, made);
    scheduler.run_until_idle();
    return made;
  }
  template <class Response>
  Response ask(const std::string& method, const google::protobuf::Message& request) {
    const auto made = call(std::string(frontend::kWorkflowService) + method, request.SerializeAsString());
    EXPECT_TRUE(made->answer && *made->answer) << method;
    Response response;
    const bool readable = made->answer && *made->answer && response.ParseFromString(**made->answer);
    EXPECT_TRUE(readable);
    return response;
  }

  // Starts a workflow and takes its task, whose token then is one that requests may hold.
  std::string task_of(const std::string& id) {
    wfs::StartWorkflowExecutionRequest start;
    start.set_namespace_("default");
    start.set_workflow_id(id);
    start.set_request_id(id);
    start.mutable_workflow_type()->set_name("T");
    start.mutable_task_queue()->set_name(id);
    ask<wfs::StartWorkflowExecutionResponse>("StartWorkflowExecution", start);
    wfs::PollWorkflowTaskQueueRequest poll;
    poll.set_namespace_("default");
    poll.mutable_task_queue()->set_name(id);
    return ask<wfs::PollWorkflowTaskQueueResponse>("PollWorkflowTaskQueue", poll).task_token();
  }

  // A task of an activity that a workflow of that id has scheduled.
  std::string activity_of(const std::string& id) {
    wfs::RespondWorkflowTaskCompletedRequest request;
    request.set_namespace_("default");
    request.set_task_token(task_of(id));
    auto& command = *request.add_commands();
    command.set_command_type(enums::COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK);
    auto& attributes = *command.mutable_schedule_activity_task_command_attributes();
    attributes.set_activity_id("a1");
    attributes.mutable_activity_type()->set_name("A");
    attributes.mutable_task_queue()->set_name(id);
    attributes.mutable_start_to_close_timeout()->set_seconds(10);
    ask<wfs::RespondWorkflowTaskCompletedResponse>("RespondWorkflowTaskCompleted", request);
    wfs::PollActivityTaskQueueRequest poll;
    poll.set_namespace_("default");
    poll.mutable_task_queue()->set_name(id);
    return ask<wfs::PollActivityTaskQueueResponse>("PollActivityTaskQueue", poll).task_token();
  }

  // A good request with up to two fields changed; false for a method that random requests do for.
  bool nearly_good(const std::string& method, const std::string& id, google::protobuf::Message& request,
                   base::Random& random);

  base::ManualClock clock;
  base::SimScheduler scheduler{clock};
  server::InProcessServer server{scheduler};
  std::vector<std::string> texts{"w", "other", "tq", "T", "a1", "default", "s"};
  std::vector<std::string> tokens{"token"};
};

const Descriptor* request_of(const std::string& method) {
  const std::size_t slash = method.rfind('/'), dot = method.rfind('.');
  const std::string package = method.substr(1, dot - 1);
  return google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(
      package + "." + method.substr(slash + 1) + "Request");
}

enums::CommandType add_command(wfs::RespondWorkflowTaskCompletedRequest& request, std::uint64_t choice) {
  auto& command = *request.add_commands();
  const auto type = static_cast<enums::CommandType>(1 + choice % 17);
  command.set_command_type(type);
  // The attributes are the fields of the oneof in the order of the types; their own fields come from change().
  const auto* oneof = command.GetDescriptor()->FindOneofByName("attributes");
  const auto& reflection = *command.GetReflection();
  switch (type) {
    case enums::COMMAND_TYPE_START_TIMER:
      command.mutable_start_timer_command_attributes()->set_timer_id("t");
      command.mutable_start_timer_command_attributes()->mutable_start_to_fire_timeout()->set_seconds(3);
      break;
    case enums::COMMAND_TYPE_RECORD_MARKER:
      command.mutable_record_marker_command_attributes()->set_marker_name("m");
      break;
    case enums::COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION: {
      auto& next = *command.mutable_continue_as_new_workflow_execution_command_attributes();
      next.mutable_workflow_type()->set_name("T");
      next.mutable_task_queue()->set_name("tq");
      break;
    }
    case enums::COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION:
      command.mutable_complete_workflow_execution_command_attributes();
      break;
    case enums::COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION:
      command.mutable_fail_workflow_execution_command_attributes()->mutable_failure()->set_message("no");
      break;
    case enums::COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION: {
      auto& signal = *command.mutable_signal_external_workflow_execution_command_attributes();
      signal.set_signal_name("s");
      signal.mutable_execution()->set_workflow_id("w");
      break;
    }
    default:
      reflection.MutableMessage(
          &command,
          oneof->field(static_cast<int>(choice % static_cast<std::uint64_t>(oneof->field_count()))));
  }
  return type;
}

bool RequestsFuzz::nearly_good(const std::string& method, const std::string& id,
                               google::protobuf::Message& request, base::Random& random) {
  const auto& type = *request.GetDescriptor();
  const auto& reflection = *request.GetReflection();
  const auto set = [&](const char* field, const std::string& value) {
    if (const auto* found = type.FindFieldByName(field)) reflection.SetString(&request, found, value);
  };
  const bool start =
      method.ends_with("StartWorkflowExecution") || method.ends_with("SignalWithStartWorkflowExecution");
  const bool activity =
      type.FindFieldByName("task_token") != nullptr && method.find("Activity") != std::string::npos;
  const bool by_id = method.ends_with("ById");
  set("namespace", "default");
  if (start) {
    set("workflow_id", id);
    set("request_id", id);
    set("signal_name", "s");
    reflection.MutableMessage(&request, type.FindFieldByName("workflow_type"))
        ->MergeFromString("\x0a\x01\x54");
    reflection.MutableMessage(&request, type.FindFieldByName("task_queue"))->MergeFromString("\x0a\x02tq");
  } else if (auto* completion = dynamic_cast<wfs::RespondWorkflowTaskCompletedRequest*>(&request)) {
    completion->set_task_token(task_of(id));
    for (std::uint64_t left = 1 + random.below(3); left > 0; --left) add_command(*completion, random.next());
  } else if (activity) {
    set("task_token", activity_of(id));
  } else if (by_id) {
    activity_of(id);
    set("workflow_id", id);
    set("activity_id", "a1");
  } else {
    return false;
  }
  if (method.find("TaskFailed") != std::string::npos) {  // failure { application_failure_info {} }
    reflection.MutableMessage(&request, type.FindFieldByName("failure"))->MergeFromString("\x2a\x00");
  }
  return true;
}

TEST_F(RequestsFuzz, EveryMethodAnswersWhateverIsSent) {
  const char* given = std::getenv("PERDURE_FUZZ_ROUNDS");
  const int rounds = given ? std::atoi(given) : 200;
  google::protobuf::SetLogHandler(nullptr);
  base::Random random(20261124);
  std::map<std::string, const Descriptor*> methods;
  server.methods().each(
      [&](const frontend::Method& method) { methods[method.full_name] = request_of(method.full_name); });
  ASSERT_GT(methods.size(), 35U);
  std::map<base::Code, int> codes;
  std::map<std::string, int> well;  // answers that are none of the errors, by method
  std::deque<std::pair<std::string, std::shared_ptr<FuzzCall>>> waiting;
  int number = 0;
  for (int round = 0; round < rounds; ++round) {
    if (round % 10 == 0) {
      tokens.push_back(task_of("w" + std::to_string(round)));
      texts.push_back("w" + std::to_string(round));
    }
    for (const auto& [name, type] : methods) {
      ASSERT_NE(type, nullptr) << name;
      RandomMessage maker(random, texts, tokens);
      const std::unique_ptr<google::protobuf::Message> request(
          google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
      // Now and then what is nearly right, which gets further.
      if (round % 2 == 0 && nearly_good(name, "n" + std::to_string(++number), *request, random)) {
        for (std::uint64_t left = random.below(3); left > 0; --left) maker.change(*request);
      } else {
        maker.fill(*request);
      }
      std::string bytes = maker.damaged(request->SerializePartialAsString());
      SCOPED_TRACE(name + ": " + request->ShortDebugString().substr(0, 2000));
      const auto made = call(name, std::move(bytes));
      if (!made->answer) waiting.emplace_back(name, made);
      if (!made->answer || *made->answer) {
        ++well[name];
        continue;
      }
      const base::Error& error = made->answer->error();
      ++codes[error.code];
      ASSERT_NE(error.code, base::Code::kInternal) << error.message;
      ASSERT_NE(error.code, base::Code::kDataLoss) << error.message;
      ASSERT_NE(error.code, base::Code::kUnknown) << error.message;
      ASSERT_FALSE(error.message.empty());
    }
    // What waits has a deadline, or its client goes.
    while (waiting.size() > 200) {
      waiting.front().second->leave();
      scheduler.run_until_idle();
      waiting.pop_front();
    }
    if (round % 16 == 0) scheduler.advance_to(clock.now() + std::chrono::seconds(7));
  }
  scheduler.advance_to(clock.now() + std::chrono::minutes(3));
  for (const auto& [name, made] : waiting) EXPECT_LE(made->answers, 1) << name;
  EXPECT_GT(codes[base::Code::kInvalidArgument], rounds);
  for (const auto& [name, count] : well) RecordProperty(name.substr(name.rfind('/') + 1), count);
  // Some of what is sent means something: the checks behind the first ones are reached, too.
  EXPECT_GT(well.size(), 28U);
  EXPECT_FALSE(task_of("afterwards").empty()) << "it serves as before";
}

}  // namespace
}  // namespace perdure::fuzz
