#include "tests/sim/overload.h"

#include <algorithm>

#include "base/check.h"
#include "temporal/api/workflowservice/v1/request_response.pb.h"

namespace perdure::sim {
namespace {

namespace wfs = temporal::api::workflowservice::v1;
namespace enums = temporal::api::enums::v1;
using base::Duration;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kOnTheWay = milliseconds(1);  // of a message
constexpr Duration kPatience = seconds(10);      // of a client: the SDKs' default
// of a worker that was refused
constexpr Duration kFirstPause = milliseconds(200), kLongestPause = seconds(2);
constexpr int kPolls = 32;

// A request costs 5 µs at the door and a task of a loop a few dozen, times twenty.
base::SimScheduler::Cost cost_of(const std::string& executor) {
  if (executor == "door") return {.task = microseconds(100), .batch = 16};
  if (executor.starts_with("loop")) return {.task = milliseconds(1), .batch = 12};
  return {.task = microseconds(500), .batch = 12};
}

engine::WorldOptions world_options(std::uint64_t seed, base::Time now) {
  engine::WorldOptions options;
  options.local = true;
  options.seed = seed;
  options.mailbox = {.internal_bytes = Overload::kMailboxBytes, .new_work_bytes = Overload::kMailboxBytes};
  options.cache_bytes = Overload::kCacheBytes;
  options.start = now;
  options.segment_bytes = 1 << 20;
  options.checkpoint_bytes = 4 << 20;
  return options;
}

}  // namespace

// As the gRPC door has it: it counts until it is finished, heard or not.
class Overload::Call : public frontend::Call {
 public:
  Call(Overload& owner, std::string method, std::string request, base::Time deadline, Heard heard)
      : owner_(owner),
        method_(std::move(method)),
        request_(std::move(request)),
        deadline_(deadline),
        heard_(std::move(heard)) {}
  std::string_view request() const override { return request_; }
  base::Time deadline() const override { return deadline_; }
  std::string_view header(std::string_view) const override { return {}; }
  void on_client_gone(std::move_only_function<void()> left) override { left_ = std::move(left); }
  void finish(base::Result<std::string> response) override {
    CHECK(!finished_);
    finished_ = true;
    left_ = {};
    if (counted) --owner_.calls_;
    owner_.events_.after(kOnTheWay, [this_call = self.lock(), response = std::move(response)]() mutable {
      if (this_call) this_call->tell(std::move(response));
    });
  }
  void patience_ends() {
    if (!heard_) return;
    tell(base::fail(base::Code::kDeadlineExceeded, "not answered in time"));
    if (auto left = std::exchange(left_, {})) left();
  }
  const std::string& method() const { return method_; }
  bool heard() const { return !heard_; }

  std::weak_ptr<Call> self;
  bool counted = false;

 private:
  void tell(base::Result<std::string> answer) {
    if (auto heard = std::exchange(heard_, {})) heard(std::move(answer));
  }

  Overload& owner_;
  const std::string method_, request_;
  const base::Time deadline_;
  Heard heard_;
  bool finished_ = false;
  std::move_only_function<void()> left_;
};

Overload::Overload(std::uint64_t seed) : random_(seed), world_(world_options(seed, events_.now())) {
  world_.scheduler.set_cost(cost_of);
  door_ = world_.scheduler.make_executor("door");
  for (int i = 0; i < kPolls; ++i) poll(kFirstPause);
}

// What the server still holds dies with it; the rest before.
Overload::~Overload() {
  door_.reset();
  events_ = {};
}

// ---- calls

void Overload::call(std::string method, const google::protobuf::MessageLite& request, Duration patience,
                    Heard heard) {
  const auto made =
      std::make_shared<Call>(*this, std::string(frontend::kWorkflowService) + std::move(method),
                             request.SerializeAsString(), world_.clock.now() + patience, std::move(heard));
  made->self = made;
  events_.after(kOnTheWay,
                [this, made] { door_->post(base::Lane::kCompletion, 0, [this, made] { arrive(made); }); });
  events_.after(patience, [made] { made->patience_ends(); });
}

void Overload::arrive(const std::shared_ptr<Call>& call) {
  if (call->heard()) return;
  if (calls_ >= kMostCalls)
    return call->finish(base::fail(base::Code::kResourceExhausted, "too many calls are under way"));
  call->counted = true;
  ++calls_;
  world_.methods().dispatch(call->method(), call);
}

// ---- the worker

void Overload::poll(Duration pause) {
  wfs::PollWorkflowTaskQueueRequest request;
  request.set_namespace_("default");
  request.mutable_task_queue()->set_name("tq");
  request.set_identity("worker");
  call("PollWorkflowTaskQueue", request, seconds(60), [this, pause](base::Result<std::string> answer) {
    if (!answer) return events_.after(pause, [this, pause] { poll(std::min(2 * pause, kLongestPause)); });
    poll(kFirstPause);
    wfs::PollWorkflowTaskQueueResponse task;
    CHECK(task.ParseFromString(*answer));
    if (!task.task_token().empty())
      complete(task.task_token(), task.workflow_execution().workflow_id(), kFirstPause);
  });
}

void Overload::complete(std::string token, std::string workflow_id, Duration pause) {
  wfs::RespondWorkflowTaskCompletedRequest request;
  request.set_namespace_("default");
  request.set_task_token(token);
  auto& command = *request.add_commands();
  command.set_command_type(enums::COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION);
  command.mutable_complete_workflow_execution_command_attributes();
  call("RespondWorkflowTaskCompleted", request, kPatience,
       [this, token = std::move(token), workflow_id = std::move(workflow_id),
        pause](base::Result<std::string> answer) mutable {
         if (answer) return ended(workflow_id);
         const base::Code code = answer.error().code;
         // the task is gone
         if (code != base::Code::kResourceExhausted && code != base::Code::kDeadlineExceeded) return;
         events_.after(
             pause, [this, token = std::move(token), workflow_id = std::move(workflow_id), pause]() mutable {
               complete(std::move(token), std::move(workflow_id), std::min(2 * pause, kLongestPause));
             });
       });
}

void Overload::ended(const std::string& workflow_id) {
  const auto found = begun_.find(workflow_id);
  if (found == begun_.end()) return;
  const Duration took = events_.now() - found->second;
  begun_.erase(found);
  latencies_.push_back(took);
  if (took <= kPatience) ++good_;
  if (closed_loop_) start_one();
}

// ---- the clients

void Overload::start_one() {
  const std::string id = "w" + std::to_string(++last_);
  begun_[id] = events_.now();
  wfs::StartWorkflowExecutionRequest request;
  request.set_namespace_("default");
  request.set_workflow_id(id);
  request.set_request_id(id);
  request.mutable_workflow_type()->set_name("T");
  request.mutable_task_queue()->set_name("tq");
  request.mutable_input()->add_payloads()->set_data(std::string(100, 'x'));
  call("StartWorkflowExecution", request, kPatience, [this, id](const base::Result<std::string>& answer) {
    if (answer) {
      ++window_.accepted;
      return;
    }
    const base::Code code = answer.error().code;
    const bool late = code == base::Code::kDeadlineExceeded;
    ++(code == base::Code::kResourceExhausted ? window_.refused : late ? window_.late : window_.other);
    if (code == base::Code::kResourceExhausted) begun_.erase(id);
    if (closed_loop_) events_.after(milliseconds(200), [this] { start_one(); });
  });
}

void Overload::next_arrival() {
  const auto pause = Duration(
      static_cast<std::int64_t>(1e9 / rate_ * (0.5 + static_cast<double>(random_.below(1024)) / 1024)));
  events_.after(pause, [this, load = load_] {
    if (load != load_) return;
    start_one();
    next_arrival();
  });
}

Window Overload::closed_loop(std::size_t in_flight, Duration time) {
  closed_loop_ = true;
  for (std::size_t i = 0; i < in_flight; ++i) start_one();
  const Window seen = run(time);
  closed_loop_ = false;
  return seen;
}

Window Overload::open_loop(double per_second, Duration time) {
  rate_ = per_second;
  next_arrival();
  Window seen = run(time);
  ++load_;  // the next arrival finds that this load is over
  seen.offered_per_s = per_second;
  return seen;
}

// ---- time

void Overload::step() {
  const bool event_due = events_.next() <= events_.now();
  const bool server = world_.scheduler.next_step() <= world_.clock.now();
  if (event_due && (!server || random_.below(2) == 0)) return events_.run_next();
  if (server) {
    CHECK(world_.scheduler.step(random_));
    CHECK(!world_.fatal());
    return;
  }
  events_.advance_to(std::min(events_.next(), world_.scheduler.next_step()));
  world_.clock.set(events_.now());
}

Window Overload::run(Duration time) {
  window_ = {};
  latencies_.clear();
  good_ = 0;
  bool over = false;
  events_.after(time, [&over] { over = true; });
  std::uint64_t steps = 0;
  while (!over) {
    step();
    if (steps++ % 64 != 0) continue;
    const auto figures = world_.history_figures();
    window_.most_calls = std::max(window_.most_calls, calls_);
    window_.most_mailbox_bytes = std::max<std::size_t>(window_.most_mailbox_bytes, figures.mailbox_bytes);
    window_.most_cached_bytes = std::max<std::size_t>(window_.most_cached_bytes, figures.cached_bytes);
  }
  window_.goodput_per_s = static_cast<double>(good_) / std::chrono::duration<double>(time).count();
  std::ranges::sort(latencies_);
  if (!latencies_.empty()) window_.p99 = latencies_[latencies_.size() * 99 / 100];
  return window_;
}

}  // namespace perdure::sim
