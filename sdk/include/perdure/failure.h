// Failures: the closed hierarchy of temporal.api.failure.v1 as exceptions, each with its cause.
//
// A Failure that leaves a workflow's run fails the workflow; any other exception fails the workflow task,
// which is tried again until the code is fixed. What leaves an activity is reported as it is, other
// exceptions as ApplicationFailure of their type. Values; any thread.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>

#include <perdure/payload.h>

namespace perdure {
inline namespace v1 {

class Failure : public std::runtime_error {
 public:
  explicit Failure(const std::string& message, std::exception_ptr cause = {})
      : std::runtime_error(message), cause_(std::move(cause)) {}
  // The failure that led to this one, or null.
  const std::exception_ptr& cause() const { return cause_; }
  // This is a cancellation, or was caused by one.
  bool is_cancelled() const;
  const std::string& stack_trace() const { return stack_trace_; }
  // Where the failure was made, as its language writes it: for people.
  void set_stack_trace(std::string text) { stack_trace_ = std::move(text); }

 private:
  std::exception_ptr cause_;
  std::string stack_trace_;
};

struct ApplicationFailureOptions {
  std::string type = "ApplicationFailure";
  bool non_retryable = false;
  Duration next_retry_delay{};
  Payloads details{};
  bool benign = false;  // expected: not worth an alarm
  std::exception_ptr cause{};
};

class ApplicationFailure : public Failure {
 public:
  explicit ApplicationFailure(const std::string& message) : Failure(message) {}
  // The type is what retry policies name.
  ApplicationFailure(const std::string& message, std::string type, bool non_retryable = false)
      : Failure(message) {
    options_.type = std::move(type);
    options_.non_retryable = non_retryable;
  }
  ApplicationFailure(const std::string& message, ApplicationFailureOptions options)
      : Failure(message, options.cause), options_(std::move(options)) {}
  const std::string& type() const { return options_.type; }
  bool non_retryable() const { return options_.non_retryable; }
  const ApplicationFailureOptions& options() const { return options_; }

 private:
  ApplicationFailureOptions options_;
};

class CancelledFailure : public Failure {
 public:
  explicit CancelledFailure(const std::string& message = "cancelled", Payloads details = {})
      : Failure(message), details_(std::move(details)) {}
  const Payloads& details() const { return details_; }

 private:
  Payloads details_;
};

class TerminatedFailure : public Failure {
 public:
  using Failure::Failure;
};

enum class TimeoutType { kUnspecified, kStartToClose, kScheduleToStart, kScheduleToClose, kHeartbeat };

class TimeoutFailure : public Failure {
 public:
  TimeoutFailure(const std::string& message, TimeoutType type, Payloads last_heartbeat = {},
                 std::exception_ptr cause = {})
      : Failure(message, std::move(cause)), type_(type), last_heartbeat_(std::move(last_heartbeat)) {}
  TimeoutType type() const { return type_; }
  const Payloads& last_heartbeat() const { return last_heartbeat_; }

 private:
  TimeoutType type_;
  Payloads last_heartbeat_;
};

class ServerFailure : public Failure {
 public:
  ServerFailure(const std::string& message, bool non_retryable, std::exception_ptr cause = {})
      : Failure(message, std::move(cause)), non_retryable_(non_retryable) {}
  bool non_retryable() const { return non_retryable_; }

 private:
  bool non_retryable_;
};

// What an awaited activity ended with; the cause says why.
class ActivityFailure : public Failure {
 public:
  ActivityFailure(const std::string& message, std::string activity_type, std::string activity_id,
                  int retry_state, std::exception_ptr cause)
      : Failure(message, std::move(cause)),
        activity_type_(std::move(activity_type)),
        activity_id_(std::move(activity_id)),
        retry_state_(retry_state) {}
  const std::string& activity_type() const { return activity_type_; }
  const std::string& activity_id() const { return activity_id_; }
  int retry_state() const { return retry_state_; }  // temporal.api.enums.v1.RetryState

 private:
  std::string activity_type_, activity_id_;
  int retry_state_;
};

// What an awaited child workflow ended with; the cause says why.
class ChildFailure : public Failure {
 public:
  ChildFailure(const std::string& message, std::string workflow_id, std::string run_id,
               std::string workflow_type, int retry_state, std::exception_ptr cause)
      : Failure(message, std::move(cause)),
        workflow_id_(std::move(workflow_id)),
        run_id_(std::move(run_id)),
        workflow_type_(std::move(workflow_type)),
        retry_state_(retry_state) {}
  const std::string& workflow_id() const { return workflow_id_; }
  const std::string& run_id() const { return run_id_; }
  const std::string& workflow_type() const { return workflow_type_; }
  int retry_state() const { return retry_state_; }

 private:
  std::string workflow_id_, run_id_, workflow_type_;
  int retry_state_;
};

// Exceptions of your own as failures, and back (ClientOptions::failure_converter). It is shown each failure of a
// chain, its causes first on the way in. In workflow code it is bound by the rules of that; any thread.
//
//   class Shop : public FailureConverter {  // OutOfStock has no place for more than text in a failure
//     std::exception_ptr to_failure(const std::exception_ptr& error) override {
//       try { std::rethrow_exception(error); }
//       catch (const OutOfStock& e) { return std::make_exception_ptr(ApplicationFailure(e.what(), "OutOfStock")); }
//       catch (...) { return error; } } };
class FailureConverter {
 public:
  virtual ~FailureConverter() = default;
  // What is reported for `error`: a Failure, or `error` itself, which is then reported as if nobody had been asked.
  virtual std::exception_ptr to_failure(const std::exception_ptr& error) { return error; }
  // What code gets to see of a failure that comes in, as failure or as a cause: any exception.
  virtual std::exception_ptr from_failure(const std::exception_ptr& failure) { return failure; }
};

// "what() <- what() of the cause <- …", for people.
std::string describe(const std::exception_ptr& error);

}  // namespace v1
}  // namespace perdure
