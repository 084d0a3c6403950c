// One workflow thread: the runs that live on it, kept between their tasks, and what is done with a workflow
// task.
//
// Lane thread only, but for the constructor and post().
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/executor.h"
#include "sdk/src/client/connection.h"
#include "sdk/src/replay/replay.h"
#include "sdk/src/runtime/run.h"

#include <temporal/api/workflowservice/v1/request_response.pb.h>

namespace perdure::worker {

namespace service = temporal::api::workflowservice::v1;

struct LaneSettings {
  detail::Connection* connection = nullptr;  // outlives the lane
  const std::map<std::string, detail::WorkflowDefinition, std::less<>>* definitions =
      nullptr;                         // outlives the lane
  base::Executor* timers = nullptr;    // outlives the lane
  std::string identity, sticky_queue;  // empty queue: no cache
  Duration sticky_timeout{};
  std::size_t cache_bytes = 0;
  detail::LogSink log;
};

class WorkflowLane {
 public:
  WorkflowLane(std::string name, LaneSettings settings);
  ~WorkflowLane();

  // Handles one polled task; `done` is called when the server has its answer. Any thread.
  void post(std::shared_ptr<service::PollWorkflowTaskQueueResponse> task, std::function<void()> done);

 private:
  struct Cached {
    std::string run_id;
    replay::Replay replay;
    std::unique_ptr<detail::Run> run;
    std::int64_t previous_started_event_id = 0;  // of the last task that is no query
  };
  using Cache = std::list<Cached>;  // the least recently used first
  using Task = service::PollWorkflowTaskQueueResponse;
  using Done = std::function<void()>;

  void handle(Task& task, Done done);
  Cached& load(Task& task);
  bool follows(Cached& cached, const Task& task) const;
  void advance(Cached& cached);
  temporal::api::history::v1::History rest_of_history(const Task& task, std::string token) const;
  void evict(const std::string& run_id);
  void evict_surplus();
  void complete(Cached& cached, const Task& task, Done done);
  void answer_query(Cached& cached, const Task& task, Done done);
  void fail(const Task& task, const std::exception_ptr& error, bool deterministic, Done done);
  void send(const char* method, google::protobuf::Message& request, const std::string& run_id, Done done);

  LaneSettings settings_;
  Cache cache_;
  std::unordered_map<std::string, Cache::iterator> by_run_;
  std::unique_ptr<base::Executor> executor_;  // last: its tasks use the rest
};

}  // namespace perdure::worker
