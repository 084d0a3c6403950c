// One execution of one scenario against a method table, on a simulated clock (README.md, "On a simulated
// clock").
//
// Time passes only by `sleep`, while a call in the foreground waits (to the next timer of the server or
// deadline of a call, whichever is first), between two rounds of `until`, and by one millisecond per call in
// the foreground, so that what happens in order has times in order. Everything runs on the calling thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/sim_scheduler.h"
#include "server/frontend/method_table.h"
#include "tests/golden/json.h"
#include "tests/golden/variables.h"

namespace perdure::golden {

class PendingCall;

class Run {
 public:
  // `scenario`: as golden.py compiles it. All references must outlive the Run.
  Run(const frontend::MethodTable& methods, base::SimScheduler& scheduler, const Json& scenario,
      std::string uid);
  // Clients that still wait are gone now.
  ~Run();

  // Runs after every step that leaves no call open: where a test may do to the server what clients must not notice.
  void between_steps(std::function<void()> hook) { between_steps_ = std::move(hook); }

  // Executes the scenario; the outcomes of its steps, normalised.
  Json outcomes();
  // The same before normalisation. Once.
  Json raw_outcomes();

 private:
  using Outcome = std::expected<Json, Unresolved>;
  using Pending = std::expected<std::shared_ptr<PendingCall>, Unresolved>;

  Outcome step(const Json& step);  // null: the step has no outcome
  Outcome until(const Json& spec);
  Outcome history(const Json& spec);
  Outcome call(const Json& step);
  Pending begin(const Json& step);
  Json finish(PendingCall& call);

  void let_pass(base::Duration duration);
  void pass(base::Time when);
  void step_towards(base::Time when);
  void expire();
  base::Time now() const { return scheduler_.clock().now(); }

  const frontend::MethodTable& methods_;
  base::SimScheduler& scheduler_;
  const Json& scenario_;
  Variables variables_;
  base::Time end_;
  std::function<void()> between_steps_;
  std::map<std::string, std::shared_ptr<PendingCall>> background_;
  std::vector<std::shared_ptr<PendingCall>> open_;  // not yet answered, deadline not passed
};

// "1500ms", "3s", "2m".
base::Duration parse_duration(std::string_view text);

// `uid` text of a run: letter z and nine characters that depend on `number` only.
std::string uid_of(std::uint64_t number);

}  // namespace perdure::golden
