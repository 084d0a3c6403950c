// The way in through the interceptors: outermost first, then the workflow's own code.
#include "sdk/src/runtime/run.h"

namespace perdure {
inline namespace v1 {
namespace detail {

Task<Payload> Run::inbound(std::size_t index, WorkflowCall call) {
  if (index == interceptors_.size()) return innermost(std::move(call));
  return interceptors_[index]->call(context(), std::move(call), [this, index](WorkflowCall next) {
    return inbound(index + 1, std::move(next));
  });
}

Task<Payload> Run::innermost(WorkflowCall call) {
  if (call.kind == InboundKind::kRun) co_return co_await instance_->run(context(), std::move(call.arguments));
  if (call.kind == InboundKind::kSignal) {
    HandlerCall<void> handler;
    if (instance_->signal(call.name, context(), call.arguments, handler)) co_await std::move(*handler.task);
    co_return encode_nothing();
  }
  HandlerCall<Payload> handler;
  if (!instance_->update(call.name, context(), call.arguments, false, handler))
    throw ApplicationFailure("unknown update '" + call.name + "'");
  co_return co_await std::move(*handler.task);
}

Task<void> Run::signal_body(WorkflowCall call) {
  const Payload nothing = co_await inbound(0, std::move(call));
  (void)nothing;
}

Payload Run::look(std::size_t index, WorkflowCall& call, const std::function<Payload()>& innermost) {
  if (index == interceptors_.size()) return innermost();
  return interceptors_[index]->look(ReadContext(this), call,
                                    [&] { return look(index + 1, call, innermost); });
}

}  // namespace detail
}  // namespace v1
}  // namespace perdure
