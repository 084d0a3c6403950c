// Unit tests of workflows: a real server in the test's process, on a clock that jumps. Link Perdure::embedded.
//
//   perdure::testing::Environment env;
//   env.add<OrderWorkflow>();
//   env.mock<&Payments::charge>([](Card, int cents) { return Receipt{"r1", cents}; });
//   auto order = env.start<OrderWorkflow>(Order{…});
//   env.advance(23h);                                // time passes when told to …
//   order.signal<&OrderWorkflow::approve>("ann");
//   Receipt paid = order.result();                   // … and while a result is awaited, however far the next timer is
//
// After every task the whole history of a workflow is replayed into a fresh instance: code that is not deterministic fails
// its test. A workflow task that fails, or that the server refuses, does so too: what waits throws, with the reason.
#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include <perdure/replayer.h>
#include <perdure/worker.h>

namespace perdure {
inline namespace v1 {

namespace detail {
class ActivityTask;
struct Simulation;

// A callable in the place of activity F, with its parameters; ActivityContext& before them if it wants that.
template <auto F, class Fake>
ActivityBody mocked_body(Fake fake) {
  return [fake](ActivityTask& task, const Payloads& payloads) {
    ActivityContext context(task);
    return run_activity<F>(payloads, [&](auto&&... each) -> typename Callee<F>::ret {
      if constexpr (std::is_invocable_v<const Fake&, ActivityContext&, decltype(std::move(each))...>) {
        return fake(context, std::move(each)...);
      } else {
        return fake(std::move(each)...);
      }
    });
  };
}

template <class... A>
inline constexpr bool starts_with_options = false;
template <class First, class... A>
inline constexpr bool starts_with_options<First, A...> = std::is_same_v<std::decay_t<First>, StartOptions>;

}  // namespace detail

namespace testing {

struct EnvironmentOptions {
  // all are served with everything that is added; the first is the default
  std::vector<std::string> task_queues{"test"};
  // every workflow from its first event at every task, and once more when its result is read
  bool replay = true;
  // workflow tasks that fail are tried again, as in production, instead of failing the test
  bool allow_task_failures = false;
  // with `replay` off: the task after which each run is destroyed, to be replayed by the next one
  int evict_after = 0;
  TimePoint start{std::chrono::hours(24 * 20454)};  // 2026-01-01
  std::shared_ptr<FailureConverter> failure_converter{};
};

// One thread at a time; handles and clients that it gave are used by any thread, and end before it.
class Environment {
 public:
  explicit Environment(EnvironmentOptions options = {});
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment();

  // As Worker's; before the first workflow is started.
  template <class W>
  Environment& add() {
    for (const auto& worker : workers_) worker->template add<W>();
    replayer_.add<W>();
    return *this;
  }
  template <auto... F>
    requires(sizeof...(F) > 0)
  Environment& add() {
    for (const auto& worker : workers_) worker->template add<F...>();
    (add_to_replayer<F>(), ...);
    return *this;
  }
  template <auto... M, class... X>
    requires(sizeof...(M) > 0 && sizeof...(X) > 0)
  Environment& add(X... rest) {
    for (const auto& worker : workers_) worker->template add<M...>(rest...);
    return *this;
  }

  // Stands in for an activity: a function, a member, a descriptor. Repeated, also while workflows run, the last one counts.
  template <auto F, class Fake>
  Environment& mock(Fake fake) {
    set_mock(std::string(detail::name_of<F>()), detail::mocked_body<F>(std::move(fake)));
    return *this;
  }
  // For activities that are called by name: `fake` takes what they are called with.
  template <class Signature, class Fake>
  Environment& mock(std::string name, Fake fake) {
    static constexpr Activity<Signature> kShape{""};
    set_mock(std::move(name), detail::mocked_body<&kShape>(std::move(fake)));
    return *this;
  }

  // Options may be left out, and in them id and task queue: then they are "workflow-1", … and the first queue.
  template <class W, class... A>
  auto start(const StartOptions& options, A&&... arguments) {
    return client().template start<W>(completed(options), std::forward<A>(arguments)...);
  }
  template <auto F, class... A>
  auto start(const StartOptions& options, A&&... arguments) {
    return client().template start<F>(completed(options), std::forward<A>(arguments)...);
  }
  template <class W, class... A>
    requires(!detail::starts_with_options<A...>)
  auto start(A&&... arguments) {
    return client().template start<W>(completed({}), std::forward<A>(arguments)...);
  }
  template <auto F, class... A>
    requires(!detail::starts_with_options<A...>)
  auto start(A&&... arguments) {
    return client().template start<F>(completed({}), std::forward<A>(arguments)...);
  }
  template <class W, class... A>
  auto execute(A&&... arguments) {
    return start<W>(std::forward<A>(arguments)...).result();
  }
  template <auto F, class... A>
  auto execute(A&&... arguments) {
    return start<F>(std::forward<A>(arguments)...).result();
  }

  // Lets simulated time pass, and returns when all that is to happen until then has happened. Throws Error when a workflow
  // task failed.
  void advance(Duration by);
  TimePoint now() const;

  // Starts the workers, if they are not yet. While one of its calls waits for a result, time passes by itself.
  Client client();

 private:
  template <auto F>
  void add_to_replayer() {
    if constexpr (std::is_same_v<typename detail::Callee<F>::context, Context>) replayer_.add<F>();
  }
  void set_mock(std::string name, detail::ActivityBody body);
  StartOptions completed(StartOptions options);

  struct Parts;
  std::unique_ptr<Parts> parts_;
  std::vector<std::unique_ptr<Worker>> workers_;  // one for each queue
  Replayer replayer_;
};

// Activity code without a server: call the function with context().
//
//   ActivityEnvironment env;
//   EXPECT_EQ(import_rows(env.context(), "file.csv"), 3);
//   EXPECT_EQ(env.heartbeats<int>(), (std::vector{1, 2, 3}));
//
// sleep_for() returns at once. One thread, but for cancel().
class ActivityEnvironment {
 public:
  explicit ActivityEnvironment(ActivityInfo info = {});
  // As a later attempt, whose predecessor heartbeat this.
  template <class... T>
  static ActivityEnvironment after_heartbeat(const T&... details) {
    ActivityInfo info;
    info.attempt = 2;
    return ActivityEnvironment(info,
                               detail::ArgumentList<std::tuple<std::decay_t<T>...>>::encode_all(details...));
  }
  ActivityEnvironment(ActivityEnvironment&&) noexcept;
  ~ActivityEnvironment();

  ActivityContext& context();
  void cancel(CancelReason reason = CancelReason::kRequested);  // any thread
  // The first value of each heartbeat so far.
  template <class T>
  std::vector<T> heartbeats() const {
    std::vector<T> all;
    for (const Payloads& one : recorded()) all.push_back(detail::decode<T>(one.at(0)));
    return all;
  }
  Duration slept() const;  // in sleep_for(), in all

 private:
  ActivityEnvironment(ActivityInfo info, Payloads last_heartbeat);
  const std::vector<Payloads>& recorded() const;
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace testing
}  // namespace v1
}  // namespace perdure
