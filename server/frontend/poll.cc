#include "server/frontend/poll.h"

#include "server/frontend/method.h"

namespace perdure::frontend {

constexpr base::Duration kLeastDeadline = std::chrono::seconds(2);

Status check_poll_deadline(const Call& call, Time now) {
  if (call.deadline() == base::kNever) return base::invalid_argument("Context timeout is not set.");
  if (call.deadline() - now < kLeastDeadline) {
    return base::fail(base::Code::kFailedPrecondition, "Context timeout is too short.");
  }
  return {};
}

void park(Services& services, std::shared_ptr<Call> call, matching::PollRequest poll) {
  const matching::QueueKey queue = poll.queue;
  const std::uint64_t id = services.queues.poll(std::move(poll), bytes_to(call));
  call->on_client_gone([&services, queue, id] { services.queues.cancel_poll(queue, id); });
}

}  // namespace perdure::frontend
