// The replayer: does this code still do what a recorded history says? For tests that run before a deployment.
//
// One thread at a time. No server is needed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <perdure/detail/registration.h>

namespace perdure {
inline namespace v1 {

namespace detail {
class ReplayerCore;
}

class Replayer {
 public:
  // the workers' converter, if they have one
  explicit Replayer(std::shared_ptr<FailureConverter> failures = {});
  Replayer(Replayer&&) noexcept;
  ~Replayer();

  // Workflow classes, and function workflows by pointer.
  template <class W>
  Replayer& add() {
    add_workflow(detail::define_workflow<W>());
    return *this;
  }
  template <auto... F>
    requires(sizeof...(F) > 0)
  Replayer& add() {
    (add_workflow(detail::define_workflow<F>()), ...);
    return *this;
  }

  // A history as JSON, as `temporal workflow show -o json` prints it, or as the bytes of a
  // temporal.api.history.v1.History. What is wrong, in words that name the event and the source line; nothing
  // when the code does what history says. Throws std::invalid_argument when it is no history.
  std::optional<std::string> replay(std::string_view history) const;

 private:
  void add_workflow(detail::WorkflowDefinition definition);
  std::unique_ptr<detail::ReplayerCore> core_;
};

}  // namespace v1
}  // namespace perdure
