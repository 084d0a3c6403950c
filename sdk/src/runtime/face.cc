// What the public headers declare and the runtime does: states, waits, scopes, and the verbs of Context.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "sdk/src/runtime/run.h"

namespace perdure {
inline namespace v1 {
namespace detail {

// ---- states

StateBase::~StateBase() {
  if (scope) std::erase(scope->operations, this);
  if (condition && run != nullptr) run->forget(*this);
}

void StateBase::release() {
  if (spawned && error && !observed && run != nullptr) {
    references = 1;  // it is looked at once more
    run->unobserved(*this);
  }
  delete this;
}

void StateBase::cancel() {
  if (run != nullptr && !ready()) run->cancel_operation(*this);
}

void StateBase::fail(std::exception_ptr why) {
  if (ready()) return;
  error = std::move(why);
  wake();
}

void StateBase::wake() {
  if (scope) std::erase(scope->operations, this);
  for (Wait* wait : std::exchange(waits, {})) wait->wake();
}

void StateBase::forget(Wait* wait) {
  std::erase(waits, wait);
}

// ---- waits

namespace {

bool inside(const Scope* scope, const Scope* of) {
  for (; scope != nullptr; scope = scope->parent.get()) {
    if (scope == of) return true;
  }
  return false;
}

bool outside(const StateBase& state, const Strand& strand) {
  return state.scope && !inside(state.scope.get(), strand.scope.get());
}

}  // namespace

bool CoroutineWait::ready() {
  if (state->ready()) return true;
  interrupted = waiter->strand->scope->cancelled && outside(*state, *waiter->strand);
  return interrupted;
}

void CoroutineWait::suspend() {
  waiting = true;
  waiter->strand->waiting = this;
  state->waits.push_back(this);
  waiter->run->settled();
}

void CoroutineWait::wake() {
  if (!waiting) return;
  waiting = false;
  queued = true;
  waiter->strand->waiting = nullptr;
  waiter->run->enqueue(*waiter, false);
}

void CoroutineWait::interrupt() {
  if (!waiting || state->ready() || !outside(*state, *waiter->strand)) return;
  state->forget(this);
  interrupted = true;
  wake();
}

void CoroutineWait::resumed() {
  queued = false;
  if (interrupted) throw CancelledFailure();
}

CoroutineWait::~CoroutineWait() {
  if (waiting) {
    state->forget(this);
    waiter->strand->waiting = nullptr;
  }
  if (queued) waiter->run->unqueue(*waiter);
}

void call_task(PromiseBase& caller, PromiseBase& callee) {
  const bool counted = callee.run != nullptr;
  callee.run = caller.run;
  callee.strand = caller.strand;
  callee.caller = &caller;
  if (!counted) count_frame(callee.self.address(), *caller.run);
  caller.strand->leaf = &callee;
  caller.run->settled();
  caller.run->enqueue(callee, true);
}

void task_ended(PromiseBase& ended) noexcept {
  ended.run->settled();
  if (ended.caller == nullptr) return ended.run->strand_ended(*ended.strand);
  ended.strand->leaf = ended.caller;
  ended.run->enqueue(*ended.caller, true);
}

// ---- frames: their size stands before them, with the run that they count for

namespace {
struct alignas(std::max_align_t) FrameHeader {
  Run* run;
  std::size_t size;
};
}  // namespace

void* allocate_frame(std::size_t size) {
  // Zeroed: where g++ 12 loses a coroutine's body it also loses the first write of the resume index. Garbage
  // there is a trap instruction, zero comes back to the tripwire in Run::resume.
  void* memory = std::calloc(1, sizeof(FrameHeader) + size);
  if (memory == nullptr) throw std::bad_alloc();
  return new (memory) FrameHeader{nullptr, size} + 1;
}

void count_frame(void* frame, Run& run) {
  auto* header = static_cast<FrameHeader*>(frame) - 1;
  header->run = &run;
  run.frame_grew(static_cast<std::ptrdiff_t>(header->size));
}

void free_frame(void* frame) noexcept {
  auto* header = static_cast<FrameHeader*>(frame) - 1;
  if (header->run != nullptr) header->run->frame_grew(-static_cast<std::ptrdiff_t>(header->size));
  std::free(header);
}

// ---- scopes

Scope::~Scope() {
  if (parent) std::erase(parent->children, this);
}

Ref<Scope> new_scope(Run&, Ref<Scope> parent) {
  Ref<Scope> scope(new Scope);
  if (parent) {
    scope->cancelled = parent->cancelled;
    parent->children.push_back(scope.get());
    scope->parent = std::move(parent);
  }
  return scope;
}

Ref<Scope> current_scope(Run& run, bool shielded) {
  return run.scope(shielded);
}

void cancel_scope(Scope& scope) {
  if (scope.cancelled) return;
  const Ref<Scope> alive(&scope);
  scope.cancelled = true;
  std::vector<Ref<StateBase>> operations;
  for (StateBase* operation : scope.operations) operations.emplace_back(operation);
  for (const auto& operation : operations) operation->cancel();
  std::vector<Ref<Scope>> children;
  for (Scope* child : scope.children) children.emplace_back(child);
  for (const auto& child : children) cancel_scope(*child);
  const std::vector<Strand*> strands = scope.strands;
  for (Strand* strand : strands) {
    if (strand->waiting != nullptr) strand->waiting->interrupt();
  }
}

void destroy_strands(Run& run, Scope& scope) {
  run.destroy_strands(scope);
}
void start_strand(Run& run, Ref<Scope> scope, Task<void> body, StrandPlace place) {
  run.start_strand(StrandKind::kSpawned, std::move(scope), std::move(body), place == StrandPlace::kFront);
}

// ---- verbs

void schedule_activity(Run& run, bool shielded, StateBase& state, std::string_view name,
                       const ActivityOptions& options, Payloads arguments) {
  if (run.enter(shielded, state)) run.schedule_activity(state, name, options, std::move(arguments));
}
void schedule_local(Run& run, bool shielded, StateBase& state, std::string_view name,
                    const LocalActivityOptions& options, Payloads arguments) {
  if (run.enter(shielded, state)) run.schedule_local(state, name, options, std::move(arguments));
}
void start_timer(Run& run, bool shielded, StateBase& state, Duration delay, const TimerOptions& options) {
  if (run.enter(shielded, state)) run.start_timer(state, delay, options);
}
void start_child(Run& run, bool shielded, StateBase& started, StateBase& result, std::string_view name,
                 const ChildOptions& options, Payloads arguments) {
  if (run.enter(shielded, result)) {
    run.start_child(started, result, name, options, std::move(arguments));
  } else if (result.error) {
    started.fail(result.error);
  }
}
void signal_external(Run& run, bool shielded, StateBase& state, ExternalTarget target, std::string_view name,
                     Payloads arguments, std::source_location where) {
  if (run.enter(shielded, state))
    run.signal_external(state, std::move(target), name, std::move(arguments), where);
}
void cancel_external(Run& run, StateBase& state, ExternalTarget target, std::source_location where) {
  run.cancel_external(state, std::move(target), where);
}
void add_condition(Run& run, bool shielded, State<void>& state, Function<bool()> predicate) {
  if (run.enter(shielded, state)) run.add_condition(state, std::move(predicate));
}
void enter_scope(Run& run, bool shielded, StateBase& state) {
  run.enter(shielded, state);
}
void continue_as_new(Run& run, std::string_view name, Payloads arguments, std::source_location where) {
  run.continue_as_new(name, std::move(arguments), where);
}
Payload side_effect(Run& run, const Function<Payload()>& draw, std::source_location where) {
  return run.side_effect(draw, where);
}
std::string child_id(Run& run, const ChildOptions& options) {
  return options.id.empty() ? run.info().run_id + "_" + run.random().next_id() : options.id.str();
}
void upsert(Run& run, std::vector<SearchAttributeUpdate> updates, std::source_location where) {
  run.upsert(std::move(updates), where);
}
void upsert_memo(Run& run, std::string name, Payload value, std::source_location where) {
  run.upsert_memo(name, std::move(value), where);
}
void compensation_failed(Run& run, std::exception_ptr why) {
  run.log(LogLevel::kError, "compensation_failed", {{"error", describe(why)}});
}

// ---- gathering

namespace {

struct GatherState final : State<std::size_t> {
  struct Link final : Wait {
    GatherState* owner = nullptr;
    std::size_t index = 0;
    void wake() override { owner->member_ready(index); }
  };
  GatherState(GatherMode wanted, std::vector<Ref<StateBase>> watched);
  ~GatherState() override;
  void member_ready(std::size_t index);
  void cancel() override;

  GatherMode mode;
  std::vector<Ref<StateBase>> members;
  std::vector<Link> links;
  std::size_t missing;
};

GatherState::GatherState(GatherMode wanted, std::vector<Ref<StateBase>> watched)
    : mode(wanted), members(std::move(watched)), links(members.size()), missing(members.size()) {
  for (std::size_t i = 0; i < members.size(); ++i) {
    links[i].owner = this;
    links[i].index = i;
  }
}

GatherState::~GatherState() {
  for (std::size_t i = 0; i < members.size(); ++i) members[i]->forget(&links[i]);
}

void GatherState::member_ready(std::size_t index) {
  if (mode == GatherMode::kAny) return set(index);
  if (members[index]->error) {
    members[index]->observed = true;
    return fail(members[index]->error);
  }
  if (--missing == 0) set(0);
}

// What waits for something that is not cancelled yet in this scope waits on: it will end by itself.
void GatherState::cancel() {
  if (ready()) return;
  for (const auto& member : members) {
    if (!member->ready() && (!member->scope || inside(member->scope.get(), scope.get()))) return;
  }
  fail(std::make_exception_ptr(CancelledFailure()));
}

}  // namespace

Future<std::size_t> gather(GatherMode mode, std::vector<Ref<StateBase>> members) {
  if (members.empty()) throw std::logic_error("nothing to wait for");
  Run* run = nullptr;
  for (const auto& member : members) {
    if (member->run != nullptr) run = member->run;
  }
  Ref<GatherState> state(new GatherState(mode, std::move(members)));
  for (std::size_t i = 0; i < state->members.size() && !state->ready(); ++i) {
    if (state->members[i]->ready()) state->member_ready(i);
  }
  if (!state->ready()) {
    for (std::size_t i = 0; i < state->members.size(); ++i) {
      if (!state->members[i]->ready()) state->members[i]->waits.push_back(&state->links[i]);
    }
    if (run != nullptr && !run->over()) {
      state->run = run;
      state->scope = run->scope(false);
      if (state->scope->cancelled) {
        state->cancel();
      } else {
        state->scope->operations.push_back(state.get());
      }
    }
  }
  return Future<std::size_t>(Ref<State<std::size_t>>(state));
}

}  // namespace detail

// ---- the face

Log ReadContext::log() const {
  return Log(*run_);
}

// splitmix64
std::uint64_t Random::next() {
  std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

std::string Random::next_id() {
  char text[37];
  const std::uint64_t high = next(), low = next();
  std::snprintf(text, sizeof text, "%08x-%04x-4%03x-%04x-%012llx", static_cast<unsigned>(high >> 32),
                static_cast<unsigned>(high >> 16 & 0xffff), static_cast<unsigned>(high & 0xfff),
                static_cast<unsigned>((low >> 48 & 0x3fff) | 0x8000),
                static_cast<unsigned long long>(low & 0xffffffffffff));
  return text;
}

TimePoint ReadContext::now() const {
  return run_->now();
}
const WorkflowInfo& ReadContext::info() const {
  return run_->info();
}
bool Context::cancel_requested() const {
  return run_->cancel_requested();
}
bool Context::patched(Text id, std::source_location where) const {
  return run_->patched(id.str(), false, where);
}
void Context::deprecate_patch(Text id, std::source_location where) const {
  run_->patched(id.str(), true, where);
}
Random& Context::random() const {
  return run_->random();
}
std::string Context::uuid() const {
  return run_->random().next_id();
}
void Context::set_current_details(std::string text) const {
  run_->set_current_details(std::move(text));
}
bool Context::continue_as_new_suggested() const {
  return run_->continue_as_new_suggested();
}
bool Context::all_handlers_finished() const {
  return run_->all_handlers_finished();
}

TaskGroup::TaskGroup(Context ctx)
    : ctx_(ctx),
      scope_(detail::new_scope(*ctx.run(), detail::current_scope(*ctx.run(), ctx.is_shielded()))) {}

void TaskGroup::spawn(Task<> task) {
  tasks_.push_back(ctx_.start(std::move(task), scope_, detail::StrandPlace::kBack));
}

Task<> TaskGroup::join() {
  return join_all(scope_, std::exchange(tasks_, {}));
}

TaskGroup::~TaskGroup() {
  if (ctx_.run()->dying()) return;
  detail::cancel_scope(*scope_);
  detail::destroy_strands(*ctx_.run(), *scope_);
}

Task<> TaskGroup::join_all(detail::Ref<detail::Scope> scope, std::vector<Future<void>> tasks) {
  std::exception_ptr first;
  while (!tasks.empty()) {
    const std::size_t index = co_await when_any(tasks);
    if (tasks[index].failed() && !first) {
      first = tasks[index].state()->error;
      detail::cancel_scope(*scope);
    }
    tasks.erase(tasks.begin() + static_cast<std::ptrdiff_t>(index));
  }
  if (first) std::rethrow_exception(first);
}

Task<void> Saga::unwind(Context ctx) {
  const Context outside = ctx.shielded();
  while (!steps_.empty()) {
    auto step = std::move(steps_.back());
    steps_.pop_back();
    std::vector<detail::Ref<detail::StateBase>> one(1, step(outside));
    const detail::Ref<detail::StateBase> compensation = one.front();
    const Future<std::size_t> done = detail::gather(detail::GatherMode::kAny, std::move(one));
    co_await done;
    if (compensation->error) detail::compensation_failed(*ctx.run(), compensation->error);
  }
}

Semaphore::Semaphore(std::size_t permits) : core_(new Core) {
  core_->free = permits;
}

Task<Semaphore::Permit> Semaphore::lock(Context ctx) {
  return acquire(ctx, core_);
}

Task<Semaphore::Permit> Semaphore::acquire(Context ctx, detail::Ref<Core> core) {
  Core* shared = core.get();  // the frame keeps it alive
  co_await ctx.until([shared] { return shared->free > 0; });
  --core->free;
  co_return Permit(core);
}

}  // namespace v1
}  // namespace perdure
