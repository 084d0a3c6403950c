// Whatever a client sends is answered: with what it asked for, or with a clear error. Never INTERNAL, never the end of the server.
#include <google/protobuf/descriptor.h>
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
    if (made->answer && *made->answer) EXPECT_TRUE(response.ParseFromString(**made->answer));
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

  base::ManualClock clock;
  base::SimScheduler scheduler{clock};
  server::InProcessServer server{scheduler};
  std::vector<std::string> texts{"w", "other", "tq", "T", "a1", "default", "s"};
  std::vector<std::string> tokens{"token"};
};

const Descriptor* request_of(const std::string& method) {
  const std::size_t slash = method.rfind('/'), dot = method.rfind('.');
  const std::string package = method.substr(1, dot - 1);
  return google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(package + "." +
                                                                                  method.substr(slash + 1) + "Request");
}

TEST_F(RequestsFuzz, EveryMethodAnswersWhateverIsSent) {
  const char* given = std::getenv("PERDURE_FUZZ_ROUNDS");
  const int rounds = given ? std::atoi(given) : 250;
  base::Random random(20261124);
  std::map<std::string, const Descriptor*> methods;
  server.methods().each([&](const frontend::Method& method) { methods[method.full_name] = request_of(method.full_name); });
  ASSERT_GT(methods.size(), 35U);
  std::map<base::Code, int> codes;
  std::deque<std::pair<std::string, std::shared_ptr<FuzzCall>>> waiting;
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
      maker.fill(*request);
      std::string bytes = maker.damaged(request->SerializePartialAsString());
      SCOPED_TRACE(name + ": " + request->ShortDebugString().substr(0, 2000));
      const auto made = call(name, std::move(bytes));
      if (!made->answer) waiting.emplace_back(name, made);
      if (!made->answer || *made->answer) continue;
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
  EXPECT_FALSE(task_of("afterwards").empty()) << "it serves as before";
}

}  // namespace
}  // namespace perdure::fuzz
