// The worker: polls a task queue, runs workflow code and activities, answers the server.
//
// Workflows run on the worker's workflow threads, one run on one thread at a time; activities on threads of
// their own, or where their Executor puts them.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include <perdure/activity.h>
#include <perdure/client.h>
#include <perdure/detail/registration.h>
#include <perdure/executor.h>
#include <perdure/log.h>
#include <perdure/log_sink.h>

namespace perdure {
inline namespace v1 {

class WorkerInterceptor;  // perdure/interceptors.h

// Which version of which deployment a worker is.
struct Deployment {
  std::string name, build_id;
  bool use_versioning = true;                                // false: only said, tasks are not routed by it
  Versioning default_versioning = Versioning::kAutoUpgrade;  // of workflows that do not say theirs
};

struct WorkerOptions {
  std::string task_queue;
  int max_concurrent_activities = 100, max_concurrent_workflow_tasks = 100, workflow_threads = 0,
      workflow_pollers = 2,
      activity_pollers = 2;             // 0 workflow threads: as many as the machine has
  std::size_t cache_bytes = 256 << 20;  // of workflow runs kept between their tasks; 0: none is kept
  Duration graceful_shutdown = 10s, sticky_timeout = 10s;
  std::string identity;  // empty: the client's
  // 0: no limit. Of this worker, and of all workers of the task queue together (the server counts).
  double max_activities_per_second = 0, max_task_queue_activities_per_second = 0;
  Executor* activity_executor = nullptr;  // null: a thread for each activity that runs; outlives the worker
  // Workflow code that holds its thread for so long fails its workflow task, with the line that it is at, and
  // the worker goes on with another thread. 0, or TEMPORAL_DEBUG in the environment: never.
  Duration deadlock_timeout = 2s;
  // A heartbeat is sent when 80 % of its activity's heartbeat timeout have passed since the one before, at
  // the latest after `max`; after `default` if it has no such timeout. The first is sent at once.
  Duration max_heartbeat_throttle_interval = 60s, default_heartbeat_throttle_interval = 30s;
  LogSink log{};  // empty: lines on standard error, without debug
  int max_concurrent_local_activities = 100;
  bool eager_activities = true;  // the server may hand out activities with the answer to a workflow task
  std::optional<Deployment> deployment{};
  std::vector<std::shared_ptr<WorkerInterceptor>> interceptors{};  // the first is the outermost
};

// Where activities run that are not to run where the worker's others do.
struct ActivityRegistration {
  Executor* executor = nullptr;  // outlives the worker
};

namespace detail {

// Nothing: a Completion answers.
using ActivityBody = std::function<std::optional<Payloads>(ActivityTask&, const Payloads&)>;
struct ActivityDefinition {
  std::string name;
  ActivityBody body;
  ActivityRegistration registration{};
};

template <auto F, class Call>
std::optional<Payloads> run_activity(const Payloads& payloads, Call call) {
  using R = typename Callee<F>::ret;
  auto arguments = ArgumentList<typename Callee<F>::args>::decode_all(payloads);
  const auto apply = [&]() -> R {
    return std::apply([&](auto&... each) -> R { return call(std::move(each)...); }, arguments);
  };
  if constexpr (std::is_void_v<R>) {
    apply();
    return Payloads{encode_nothing()};
  } else {
    return Payloads{encode<R>(apply())};
  }
}

// What comes before the arguments: for a function or member its signature says it, for the implementation of
// a descriptor what it can be called with.
template <auto F, class Target, class Args>
struct FirstParameter {
  using type = typename Callee<F>::context;
};
template <auto F, class Target, class... A>
  requires requires { F->name; }
struct FirstParameter<F, Target, std::tuple<A...>> {
  using R = typename Callee<F>::ret;
  using type =
      std::conditional_t<std::is_invocable_v<const Target&, A...>, void,
                         std::conditional_t<std::is_invocable_v<const Target&, ActivityContext&, A...>,
                                            ActivityContext, Completion<R>>>;
};

// Calls a function, member or callable with the context that it wants, if any.
template <auto F, class Target>
ActivityBody activity_body(Target target) {
  using First = typename FirstParameter<F, Target, typename Callee<F>::args>::type;
  if constexpr (is_completion<First>) {
    return [target](ActivityTask& task, const Payloads& payloads) -> std::optional<Payloads> {
      auto arguments = ArgumentList<typename Callee<F>::args>::decode_all(payloads);
      const auto answer = answer_later(task);
      try {
        std::apply([&](auto&... each) { target(First(answer), std::move(each)...); }, arguments);
      } catch (...) {
        answer->fail(std::current_exception());
      }
      return std::nullopt;
    };
  } else {
    return [target](ActivityTask& task, const Payloads& payloads) {
      return run_activity<F>(payloads, [&](auto&&... each) -> typename Callee<F>::ret {
        if constexpr (std::is_same_v<First, ActivityContext>) {
          ActivityContext context(task);
          return target(context, std::move(each)...);
        } else {
          return target(std::move(each)...);
        }
      });
    };
  }
}

template <auto F>
ActivityBody dynamic_activity_body() {
  static_assert(std::is_same_v<typename Callee<F>::args, std::tuple<Payloads>> &&
                    std::is_same_v<typename Callee<F>::context, ActivityContext>,
                "perdure: a dynamic activity takes (ActivityContext&, Payloads)");
  return [](ActivityTask& task, const Payloads& payloads) -> std::optional<Payloads> {
    using R = typename Callee<F>::ret;
    ActivityContext context(task);
    if constexpr (std::is_void_v<R>) {
      F(context, payloads);
      return Payloads{encode_nothing()};
    } else {
      return Payloads{encode<R>(F(context, payloads))};
    }
  };
}

class WorkerCore;

}  // namespace detail

namespace testing {
class Environment;
}

class Worker {
 public:
  Worker(Client client, WorkerOptions options);
  Worker(const Worker&) = delete;
  ~Worker();  // stops

  // Workflow classes, function workflows and activity functions. Throws std::logic_error on a name that is
  // taken.
  template <class W>
  Worker& add() {
    add_workflow(detail::define_workflow<W>());
    return *this;
  }
  template <auto... F>
    requires(sizeof...(F) > 0)
  Worker& add() {
    (add_one<F>(), ...);
    return *this;
  }
  template <auto... F>
    requires(sizeof...(F) > 0)
  Worker& add(ActivityRegistration registration) {
    (add_function<F>(registration), ...);
    return *this;
  }
  // Members as activities of one object, which the worker keeps.
  template <auto... M, class C>
    requires(sizeof...(M) > 0)
  Worker& add(std::shared_ptr<C> object, ActivityRegistration registration = {}) {
    (add_activity({std::string(detail::name_of<M>()),
                   detail::activity_body<M>([object](auto&&... each) -> typename detail::Callee<M>::raw {
                     return (object.get()->*M)(std::forward<decltype(each)>(each)...);
                   }),
                   registration}),
     ...);
    return *this;
  }
  // The implementation of a descriptor.
  template <auto D, class F>
    requires requires { D->name; }
  Worker& add(F implementation, ActivityRegistration registration = {}) {
    add_activity({D->name, detail::activity_body<D>(std::move(implementation)), registration});
    return *this;
  }

  // Takes every workflow type, or activity type, that has nothing of its own: Task<R>(Context, Payloads), or
  // a class with such a run; R(ActivityContext&, Payloads).
  template <class W>
  Worker& add_dynamic() {
    add_workflow(detail::define_dynamic<W>());
    return *this;
  }
  template <auto F>
  Worker& add_dynamic() {
    if constexpr (std::is_same_v<typename detail::Callee<F>::context, Context>) {
      add_workflow(detail::define_dynamic<F>());
    } else {
      add_activity({"", detail::dynamic_activity_body<F>()});
    }
    return *this;
  }

  // Throws std::runtime_error when too many threads are held by workflow code (deadlock_timeout).
  // Polls until `stop`, then takes no more, lets what runs go on for graceful_shutdown, asks activities to
  // end (CancelReason::kWorkerShutdown) and waits until they have.
  void run(std::stop_token stop = {});
  void start();
  void stop();

 private:
  template <auto F>
  void add_one() {
    if constexpr (std::is_same_v<typename detail::Callee<F>::context, Context>) {
      add_workflow(detail::define_workflow<F>());
    } else {
      add_function<F>({});
    }
  }
  template <auto F>
  void add_function(ActivityRegistration registration) {
    static_assert(std::is_void_v<typename detail::Callee<F>::cls>,
                  "perdure: members need their object: worker.add<&C::m>(std::shared_ptr<C>)");
    add_activity({std::string(detail::name_of<F>()), detail::activity_body<F>(F), registration});
  }
  void add_workflow(detail::WorkflowDefinition definition);
  void add_activity(detail::ActivityDefinition definition);
  friend class testing::Environment;
  std::unique_ptr<detail::WorkerCore> core_;
};

// Ends on SIGINT and SIGTERM. Call it before threads are started.
std::stop_token stop_on_signals();

}  // namespace v1
}  // namespace perdure
