// Updates as the client sees them: a handle to one, whose outcome may still be to come.
//
// Any thread; calls block until the server has answered.
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <perdure/errors.h>
#include <perdure/payload.h>

namespace perdure {
inline namespace v1 {

struct UpdateOptions {
  std::string id;  // empty: made up; an update of the same id is the same update
};

namespace detail {

class Connection;

struct UpdateOutcome {
  Payloads result;
  std::exception_ptr failure;  // null: it succeeded
};
struct UpdateName {
  std::string workflow_id, run_id, id;
};
enum class UpdateStage { kAccepted = 2, kCompleted = 3 };
struct SentUpdate {
  UpdateName name;
  std::optional<UpdateOutcome> outcome;  // when it is known by then
};
// Returns when the update has reached the stage; a refusal is an outcome.
SentUpdate send_update(Connection& connection, UpdateName name, std::string_view handler, Payloads arguments,
                       UpdateStage stage);
UpdateOutcome wait_for_update(Connection& connection, const UpdateName& name);
Payloads update_result(const UpdateName& name, UpdateOutcome outcome);  // throws UpdateFailed

}  // namespace detail

template <class R>
class UpdateHandle {
 public:
  UpdateHandle(std::shared_ptr<detail::Connection> connection, detail::SentUpdate update)
      : connection_(std::move(connection)), update_(std::move(update)) {}
  const std::string& id() const { return update_.name.id; }
  const std::string& workflow_id() const { return update_.name.workflow_id; }
  const std::string& run_id() const { return update_.name.run_id; }
  // Waits for the outcome; throws UpdateFailed.
  R result() const {
    auto outcome = update_.outcome ? *update_.outcome : detail::wait_for_update(*connection_, update_.name);
    const Payloads result = detail::update_result(update_.name, std::move(outcome));
    if constexpr (!std::is_void_v<R>) return detail::decode_result<R>(result);
  }

 private:
  std::shared_ptr<detail::Connection> connection_;
  detail::SentUpdate update_;
};

}  // namespace v1
}  // namespace perdure
