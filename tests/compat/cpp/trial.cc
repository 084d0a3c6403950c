#include "tests/compat/cpp/trial.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"

namespace perdure::compat {
namespace {

constexpr base::Duration kMostPatience = std::chrono::seconds(180), kLook = std::chrono::milliseconds(50);

void pause() {
  std::promise<void> never;
  (void)never.get_future().wait_for(kLook);
}

std::string join(const std::vector<std::string>& words) {
  std::string all;
  for (std::size_t i = 0; i < words.size();) {
    std::size_t end = i;
    while (end < words.size() && words[end] == words[i]) ++end;
    all += words[i] + (end - i > 1 ? "×" + std::to_string(end - i) + " " : " ");
    i = end;
  }
  return all;
}

// The run that a closing event names as the next of its chain, or an empty text.
std::string successor(const Event& event) {
  if (event.has_workflow_execution_completed_event_attributes())
    return event.workflow_execution_completed_event_attributes().new_execution_run_id();
  if (event.has_workflow_execution_failed_event_attributes())
    return event.workflow_execution_failed_event_attributes().new_execution_run_id();
  if (event.has_workflow_execution_timed_out_event_attributes())
    return event.workflow_execution_timed_out_event_attributes().new_execution_run_id();
  if (event.has_workflow_execution_continued_as_new_event_attributes())
    return event.workflow_execution_continued_as_new_event_attributes().new_execution_run_id();
  return {};
}

std::string reasons(const std::vector<Event>& events) {
  std::string all;
  for (const Event& event : events) {
    if (event.has_workflow_task_failed_event_attributes())
      all += "; " + event.workflow_task_failed_event_attributes().failure().message();
  }
  return all;
}

}  // namespace

void check(bool held, const std::string& what, std::source_location where) {
  if (!held)
    throw std::runtime_error(std::string(where.file_name()) + ":" + std::to_string(where.line()) + ": " +
                             what);
}

std::string type_of(const Event& event) {
  std::string type, name = enums::EventType_Name(event.event_type());
  name.erase(0, std::string_view("EVENT_TYPE").size());
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '_') {
      type += name[++i];
    } else {
      type += static_cast<char>(std::tolower(name[i]));
    }
  }
  return type;
}

void eventually(const std::function<bool()>& look, std::source_location where) {
  const base::Time end = base::system_clock().now() + kMostPatience;
  while (!look()) {
    check(base::system_clock().now() < end, "this does not come true", where);
    pause();
  }
}

void in_parallel(int count, const std::function<void(int)>& use) {
  std::vector<std::unique_ptr<base::Executor>> threads;
  std::vector<std::exception_ptr> thrown(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    threads.push_back(base::make_thread_executor("parallel", base::system_clock()));
    threads.back()->post(base::Lane::kCompletion, 0, [&, i] {
      try {
        use(i);
      } catch (...) {
        thrown[static_cast<std::size_t>(i)] = std::current_exception();
      }
    });
  }
  threads.clear();
  for (const std::exception_ptr& one : thrown) {
    if (one) std::rethrow_exception(one);
  }
}

ChildProcess::ChildProcess(std::string program, std::vector<std::string> arguments) {
  int ends[2];
  check(pipe2(ends, O_CLOEXEC) == 0, "pipe");
  std::vector<char*> pointers{program.data()};
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  const int failed = posix_spawn(&pid_, program.c_str(), &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  output_ = ends[0];
  check(failed == 0, "cannot start " + program);
  char said[6] = "";
  check(read(output_, said, 5) == 5 && std::string(said) == "ready", "the worker process did not start");
}

void ChildProcess::kill() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  close(output_);
  pid_ = 0;
}

// ---- trials

namespace {

Client connect(const Settings& settings) {
  ClientOptions options;
  options.address = settings.address;
  options.ns = settings.ns;
  return Client::connect(options);
}

std::string unique(const std::string& name) {
  base::Random random(base::random_seed());
  return name + "-" + random.uuid().substr(0, 8);
}

}  // namespace

Trial::Trial(std::string name, Settings settings)
    : settings_(std::move(settings)), name_(name), queue_(unique(name)), client_(connect(settings_)) {}

Client Trial::another_client() const {
  return connect(settings_);
}

WorkerOptions Trial::worker_options() const {
  WorkerOptions options;
  options.task_queue = queue_;
  options.cache_bytes = settings_.cache_bytes;
  options.graceful_shutdown = {};
  options.deadlock_timeout = 60s;
  options.sticky_timeout = 60s;  // a busy machine is no worker that is gone
  return options;
}

std::unique_ptr<Worker> Trial::worker(WorkerOptions options, const Client* client) const {
  auto worker = std::make_unique<Worker>(client ? *client : client_, options);
  const Registry registry{.worker = worker.get()};
  add_activity_workflows(registry);
  add_message_workflows(registry);
  add_lifecycle_workflows(registry);
  add_worker_workflows(registry);
  return worker;
}

ChildProcess Trial::worker_process(const std::string& how) const {
  return ChildProcess(settings_.program, {"--address", settings_.address, "--worker", queue_, how});
}

StartOptions Trial::options(const std::string& part) const {
  StartOptions options;
  options.id = id(part);
  options.task_queue = queue_;
  options.execution_timeout = 240s;
  options.task_timeout = 60s;  // nor does a workflow task time out unless a scenario wants it
  return options;
}

void Trial::check_runs_of(const HandleBase& handle) {
  const std::pair run(handle.id(), handle.run_id());
  if (std::find(runs_.begin(), runs_.end(), run) == runs_.end()) runs_.push_back(run);
}

std::vector<Event> Trial::events_of(const std::string& id, const std::string& run_id) const {
  std::vector<Event> all;
  service::GetWorkflowExecutionHistoryRequest request;
  request.mutable_execution()->set_workflow_id(id);
  request.mutable_execution()->set_run_id(run_id);
  for (;;) {
    const auto page =
        call<service::GetWorkflowExecutionHistoryResponse>("GetWorkflowExecutionHistory", request);
    all.insert(all.end(), page.history().events().begin(), page.history().events().end());
    if (page.next_page_token().empty()) return all;
    request.set_next_page_token(page.next_page_token());
  }
}

std::vector<Event> Trial::events(const HandleBase& handle) const {
  return events_of(handle.id(), handle.run_id());
}

std::vector<Event> Trial::wait_for(const HandleBase& handle, const std::string& type, int count) const {
  std::vector<Event> seen;
  service::GetWorkflowExecutionHistoryRequest request;
  request.mutable_execution()->set_workflow_id(handle.id());
  request.mutable_execution()->set_run_id(handle.run_id());
  request.set_wait_new_event(true);
  for (;;) {
    const auto page =
        call<service::GetWorkflowExecutionHistoryResponse>("GetWorkflowExecutionHistory", request);
    for (const Event& event : page.history().events()) {
      seen.push_back(event);
      if (type_of(event) == type && --count == 0) return seen;
    }
    check(!page.next_page_token().empty(), handle.id() + " ended without " + type);
    request.set_next_page_token(page.next_page_token());
  }
}

Event Trial::first(const HandleBase& handle, const std::string& type) const {
  for (const Event& event : events(handle)) {
    if (type_of(event) == type) return event;
  }
  check(false, "no event " + type);
  return {};
}

service::DescribeWorkflowExecutionResponse Trial::describe(const HandleBase& handle) const {
  service::DescribeWorkflowExecutionRequest request;
  request.mutable_execution()->set_workflow_id(handle.id());
  request.mutable_execution()->set_run_id(handle.run_id());
  return call<service::DescribeWorkflowExecutionResponse>("DescribeWorkflowExecution", request);
}

void Trial::verify(const Wanted& wanted) const {
  Replayer replayer;
  const Registry registry{.replayer = &replayer};
  add_activity_workflows(registry);
  add_message_workflows(registry);
  add_lifecycle_workflows(registry);
  add_worker_workflows(registry);
  std::size_t place = 0;
  for (auto [id, run_id] : runs_) {
    while (!run_id.empty() && place < wanted.runs.size()) {
      const std::vector<Event> found = events_of(id, run_id);
      temporal::api::history::v1::History history;
      std::vector<std::string> types;
      for (const Event& event : found) {
        types.push_back(type_of(event));
        check(event.event_id() == static_cast<std::int64_t>(types.size()), "event ids are not dense");
        *history.add_events() = event;
      }
      check(wanted.runs[place].matches(types), "history of run " + std::to_string(place + 1) +
                                                   " does not match the list: " + join(types) +
                                                   reasons(found));
      const auto wrong = replayer.replay(history.SerializeAsString());
      check(!wrong, "replayed: " + wrong.value_or(""));
      run_id = successor(found.back());
      ++place;
    }
    check(run_id.empty() || wanted.open_ended, id + " has more runs than the list says");
  }
  check(place == wanted.runs.size(),
        std::to_string(place) + " runs, the list says " + std::to_string(wanted.runs.size()));
}

}  // namespace perdure::compat
