// One id in a world of its own: decisions are made, checked against the rules that hold for all of them, and installed. The clock
// is set by hand, randomness comes from a seed. What the shell does, without any of it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/core/decide.h"

namespace perdure::core {

class World {
 public:
  static constexpr Time kStart{std::chrono::seconds(1'700'000'000)};

  explicit World(std::uint64_t seed);

  // Decides and installs. What decide may look at is only what needs() named.
  Decision decide(Command command);
  // Moves the clock to `when`, waking the id at each of its wake times on the way.
  void advance_to(Time when);

  Time now() const { return now_; }
  // The current run; nullptr when there is none.
  const RunState* run() const { return run(head_.head.current_run_id()); }
  const RunState* run(const std::string& run_id) const;
  const HeadState& head() const { return head_; }
  std::size_t history_length(const std::string& run_id) const;
  const std::string& workflow_id() const { return workflow_id_; }
  // The first rule that a decision broke, in words; empty while all hold.
  const std::string& broken() const { return broken_; }
  // Called with every decision of advance_to.
  std::function<void(const Decision&)> on_wake;

 private:
  Loaded loaded(const Needs& needs);
  void check(const Decision& decision);
  void check_run(const RunChange& change, const std::vector<pb::Record>& records);
  void install(const Decision& decision);
  void break_rule(std::string rule);

  const std::string workflow_id_ = "wf", namespace_id_ = "11111111-1111-4111-8111-111111111111";
  Limits limits_;
  Catalog catalog_;
  std::shared_ptr<Namespace> namespace_;
  base::Random random_;
  Time now_ = kStart;
  HeadState head_;
  std::map<std::string, RunState> runs_;
  std::map<std::string, std::vector<std::shared_ptr<const HistoryEvent>>> histories_;
  std::string broken_;
};

}  // namespace perdure::core
