// The in-process door: the SDK's transport over the method table of a server in the same process.
//
// Any thread. Transports may outlive the door, and the door the server: after close() every call is answered UNAVAILABLE.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/executor.h"
#include "base/guarded.h"
#include "sdk/src/client/transport.h"
#include "sdk/src/embedded/in_process_call.h"
#include "server/frontend/method_table.h"

namespace perdure::embedded {

class Door : public std::enable_shared_from_this<Door> {
 public:
  Door(const frontend::MethodTable& methods, const base::Clock& clock);
  ~Door();

  std::unique_ptr<client::Transport> transport(std::string ns);
  // Answers what is under way; returns when no call is inside the table any more.
  void close();

 private:
  class OpenTransport;
  using Key = std::pair<base::Time, std::uint64_t>;  // by deadline
  struct State {
    const frontend::MethodTable* methods = nullptr;  // null: closed
    std::map<Key, std::weak_ptr<InProcessCall>> open;
    std::uint64_t last = 0;
    int inside = 0;  // dispatches on somebody's stack
    std::function<void()> on_empty;
    bool watching = false;
  };

  std::shared_ptr<InProcessCall> call(const std::string& ns, const std::string& method,
                                      const std::string& request, base::Duration timeout,
                                      InProcessCall::Done done);
  void left();
  void watch_deadlines();

  const base::Clock& clock_;
  base::Guarded<State> state_;
  std::unique_ptr<base::Executor> timer_;
};

}  // namespace perdure::embedded
