// Interceptors: code around the calls of a client, of a workflow and of an activity, with the headers that
// travel with them. For tracing, context that goes along, authorisation, audit.
//
// Each hook gets the call and `next`; the first interceptor of the list is the outermost. What a hook changes
// in the call is what the next one sees.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <perdure/workflow.h>

namespace perdure {
inline namespace v1 {

// ---- the client's calls: on the caller's thread

enum class ClientVerb { kStart, kSignal, kSignalWithStart, kQuery, kUpdate, kUpdateWithStart };
struct ClientCall {
  ClientVerb verb{};
  std::string workflow_id;
  std::string name;  // of the workflow's type, the signal, query or update
  Payloads* arguments = nullptr;
  Headers headers;
};
class ClientInterceptor {
 public:
  virtual ~ClientInterceptor() = default;
  // Calls next() once; what that throws is the call's error.
  virtual void call(ClientCall& call, const std::function<void()>& next) {
    (void)call;
    next();
  }
};

// ---- a workflow's run: on its thread, in replay too, so it is bound by the rules of workflow code

enum class InboundKind { kRun, kSignal, kUpdate, kQuery, kValidator };
struct WorkflowCall {
  InboundKind kind{};
  std::string name;  // of the workflow's type, the signal, update or query
  Payloads arguments;
  Headers headers;
};
enum class OutgoingKind { kActivity, kLocalActivity, kChild, kSignal, kContinueAsNew };
struct OutgoingCall {
  OutgoingKind kind{};
  std::string name;  // of the activity's or the workflow's type, or the signal
  Payloads* arguments = nullptr;
  Headers headers;
};
class WorkflowInterceptor {
 public:
  virtual ~WorkflowInterceptor() = default;
  using Next = std::function<Task<Payload>(WorkflowCall)>;
  // The run itself, a signal, or an update that was accepted.
  virtual Task<Payload> call(Context ctx, WorkflowCall call, Next next) {
    (void)ctx;
    return next(std::move(call));
  }
  // A query, or an update's validator (whose result is nothing). Must not act.
  virtual Payload look(ReadContext ctx, WorkflowCall& call, const std::function<Payload()>& next) {
    (void)ctx;
    (void)call;
    return next();
  }
  // Before something is asked of others.
  virtual void outgoing(Context ctx, OutgoingCall& call) {
    (void)ctx;
    (void)call;
  }
};

// ---- a worker

struct ActivityCall {
  Payloads arguments;
};
class WorkerInterceptor {
 public:
  virtual ~WorkerInterceptor() = default;
  // Of each run, made before the workflow's object; null: none.
  virtual std::unique_ptr<WorkflowInterceptor> workflow(const WorkflowInfo& info) {
    (void)info;
    return nullptr;
  }
  // Around an attempt of an activity, on its thread. next() throws what the activity threw, and returns its result:
  // nothing when a Completion is to answer.
  virtual std::optional<Payload> activity(ActivityContext& context, ActivityCall& call,
                                          const std::function<std::optional<Payload>()>& next) {
    (void)context;
    (void)call;
    return next();
  }
};

}  // namespace v1
}  // namespace perdure
