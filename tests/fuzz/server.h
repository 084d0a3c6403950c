// A server in process for the targets that speak to one: requests as bytes, and what must hold of every answer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/engine/world.h"
#include "tests/fuzz/messages.h"

namespace perdure::fuzz {

// The method with that number: those of WorkflowService in the order of its definition, from 200 those of OperatorService.
const google::protobuf::MethodDescriptor& method_of(std::uint8_t number);
std::uint8_t number_of(std::string_view method);  // "StartWorkflowExecution"; CHECKs that it is one

class Server {
 public:
  // Signing keys of this server, so that a target can make tokens that it takes.
  static std::string key() { return std::string(32, 'k'); }

  explicit Server(engine::WorldOptions options = {});

  // Sends a request, with its names filled in if it can be read. CHECKs what holds of every answer: it is given once, and it is
  // never INTERNAL, DATA_LOSS or UNKNOWN, unless may_be_damaged. What answers hold is remembered in names().
  void send(const google::protobuf::MethodDescriptor& method, std::string_view request);
  // The method is the one that takes such a request.
  void send(const google::protobuf::Message& request);
  void pass(base::Duration time);
  // Whoever still waits goes away or is answered, and the server serves as before.
  void end();

  Names& names() { return names_; }
  engine::World& world() { return world_; }
  bool may_be_damaged = false;

  // Reads what there is of a workflow.
  void look_at(const std::string& workflow_id);
  // A workflow `w` whose task is out ("@w"), with an activity `a1` whose task is out, too ("@a").
  void prepare();

 private:
  class Call;

  void look();
  void judge(const google::protobuf::MethodDescriptor& method, const base::Result<std::string>& answer);
  void learn(const google::protobuf::Message& response, std::string_view method);

  engine::World world_;
  Names names_;
  std::vector<std::pair<const google::protobuf::MethodDescriptor*, std::shared_ptr<Call>>> waiting_;
};

}  // namespace perdure::fuzz
