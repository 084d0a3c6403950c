// The client: starts workflows, speaks to them, reads their results.
//
// Client and handles are cheap to copy and used by any thread; calls block until the server has answered.
// Transient errors are retried. Everything throws an Error.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <perdure/activity_handle.h>
#include <perdure/errors.h>
#include <perdure/executions.h>
#include <perdure/metrics.h>
#include <perdure/updates.h>
#include <perdure/workflow.h>

namespace perdure {
inline namespace v1 {

// Where to look for a client's options.
struct ProfileOptions {
  std::string profile;  // empty: TEMPORAL_PROFILE, else "default"
  std::string file;  // empty: TEMPORAL_CONFIG_FILE, else temporalio/temporal.toml in the user's configuration
  bool read_file = true;    // a file that is not there is an empty one
  bool environment = true;  // TEMPORAL_* variables, which stand over the file
};

class ClientInterceptor;  // perdure/interceptors.h

struct ClientOptions {
  std::string address = "127.0.0.1:7233";
  std::string ns = "default";
  std::string identity;  // empty: pid@host
  std::string api_key;
  std::optional<bool> tls{};  // not said: if there is an API key or anything of the following
  std::string tls_server_ca, tls_certificate, tls_key,
      tls_server_name;                                 // PEM texts; the name in the certificate
  std::map<std::string, std::string> grpc_metadata{};  // sent with each call; lower case keys
  Duration connect_timeout = 10s;  // connect() gives up when no server has answered for so long
  std::shared_ptr<PayloadCodec> codec{};
  std::shared_ptr<Metrics> metrics{};  // of the client, and of workers made with it
  std::vector<std::shared_ptr<ClientInterceptor>> interceptors{};  // the first is the outermost
  // Messages and stack traces of failures go through the codec too, so that the server cannot read them.
  bool encode_failures = false;
  std::shared_ptr<FailureConverter> failure_converter{};  // of the client, and of workers made with it

  // From a profile of temporal.toml and the environment: TEMPORAL_ADDRESS, _NAMESPACE, _API_KEY, _TLS,
  // _TLS_SERVER_NAME, _TLS_{SERVER_CA_CERT,CLIENT_CERT,CLIENT_KEY}_{PATH,DATA}, _GRPC_META_*. Throws Error
  // when the file cannot be read, a profile that was asked for is not in it, or a certificate's file is
  // missing.
  static ClientOptions from_profile(const ProfileOptions& options);
  static ClientOptions from_environment();  // with the defaults of ProfileOptions
};

enum class IdConflictPolicy { kUnspecified = 0, kFail = 1, kUseExisting = 2, kTerminateExisting = 3 };

struct StartOptions {
  std::string id;  // needed
  std::string task_queue;
  Duration execution_timeout{}, run_timeout{}, task_timeout{}, start_delay{};
  std::optional<RetryPolicy> retry{};
  IdReusePolicy id_reuse = IdReusePolicy::kAllowDuplicate;
  IdConflictPolicy id_conflict = IdConflictPolicy::kUnspecified;
  std::string cron_schedule;
  Memo memo{};
  SearchAttributes search_attributes{};
  Priority priority{};
  std::string summary, details;  // for people: one line, and any number of them, in Markdown
};

namespace detail {

class Connection;  // to one server and namespace; any thread
struct ClientAccess;

struct ExecutionName {
  std::string id, run_id;
};
std::string start_workflow(Connection& connection, std::string_view type, const StartOptions& options,
                           Payloads arguments);
void signal_workflow(Connection& connection, const ExecutionName& execution, std::string_view name,
                     Payloads arguments);
std::string signal_with_start(Connection& connection, std::string_view type, const StartOptions& options,
                              Payloads arguments, std::string_view signal, Payloads signal_arguments);
Payloads query_workflow(Connection& connection, const ExecutionName& execution, std::string_view name,
                        Payloads arguments);
Payloads workflow_result(Connection& connection, const ExecutionName& execution);
void cancel_workflow(Connection& connection, const ExecutionName& execution);
void terminate_workflow(Connection& connection, const ExecutionName& execution, std::string_view reason);
WorkflowDescription describe_workflow(Connection& connection, const ExecutionName& execution);
WorkflowRange list_workflows(std::shared_ptr<Connection> connection, std::string query);
WorkflowCount count_workflows(Connection& connection, const std::string& query);
HistoryRange workflow_history(std::shared_ptr<Connection> connection, ExecutionName execution,
                              HistoryOptions options);
// A serialized temporal.api.history.v1.History, through the codec.
std::string fetch_history(Connection& connection, const ExecutionName& execution);
std::string raw_call(Connection& connection, const std::string& method, const std::string& request);
SentUpdate update_with_start(Connection& connection, std::string_view type, const StartOptions& options,
                             Payloads arguments, std::string update_id, std::string_view update,
                             Payloads update_arguments, UpdateStage stage);

}  // namespace detail

// What every handle can do.
class HandleBase {
 public:
  HandleBase(std::shared_ptr<detail::Connection> connection, std::string id, std::string run_id)
      : connection_(std::move(connection)), execution_{std::move(id), std::move(run_id)} {}
  const std::string& id() const { return execution_.id; }
  const std::string& run_id() const { return execution_.run_id; }  // empty: the current run
  void cancel() const { detail::cancel_workflow(*connection_, {execution_.id, {}}); }
  void terminate(std::string_view reason = {}) const {
    detail::terminate_workflow(*connection_, {execution_.id, {}}, reason);
  }
  WorkflowDescription describe() const { return detail::describe_workflow(*connection_, execution_); }
  // Its events, fetched as they are read; with `wait` the range ends when the run has ended.
  HistoryRange history(HistoryOptions options = {}) const {
    return detail::workflow_history(connection_, execution_, options);
  }

 protected:
  std::shared_ptr<detail::Connection> connection_;
  detail::ExecutionName execution_;
};

class UntypedHandle : public HandleBase {
 public:
  using HandleBase::HandleBase;
  template <class... A>
  void signal(std::string_view name, const A&... arguments) const {
    detail::signal_workflow(*connection_, {id(), {}}, name,
                            detail::ArgumentList<std::tuple<std::decay_t<A>...>>::encode_all(arguments...));
  }
  template <class R, class... A>
  R query(std::string_view name, const A&... arguments) const {
    return detail::decode_result<R>(detail::query_workflow(
        *connection_, execution_, name,
        detail::ArgumentList<std::tuple<std::decay_t<A>...>>::encode_all(arguments...)));
  }
  // The update's result, waited for; throws UpdateFailed when it was refused or failed.
  template <class R, class... A>
  R update(std::string_view name, const A&... arguments) const {
    return send<R>(name, {}, detail::UpdateStage::kCompleted, arguments...).result();
  }
  // Returns when the workflow has accepted it, or refused: then its result() throws.
  template <class R, class... A>
  UpdateHandle<R> start_update(std::string_view name, const UpdateOptions& options,
                               const A&... arguments) const {
    return send<R>(name, options, detail::UpdateStage::kAccepted, arguments...);
  }
  template <class R>
  R result() const {
    return static_cast<R>(detail::decode_result<R>(detail::workflow_result(*connection_, execution_)));
  }

 private:
  template <class R, class... A>
  UpdateHandle<R> send(std::string_view name, const UpdateOptions& options, detail::UpdateStage stage,
                       const A&... arguments) const {
    auto encoded = detail::ArgumentList<std::tuple<std::decay_t<A>...>>::encode_all(arguments...);
    return {connection_,
            detail::send_update(*connection_, {id(), run_id(), options.id}, name, std::move(encoded), stage)};
  }
};

template <class R>
class ResultHandle : public HandleBase {
 public:
  using HandleBase::HandleBase;
  // Waits for the end of the workflow, following its runs. Throws WorkflowFailed, WorkflowCanceled,
  // WorkflowTerminated, WorkflowTimedOut.
  R result() const {
    if constexpr (std::is_void_v<R>) {
      (void)detail::workflow_result(*connection_, execution_);
    } else {
      return detail::decode_result<R>(detail::workflow_result(*connection_, execution_));
    }
  }
};

template <class W>
class WorkflowHandle : public ResultHandle<typename detail::WorkflowTraits<W>::ret> {
 public:
  using ResultHandle<typename detail::WorkflowTraits<W>::ret>::ResultHandle;
  template <auto S, class... A>
    requires(W::signals::template contains<S>)
  void signal(A&&... arguments) const {
    detail::signal_workflow(
        *this->connection_, {this->id(), {}}, W::signals::template name_of<S>(),
        detail::ArgumentList<typename detail::Callee<S>::args>::encode_all(std::forward<A>(arguments)...));
  }
  template <auto Q, class... A>
    requires(W::queries::template contains<Q>)
  typename detail::Callee<Q>::ret query(A&&... arguments) const {
    return detail::decode_result<typename detail::Callee<Q>::ret>(detail::query_workflow(
        *this->connection_, this->execution_, W::queries::template name_of<Q>(),
        detail::ArgumentList<typename detail::Callee<Q>::args>::encode_all(std::forward<A>(arguments)...)));
  }
  // The update's result, waited for; throws UpdateFailed when it was refused or failed.
  template <auto U, class... A>
    requires(W::updates::template contains<U>)
  typename detail::Callee<U>::ret update(A&&... arguments) const {
    return send<U>({}, detail::UpdateStage::kCompleted, std::forward<A>(arguments)...).result();
  }
  // Returns when the workflow has accepted it, or refused: then its result() throws.
  template <auto U, class... A>
    requires(W::updates::template contains<U> && detail::args_fit<typename detail::Callee<U>::args, A...>)
  UpdateHandle<typename detail::Callee<U>::ret> start_update(A&&... arguments) const {
    return send<U>({}, detail::UpdateStage::kAccepted, std::forward<A>(arguments)...);
  }
  template <auto U, class... A>
    requires(W::updates::template contains<U>)
  UpdateHandle<typename detail::Callee<U>::ret> start_update(const UpdateOptions& options,
                                                             A&&... arguments) const {
    return send<U>(options, detail::UpdateStage::kAccepted, std::forward<A>(arguments)...);
  }

 private:
  template <auto U, class... A>
  UpdateHandle<typename detail::Callee<U>::ret> send(const UpdateOptions& options, detail::UpdateStage stage,
                                                     A&&... arguments) const {
    using Params = typename detail::Callee<U>::args;
    auto encoded = detail::ArgumentList<Params>::encode_all(std::forward<A>(arguments)...);
    return {this->connection_,
            detail::send_update(*this->connection_, {this->id(), this->run_id(), options.id},
                                W::updates::template name_of<U>(), std::move(encoded), stage)};
  }
};

// What signal_with_start and update_with_start start if it is not running.
template <class W>
struct WithStart {
  StartOptions options;
  Payloads arguments;
  template <class... A>
  explicit WithStart(StartOptions start, A&&... all)
      : options(std::move(start)),
        arguments(detail::ArgumentList<typename detail::WorkflowTraits<W>::args>::encode_all(
            std::forward<A>(all)...)) {}
};

class AsyncClient;
class Schedules;

class Client {
 public:
  // Blocks until the server has answered; throws RpcError.
  static Client connect(ClientOptions options = ClientOptions::from_environment());

  template <class W, class... A>
  WorkflowHandle<W> start(const StartOptions& options, A&&... arguments) const {
    check<typename detail::WorkflowTraits<W>::args, A...>();
    return {connection_, options.id,
            detail::start_workflow(*connection_, detail::workflow_name_of<W>(), options,
                                   detail::ArgumentList<typename detail::WorkflowTraits<W>::args>::encode_all(
                                       std::forward<A>(arguments)...))};
  }
  template <auto F, class... A>
  ResultHandle<typename detail::Callee<F>::ret> start(const StartOptions& options, A&&... arguments) const {
    check<typename detail::Callee<F>::args, A...>();
    return {connection_, options.id,
            detail::start_workflow(*connection_, detail::name_of<F>(), options,
                                   detail::ArgumentList<typename detail::Callee<F>::args>::encode_all(
                                       std::forward<A>(arguments)...))};
  }
  template <class... A>
  UntypedHandle start(std::string_view type, const StartOptions& options, const A&... arguments) const {
    return {connection_, options.id,
            detail::start_workflow(
                *connection_, type, options,
                detail::ArgumentList<std::tuple<std::decay_t<A>...>>::encode_all(arguments...))};
  }
  template <class W, class... A>
  typename detail::WorkflowTraits<W>::ret execute(const StartOptions& options, A&&... arguments) const {
    return start<W>(options, std::forward<A>(arguments)...).result();
  }
  template <auto F, class... A>
  typename detail::Callee<F>::ret execute(const StartOptions& options, A&&... arguments) const {
    return start<F>(options, std::forward<A>(arguments)...).result();
  }
  template <class W>
  WorkflowHandle<W> handle(std::string id, std::string run_id = {}) const {
    return {connection_, std::move(id), std::move(run_id)};
  }
  UntypedHandle handle(std::string id, std::string run_id = {}) const {
    return {connection_, std::move(id), std::move(run_id)};
  }
  template <auto S, class W, class... A>
    requires(W::signals::template contains<S>)
  WorkflowHandle<W> signal_with_start(const WithStart<W>& start, A&&... arguments) const {
    return {connection_, start.options.id,
            detail::signal_with_start(*connection_, detail::workflow_name_of<W>(), start.options,
                                      start.arguments, W::signals::template name_of<S>(),
                                      detail::ArgumentList<typename detail::Callee<S>::args>::encode_all(
                                          std::forward<A>(arguments)...))};
  }

  // Starts the workflow if it is not running, and sends the update in the same step. The start options say
  // what happens when it is running: id_conflict is needed.
  template <auto U, class W, class... A>
    requires(W::updates::template contains<U>)
  typename detail::Callee<U>::ret update_with_start(const WithStart<W>& start, A&&... arguments) const {
    return send_with_start<U>(start, {}, detail::UpdateStage::kCompleted, std::forward<A>(arguments)...)
        .result();
  }
  template <auto U, class W, class... A>
    requires(W::updates::template contains<U>)
  UpdateHandle<typename detail::Callee<U>::ret> start_update_with_start(const WithStart<W>& start,
                                                                        const UpdateOptions& options,
                                                                        A&&... arguments) const {
    return send_with_start<U>(start, options, detail::UpdateStage::kAccepted, std::forward<A>(arguments)...);
  }

  // Workflows that match, e.g. "WorkflowType = 'Order' and ExecutionStatus = 'Running'"; all without a query.
  WorkflowRange list(std::string query = {}) const {
    return detail::list_workflows(connection_, std::move(query));
  }
  WorkflowCount count(const std::string& query = {}) const {
    return detail::count_workflows(*connection_, query);
  }
  Schedules schedules() const;  // with <perdure/schedules.h>
  AsyncClient async() const;    // with <perdure/async.h>: the same verbs, which do not block

  // An activity that is answered from here, by its task token or by its id (an empty run id: the current
  // run).
  ActivityHandle activity(std::string task_token) const {
    return {connection_, {std::move(task_token), {}, {}, {}}};
  }
  ActivityHandle activity(std::string workflow_id, std::string run_id, std::string activity_id) const {
    return {connection_, {{}, std::move(workflow_id), std::move(run_id), std::move(activity_id)}};
  }

  // Any other call of the WorkflowService, by its name, with the serialized request; its serialized response. The namespace
  // is the request's own, and no codec is asked. Retried as every call is; throws RpcError.
  std::string raw(const std::string& method, const std::string& request) const {
    return detail::raw_call(*connection_, method, request);
  }

  const std::shared_ptr<detail::Connection>& connection() const { return connection_; }

 private:
  friend struct detail::ClientAccess;
  template <auto U, class W, class... A>
  UpdateHandle<typename detail::Callee<U>::ret> send_with_start(const WithStart<W>& start,
                                                                const UpdateOptions& options,
                                                                detail::UpdateStage stage,
                                                                A&&... arguments) const {
    using Params = typename detail::Callee<U>::args;
    auto encoded = detail::ArgumentList<Params>::encode_all(std::forward<A>(arguments)...);
    return {connection_, detail::update_with_start(
                             *connection_, detail::workflow_name_of<W>(), start.options, start.arguments,
                             options.id, W::updates::template name_of<U>(), std::move(encoded), stage)};
  }
  explicit Client(std::shared_ptr<detail::Connection> connection) : connection_(std::move(connection)) {}
  template <class Params, class... A>
  static constexpr void check() {
    static_assert(
        detail::args_fit<Params, A...>,
        "perdure: the arguments do not match the parameters (count, type, or a narrowing conversion)");
  }
  std::shared_ptr<detail::Connection> connection_;
};

}  // namespace v1
}  // namespace perdure
