#include "tests/engine/golden_directory.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/check.h"
#include "tests/engine/requests.h"

namespace perdure::engine {
namespace {

constexpr int kIds = 12;

std::string id_of(int n) {
  return "golden-" + std::to_string(n);
}

wfs::PollWorkflowTaskQueueResponse next_task(World& world) {
  const auto task = world.call<wfs::PollWorkflowTaskQueueResponse>("PollWorkflowTaskQueue", poll_request());
  CHECK(task && !task->task_token().empty());
  return *task;
}

template <class Response, class Request>
void must(World& world, std::string_view method, const Request& request) {
  const auto response = world.call<Response>(method, request);
  CHECK(response);
}

// What the worker does with the first task of golden-n.
wfs::RespondWorkflowTaskCompletedRequest first_commands(const std::string& token, int n) {
  auto request = completion(token);
  switch (n % 6) {
    case 0: add_activity(request, "activity", seconds(3600)); break;
    case 1: {
      auto& command = *request.add_commands();
      command.set_command_type(enums::COMMAND_TYPE_START_TIMER);
      command.mutable_start_timer_command_attributes()->set_timer_id("timer");
      command.mutable_start_timer_command_attributes()->mutable_start_to_fire_timeout()->set_seconds(86'400);
      break;
    }
    case 2: add_completion(request); break;
    case 3: {
      auto& command = *request.add_commands();
      command.set_command_type(enums::COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION);
      auto& attributes = *command.mutable_continue_as_new_workflow_execution_command_attributes();
      attributes.mutable_workflow_type()->set_name("T");
      attributes.mutable_task_queue()->set_name("nobody");
      break;
    }
    case 4: add_external_signal(request, id_of(1)); break;
    default: {
      auto& command = *request.add_commands();
      command.set_command_type(enums::COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION);
      auto& failure = *command.mutable_fail_workflow_execution_command_attributes()->mutable_failure();
      failure.set_message("golden");
      failure.mutable_application_failure_info()->set_type("Golden");
      break;
    }
  }
  return request;
}

void live_half(World& world, int first, int end) {
  for (int n = first; n < end; ++n) {
    auto request = start_request(id_of(n));
    (*request.mutable_memo()->mutable_fields())["memo"].set_data("memo of " + id_of(n));
    must<wfs::StartWorkflowExecutionResponse>(world, "StartWorkflowExecution", request);
    must<wfs::RespondWorkflowTaskCompletedResponse>(world, "RespondWorkflowTaskCompleted",
                                                    first_commands(next_task(world).task_token(), n));
    if (n % 6 > 1) continue;
    // A signal, buffered or not, and a task that a worker holds.
    must<wfs::SignalWorkflowExecutionResponse>(world, "SignalWorkflowExecution",
                                               signal_request(id_of(n), "s1"));
    const auto held = next_task(world);
    CHECK(held.workflow_execution().workflow_id() == id_of(n));
    must<wfs::SignalWorkflowExecutionResponse>(world, "SignalWorkflowExecution",
                                               signal_request(id_of(n), "s2"));
    if (n % 2 == 0) {
      const auto activity =
          world.call<wfs::PollActivityTaskQueueResponse>("PollActivityTaskQueue", activity_poll());
      CHECK(activity && !activity->task_token().empty());
      wfs::RecordActivityTaskHeartbeatRequest heartbeat;
      heartbeat.set_namespace_("default");
      heartbeat.set_task_token(activity->task_token());
      heartbeat.mutable_details()->add_payloads()->set_data("half way");
      must<wfs::RecordActivityTaskHeartbeatResponse>(world, "RecordActivityTaskHeartbeat", heartbeat);
    }
  }
}

// FNV-1a, in hexadecimal.
std::string hash_of(const std::string& text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  std::ostringstream out;
  out << std::hex << hash;
  return out.str();
}

// Named fields only: what later versions tell beside them does not count.
std::string text_of(const wfs::DescribeWorkflowExecutionResponse& described) {
  const auto& info = described.workflow_execution_info();
  std::ostringstream out;
  out << info.execution().workflow_id() << ' ' << info.execution().run_id() << ' ' << info.first_run_id()
      << ' ' << info.type().name() << ' ' << info.status() << ' ' << info.task_queue() << ' '
      << info.history_length() << ' ' << info.start_time().seconds() << ' ' << info.close_time().seconds()
      << ' ' << info.close_time().nanos() << '\n';
  const auto& fields = info.memo().fields();
  for (const auto& [key, value] :
       std::map<std::string, temporal::api::common::v1::Payload>(fields.begin(), fields.end()))
    out << "memo " << key << ' ' << value.data() << '\n';
  for (const auto& activity : described.pending_activities()) {
    out << "activity " << activity.activity_id() << ' ' << activity.state() << ' ' << activity.attempt()
        << ' ' << activity.last_started_time().seconds() << ' ' << activity.last_worker_identity();
    for (const auto& detail : activity.heartbeat_details().payloads()) out << ' ' << detail.data();
    out << '\n';
  }
  const auto& task = described.pending_workflow_task();
  if (described.has_pending_workflow_task())
    out << "task " << task.state() << ' ' << task.attempt() << ' ' << task.started_time().seconds() << '\n';
  const auto& infos = described.workflow_extended_info().request_id_infos();
  for (const auto& [id, request] :
       std::map<std::string, temporal::api::workflow::v1::RequestIdInfo>(infos.begin(), infos.end()))
    out << "request " << id << ' ' << request.event_type() << ' ' << request.event_id() << ' '
        << request.buffered() << '\n';
  return out.str();
}

std::string history_of(World& world, const std::string& id, const std::string& run_id) {
  auto request = history_request(id);
  request.mutable_execution()->set_run_id(run_id);
  const auto response =
      world.call<wfs::GetWorkflowExecutionHistoryResponse>("GetWorkflowExecutionHistory", request);
  if (!response) return "no history: " + response.error().message;
  std::string text;
  for (const auto& event : response->history().events()) {
    google::protobuf::io::StringOutputStream out(&text);
    google::protobuf::io::CodedOutputStream coded(&out);
    coded.SetSerializationDeterministic(true);
    event.SerializeToCodedStream(&coded);
  }
  return text;
}

std::string listing_of(World& world) {
  wfs::ListWorkflowExecutionsRequest request;
  request.set_namespace_("default");
  const auto listed = world.call<wfs::ListWorkflowExecutionsResponse>("ListWorkflowExecutions", request);
  if (!listed) return "no list: " + listed.error().message;
  std::string text;
  for (const auto& info : listed->executions())
    text += info.execution().run_id() + ' ' + std::to_string(info.status()) + '\n';
  return text;
}

std::string namespace_of(World& world, const std::string& name) {
  wfs::DescribeNamespaceRequest request;
  request.set_namespace_(name);
  const auto described = world.call<wfs::DescribeNamespaceResponse>("DescribeNamespace", request);
  if (!described) return "no namespace: " + described.error().message;
  return described->namespace_info().id() + ' ' + described->namespace_info().description() + ' ' +
         std::to_string(described->config().workflow_execution_retention_ttl().seconds()) + '\n';
}

}  // namespace

void live_golden_life(World& world) {
  wfs::RegisterNamespaceRequest registration;
  registration.set_namespace_("golden");
  registration.set_description("a second namespace");
  registration.mutable_workflow_execution_retention_period()->set_seconds(7 * 86'400);
  must<wfs::RegisterNamespaceResponse>(world, "RegisterNamespace", registration);
  live_half(world, 0, kIds / 2);
  world.advance(seconds(2));  // written to the projection
  live_half(world, kIds / 2, kIds);
  world.advance(std::chrono::milliseconds(200));  // visibility only; states are above the cursor
}

std::string golden_digest(World& world) {
  std::string text;
  for (int n = 0; n < kIds; ++n) {
    const auto described = world.call<wfs::DescribeWorkflowExecutionResponse>("DescribeWorkflowExecution",
                                                                              describe_request(id_of(n)));
    if (!described) return "no " + id_of(n) + ": " + described.error().message;
    text += text_of(*described);
    const auto& info = described->workflow_execution_info();
    text += history_of(world, id_of(n), info.first_run_id());
    if (info.first_run_id() != info.execution().run_id())
      text += history_of(world, id_of(n), info.execution().run_id());
  }
  text += listing_of(world);
  for (const char* name : {"default", "golden"}) text += namespace_of(world, name);
  // to see what differs
  if (const char* path = std::getenv("GOLDEN_DIRECTORY_TEXT")) std::ofstream(path) << text;
  return hash_of(text);
}

void save_directory(base::SimDisk& disk, const std::string& folder) {
  std::filesystem::create_directories(folder);
  const auto names = disk.list("data");
  CHECK(names);
  for (const std::string& name : *names) {
    const auto bytes = base::read_file(disk, "data/" + name);
    CHECK(bytes);
    std::ofstream(folder + "/" + name, std::ios::binary) << *bytes;
  }
}

std::shared_ptr<base::SimDisk> load_directory(const std::string& folder) {
  auto disk = std::make_shared<base::SimDisk>();
  CHECK(disk->make_directory("data"));
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream in(entry.path(), std::ios::binary);
    std::stringstream bytes;
    bytes << in.rdbuf();
    auto file = disk->open("data/" + entry.path().filename().string(), base::OpenMode::kCreateNew);
    CHECK(file && (*file)->write(0, bytes.str()) && (*file)->sync());
  }
  CHECK(disk->sync_directory("data"));
  return disk;
}

}  // namespace perdure::engine
