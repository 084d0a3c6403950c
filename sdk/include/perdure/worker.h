// The worker: polls a task queue, runs workflow code and activities, answers the server.
//
// Workflows run on the worker's workflow threads, one run on one thread at a time; activities on threads of
// their own.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include <perdure/activity.h>
#include <perdure/client.h>
#include <perdure/detail/registration.h>

namespace perdure {
inline namespace v1 {

struct WorkerOptions {
  std::string task_queue;
  int max_concurrent_activities = 100, max_concurrent_workflow_tasks = 100, workflow_threads = 0,
      workflow_pollers = 2,
      activity_pollers = 2;             // 0 workflow threads: as many as the machine has
  std::size_t cache_bytes = 256 << 20;  // of workflow runs kept between their tasks; 0: none is kept
  Duration graceful_shutdown = 10s, sticky_timeout = 10s;
  std::string identity;  // empty: the client's
};

namespace detail {

using ActivityBody = std::function<Payloads(ActivityContext&, const Payloads&)>;
struct ActivityDefinition {
  std::string name;
  ActivityBody body;
};

template <auto F, class Call>
Payloads run_activity(const Payloads& payloads, Call call) {
  using R = typename Callee<F>::ret;
  auto arguments = ArgumentList<typename Callee<F>::args>::decode_all(payloads);
  const auto apply = [&]() -> R {
    return std::apply([&](auto&... each) -> R { return call(std::move(each)...); }, arguments);
  };
  if constexpr (std::is_void_v<R>) {
    apply();
    return {encode_nothing()};
  } else {
    return {encode<R>(apply())};
  }
}

// Calls a function, member or callable with the context that it wants, if any.
template <auto F, class Target>
ActivityBody activity_body(Target target) {
  return [target](ActivityContext& context, const Payloads& payloads) {
    return run_activity<F>(payloads, [&](auto&&... each) -> typename Callee<F>::ret {
      if constexpr (std::is_same_v<typename Callee<F>::context, ActivityContext>) {
        return target(context, std::move(each)...);
      } else {
        return target(std::move(each)...);
      }
    });
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
  // Members as activities of one object, which the worker keeps.
  template <auto... M, class C>
    requires(sizeof...(M) > 0)
  Worker& add(std::shared_ptr<C> object) {
    (add_activity({std::string(detail::name_of<M>()),
                   detail::activity_body<M>([object](auto&&... each) -> typename detail::Callee<M>::ret {
                     return (object.get()->*M)(std::forward<decltype(each)>(each)...);
                   })}),
     ...);
    return *this;
  }
  // The implementation of a descriptor.
  template <auto D, class F>
    requires requires { D->name; }
  Worker& add(F implementation) {
    add_activity({D->name, detail::activity_body<D>(std::move(implementation))});
    return *this;
  }

  // Polls until `stop`, then lets what runs end (graceful_shutdown).
  void run(std::stop_token stop = {});
  void start();
  void stop();

 private:
  template <auto F>
  void add_one() {
    if constexpr (std::is_same_v<typename detail::Callee<F>::context, Context>) {
      add_workflow(detail::define_workflow<F>());
    } else {
      static_assert(std::is_void_v<typename detail::Callee<F>::cls>,
                    "perdure: members need their object: worker.add<&C::m>(std::shared_ptr<C>)");
      add_activity({std::string(detail::name_of<F>()), detail::activity_body<F>(F)});
    }
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
