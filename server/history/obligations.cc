// Paying what a run owes to other ids (rule E7): deliver, record the outcome, forget; each step again and again until it is done.
#include "base/planted.h"
#include "server/core/external/external.h"
#include "server/history/loop.h"

namespace perdure::history {
namespace {

constexpr auto kFirstDelay = std::chrono::milliseconds(100);
constexpr auto kLongestDelay = std::chrono::seconds(30);

}  // namespace

void Loop::pay_obligations(Unit& unit, Run& run) {
  if (!run.state.exists()) return;
  std::vector<std::pair<std::int64_t, bool>> owed;
  run.state.externals.each([&](std::int64_t id, const auto& external) {
    if (!run.externals_in_flight.contains(id)) owed.emplace_back(id, external->outcome_recorded());
  });
  const UnitKey key = unit.key;
  const std::string run_id = run.state.start->run_id();
  for (const auto& [id, recorded] : owed) {
    run.externals_in_flight.insert(id);
    if (recorded) {
      forget(key, run_id, id, 0);
    } else {
      deliver(key, run_id, id, 0);
    }
  }
}

// Nothing when it was paid, or its id is gone or quarantined: then nothing is recorded any more, so nothing is tried.
const core::pb::External* Loop::owed(const UnitKey& key, const std::string& run_id,
                                     std::int64_t initiated_id) {
  Unit* unit = find_unit(key);
  const Run* run = unit && !unit->quarantine ? unit->find(run_id) : nullptr;
  const auto* found = run ? run->state.externals.find(initiated_id) : nullptr;
  return found ? found->get() : nullptr;
}

void Loop::deliver(const UnitKey& key, const std::string& run_id, std::int64_t initiated_id, int attempt) {
  with_events(key, run_id, initiated_id, [this, key, run_id, initiated_id, attempt](base::Status status) {
    const core::pb::External* owing = owed(key, run_id, initiated_id);
    if (!owing) return;
    if (!status) return pay_later(key, run_id, initiated_id, attempt);
    const core::pb::External& external = *owing;
    core::HistoryEvent event;
    event.ParseFromString(*find_unit(key)->find(run_id)->events.at(initiated_id));
    core::DeliverExternal command{.sender_workflow_id = key.id,
                                  .sender_run_id = run_id,
                                  .initiated_id = initiated_id,
                                  .kind = external.kind(),
                                  .run_id = external.run_id(),
                                  .child_workflow_only = external.child_workflow_only(),
                                  .request_id = external.request_id()};
    if (external.kind() == core::kExternalSignal) {
      auto& attributes = *event.mutable_signal_external_workflow_execution_initiated_event_attributes();
      command.signal_name = attributes.signal_name();
      command.has_input = attributes.has_input();
      command.input.Swap(attributes.mutable_input());
      command.has_header = attributes.has_header();
      command.header.Swap(attributes.mutable_header());
    } else {
      command.reason = event.request_cancel_external_workflow_execution_initiated_event_attributes().reason();
    }
    const UnitKey target{external.namespace_id(), store::Kind::kWorkflow, external.workflow_id()};
    Loop& there = shared_.loop_of(target);
    const std::size_t bytes = command.input.ByteSizeLong();
    // The sender's records are handed to the stream before the receiver's can be: a turn ends before its messages are run.
    const bool posted = there.executor_.post(
        base::Lane::kInternal, bytes,
        [this, &there, key, run_id, initiated_id, attempt, target, command = std::move(command)]() mutable {
          there.decide(
              target, std::move(command),
              [this, &there, target, key, run_id, initiated_id, attempt](Result<core::Reply> reply) mutable {
                if (base::planted(base::Bug::kForgetTooEarly)) {
                  there.decide(target, core::ForgetReceived{core::received_key(run_id, initiated_id)},
                               [](Result<core::Reply>) {});
                }
                executor_.post(
                    base::Lane::kCompletion, 0,
                    [this, key, run_id, initiated_id, attempt, reply = std::move(reply)]() mutable {
                      delivered(key, run_id, initiated_id, attempt, std::move(reply));
                    });
              });
        });
    if (!posted && !base::planted(base::Bug::kRefusedEffectLost))
      pay_later(key, run_id, initiated_id, attempt);
  });
}

void Loop::delivered(const UnitKey& key, const std::string& run_id, std::int64_t initiated_id, int attempt,
                     Result<core::Reply> reply) {
  if (!reply) return pay_later(key, run_id, initiated_id, attempt);
  core::RecordExternal command{.run_id = run_id,
                               .initiated_id = initiated_id,
                               .outcome = std::get<core::ExternalOutcome>(std::move(*reply))};
  decide(key, std::move(command), [this, key, run_id, initiated_id](Result<core::Reply> recorded) {
    if (recorded) forget(key, run_id, initiated_id, 0);
  });
}

void Loop::forget(const UnitKey& key, const std::string& run_id, std::int64_t initiated_id, int attempt) {
  const core::pb::External* owing = owed(key, run_id, initiated_id);
  if (!owing) return;
  const UnitKey target{owing->namespace_id(), store::Kind::kWorkflow, owing->workflow_id()};
  Loop& there = shared_.loop_of(target);
  core::ForgetReceived command{core::received_key(run_id, initiated_id)};
  const bool posted = there.executor_.post(
      base::Lane::kInternal, 0,
      [this, &there, key, run_id, initiated_id, attempt, target, command = std::move(command)]() mutable {
        there.decide(target, std::move(command),
                     [this, key, run_id, initiated_id, attempt](Result<core::Reply> reply) {
                       executor_.post(
                           base::Lane::kCompletion, 0,
                           [this, key, run_id, initiated_id, attempt, ok = reply.has_value()] {
                             if (!ok) return pay_later(key, run_id, initiated_id, attempt);
                             decide(key,
                                    core::ForgottenExternal{.run_id = run_id, .initiated_id = initiated_id},
                                    [this, key, run_id, initiated_id](Result<core::Reply>) {
                                      Unit* unit = find_unit(key);
                                      Run* run = unit ? unit->find(run_id) : nullptr;
                                      if (run) run->externals_in_flight.erase(initiated_id);
                                    });
                           });
                     });
      });
  if (!posted) pay_later(key, run_id, initiated_id, attempt);
}

// Tells every receiver of what the unit's runs owe that nobody asks again; `then` hears whether all were told. A receiver
// that is quarantined itself cannot be told, and holds nobody up.
void Loop::forget_debts(const Unit& unit, std::move_only_function<void(base::Status)> then) {
  struct Round {
    std::size_t left = 0;
    base::Status status;
    std::move_only_function<void(base::Status)> then;
  };
  std::vector<std::pair<UnitKey, std::string>> debts;
  for (const auto& [run_id, run] : unit.runs) {
    run.state.externals.each([&](std::int64_t id, const auto& external) {
      debts.emplace_back(UnitKey{external->namespace_id(), store::Kind::kWorkflow, external->workflow_id()},
                         core::received_key(run_id, id));
    });
  }
  if (debts.empty()) return then({});
  auto round = std::make_shared<Round>(Round{debts.size(), {}, std::move(then)});
  const auto told = [round](base::Status status) {
    if (!status && status.error().code != base::Code::kFailedPrecondition) round->status = std::move(status);
    if (--round->left == 0) round->then(std::move(round->status));
  };
  for (const auto& [target, received] : debts) {
    Loop& there = shared_.loop_of(target);
    const bool posted = there.executor_.post(
        base::Lane::kInternal, 0,
        [this, &there, target, told, command = core::ForgetReceived{received}]() mutable {
          there.decide(target, std::move(command), [this, told](Result<core::Reply> reply) {
            base::Status status = reply ? base::Status{} : base::Status(std::unexpected(reply.error()));
            executor_.post(base::Lane::kCompletion, 0, [told, status = std::move(status)] { told(status); });
          });
        });
    if (!posted) told(base::fail(base::Code::kResourceExhausted, "the server is busy; delete it again"));
  }
}

void Loop::pay_later(const UnitKey& key, const std::string& run_id, std::int64_t initiated_id, int attempt) {
  base::Duration delay = kFirstDelay * (1 << std::min(attempt, 10));
  if (delay > kLongestDelay) delay = kLongestDelay;
  executor_.call_at(executor_.clock().now() + delay, [this, key, run_id, initiated_id, attempt] {
    const core::pb::External* owing = owed(key, run_id, initiated_id);
    if (!owing || ended_) return;
    if (owing->outcome_recorded()) {
      forget(key, run_id, initiated_id, attempt + 1);
    } else {
      deliver(key, run_id, initiated_id, attempt + 1);
    }
  });
}

}  // namespace perdure::history
