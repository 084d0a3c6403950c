// Client: does one random thing after another to a few workflow ids; repeats a request whose answer it did
// not hear.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "base/random.h"
#include "tests/sim/network.h"
#include "tests/sim/program.h"

namespace perdure::sim {

// What all clients of a run share.
struct Crowd {
  int actions_left = 0;
  std::uint64_t last_label = 0;
  std::set<std::string> repeating;          // ids of workflows that never end by themselves
  std::map<std::string, std::string> runs;  // run id to workflow id, as far as clients were told
};

struct ClientParts {
  Events& events;
  Network& network;
  const Plan& plan;
  Coverage& coverage;
  Crowd& crowd;
};

class Client {
 public:
  Client(ClientParts parts, int number, std::uint64_t seed);

  // The next thing, and so on until the crowd has done enough.
  void go_on();
  void die();
  // Its last request was answered, or given up.
  bool idle() const { return idle_; }

 private:
  void act();
  void request(std::string method, const google::protobuf::Message& message, Heard heard, int attempts = 6,
               base::Duration patience = std::chrono::seconds(6));
  void start(bool with_signal);
  void signal();
  void cancel();
  void terminate();
  void remove();
  void describe();
  void history();
  void query();
  void list();
  void done();
  std::string label(const char* kind);
  std::string some_id() {
    return workflow_id(random_.below(static_cast<std::uint64_t>(parts_.plan.workflow_ids)));
  }

  ClientParts parts_;
  const int number_;
  base::Random random_;
  std::shared_ptr<Sender> sender_;
  bool idle_ = true;
};

}  // namespace perdure::sim
