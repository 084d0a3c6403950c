// ActivityHandle: answers an activity from outside the code that began it, in any process.
//
//   client.activity(task_token).complete(result);          the token: ActivityContext::info().task_token
//   client.activity(workflow_id, run_id, activity_id).fail(ApplicationFailure("no"));
//
// Copyable, any thread; calls block until the server has answered, and throw ActivityNotFound when the
// attempt has ended or never was, RpcError otherwise.
#pragma once

#include <memory>
#include <string>

#include <perdure/activity.h>

namespace perdure {
inline namespace v1 {

namespace detail {

class Connection;

struct ActivityName {
  std::string token;  // empty: by id
  std::string workflow_id, run_id, activity_id;
};
void complete_activity(Connection& connection, const ActivityName& name, const Payloads& result);
void fail_activity(Connection& connection, const ActivityName& name, const std::exception_ptr& error);
CancelReason heartbeat_activity(Connection& connection, const ActivityName& name, const Payloads& details);
void report_cancelled(Connection& connection, const ActivityName& name, const Payloads& details);

}  // namespace detail

class ActivityHandle {
 public:
  ActivityHandle(std::shared_ptr<detail::Connection> connection, detail::ActivityName name)
      : connection_(std::move(connection)), name_(std::move(name)) {}

  template <class T>
  void complete(const T& result) const {
    detail::complete_activity(*connection_, name_, {detail::encode<T>(result)});
  }
  void complete(const char* text) const { complete(std::string(text)); }
  void complete() const { detail::complete_activity(*connection_, name_, {detail::encode_nothing()}); }
  void fail(const std::exception_ptr& error) const { detail::fail_activity(*connection_, name_, error); }
  template <class E>
    requires std::is_base_of_v<std::exception, E>
  void fail(const E& error) const {
    fail(std::make_exception_ptr(error));
  }
  // What the server says about the attempt: kNone, or why it is to end (then report_cancelled, or complete).
  template <class... T>
  CancelReason heartbeat(const T&... details) const {
    return detail::heartbeat_activity(
        *connection_, name_, detail::ArgumentList<std::tuple<std::decay_t<T>...>>::encode_all(details...));
  }
  // Only an activity that was asked to end can be cancelled.
  template <class... T>
  void report_cancelled(const T&... details) const {
    detail::report_cancelled(*connection_, name_,
                             detail::ArgumentList<std::tuple<std::decay_t<T>...>>::encode_all(details...));
  }

 private:
  std::shared_ptr<detail::Connection> connection_;
  detail::ActivityName name_;
};

}  // namespace v1
}  // namespace perdure
