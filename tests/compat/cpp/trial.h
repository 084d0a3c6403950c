// What every scenario of the C++ suite uses: a client, workers, waiting, and the checks at the end.
//
// A trial belongs to the thread that runs its scenario.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <source_location>
#include <string>
#include <vector>

#include "base/executor.h"
#include "sdk/src/client/connection.h"
#include "tests/compat/cpp/history_pattern.h"

#include <perdure/client.h>
#include <perdure/replayer.h>
#include <perdure/worker.h>
#include <temporal/api/workflowservice/v1/request_response.pb.h>

namespace perdure::compat {

namespace service = temporal::api::workflowservice::v1;
namespace enums = temporal::api::enums::v1;
using Event = temporal::api::history::v1::HistoryEvent;

// Throws std::runtime_error with file and line.
void check(bool held, const std::string& what, std::source_location where = std::source_location::current());
template <class A, class B>
void check_equal(const A& found, const B& wanted,
                 std::source_location where = std::source_location::current()) {
  check(found == wanted, "found and wanted differ", where);
}

// What `body` throws, which must be an E.
template <class E, class F>
E raises(F body, std::source_location where = std::source_location::current()) {
  try {
    body();
  } catch (const E& error) {
    return error;
  }
  check(false, "nothing was thrown", where);
  std::terminate();
}
template <class E>
E as(const std::exception_ptr& error, std::source_location where = std::source_location::current()) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const E& found) {
    return found;
  } catch (const std::exception& other) {
    check(false, std::string("another failure: ") + other.what(), where);
  }
  check(false, "no failure", where);
  std::terminate();
}

std::string type_of(const Event& event);  // "TimerFired"

// Repeats `look` until it says true.
void eventually(const std::function<bool()>& look,
                std::source_location where = std::source_location::current());

// use(0), use(1), … each on a thread of its own; returns when all have, and throws what one of them threw.
void in_parallel(int count, const std::function<void(int)>& use);

// Happens once, and may be waited for by anyone.
class Gate {
 public:
  void open() {
    if (!opened_.exchange(true)) promise_.set_value();
  }
  void wait() const { future_.wait(); }
  bool is_open() const { return opened_; }

 private:
  std::atomic<bool> opened_{false};
  std::promise<void> promise_;
  std::shared_future<void> future_ = promise_.get_future().share();
};

class ChildProcess {
 public:
  ChildProcess(std::string program, std::vector<std::string> arguments);  // returns when it says "ready"
  ChildProcess(const ChildProcess&) = delete;
  ~ChildProcess() { kill(); }
  void kill();  // SIGKILL, and it is gone on return

 private:
  int pid_ = 0, output_ = -1;
};

struct Settings {
  std::string program, address, ns = "default";
  std::size_t cache_bytes = 0;
};

class Trial {
 public:
  Trial(std::string name, Settings settings);

  const std::string& queue() const { return queue_; }
  std::string id(const std::string& part = {}) const { return part.empty() ? queue_ : queue_ + "-" + part; }
  const Client& client() const { return client_; }
  Client another_client() const;

  // A worker of the scenario's queue with all workflows of the suite, not yet started.
  WorkerOptions worker_options() const;
  std::unique_ptr<Worker> worker() const { return worker(worker_options()); }
  std::unique_ptr<Worker> worker(WorkerOptions options, const Client* client = nullptr) const;
  ChildProcess worker_process(const std::string& how) const;

  StartOptions options(const std::string& part = {}) const;
  // `start…`: at the end the histories of its runs are compared with the list. `…_with`: other options.
  template <auto F, class... A>
  auto start(A&&... arguments) {
    return start_with<F>(options(), std::forward<A>(arguments)...);
  }
  template <class W, class... A>
  auto start(A&&... arguments) {
    return start_with<W>(options(), std::forward<A>(arguments)...);
  }
  template <auto F, class... A>
  auto start_with(const StartOptions& options, A&&... arguments) {
    auto handle = client_.start<F>(options, std::forward<A>(arguments)...);
    check_runs_of(handle);
    return handle;
  }
  template <class W, class... A>
  auto start_with(const StartOptions& options, A&&... arguments) {
    auto handle = client_.start<W>(options, std::forward<A>(arguments)...);
    check_runs_of(handle);
    return handle;
  }
  void check_runs_of(const HandleBase& handle);

  std::vector<Event> events(const HandleBase& handle) const;
  // The history up to the count-th event of that type, which is waited for.
  std::vector<Event> wait_for(const HandleBase& handle, const std::string& type, int count = 1) const;
  Event first(const HandleBase& handle, const std::string& type) const;
  service::DescribeWorkflowExecutionResponse describe(const HandleBase& handle) const;

  template <class Response, class Request>
  Response call(const char* method, Request request) const {
    request.set_namespace_(settings_.ns);
    return client_.connection()->call<Response>(method, request, detail::Connection::kLongPollTimeout);
  }

  // Every run that was started: dense ids, the pattern of the list, and a replay of its history.
  void verify(const Wanted& wanted) const;

 private:
  std::vector<Event> events_of(const std::string& id, const std::string& run_id) const;

  const Settings settings_;
  const std::string name_, queue_;
  Client client_;
  std::vector<std::pair<std::string, std::string>> runs_;  // workflow id, first run id
};

// Each module's part.
using Scenario = std::function<void(Trial&)>;
using Scenarios = std::map<std::string, Scenario>;
void add_activity_scenarios(Scenarios& scenarios);
void add_message_scenarios(Scenarios& scenarios);
void add_lifecycle_scenarios(Scenarios& scenarios);
void add_worker_scenarios(Scenarios& scenarios);

// Where workflows are added: to a worker, or to a replayer.
struct Registry {
  Worker* worker = nullptr;
  Replayer* replayer = nullptr;
  template <auto... F>
    requires(sizeof...(F) > 0)
  void add() const {
    if (worker) worker->add<F...>();
    if (replayer) replayer->add<F...>();
  }
  template <class W>
  void add() const {
    if (worker) worker->add<W>();
    if (replayer) replayer->add<W>();
  }
};
void add_activity_workflows(const Registry& to);
void add_message_workflows(const Registry& to);
void add_lifecycle_workflows(const Registry& to);
void add_worker_workflows(const Registry& to);

// A worker in a process of its own, which says "ready" and is killed: its activity ("hang") or its workflow task
// ("block") never ends.
int run_worker_process(const Settings& settings, const std::string& queue, const std::string& how);

}  // namespace perdure::compat
