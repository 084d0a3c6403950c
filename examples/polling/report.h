// Polling: somebody else makes a report, and only asking tells when it is done. Two ways, by how long it takes.
#pragma once

#include <optional>
#include <string>

#include <perdure/activity.h>
#include <perdure/workflow.h>

namespace reports {

using namespace perdure;

struct Reports {
  virtual ~Reports() = default;
  virtual std::string order(std::string title) = 0;                 // a number to ask with
  virtual std::optional<std::string> look(std::string number) = 0;  // nothing: not yet
};

// Seconds: the activity itself asks, heartbeats, and goes on where it was when it is started again.
class Poller {
 public:
  explicit Poller(std::shared_ptr<Reports> reports) : reports_(std::move(reports)) {}

  std::string fetch(ActivityContext& context, std::string title) {
    std::string number = context.last_heartbeat<std::string>().value_or("");
    if (number.empty()) number = reports_->order(title);
    for (;;) {
      context.heartbeat(number);
      if (auto report = reports_->look(number)) return *report;
      context.sleep_for(1s);  // ends with CancelledFailure as soon as nobody wants the report
    }
  }

 private:
  std::shared_ptr<Reports> reports_;
};

inline Task<std::string> quick_report(Context ctx, std::string title) {
  constexpr ActivityOptions options{.start_to_close_timeout = 10min, .heartbeat_timeout = 10s};
  co_return co_await ctx.execute<&Poller::fetch>(options, title);
}

// Hours: an attempt that finds nothing fails, and the server makes the next one. Nothing runs in between, and history holds
// one activity however often it was tried.
class NotYet : public ApplicationFailure {
 public:
  NotYet() : ApplicationFailure("the report is not ready", "NotYet") {}
};
class SlowPoller {
 public:
  explicit SlowPoller(std::shared_ptr<Reports> reports) : reports_(std::move(reports)) {}
  std::string order(std::string title) { return reports_->order(title); }
  std::string look(std::string number) {
    auto report = reports_->look(number);
    if (!report) throw NotYet();
    return *report;
  }

 private:
  std::shared_ptr<Reports> reports_;
};

inline Task<std::string> slow_report(Context ctx, std::string title) {
  constexpr ActivityOptions once{.start_to_close_timeout = 10s};
  constexpr ActivityOptions hourly{
      .start_to_close_timeout = 10s,
      .retry = {.initial_interval = 1h, .backoff_coefficient = 1.0, .maximum_interval = 1h}};
  std::string number = co_await ctx.execute<&SlowPoller::order>(once, title);
  co_return co_await ctx.execute<&SlowPoller::look>(hourly, number);
}

}  // namespace reports
