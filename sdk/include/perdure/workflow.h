// What workflow code is written with: Context and its verbs, combinators of futures, handler lists.
//
// A workflow is a free function Task<R>(Context, Args...) or a plain class with Task<R> run(Context,
// Args...); signals, queries and updates are members that the class lists:
//   using signals = handlers<&W::f, named<"other-name", &W::g>>;   void or Task<> members
//   using queries = handlers<&W::status>;                          const members, never Task
//   using updates = handlers<update<&W::f, &W::check, "name">>;    T or Task<T>; the validator is const and
//   throws to reject
// In any of these lists dynamic<&W::h> takes what has no handler by its name; h's parameters are the name and
// Payloads. abandonable<entry> may still run when the workflow ends: nobody is warned.
//
// Run thread only. In what order things happen is a contract: docs of the runtime (src/runtime/run.h) give it
// line by line.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <perdure/detail/coroutine.h>
#include <perdure/detail/function.h>
#include <perdure/log.h>
#include <perdure/options.h>

namespace perdure {
inline namespace v1 {

// The same numbers in every replay.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }  // bound > 0
  std::string next_id();                                               // a version 4 UUID
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

 private:
  std::uint64_t state_;
};

namespace detail {

// The verbs behind Context's templates. `shielded`: recorded in no cancel scope.
template <class T>
Ref<State<T>> new_state() {
  return Ref<State<T>>(new State<T>);
}
void schedule_activity(Run& run, bool shielded, StateBase& state, std::string_view name,
                       const ActivityOptions& options, Payloads arguments);
void schedule_local(Run& run, bool shielded, StateBase& state, std::string_view name,
                    const LocalActivityOptions& options, Payloads arguments);
void start_timer(Run& run, bool shielded, StateBase& state, Duration delay, const TimerOptions& options);
void start_child(Run& run, bool shielded, StateBase& started, StateBase& result, std::string_view name,
                 const ChildOptions& options, Payloads arguments);
struct ExternalTarget {
  std::string workflow_id, run_id;
  bool child_only = false;
};
void signal_external(Run& run, bool shielded, StateBase& state, ExternalTarget target, std::string_view name,
                     Payloads arguments, std::source_location where);
void cancel_external(Run& run, StateBase& state, ExternalTarget target, std::source_location where);
void add_condition(Run& run, bool shielded, State<void>& state, Function<bool()> predicate);
// Puts `state` into the current scope, ready with CancelledFailure when that is cancelled already.
void enter_scope(Run& run, bool shielded, StateBase& state);
enum class StrandPlace { kFront, kBack };
void start_strand(Run& run, Ref<Scope> scope, Task<void> body, StrandPlace place);
Ref<Scope> new_scope(Run& run, Ref<Scope> parent);  // cancelled when the parent is
Ref<Scope> current_scope(Run& run, bool shielded);
void cancel_scope(Scope& scope);
void destroy_strands(Run& run, Scope& scope);
void continue_as_new(Run& run, std::string_view name, Payloads arguments, std::source_location where);
Payload side_effect(Run& run, const Function<Payload()>& draw, std::source_location where);
void upsert(Run& run, std::vector<SearchAttributeUpdate> updates, std::source_location where);
void upsert_memo(Run& run, std::string name, Payload value, std::source_location where);
void compensation_failed(Run& run, std::exception_ptr why);

template <class T>
struct SpawnState : State<T> {
  Ref<Scope> own_scope;
  void cancel() override {
    if (!this->ready()) cancel_scope(*own_scope);
  }
};
template <class T>
Task<void> strand_body(Ref<State<T>> state, Task<T> task) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(task);
      state->set(Unit());
    } else {
      T value = co_await std::move(task);
      state->set(std::move(value));
    }
  } catch (...) {
    state->fail(std::current_exception());
  }
}

// Ready when one of its members is (any), or all are or one failed (all).
enum class GatherMode { kAny, kAll };
Future<std::size_t> gather(GatherMode mode, std::vector<Ref<StateBase>> members);

}  // namespace detail

// Index of the first that is ready, ties to the lowest; never throws their failure and cancels nothing. Test
// x.ready() then.
template <class... T>
Future<std::size_t> when_any(const Future<T>&... futures) {
  std::vector<detail::Ref<detail::StateBase>> members;
  (members.push_back(futures.state()), ...);
  return detail::gather(detail::GatherMode::kAny, std::move(members));
}
template <class T>
Future<std::size_t> when_any(const std::vector<Future<T>>& futures) {
  std::vector<detail::Ref<detail::StateBase>> members;
  for (const auto& future : futures) members.push_back(future.state());
  return detail::gather(detail::GatherMode::kAny, std::move(members));
}

// The values in argument order, or the first failure to complete; cancels nothing.
template <class T>
Task<std::conditional_t<std::is_void_v<T>, void, std::vector<detail::Slot<T>>>> when_all(
    std::vector<Future<T>> futures) {
  std::vector<detail::Ref<detail::StateBase>> members;
  for (const auto& future : futures) members.push_back(future.state());
  if (!members.empty()) co_await detail::gather(detail::GatherMode::kAll, std::move(members));
  if constexpr (!std::is_void_v<T>) {
    std::vector<T> values;
    values.reserve(futures.size());
    for (const auto& future : futures) values.push_back(future.get());
    co_return values;
  }
}
namespace detail {
template <class T>
Slot<T> value_of(const Future<T>& future) {
  if constexpr (std::is_void_v<T>) {
    future.get();
    return {};
  } else {
    return future.get();
  }
}
}  // namespace detail
template <class... T>
  requires(sizeof...(T) > 1)
Task<std::tuple<detail::Slot<T>...>> when_all(Future<T>... futures) {
  std::vector<detail::Ref<detail::StateBase>> members;
  (members.push_back(futures.state()), ...);
  co_await detail::gather(detail::GatherMode::kAll, std::move(members));
  std::tuple<detail::Slot<T>...> values(detail::value_of(futures)...);
  co_return values;
}

// A result that may be a failure, for code that must await while it handles one.
template <class T>
class [[nodiscard]] Outcome {
 public:
  explicit Outcome(detail::Slot<T> value) : value_(std::move(value)) {}
  explicit Outcome(std::exception_ptr error) : error_(std::move(error)) {}
  explicit operator bool() const { return !error_; }
  detail::Slot<T>& operator*() { return *value_; }
  detail::Slot<T>* operator->() { return &*value_; }
  const std::exception_ptr& error() const { return error_; }
  bool is_cancelled() const {
    if (!error_) return false;
    try {
      std::rethrow_exception(error_);
    } catch (const Failure& failure) {
      return failure.is_cancelled();
    }
  }
  [[noreturn]] void rethrow() const { std::rethrow_exception(error_); }

 private:
  std::optional<detail::Slot<T>> value_;
  std::exception_ptr error_;
};

// A Failure becomes a value. Other exceptions are bugs: they pass.
template <class T>
Task<Outcome<T>> attempt(Future<T> future) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await future;
      co_return Outcome<T>(detail::Unit());
    } else {
      T value = co_await future;
      co_return Outcome<T>(std::move(value));
    }
  } catch (const Failure&) {
    co_return Outcome<T>(std::current_exception());
  }
}
template <class T>
Task<Outcome<T>> attempt(Task<T> task) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(task);
      co_return Outcome<T>(detail::Unit());
    } else {
      T value = co_await std::move(task);
      co_return Outcome<T>(std::move(value));
    }
  } catch (const Failure&) {
    co_return Outcome<T>(std::current_exception());
  }
}

// ---- handler lists

namespace detail {
template <FixedString N, auto M>
struct Named {
  static constexpr auto pointer = M;
  static constexpr std::string_view name = N.view();
};
template <auto M, auto V, FixedString N>
struct Update {
  static constexpr auto pointer = M;
  static constexpr auto validator = V;
  static constexpr std::string_view given_name = N.view();
};
template <auto M, auto V>
struct Dynamic {
  static constexpr auto pointer = M;
  static constexpr auto validator = V;
  static constexpr std::string_view name{};
  static constexpr bool dynamic = true;
};
template <auto E>
constexpr auto pointer_of() {
  if constexpr (requires { E.pointer; }) {
    return E.pointer;
  } else {
    return E;
  }
}
template <auto E>
constexpr auto validator_of() {
  if constexpr (requires { E.validator; }) {
    return E.validator;
  } else {
    return nullptr;
  }
}
template <auto E>
inline constexpr bool is_dynamic = requires { E.dynamic; };
template <auto E>
inline constexpr bool is_abandonable = requires { E.abandonable; };
template <auto A, auto B>
inline constexpr bool same =
    std::is_same_v<std::integral_constant<decltype(A), A>, std::integral_constant<decltype(B), B>>;
template <auto E>
constexpr std::string_view entry_name() {
  if constexpr (requires { E.name; }) {
    return E.name;
  } else {
    if constexpr (requires { E.given_name; }) {
      if constexpr (!E.given_name.empty()) {
        return E.given_name;
      } else {
        return name_of<pointer_of<E>()>();
      }
    } else {
      return name_of<pointer_of<E>()>();
    }
  }
}
template <auto E>
struct Abandonable {
  static constexpr auto pointer = pointer_of<E>();
  static constexpr auto validator = validator_of<E>();
  static constexpr std::string_view name = entry_name<E>();
  static constexpr bool abandonable = true;
};
template <auto E>
  requires is_dynamic<E>
struct Abandonable<E> {
  static constexpr auto pointer = E.pointer;
  static constexpr auto validator = E.validator;
  static constexpr std::string_view name{};
  static constexpr bool dynamic = true, abandonable = true;
};
}  // namespace detail

template <detail::FixedString N, auto M>
inline constexpr detail::Named<N, M> named{};
template <auto M, auto V = nullptr, detail::FixedString N = "">
inline constexpr detail::Update<M, V, N> update{};
template <auto M, auto V = nullptr>
inline constexpr detail::Dynamic<M, V> dynamic{};
template <auto E>
inline constexpr detail::Abandonable<E> abandonable{};

template <auto... E>
struct handlers {
  template <auto X>
  static constexpr bool contains =
      ((!detail::is_dynamic<E> && detail::same<detail::pointer_of<E>(), X>) || ...);
  template <auto X>
  static constexpr std::string_view name_of() {
    std::string_view name;
    ((detail::same<detail::pointer_of<E>(), X> ? void(name = detail::entry_name<E>()) : void()), ...);
    return name;
  }
};

namespace detail {
template <class W>
struct WorkflowTraits {
  using ret = typename Callee<&W::run>::ret;
  using args = typename Callee<&W::run>::args;
};
}  // namespace detail

// ---- what workflow code holds

// What a query may see.
class ReadContext {
 public:
  explicit ReadContext(detail::Run* run) : run_(run) {}
  TimePoint now() const;  // of this workflow task: the same in every replay
  const WorkflowInfo& info() const;
  Log log() const;  // silent while the run is replayed

 protected:
  detail::Run* run_;
};

template <class W>
class Child;
template <class W>
class External;

// A handle of the run that is passed by value and valid as long as the run. Every verb is recorded when it is
// called, in call order; in a cancelled scope it fails with CancelledFailure at once.
class Context : public ReadContext {
 public:
  using ReadContext::ReadContext;

  // The activity's result; throws ActivityFailure.
  template <auto F, class... A>
  Future<typename detail::Callee<F>::ret> execute(const ActivityOptions& options, A&&... arguments) const {
    using Params = typename detail::Callee<F>::args;
    check_arguments<Params, A...>();
    auto state = detail::new_state<typename detail::Callee<F>::ret>();
    detail::schedule_activity(*run_, shielded_, *state, detail::name_of<F>(), options,
                              detail::ArgumentList<Params>::encode_all(std::forward<A>(arguments)...));
    return Future(state);
  }
  template <class R, class... A>
  Future<R> execute(std::string_view name, const ActivityOptions& options, A&&... arguments) const {
    auto state = detail::new_state<R>();
    detail::schedule_activity(*run_, shielded_, *state, name, options,
                              untyped(std::forward<A>(arguments)...));
    return Future<R>(state);
  }
  // A local activity's result; throws ActivityFailure.
  template <auto F, class... A>
  Future<typename detail::Callee<F>::ret> execute_local(const LocalActivityOptions& options,
                                                        A&&... arguments) const {
    using Params = typename detail::Callee<F>::args;
    check_arguments<Params, A...>();
    auto state = detail::new_state<typename detail::Callee<F>::ret>();
    detail::schedule_local(*run_, shielded_, *state, detail::name_of<F>(), options,
                           detail::ArgumentList<Params>::encode_all(std::forward<A>(arguments)...));
    return Future(state);
  }
  template <class R, class... A>
  Future<R> execute_local(std::string_view name, const LocalActivityOptions& options,
                          A&&... arguments) const {
    auto state = detail::new_state<R>();
    detail::schedule_local(*run_, shielded_, *state, name, options, untyped(std::forward<A>(arguments)...));
    return Future<R>(state);
  }
  Future<void> sleep(Duration delay, std::source_location where = std::source_location::current()) const {
    return sleep(delay, TimerOptions{.where = where});
  }
  // ctx.sleep(24h, {.summary = "until the offer ends"})
  Future<void> sleep(Duration delay, const TimerOptions& options) const {
    auto state = detail::new_state<void>();
    detail::start_timer(*run_, shielded_, *state, delay, options);
    return Future<void>(state);
  }
  // When it is over, predicate() holds. It is pure and cheap; what it throws is thrown at the await.
  template <class P>
  Future<void> until(P&& predicate) const {
    static_assert(std::is_convertible_v<std::invoke_result_t<P&>, bool>,
                  "perdure: until() takes a predicate that returns bool");
    static_assert(detail::safe_closure<P>,
                  "perdure: g++ before 13 destroys this closure twice inside co_await: capture this, "
                  "references or trivial "
                  "values, or name the predicate first");
    auto state = detail::new_state<void>();
    detail::add_condition(*run_, shielded_, *state, std::forward<P>(predicate));
    return Future<void>(state);
  }
  // The result, or nothing (false for void) when `limit` passed first: then it was cancelled, and a Task has
  // ended. The options are its timer's.
  template <class T>
  auto within(Duration limit, Future<T> future, TimerOptions timer = {}) const {
    return within_future(*this, limit, std::move(future), timer);
  }
  template <class T>
  auto within(Duration limit, Task<T> task, TimerOptions timer = {}) const {
    return within_task(*this, limit, std::move(task), timer);
  }
  // Runs beside the caller from the next turn on, in a scope of its own inside the caller's.
  template <class T>
  Future<T> spawn(Task<T> task) const {
    return start(std::move(task), detail::current_scope(*run_, shielded_), detail::StrandPlace::kBack);
  }
  // At most `limit` at a time; results in item order; the first failure cancels the rest.
  template <class T, class F>
  auto map_concurrent(std::size_t limit, const std::vector<T>& items, F function) const {
    static_assert(detail::safe_closure<F>,
                  "perdure: g++ before 13: capture this, references or trivial values only");
    using R = typename detail::Unwrap<std::invoke_result_t<F&, const T&>>::type;
    return map<R>(*this, limit, items, std::move(function));
  }
  // Throws ChildFailure. Function workflows and descriptors by pointer, classes by type.
  template <class W, class... A>
  Future<typename detail::WorkflowTraits<W>::ret> execute_child(const ChildOptions& options,
                                                                A&&... arguments) const {
    return start_child<W>(options, std::forward<A>(arguments)...).result();
  }
  template <auto F, class... A>
  Future<typename detail::Callee<F>::ret> execute_child(const ChildOptions& options, A&&... arguments) const {
    using Params = typename detail::Callee<F>::args;
    check_arguments<Params, A...>();
    auto started = detail::new_state<std::string>();
    auto result = detail::new_state<typename detail::Callee<F>::ret>();
    detail::start_child(*run_, shielded_, *started, *result, detail::name_of<F>(), options,
                        detail::ArgumentList<Params>::encode_all(std::forward<A>(arguments)...));
    return Future(result);
  }
  template <class W, class... A>
  Child<W> start_child(const ChildOptions& options, A&&... arguments) const;
  template <class W>
  External<W> external(Text id, Text run_id = {}) const;

  // Ends this run and begins the next with these arguments. Never ready: nothing after it runs, no catch sees
  // it.
  template <class W, class... A>
  Future<void> continue_as_new(A&&... arguments) const {
    using Params = typename detail::WorkflowTraits<W>::args;
    check_arguments<Params, A...>();
    detail::continue_as_new(*run_, detail::workflow_name_of<W>(),
                            detail::ArgumentList<Params>::encode_all(std::forward<A>(arguments)...),
                            std::source_location::current());
    return Future<void>(detail::new_state<void>());
  }
  template <auto F, class... A>
  Future<void> continue_as_new(A&&... arguments) const {
    using Params = typename detail::Callee<F>::args;
    check_arguments<Params, A...>();
    detail::continue_as_new(*run_, detail::name_of<F>(),
                            detail::ArgumentList<Params>::encode_all(std::forward<A>(arguments)...),
                            std::source_location::current());
    return Future<void>(detail::new_state<void>());
  }

  // Its verbs are in no cancel scope: for what must still be done in a cancelled one.
  Context shielded() const {
    Context copy = *this;
    copy.shielded_ = true;
    return copy;
  }
  bool cancel_requested() const;  // of the whole run
  bool patched(Text id, std::source_location where = std::source_location::current()) const;
  void deprecate_patch(Text id, std::source_location where = std::source_location::current()) const;
  Random& random() const;
  std::string uuid() const;
  // What `draw` returned the first time, recorded in history.
  template <class F>
  auto side_effect(F draw, std::source_location where = std::source_location::current()) const {
    using R = std::invoke_result_t<F&>;
    return detail::decode<R>(detail::side_effect(*run_, [&] { return detail::encode<R>(draw()); }, where));
  }
  bool continue_as_new_suggested() const;
  bool all_handlers_finished() const;  // of signals and updates
  // Changes search attributes: ctx.upsert(customer.set("ann"), attempts.unset()).
  template <class... U>
    requires(sizeof...(U) > 0 && (std::is_same_v<U, SearchAttributeUpdate> && ...))
  void upsert(U... updates) const {
    std::vector<SearchAttributeUpdate> all;
    (all.push_back(std::move(updates)), ...);
    detail::upsert(*run_, std::move(all), std::source_location::current());
  }
  // Changes one field of the memo; std::nullopt takes it away.
  template <class T>
  void upsert_memo(std::string name, const T& value,
                   std::source_location where = std::source_location::current()) const {
    detail::upsert_memo(*run_, std::move(name), detail::encode<T>(value), where);
  }
  // What people are shown of the run as it stands, in Markdown: not in its history, asked for by a query.
  void set_current_details(std::string text) const;

  detail::Run* run() const { return run_; }
  bool is_shielded() const { return shielded_; }

 private:
  template <class Params, class... A>
  static constexpr void check_arguments() {
    static_assert(
        detail::args_fit<Params, A...>,
        "perdure: the arguments do not match the parameters (count, type, or a narrowing conversion)");
    static_assert((detail::safe_temporary<A&&> && ...),
                  "perdure: g++ before 13 destroys an aggregate temporary inside co_await twice: name the "
                  "argument first");
  }
  template <class... A>
  static Payloads untyped(A&&... arguments) {
    return detail::ArgumentList<std::tuple<std::decay_t<A>...>>::encode_all(std::forward<A>(arguments)...);
  }
  template <class T>
  Future<T> start(Task<T> task, detail::Ref<detail::Scope> parent, detail::StrandPlace place) const {
    detail::Ref<detail::SpawnState<T>> state(new detail::SpawnState<T>);
    state->run = run_;
    state->scope = parent;
    state->spawned = true;
    state->own_scope = detail::new_scope(*run_, parent);
    detail::Ref<detail::State<T>> plain = state;
    detail::start_strand(*run_, state->own_scope, detail::strand_body<T>(plain, std::move(task)), place);
    return Future<T>(plain);
  }
  template <class T>
  Future<T> as_future(Future<T> future) const {
    return future;
  }
  template <class T>
  Future<T> as_future(Task<T> task) const {
    return spawn(std::move(task));
  }

  template <class T>
  using Limited = std::conditional_t<std::is_void_v<T>, bool, std::optional<detail::Slot<T>>>;
  template <class T>
  static Limited<T> limited(const Future<T>& future) {
    if constexpr (std::is_void_v<T>) {
      future.get();
      return true;
    } else {
      return Limited<T>(future.get());
    }
  }
  template <class T>
  static Task<Limited<T>> within_future(Context ctx, Duration limit, Future<T> future, TimerOptions options) {
    if (!future.ready()) {
      Future<void> timer = ctx.sleep(limit, options);
      co_await when_any(future, timer);
      if (future.ready()) {
        timer.cancel();
      } else {
        timer.get();  // a cancelled scope ends the timer with its failure
        future.cancel();
        co_return Limited<T>();
      }
    }
    co_return limited(future);
  }
  template <class T>
  static Task<Limited<T>> within_task(Context ctx, Duration limit, Task<T> task, TimerOptions options) {
    Future<T> future = ctx.start(std::move(task), detail::current_scope(*ctx.run_, ctx.shielded_),
                                 detail::StrandPlace::kFront);
    Future<void> timer = ctx.sleep(limit, options);
    co_await when_any(future, timer);
    if (future.ready()) {
      timer.cancel();
      co_return limited(future);
    }
    const bool in_time = timer.failed();  // only because the caller's scope was cancelled
    future.cancel();
    auto outcome = co_await attempt(future);
    if (!outcome && (in_time || !outcome.is_cancelled())) outcome.rethrow();
    if (in_time && outcome) co_return limited(future);
    co_return Limited<T>();
  }
  template <class R, class T, class F>
  static Task<std::conditional_t<std::is_void_v<R>, void, std::vector<detail::Slot<R>>>> map(
      Context ctx, std::size_t limit, std::vector<T> items, F function) {
    std::vector<Future<R>> all, active;
    std::exception_ptr first;
    for (std::size_t next = 0; next < items.size() || !active.empty();) {
      while (!first && next < items.size() && active.size() < std::max<std::size_t>(limit, 1)) {
        Future<R> one = ctx.as_future(function(items[next++]));
        all.push_back(one);
        active.push_back(one);
      }
      if (active.empty()) break;
      const std::size_t index = co_await when_any(active);
      if (active[index].failed() && !first) {
        first = active[index].state()->error;
        for (const Future<R>& other : active) other.cancel();
      }
      active.erase(active.begin() + static_cast<std::ptrdiff_t>(index));
    }
    if (first) std::rethrow_exception(first);
    if constexpr (!std::is_void_v<R>) {
      std::vector<R> values;
      for (const Future<R>& one : all) values.push_back(one.get());
      co_return values;
    }
  }
  friend class TaskGroup;

  bool shielded_ = false;
};
static_assert(std::is_trivially_copyable_v<Context>);

namespace detail {
inline Run* run_of(const Context& context) {
  return context.run();
}
}  // namespace detail

namespace detail {
template <class W, auto S, class... A>
Future<void> signal_other(const Context& ctx, ExternalTarget target, std::source_location where,
                          A&&... arguments) {
  static_assert(
      args_fit<typename Callee<S>::args, A...>,
      "perdure: the arguments do not match the parameters (count, type, or a narrowing conversion)");
  auto state = new_state<void>();
  signal_external(*ctx.run(), ctx.is_shielded(), *state, std::move(target), W::signals::template name_of<S>(),
                  ArgumentList<typename Callee<S>::args>::encode_all(std::forward<A>(arguments)...), where);
  return Future<void>(state);
}
}  // namespace detail

// A child workflow that was started.
template <class W>
class Child {
 public:
  using R = typename detail::WorkflowTraits<W>::ret;
  Child(Context ctx, std::string id, Future<std::string> started, Future<R> result)
      : ctx_(ctx), id_(std::move(id)), started_(std::move(started)), result_(std::move(result)) {}
  const std::string& id() const { return id_; }
  Future<std::string> started() const { return started_; }  // its run id
  Future<R> result() const { return result_; }
  template <auto S, class... A>
    requires(W::signals::template contains<S>)
  Future<void> signal(A&&... arguments) const {
    return detail::signal_other<W, S>(ctx_, {id_, {}, true}, std::source_location::current(),
                                      std::forward<A>(arguments)...);
  }
  void cancel() const { result_.cancel(); }

 private:
  Context ctx_;
  std::string id_;
  Future<std::string> started_;
  Future<R> result_;
};

// Another workflow, of any parent, in the same namespace.
template <class W>
class External {
 public:
  External(Context ctx, std::string id, std::string run_id)
      : ctx_(ctx), id_(std::move(id)), run_id_(std::move(run_id)) {}
  template <auto S, class... A>
    requires(W::signals::template contains<S>)
  Future<void> signal(A&&... arguments) const {
    return detail::signal_other<W, S>(ctx_, {id_, run_id_, false}, std::source_location::current(),
                                      std::forward<A>(arguments)...);
  }
  Future<void> cancel(std::source_location where = std::source_location::current()) const {
    auto state = detail::new_state<void>();
    detail::cancel_external(*ctx_.run(), *state, detail::ExternalTarget{id_, run_id_, false}, where);
    return Future<void>(state);
  }

 private:
  Context ctx_;
  std::string id_, run_id_;
};

namespace detail {
std::string child_id(Run& run, const ChildOptions& options);
}
template <class W, class... A>
Child<W> Context::start_child(const ChildOptions& options, A&&... arguments) const {
  using Params = typename detail::WorkflowTraits<W>::args;
  check_arguments<Params, A...>();
  auto started = detail::new_state<std::string>();
  auto result = detail::new_state<typename detail::WorkflowTraits<W>::ret>();
  const std::string id = detail::child_id(*run_, options);
  ChildOptions named_options = options;
  named_options.id = Text(id);
  detail::start_child(*run_, shielded_, *started, *result, detail::workflow_name_of<W>(), named_options,
                      detail::ArgumentList<Params>::encode_all(std::forward<A>(arguments)...));
  return Child<W>(*this, id, Future(started), Future(result));
}
template <class W>
External<W> Context::external(Text id, Text run_id) const {
  return External<W>(*this, id.str(), run_id.str());
}

}  // namespace v1
}  // namespace perdure

#include <perdure/detail/structured.h>
