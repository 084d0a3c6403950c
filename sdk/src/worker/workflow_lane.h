// One workflow thread: the runs that live on it, kept between their tasks, and what is done with a workflow
// task.
//
// Code that does not give the thread back cannot be interrupted: the lane is then given up, with its runs,
// and another takes its place. What a lane uses is therefore shared with it, but for the timers, which a lane
// that was given up does not touch. Lane thread only, unless it says otherwise.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/executor.h"
#include "base/guarded.h"
#include "sdk/src/client/connection.h"
#include "sdk/src/observe/meter.h"
#include "sdk/src/replay/replay.h"
#include "sdk/src/runtime/run.h"
#include "sdk/src/worker/local_activities.h"

#include <perdure/worker.h>

#include <temporal/api/workflowservice/v1/request_response.pb.h>

namespace perdure::worker {

namespace service = temporal::api::workflowservice::v1;

using Definitions = std::map<std::string, detail::WorkflowDefinition, std::less<>>;

struct LaneSettings {
  std::shared_ptr<detail::Connection> connection;
  std::shared_ptr<const Definitions> definitions;
  base::Executor* timers = nullptr;    // outlives the lane, unless that was given up
  std::string identity, sticky_queue;  // empty queue: no cache
  Duration sticky_timeout{};
  std::size_t cache_bytes = 0;
  int evict_after = 0;  // of a run's tasks: it leaves the cache; 0: none. For tests
  LogSink log;
  observe::Meter meter;
  std::shared_ptr<std::atomic<int>> cached_runs;  // of all lanes of the worker
  LocalActivities* locals = nullptr;              // outlives the lane, unless that was given up
  std::vector<std::shared_ptr<WorkerInterceptor>> interceptors;
  std::optional<Deployment> deployment;
  // Takes a slot for an activity of this type that the server may send with its answer; false: there is none.
  // Each slot is given back with the activity's task as bytes, or with nothing. Any thread.
  std::function<bool(const std::string& type)> reserve_eager;
  std::function<void(std::string task)> end_eager;
};

class WorkflowLane : public std::enable_shared_from_this<WorkflowLane> {
 public:
  using Task = service::PollWorkflowTaskQueueResponse;
  using Done = std::function<void()>;
  struct Work {
    std::shared_ptr<Task> task;
    Done done;
  };
  // What was found when a lane was given up.
  struct Stuck {
    Work work;                 // whose code holds the thread
    std::string place;         // where that code is, for people
    std::deque<Work> waiting;  // not begun
  };

  WorkflowLane(std::string name, LaneSettings settings);
  ~WorkflowLane();

  // Handles one polled task; `done` is called when the server has its answer. Any thread.
  void post(Work work);
  // Answers it as failed instead, which the code that ran it cannot do any more. Any thread.
  void post_failure(Work work, std::string message);

  // Gives the lane up if code has held its thread since before `since`. It then answers nothing any more,
  // calls no `done`, and must be kept as long as its thread may come back. Any thread.
  std::optional<Stuck> give_up_if_stuck(base::Time since);
  bool came_back() const { return came_back_.load(); }  // given up, but the code ended after all. Any thread.

  // From now on the server is not asked to send what follows to this worker's own queue. Any thread.
  void begin_stop() { stopping_.store(true); }

 private:
  struct Cached {
    std::string run_id;
    replay::Replay replay;
    std::unique_ptr<detail::Run> run;
    int tasks = 0;
    std::size_t bytes = 0;                       // that it counts for in cached_bytes_
    std::int64_t previous_started_event_id = 0;  // of the last task that is no query
    std::uint64_t serial = 0;                    // no other run in memory has it, or had
    // Local activities: while they run the task stays open, or is answered with a request for the next one.
    std::optional<Work> open;
    base::TimerId heartbeat = 0;
    std::map<std::uint64_t, std::shared_ptr<LocalCall>> locals;
    std::deque<std::pair<std::uint64_t, detail::LocalResult>> results;  // that came between two tasks
    base::Time last_result{};
    bool busy() const { return open || !locals.empty() || !results.empty(); }
  };
  using Cache = std::list<Cached>;  // the least recently used first
  struct Busy {
    std::deque<Work> waiting;
    std::optional<Work> running;  // in code of the user's
    base::Time since{};
    bool given_up = false;
  };
  class InCode;

  void handle_next();
  void handle(Task& task, Done done);
  Cached& load(Task& task);
  Cached* find(const std::string& run_id);
  // Runs `code` for a task that is this lane's current one; what it throws fails the task.
  template <class F>
  void guarded(const std::string& run_id, F code);
  void go_on(Cached& cached);
  void resolve(Cached& cached, std::uint64_t sequence, const detail::LocalResult& result);
  void start_locals(Cached& cached);
  void keep_open(Cached& cached);
  void heartbeat(const std::string& run_id, std::uint64_t serial);
  void local_done(const std::string& run_id, std::uint64_t serial, std::uint64_t sequence,
                  std::optional<detail::LocalResult> result);
  int ask_for_eager(const std::string& queue, service::RespondWorkflowTaskCompletedRequest& request) const;
  bool follows(Cached& cached, const Task& task) const;
  void advance(Cached& cached);
  temporal::api::history::v1::History rest_of_history(const Task& task, std::string token) const;
  void evict(const std::string& run_id);
  void count_bytes(Cached& cached);  // after its code ran
  void evict_surplus();
  void complete(Cached& cached, const Task& task, Done done, bool more = false);  // more: local activities
  void stay_sticky(const Cached& cached, service::RespondWorkflowTaskCompletedRequest& request) const;
  void say_version(const Cached& cached, service::RespondWorkflowTaskCompletedRequest& request) const;
  void answer_query(Cached& cached, const Task& task, Done done);
  template <class F>
  std::invoke_result_t<F&> run_code(F code);  // throws GivenUp when the lane was given up meanwhile
  Done count_end(const Cached& cached, const service::RespondWorkflowTaskCompletedRequest& request) const;
  void fail(const Task& task, const std::exception_ptr& error, bool deterministic, Done done);
  void write(const std::exception_ptr& error, temporal::api::failure::v1::Failure* out) const;
  using Accepted = std::function<void(const client::Reply&)>;
  void send(const char* method, google::protobuf::Message& request, const Cached* run, Done done,
            Accepted accepted = {});

  LaneSettings settings_;
  std::atomic<bool> stopping_{false}, came_back_{false};
  base::Guarded<Busy> busy_;
  detail::Place place_;
  std::optional<Work> current_;
  std::uint64_t last_serial_ = 0;
  Cache cache_;
  std::size_t cached_bytes_ = 0;
  std::unordered_map<std::string, Cache::iterator> by_run_;
  std::unique_ptr<base::Executor> executor_;  // last: its tasks use the rest
};

}  // namespace perdure::worker
