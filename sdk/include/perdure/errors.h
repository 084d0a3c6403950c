// What calls of the client throw, all of them an Error. Values; any thread.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>

namespace perdure {
inline namespace v1 {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
// The server refused, or was not to be reached; `code` is gRPC's.
class RpcError : public Error {
 public:
  RpcError(int code, const std::string& message, std::string details = {})
      : Error(message), code_(code), details_(std::move(details)) {}
  int code() const { return code_; }
  const std::string& details() const { return details_; }  // a serialized google.rpc.Status, or empty

 private:
  int code_;
  std::string details_;
};
class WorkflowAlreadyStarted : public Error {
 public:
  WorkflowAlreadyStarted(const std::string& message, std::string run_id)
      : Error(message), run_id_(std::move(run_id)) {}
  const std::string& run_id() const { return run_id_; }

 private:
  std::string run_id_;
};
class WorkflowNotFound : public Error {
 public:
  using Error::Error;
};
class ActivityNotFound : public Error {
 public:
  using Error::Error;
};
class WorkflowFailed : public Error {
 public:
  WorkflowFailed(const std::string& message, std::exception_ptr failure)
      : Error(message), failure_(std::move(failure)) {}
  const std::exception_ptr& failure() const { return failure_; }

 private:
  std::exception_ptr failure_;
};
class WorkflowCanceled : public Error {
 public:
  using Error::Error;
};
class WorkflowTerminated : public Error {
 public:
  using Error::Error;
};
class WorkflowTimedOut : public Error {
 public:
  using Error::Error;
};
class QueryFailed : public Error {
 public:
  using Error::Error;
};
class QueryRejected : public Error {
 public:
  using Error::Error;
};
// The update was refused by its validator, or failed.
class UpdateFailed : public Error {
 public:
  UpdateFailed(const std::string& message, std::exception_ptr failure)
      : Error(message), failure_(std::move(failure)) {}
  const std::exception_ptr& failure() const { return failure_; }

 private:
  std::exception_ptr failure_;
};

}  // namespace v1
}  // namespace perdure
