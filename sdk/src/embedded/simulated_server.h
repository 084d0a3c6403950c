// The whole server on a clock that moves only when told, behind the SDK's transport; and who moves the clock.
//
// Time passes when everything rests: no workflow task and no activity is under way, and somebody waits, be it a client
// for a result or advance() for a time. Then the clock jumps to the next thing that happens, however far that is.
//
// Any thread. Replies are given on the thread that made the server go on; they must not block.
#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "base/sim_scheduler.h"
#include "sdk/src/client/transport.h"
#include "sdk/src/embedded/in_process_call.h"
#include "server/main/in_process_server.h"

namespace perdure::embedded {

class SimulatedServer : public std::enable_shared_from_this<SimulatedServer> {
 public:
  // What workers look like when nothing is under way there: polls that wait, activities that run (those in pass() are
  // asleep). Nothing while they do something. Blocking.
  struct Rest {
    int polls = 0, activities = 0;
  };
  using AtRest = std::function<std::optional<Rest>()>;
  // Looks at every reply of a server before the client does; may put an error in its place.
  using Inspect = std::function<client::Reply(const std::string& method, const std::string& request,
                                              client::Reply reply)>;

  explicit SimulatedServer(base::Time start);
  ~SimulatedServer();

  std::unique_ptr<client::Transport> transport();
  // Before the first call.
  void set_hooks(AtRest at_rest, Inspect inspect);

  base::Time now() const;
  // Returns when everything that happens until now() + by has happened, and all rests again.
  void advance(base::Duration by);
  // Something in a worker has changed: it may be at rest now.
  void look_again();
  // Blocks an activity until the clock has moved on by `by`; false when it was asked to stop before.
  bool pass(base::Duration by, std::stop_token stop);
  // Whoever waits now, or from now on, hears this error instead.
  void fail_waiters(std::string why);
  // From now on nobody moves the clock. Before the workers end.
  void close();

  // A call that is answered at once, for the SDK's own needs.
  client::Reply ask(const std::string& method, const std::string& request);

 private:
  class OpenTransport;
  class Handle;
  struct Goal {
    base::Time time;
    std::promise<void> reached;
  };
  struct Reply {
    InProcessCall::Done done;
    client::Reply reply;
  };
  struct Server {
    std::unique_ptr<base::ManualClock> clock;
    std::unique_ptr<base::SimScheduler> scheduler;
    std::unique_ptr<server::InProcessServer> server;
    std::map<std::uint64_t, std::shared_ptr<InProcessCall>> clients, polls;  // that wait
    // to be given once the lock is open
    std::vector<Reply> replies;
    std::vector<std::unique_ptr<Goal>> goals;
    std::multimap<base::Time, std::promise<void>*> sleepers;
    std::uint64_t last_call = 0;
    base::Time last_task{};  // when a worker was last given something
    std::string failure;
    bool closed = false;
  };

  std::shared_ptr<InProcessCall> call(const std::string& method, const std::string& request,
                                      InProcessCall::Done done);
  template <class Use>
  void with_server(Use use);
  void consider();
  bool step(Server& server, const Rest& rest);
  void wake_sleepers(Server& server);

  AtRest at_rest_;
  Inspect inspect_;
  base::Guarded<Server> server_;
  Server* inside_ = nullptr;              // the same, for what is called back inside the lock
  std::unique_ptr<base::Executor> time_;  // last: its tasks use the rest
};

}  // namespace perdure::embedded
