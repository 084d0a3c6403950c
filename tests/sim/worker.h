// Worker: polls, replays, answers, runs activities: what an SDK's worker does, with a cache and a sticky
// queue of its own.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/random.h"
#include "tests/sim/network.h"
#include "tests/sim/program.h"

namespace perdure::sim {

struct WorkerParts {
  Events& events;
  Network& network;
  Oracle& oracle;
  Trace& trace;
  const Plan& plan;
  Coverage& coverage;
};

class Worker {
 public:
  Worker(WorkerParts parts, int number, std::uint64_t seed);

  // Starts to poll, as a new process with nothing in its cache.
  void start();
  // Forgets everything; tasks it holds are never answered.
  void die();
  bool alive() const { return sender_ != nullptr; }

 private:
  using PollAnswer = wfs::PollWorkflowTaskQueueResponse;

  void poll_workflow(bool sticky);
  void poll_activity();
  void take(PollAnswer task);
  void work(const PollAnswer& task, std::vector<HistoryEvent> events);
  void fetch(PollAnswer task);
  void complete(const PollAnswer& task, const std::vector<Command>& commands);
  void fail_task(const PollAnswer& task);
  void answer_query(const PollAnswer& task, const Execution& execution);

  void run(const wfs::PollActivityTaskQueueResponse& task);
  void finish(const wfs::PollActivityTaskQueueResponse& task);
  void fail(const wfs::PollActivityTaskQueueResponse& task);
  void beat(wfs::PollActivityTaskQueueResponse task, int beats, bool stops);

  void send(std::string method, const google::protobuf::Message& request, base::Duration patience,
            Heard heard);
  void later(std::uint64_t milliseconds, std::move_only_function<void()> action);
  std::string sticky_queue() const { return identity_ + "-sticky"; }

  WorkerParts parts_;
  const int number_;
  base::Random random_;
  int life_ = 0;
  std::string identity_;
  std::shared_ptr<Sender> sender_;
  std::map<std::string, Execution> cache_;  // by run id
  std::uint64_t results_ = 0;
};

}  // namespace perdure::sim
