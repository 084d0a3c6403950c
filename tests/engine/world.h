// A server in process that can be killed: what its store had made durable survives, everything else is gone.
//
// The store is the memory one, or the local one (log and SQLite) on a simulated disk. One thread, a clock set by hand.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/sim_disk.h"
#include "base/sim_scheduler.h"
#include "server/frontend/method_table.h"
#include "server/main/wiring.h"
#include "server/store/local/local_store.h"
#include "server/store/memory/memory_store.h"

namespace perdure::engine {

// A call from a client, and what became of it.
class ClientCall : public frontend::Call {
 public:
  ClientCall(std::string request, base::Time deadline) : request_(std::move(request)), deadline_(deadline) {}
  std::string_view request() const override { return request_; }
  base::Time deadline() const override { return deadline_; }
  std::string_view header(std::string_view) const override { return {}; }
  void on_client_gone(std::move_only_function<void()> left) override { left_ = std::move(left); }
  void finish(base::Result<std::string> response) override { answer = std::move(response); }

  bool answered() const { return answer.has_value(); }
  void leave() {
    if (left_) left_();
  }
  std::optional<base::Result<std::string>> answer;

 private:
  std::string request_;
  base::Time deadline_;
  std::move_only_function<void()> left_;
};

// An executor that can be made to stand still: whatever it is doing takes long.
class StallingExecutor : public base::Executor {
 public:
  explicit StallingExecutor(std::unique_ptr<base::Executor> inner) : inner_(std::move(inner)) {}
  void stall() { stalled_ = true; }
  void go_on();
  bool post(base::Lane lane, std::size_t bytes, base::Task task) override;
  bool is_current() const override { return inner_->is_current(); }
  base::TimerId call_at(base::Time when, base::Task task) override {
    return inner_->call_at(when, std::move(task));
  }
  void cancel(base::TimerId timer) override { inner_->cancel(timer); }
  void run_and_wait(base::Task task) override { inner_->run_and_wait(std::move(task)); }
  void set_end_of_turn(std::function<void()> hook) override { inner_->set_end_of_turn(std::move(hook)); }
  const base::Clock& clock() const override { return inner_->clock(); }
  std::uint64_t wakes() const override { return inner_->wakes(); }

 private:
  std::unique_ptr<base::Executor> inner_;
  bool stalled_ = false;
  std::vector<std::pair<base::Lane, base::Task>> kept_;
};

struct WorldOptions {
  bool local = false;                   // log and SQLite on a SimDisk; otherwise the memory store
  std::uint64_t seed = 1;               // of the disk's crashes
  int loops = 1;                        // executors of history and matching
  base::ExecutorLimits mailbox;         // of each of them
  std::size_t cache_bytes = 256 << 20;  // of loaded executions
  std::uint64_t refuse_bytes = 256 << 20, replay_bytes = 28 << 20;     // as history::HistoryOptions
  base::Time start = base::Time(std::chrono::seconds(1'700'000'000));  // of the clock
  std::uint64_t lives = 0;              // process lives before, on the same store
  std::shared_ptr<base::SimDisk> disk;  // with what is on it; absent: a new one
  // the first start may be refused, see begun(); otherwise it must succeed
  bool may_refuse = false;
  std::size_t segment_bytes = 64 << 10;
  std::uint64_t checkpoint_bytes = 256 << 10;
  store::local::SpaceLimits space{.ballast_bytes = 0, .low_mark = 0, .critical_mark = 0};
  base::Duration retention = std::chrono::hours(24);  // of the namespace `default`
  std::function<std::string(std::size_t)> secure_bytes = base::secure_bytes;
  // Makes the store of a world that is not local; absent: the memory store.
  std::function<std::unique_ptr<store::MemoryStore>(base::Executor&, std::shared_ptr<store::MemoryContent>)>
      make_memory;
  // What the store sees of the disk (a test's wrapper); absent: the disk itself.
  std::function<std::unique_ptr<base::Disk>(base::SimDisk&)> wrap;
};

class World {
 public:
  explicit World(WorldOptions options = {});
  ~World();

  base::ManualClock clock;  // destroyed last
  base::SimScheduler scheduler{clock};

  // The table of whichever server lives now: calls go to it.
  const frontend::MethodTable& methods() const { return forwarding_; }
  store::MemoryStore& store() { return *memory_; }
  // What the memory store keeps.
  store::MemoryContent& content() { return *content_; }
  std::uint64_t quarantined() const { return wiring_->quarantined(); }
  history::HistoryFigures history_figures() const { return wiring_->history_figures(); }
  base::SimDisk& disk() { return *disk_; }
  store::Store& any_store() { return *store_; }
  StallingExecutor& projection() { return *projection_; }  // where the local store writes its database,
  StallingExecutor& reads() { return *reads_; }            // … where the local store reads executions,
  StallingExecutor& lists() { return *lists_; }            // … and where List and Count are read
  // Why the server's log has ended, if it has.
  const std::optional<base::Error>& fatal() const { return fatal_; }

  // kill -9 (or, with a local store, loss of power) and a new start on what was durable. Calls under way are never
  // answered. The server must start.
  void crash(base::Crash kind = base::Crash::kDropUnsynced);
  // The same in two steps; the start may be refused, and nothing may be called then.
  void die(base::Crash kind = base::Crash::kDropUnsynced);
  base::Status begin();
  // The log ends with this group more: serialized perdure.internal.v1.Group. Memory store; between die() and begin().
  void plant(std::string group);
  void crash_and_plant(std::string group);
  // The orderly end; true when it was reached. Then die() and begin().
  bool stop();
  // How the last begin() went.
  const base::Status& begun() const { return begun_; }
  // The clock goes on by that much, with everything that is due on the way.
  void advance(base::Duration by) { scheduler.advance_to(clock.now() + by); }

  // Issues a call without running anything.
  std::shared_ptr<ClientCall> issue(std::string_view method, const google::protobuf::MessageLite& request,
                                    base::Duration deadline = std::chrono::seconds(20)) {
    auto call = std::make_shared<ClientCall>(request.SerializeAsString(), clock.now() + deadline);
    methods().dispatch(std::string(frontend::kWorkflowService) + std::string(method), call);
    return call;
  }
  // Issues a call; everything that can happen without time does.
  std::shared_ptr<ClientCall> start(std::string_view method, const google::protobuf::MessageLite& request,
                                    base::Duration deadline = std::chrono::seconds(20)) {
    auto call = issue(method, request, deadline);
    scheduler.run_until_idle();
    return call;
  }
  template <class Response, class Request>
  base::Result<Response> call(std::string_view method, const Request& request) {
    auto call = start(method, request);
    if (!call->answered()) return base::fail(base::Code::kDeadlineExceeded, "not answered");
    if (!*call->answer) return std::unexpected(call->answer->error());
    Response response;
    if (!response.ParseFromString(**call->answer))
      return base::fail(base::Code::kInternal, "unreadable answer");
    return response;
  }

 private:
  base::Status open_store();
  base::Status begin_life();

  const WorldOptions options_;
  std::uint64_t life_ = 0;
  std::shared_ptr<store::MemoryContent> content_ = store::make_memory_content();
  std::shared_ptr<base::SimDisk> disk_;
  std::unique_ptr<base::Disk> wrapped_;
  std::vector<std::unique_ptr<base::Executor>> loops_;
  std::unique_ptr<base::Executor> log_;
  std::unique_ptr<StallingExecutor> projection_, reads_, lists_;
  std::unique_ptr<store::Store> store_;
  store::MemoryStore* memory_ = nullptr;
  std::unique_ptr<server::Wiring> wiring_;
  std::optional<base::Error> fatal_;
  base::Status begun_;
  frontend::MethodTable forwarding_;
};

}  // namespace perdure::engine
