// The loan application: one workflow, one activity that calls somebody else's unreliable API.
#pragma once

#include <string>

#include <perdure/workflow.h>

namespace loan {

using namespace perdure;

inline constexpr char kTaskQueue[] = "loan-application";

// Throws when the other side fails, and the server schedules the next attempt.
inline constexpr Activity<std::string(std::string)> notify_applicant{"NotifyApplicant"};

class LoanApplication {
 public:
  Task<std::string> run(Context ctx, std::string applicant) {
    constexpr ActivityOptions every_second{.start_to_close_timeout = 5s,
                                           .retry = {.initial_interval = 1s, .backoff_coefficient = 1.0}};
    std::string notified = co_await ctx.execute<&notify_applicant>(every_second, applicant);
    co_return "loan application of " + notified + " is complete";
  }
};

}  // namespace loan
