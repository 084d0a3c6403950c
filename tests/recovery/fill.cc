// recovery_fill DIR COUNT: a data directory as a server leaves it that was killed at the worst moment: COUNT open workflows, each
// with a workflow task that waits, are in the projection, and behind them stands a log that is not projected, as long as the bounds
// allow. The workflows are w-000000000, w-000000001, …; the task of number N has priority 1 + N % 5.
//
// It is the real shell and store on the real disk, on one thread with a clock set by hand; it ends without closing anything.
// Prints {"projected": …, "tail": …, "tail_bytes": …}.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/check.h"
#include "base/sim_scheduler.h"
#include "server/frontend/method_table.h"
#include "server/main/wiring.h"
#include "server/store/local/local_store.h"
#include "temporal/api/workflowservice/v1/request_response.pb.h"

namespace perdure {
namespace {

namespace wfs = temporal::api::workflowservice::v1;

constexpr int kPriorities = 5;
constexpr int kBatch = 500;  // starts that share a sync
constexpr int kBetweenFlushes = 5'000;
constexpr std::uint64_t kMostTail = 1'000'000;

// From when on the projection gets nowhere: what is given to it is never answered.
class StallingStore : public store::Store {
 public:
  explicit StallingStore(store::Store& real) : real_(real) {}
  bool stalled = false;

  void project(store::Projection projection, store::Done<void> done) override {
    if (!stalled) real_.project(std::move(projection), std::move(done));
  }
  void project_visibility(store::VisibilityFlush flush, store::Done<void> done) override {
    if (!stalled) real_.project_visibility(std::move(flush), std::move(done));
  }
  store::Result<store::GroupNumber> replay(
      const std::function<void(store::GroupNumber, std::string_view)>& group) override {
    return real_.replay(group);
  }
  void append(store::GroupNumber number, std::string bytes, store::Done<void> done) override {
    real_.append(number, std::move(bytes), std::move(done));
  }
  void check_open(store::Done<void> done) override { real_.check_open(std::move(done)); }
  store::GroupNumber cursor() const override { return real_.cursor(); }
  store::GroupNumber visibility_cursor() const override { return real_.visibility_cursor(); }
  void read_head(store::UnitKey key, store::Done<std::optional<store::StoredHead>> done) override {
    real_.read_head(std::move(key), std::move(done));
  }
  void read_run(store::UnitKey key, std::string run_id,
                store::Done<std::optional<store::StoredRun>> done) override {
    real_.read_run(std::move(key), std::move(run_id), std::move(done));
  }
  void read_events(store::UnitKey key, std::string run_id, std::int64_t first, std::int64_t last,
                   std::size_t max_bytes, store::Done<std::vector<store::StoredEvent>> done) override {
    real_.read_events(std::move(key), std::move(run_id), first, last, max_bytes, std::move(done));
  }
  store::Result<std::map<std::string, std::string>> read_catalog() override { return real_.read_catalog(); }
  store::Result<std::uint64_t> count_quarantined() override { return real_.count_quarantined(); }
  void scan_wake(store::Time until, std::optional<store::WakeEntry> after, std::size_t limit,
                 store::Done<std::vector<store::WakeEntry>> done) override {
    real_.scan_wake(until, std::move(after), limit, std::move(done));
  }
  void scan_ready(std::string queue, std::optional<store::ReadyEntry> after, std::size_t limit,
                  store::Done<std::vector<store::ReadyEntry>> done) override {
    real_.scan_ready(std::move(queue), std::move(after), limit, std::move(done));
  }
  void list(store::VisibilityQuery query, store::Done<std::vector<store::VisibilityRow>> done) override {
    real_.list(std::move(query), std::move(done));
  }
  void count(store::VisibilityFilter filter, store::Done<std::int64_t> done) override {
    real_.count(std::move(filter), std::move(done));
  }
  void list_closed_before(std::string namespace_id, store::Time time, std::size_t limit,
                          store::Done<std::vector<store::ClosedRun>> done) override {
    real_.list_closed_before(std::move(namespace_id), time, limit, std::move(done));
  }
  store::Statistics statistics() const override { return real_.statistics(); }
  void close() override { real_.close(); }

 private:
  store::Store& real_;
};

class StartCall : public frontend::Call {
 public:
  StartCall(std::string request, int& refused) : request_(std::move(request)), refused_(refused) {}
  std::string_view request() const override { return request_; }
  base::Time deadline() const override { return base::kNever; }
  std::string_view header(std::string_view) const override { return {}; }
  void on_client_gone(std::move_only_function<void()>) override {}
  void finish(base::Result<std::string> response) override {
    if (response) return;
    CHECK(response.error().code == base::Code::kResourceExhausted);
    ++refused_;
  }

 private:
  std::string request_;
  int& refused_;
};

std::string start_request(std::uint64_t number) {
  wfs::StartWorkflowExecutionRequest request;
  request.set_namespace_("default");
  // Tasks of one time go out in the order of their ids: digits to the left make that the order of the numbers.
  const std::string digits = std::to_string(number);
  request.set_workflow_id("w-" + std::string(9 - digits.size(), '0') + digits);
  request.mutable_workflow_type()->set_name("Recovered");
  request.mutable_task_queue()->set_name("recovered");
  request.set_request_id("r-" + std::to_string(number));
  request.mutable_priority()->set_priority_key(static_cast<int>(1 + number % kPriorities));
  return request.SerializeAsString();
}

void fill(const std::string& directory, std::uint64_t count) {
  base::ManualClock clock(base::system_clock().now() - std::chrono::hours(12));
  base::SimScheduler scheduler(clock);
  const auto loop = scheduler.make_executor("loop"), log = scheduler.make_executor("log");
  const auto projection = scheduler.make_executor("projection"), reads = scheduler.make_executor("reads");
  store::LocalStoreOptions options{.disk = &base::posix_disk(),
                                   .directory = directory,
                                   .log = log.get(),
                                   .projection = projection.get(),
                                   .reads = reads.get(),
                                   .clock = &clock,
                                   .seed = 1};
  auto opened = store::LocalStore::open(std::move(options));
  CHECK(opened);
  StallingStore store(**opened);
  server::Wiring wiring(
      {.executors = {loop.get()}, .clock = &clock, .store = &store, .seed = 1, .store_name = "local"});
  CHECK(wiring.start());
  bool ready = false;
  wiring.ensure_namespace("default", std::chrono::hours(24),
                          [&](base::Status status) { ready = status.has_value(); });
  scheduler.run_until_idle();
  CHECK(ready);
  int refused = 0;
  std::uint64_t next = 0;
  const auto start = [&] {
    std::string method(frontend::kWorkflowService);
    method.append("StartWorkflowExecution");  // not operator+: g++ 12 sees an overrun in it that is not there
    wiring.methods().dispatch(method, std::make_shared<StartCall>(start_request(next++), refused));
    clock.advance(std::chrono::microseconds(10));
  };
  while (next < count) {
    start();
    if (next % kBatch == 0) scheduler.run_until_idle();
    if (next % kBetweenFlushes == 0) scheduler.advance_to(clock.now() + std::chrono::seconds(1));
  }
  scheduler.run_until_idle();
  scheduler.advance_to(clock.now() + std::chrono::seconds(3));
  CHECK(refused == 0 && store.statistics().unprojected_bytes == 0);
  store.stalled = true;
  while (refused == 0 && next < count + kMostTail) {
    start();
    if (next % 16 == 0) scheduler.run_until_idle();
  }
  scheduler.run_until_idle();
  std::printf("{\"projected\": %llu, \"tail\": %llu, \"tail_bytes\": %llu}\n",
              static_cast<unsigned long long>(count),
              static_cast<unsigned long long>(next - count) - static_cast<unsigned long long>(refused),
              static_cast<unsigned long long>(store.statistics().unprojected_bytes));
  std::fflush(stdout);
  _exit(0);  // killed
}

}  // namespace
}  // namespace perdure

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "usage: recovery_fill DIR COUNT\n");
    return 2;
  }
  perdure::fill(arguments[1], std::strtoull(arguments[2], nullptr, 10));
}
