// One workflow run in memory: its strands, their queue, its scopes, and the commands that they record.
//
// The scheduling contract, which decides the order of commands and therefore never changes without a flag in
// history:
//   1. Per workflow task: patches are known first; then history order, one job, then drain. In the first task
//   signals and updates
//      run after construction and before run's first step. Queries come last, on settled state, and never
//      drain.
//   2. Strands (run, each handler call, each spawn) are first in, first out. Inside a strand a call, a return
//   and an await of
//      something ready are immediate, so that moving code into a helper cannot change the order.
//   3. When the queue is empty, conditions are tried in order of registration; the first that holds resumes
//   its waiter, the queue
//      drains, and the search starts over.
//   4. Commands are recorded in call order. A cancel visits operations, then child scopes, in order of
//   creation.
//   5. A cancel request for the workflow cancels run's scope with what it spawned; handler calls have scopes
//   of their own.
//   6. An await inside a cancelled scope of a future from outside it ends with CancelledFailure; the future
//   goes on.
//   7. When run returns, the workflow closes: the other strands are destroyed in reverse order of start.
//
// Eviction is destruction: verbs called by destructors do nothing, strands die in reverse order of start,
// then run, then the workflow object. One thread at a time.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <perdure/detail/registration.h>
#include <perdure/interceptors.h>
#include <perdure/log_sink.h>
#include <perdure/workflow.h>

#include "sdk/src/replay/replay.h"
#include "sdk/src/runtime/place.h"

namespace perdure {
inline namespace v1 {
namespace detail {

enum class StrandKind : std::uint8_t { kRun, kHandler, kSpawned };

struct Strand {
  StrandKind kind{};
  Ref<Scope> scope;
  PromiseBase* leaf = nullptr;       // the innermost coroutine; null before the first step
  CoroutineWait* waiting = nullptr;  // what it waits for
  std::optional<Task<void>> root;
  bool ended = false;
  std::string handler;       // "update deposit", of a handler call
  bool abandonable = false;  // may still run when the workflow ends
};

struct RunSettings {
  const std::map<std::string, WorkflowDefinition, std::less<>>* definitions = nullptr;  // outlives the run
  WorkflowInfo info;
  LogSink log;             // told what the code logs while it is not replayed
  Place* place = nullptr;  // outlives the run; may be null
  std::vector<std::shared_ptr<WorkerInterceptor>> interceptors;
  std::shared_ptr<FailureConverter> failures;
};

// A local activity that the code asked for: to be run by the worker, from its first attempt in this workflow
// task on.
struct LocalActivity {
  std::uint64_t sequence = 0;
  std::string type, id, summary;
  Payloads arguments;
  Headers headers;
  Duration start_to_close_timeout{}, schedule_to_close_timeout{}, local_retry_threshold{};
  RetryPolicy retry{};  // without its list of types, which is this one:
  std::vector<std::string> non_retryable_error_types;
  int attempt = 1;
  std::int64_t scheduled_millis = 0;  // since the epoch: when its first attempt was asked for; 0: now
};

// What it ended with, or that the next attempt is far away. The failure is as the marker says it: no converter has
// made anything else of it.
struct LocalResult {
  Payloads result;
  std::exception_ptr failure;
  Duration backoff{};  // until the next attempt; 0: there is none
  int attempt = 1;
  int retry_state = 0;
  std::int64_t scheduled_millis = 0;
};

class Run final : public LogTarget {
 public:
  explicit Run(RunSettings settings);
  Run(const Run&) = delete;
  ~Run();

  // Runs the code for one workflow task and returns the commands that it recorded. Throws what must fail the
  // workflow task (the run is then good for nothing but destruction).
  std::vector<replay::Command> activate(const replay::Activation& activation);

  // ---- local activities: after activate(), the worker runs what is new and brings results in any order
  // Those that nobody has asked for yet; each is handed out once.
  std::vector<std::shared_ptr<const LocalActivity>> new_local_activities();
  // Those that are to be asked to end; each is handed out once.
  std::vector<std::uint64_t> cancelled_local_activities() { return std::exchange(cancelled_locals_, {}); }
  // Some are not resolved: the workflow task is not over.
  bool waits_for_local_activities() const;
  bool awaits_local(std::uint64_t sequence) const { return !closed_ && pending_.contains(sequence); }
  // Goes on with a result; throws like activate(). The commands that were recorded since.
  std::vector<replay::Command> resolve_local(std::uint64_t sequence, const LocalResult& result);

  // The handler's result; throws what it threw, ApplicationFailure when there is no such query.
  Payload query(std::string_view name, const Payloads& arguments, const Headers& headers = {});

  bool closed() const { return closed_; }
  // No code ran in the last workflow task: the run is as it was before.
  bool idle() const { return idle_; }
  std::size_t bytes() const { return frame_bytes_; }
  // Where each strand waits, for people.
  std::string stack_trace() const;

  // ---- for the verbs and the coroutines
  void enqueue(PromiseBase& promise, bool front);
  void unqueue(PromiseBase& promise);
  void settled() { settled_ = true; }
  void strand_ended(Strand& strand) { strand.ended = true; }
  Ref<Scope> scope(bool shielded) const;
  // Puts an operation into the scope; false when nothing must be recorded: the scope is cancelled, or the run
  // is over.
  bool enter(bool shielded, StateBase& state);
  void schedule_activity(StateBase& state, std::string_view name, const ActivityOptions& options,
                         Payloads arguments);
  void schedule_local(StateBase& state, std::string_view name, const LocalActivityOptions& options,
                      Payloads arguments);
  void start_timer(StateBase& state, Duration delay, const TimerOptions& options);
  void upsert(std::vector<SearchAttributeUpdate> updates, std::source_location where);
  void upsert_memo(const std::string& name, Payload value, std::source_location where);
  void set_current_details(std::string text);
  void start_child(StateBase& started, StateBase& result, std::string_view name, const ChildOptions& options,
                   Payloads arguments);
  void signal_external(StateBase& state, ExternalTarget target, std::string_view name, Payloads arguments,
                       std::source_location where);
  void cancel_external(StateBase& state, ExternalTarget target, std::source_location where);
  void add_condition(State<void>& state, Function<bool()> predicate);
  void cancel_operation(StateBase& state);
  void forget(StateBase& state);
  void unobserved(StateBase& state);
  void start_strand(StrandKind kind, Ref<Scope> scope, Task<void> body, bool front);
  void destroy_strands(Scope& scope);
  void continue_as_new(std::string_view name, Payloads arguments, std::source_location where);
  Payload side_effect(const Function<Payload()>& draw, std::source_location where);
  bool patched(std::string id, bool deprecated, std::source_location where);
  void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) const override;

  TimePoint now() const { return now_; }
  const WorkflowInfo& info() const { return settings_.info; }
  bool dying() const { return dying_; }
  bool over() const { return dying_ || closed_; }
  bool cancel_requested() const { return cancel_requested_; }
  bool continue_as_new_suggested() const { return continue_as_new_suggested_; }
  bool all_handlers_finished() const { return running_handlers_ == 0; }
  Random& random() { return random_; }
  std::uint64_t next_sequence() { return ++sequence_; }
  Strand* current() const { return current_; }
  void check_not_reading() const;  // throws std::logic_error
  void frame_grew(std::ptrdiff_t by) { frame_bytes_ += static_cast<std::size_t>(by); }

 private:
  // An operation whose answer history will bring.
  struct Pending {
    Ref<StateBase> state;
    Ref<StateBase> started;  // of a child
    replay::CommandKind kind{};
    CancellationType cancellation = CancellationType::kTryCancel;
    std::string type, id;
    bool cancel_asked = false;
    std::shared_ptr<LocalActivity> local;  // also of the timer before its next attempt
    bool handed_out = false;               // to the worker
    std::source_location where;
  };
  struct Condition {
    State<void>* state;
    Function<bool()> predicate;
  };

  Context context() { return Context(this); }
  std::exception_ptr read(const temporal::api::failure::v1::Failure& failure) const;
  void write(const std::exception_ptr& error, temporal::api::failure::v1::Failure* out) const;
  Payload metadata() const;  // the answer to __temporal_workflow_metadata
  Headers outgoing(OutgoingKind kind, std::string_view name, Payloads& arguments);
  Task<Payload> inbound(std::size_t index, WorkflowCall call);
  Payload look(std::size_t index, WorkflowCall& call, const std::function<Payload()>& innermost);
  Task<Payload> innermost(WorkflowCall call);
  Task<void> signal_body(WorkflowCall call);
  void track_local(StateBase& state, std::shared_ptr<LocalActivity> local, CancellationType cancellation,
                   std::source_location where);
  void wait_for_attempt(Pending pending, const LocalResult& result);
  void apply_local(std::uint64_t sequence, const LocalResult& result);
  void replay_local(const replay::Event& event);
  void begin(const replay::Activation& activation);
  void start(const replay::Event& event);
  void start_run_strand();
  void apply(const replay::Job& job);
  void signal(const replay::Event& event);
  void update(const replay::Update& update);
  std::string unknown_update(const std::string& name) const;
  void start_handler(std::string name, bool abandonable, Task<void> body);
  void warn_of_unfinished_handlers();
  void activity_ended(Pending& pending, const replay::Event& event);
  void child_started(std::uint64_t sequence, const replay::Event& event);
  void child_ended(Pending& pending, const replay::Event& event);
  void external_answered(Pending& pending, const replay::Event& event);
  void drain();
  bool try_conditions();
  void resume(PromiseBase& promise);
  void show_place(const PromiseBase& promise) const;
  void bury();
  void destroy(Strand& strand);
  void destroy_all_strands();
  void close_if_asked();
  replay::Command& record(replay::CommandKind kind, std::uint64_t sequence, std::source_location where);
  void track(std::uint64_t sequence, Pending pending);
  bool unsent(std::uint64_t sequence) const;
  void withdraw(std::uint64_t sequence);
  void end_cancelled(std::uint64_t sequence, const std::string& message);
  void complete(Payload result);
  // run, or something that counts as run, threw.
  void thrown(std::exception_ptr error);
  Task<void> run_body();
  Task<Payload> outermost();
  Task<void> handler_body(Task<void> handler);
  Task<void> update_body(temporal::api::update::v1::Meta meta, Task<Payload> handler);
  void accept_update(const replay::Update& update);
  void reject_update(const replay::Update& update, const std::exception_ptr& why);
  void complete_update(const temporal::api::update::v1::Meta& meta, const Payload* result,
                       const std::exception_ptr& error);
  // It is reported as what the code ended with; others fail the workflow task.
  bool is_failure(const std::exception_ptr& error) const;

  RunSettings settings_;
  const std::string own_build_id_ = settings_.info.build_id;
  std::optional<temporal::api::common::v1::RetryPolicy> retry_;  // the workflow's own
  std::vector<std::unique_ptr<WorkflowInterceptor>> interceptors_;
  std::unique_ptr<WorkflowInstance> instance_;
  Payloads arguments_;
  TimePoint now_{};
  bool idle_ = true, reading_ = false;  // reading: a query or a validator looks on, and no verb is allowed
  bool replaying_ = false, settled_ = false, dying_ = false, closed_ = false, cancel_requested_ = false;
  bool continue_as_new_suggested_ = false;
  std::string current_details_;
  std::exception_ptr task_error_;
  int running_handlers_ = 0;
  std::uint64_t sequence_ = 0;
  std::size_t frame_bytes_ = 0;
  Random random_;
  std::deque<PromiseBase*> queue_;
  Strand* current_ = nullptr;
  Ref<Scope> root_;
  std::list<std::unique_ptr<Strand>> strands_;  // in order of start
  std::list<Condition> conditions_;
  std::map<std::uint64_t, Pending> pending_;
  // operations whose end is among this activation's jobs: the server refuses to cancel them
  std::set<std::uint64_t> ending_;
  std::map<std::string, bool> patches_;  // answers given, or known from history
  std::set<std::string> patches_recorded_;
  std::deque<Payload> side_effects_;
  std::vector<std::uint64_t> cancelled_locals_;
  std::vector<replay::Command> commands_;
  std::optional<replay::Command> closing_;
};

}  // namespace detail
}  // namespace v1
}  // namespace perdure
