// RemoteStore: what a database behind a network will be like (rules E2, E3, E8), before there is one.
//
// Several appends are in flight; requests and answers get lost or late, so that what became of a group is
// unknown and it is sent again, the same bytes with the same number. The database takes group n only behind
// group n-1 and answers a repeat with yes. Its rows are a MemoryStore's. seal(): another process has taken
// the stream; nothing is accepted any more.
//
// Thread rule: as MemoryStore; the hooks are called on its executor or from append().
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/random.h"
#include "server/store/memory/memory_store.h"

namespace perdure::sim {

struct RemoteHooks {
  base::Random* random = nullptr;
  // Whether the database answers at once, as while a server starts, which nothing else may hold up.
  std::function<bool()> instant;
  // Whether the network is to misbehave now.
  std::function<bool()> unreliable;
  // Runs it later, unless the server dies before.
  std::function<void(base::Duration, std::move_only_function<void()>)> later;
};

class RemoteStore : public store::MemoryStore {
 public:
  RemoteStore(base::Executor& executor, std::shared_ptr<store::MemoryContent> content, RemoteHooks hooks);

  void append(store::GroupNumber number, std::string bytes, store::Done<void> done) override;
  void seal() { end_stream({base::Code::kUnavailable, "the stream is sealed", {}}); }

 private:
  struct Group {
    std::string bytes;
    store::Done<void> done;
    bool durable = false;
  };
  void send(store::GroupNumber number);
  void arrive(store::GroupNumber number);
  void answer(store::GroupNumber number, base::Status status);
  base::Duration latency();
  bool lost(std::uint64_t in) { return hooks_.unreliable() && hooks_.random->below(in) == 0; }

  RemoteHooks hooks_;
  std::map<store::GroupNumber, Group> groups_;  // not answered yet
  store::GroupNumber arrived_ = 0;              // the database is writing up to here; 0: nobody asked yet
  store::GroupNumber landed_ = 0;               // … and has written up to here
};

}  // namespace perdure::sim
