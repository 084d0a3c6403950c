// Activities that people pause and reset while they run, against Temporal's server.
#include <atomic>

#include "sdk/tests/on_server.h"

#include <temporal/api/workflowservice/v1/request_response.pb.h>

namespace on_temporal_activities {  // named: g++ 12 warns about coroutines of unnamed ones

using namespace perdure;
namespace service = temporal::api::workflowservice::v1;

std::atomic<CancelReason>& stopped_by() {
  static std::atomic<CancelReason> reason;
  return reason;
}

// Beats until somebody stops it; begun again, it says why it was.
int beats(ActivityContext& context) {
  if (stopped_by() != CancelReason::kNone) return static_cast<int>(stopped_by().load());
  for (int beat = 0;; ++beat) {
    context.heartbeat(beat);
    try {
      context.sleep_for(5ms);
    } catch (const CancelledFailure&) {
      stopped_by() = context.reason();
      throw;
    }
  }
}
Task<int> watches(Context ctx) {
  co_return co_await ctx.execute<&beats>({.start_to_close_timeout = 1min,
                                          .heartbeat_timeout = 30s,
                                          .retry = {.initial_interval = 1ms},
                                          .activity_id = "beats"});
}

class Activities : public OnServer {
 protected:
  Activities() : worker_(client(), options()) {
    stopped_by() = CancelReason::kNone;
    worker_.add<&watches, &beats>();
    replayer().add<&watches>();
    worker_.start();
  }
  WorkerOptions options() const {
    WorkerOptions options = worker_options();
    options.max_heartbeat_throttle_interval = 5ms;
    return options;
  }
  // Asks for something to be done to the activity of `workflow`.
  template <class Request>
  void ask(const char* method, const HandleBase& workflow) {
    Request request;
    request.set_namespace_("default");
    request.mutable_execution()->set_workflow_id(workflow.id());
    request.set_identity("test");
    request.set_id("beats");
    (void)client().raw(method, request.SerializeAsString());
  }
  void wait_for(ActivityState state, const HandleBase& workflow) {
    for (;;) {
      const WorkflowDescription now = workflow.describe();
      ASSERT_TRUE(now.is_running()) << "the activity has ended";
      if (!now.activities.empty() && now.activities.front().state == state) return;
    }
  }

 private:
  Worker worker_;
};

TEST_P(Activities, that_are_paused_hear_of_it_and_begin_again_when_they_may) {
  auto handle = client().start<&watches>(named("paused"));
  wait_for(ActivityState::kStarted, handle);
  ask<service::PauseActivityRequest>("PauseActivity", handle);
  wait_for(ActivityState::kPaused, handle);
  EXPECT_EQ(stopped_by(), CancelReason::kPaused);
  ask<service::UnpauseActivityRequest>("UnpauseActivity", handle);
  EXPECT_EQ(handle.result(), static_cast<int>(CancelReason::kPaused));
  check_replay(handle.id());
}

TEST_P(Activities, that_are_reset_hear_of_it_and_begin_again) {
  auto handle = client().start<&watches>(named("reset"));
  wait_for(ActivityState::kStarted, handle);
  ask<service::ResetActivityRequest>("ResetActivity", handle);
  EXPECT_EQ(handle.result(), static_cast<int>(CancelReason::kReset));
  check_replay(handle.id());
}

PERDURE_ON_SERVER(Activities);

}  // namespace on_temporal_activities
