// Matching on a simulated clock, with a TaskStarter that the test plays (rules E6, E15, E16; semantics sheet MA, WT-06, WT-53).
#include "server/matching/matching.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>

#include "base/random.h"
#include "base/sim_scheduler.h"
#include "server/store/memory/memory_store.h"
#include "temporal/api/workflowservice/v1/request_response.pb.h"

namespace perdure::matching {
namespace {

using namespace std::chrono_literals;
using base::Code;
using WorkflowReply = temporal::api::workflowservice::v1::PollWorkflowTaskQueueResponse;
using ActivityReply = temporal::api::workflowservice::v1::PollActivityTaskQueueResponse;

// History, as far as matching knows it. By default every start succeeds at once; a test may hold the answers back.
class Starter : public TaskStarter {
 public:
  struct Start {
    Offer offer;
    Poller poller;
    Done<std::string> done;
  };

  void start_task(const Offer& offer, const Poller& poller, Done<std::string> done) override {
    ++starts[offer.run_id];
    request_ids.insert(poller.request_id);
    if (hold) return held.push_back({offer, poller, std::move(done)});
    answer({offer, poller, std::move(done)});
  }
  void undo_start(const Offer& offer, const std::string& response) override {
    undone.push_back(offer.run_id + ":" + response);
  }
  void sticky_unavailable(const Offer& offer) override { unavailable.push_back(offer.run_id); }

  void answer(Start start) {
    const auto found = failures.find(start.offer.run_id);
    if (found != failures.end()) return start.done(base::fail(found->second, "no"));
    ActivityReply reply;
    reply.set_activity_id(start.offer.run_id);
    start.done(reply.SerializeAsString());
  }
  // Answers all starts that are held.
  void release() {
    for (Start& start : std::exchange(held, {})) answer(std::move(start));
  }

  bool hold = false;
  std::deque<Start> held;
  std::map<std::string, Code> failures;  // by run
  std::map<std::string, int> starts;
  std::set<std::string> request_ids;
  std::vector<std::string> undone, unavailable;
};

class MatchingTest : public testing::Test {
 protected:
  void start(int executors = 1, store::Store* store = nullptr) {
    while (static_cast<int>(executors_.size()) < executors)
      executors_.push_back(scheduler_.make_executor("home"));
    MatchingOptions options{.store = store, .starter = &starter_, .seed = 1, .window = window_};
    for (int i = 0; i < executors; ++i)
      options.executors.push_back(executors_[static_cast<std::size_t>(i)].get());
    matching_ = std::make_unique<Matching>(std::move(options));
  }
  void SetUp() override { start(); }

  Time now() const { return clock_.now(); }
  void run() { ASSERT_TRUE(scheduler_.run_until_idle()); }
  void pass(base::Duration time) { scheduler_.advance_to(now() + time); }

  static QueueKey queue(const std::string& name = "q", core::TaskKind kind = core::TaskKind::kActivity) {
    return {"ns", kind, name};
  }
  static QueueKey sticky() { return queue("sticky", core::TaskKind::kWorkflow); }

  Offer task(const std::string& run_id, base::Duration age = 0s, int priority = 3, int attempt = 1) {
    return {.unit = {"ns", store::Kind::kWorkflow, "w-" + run_id},
            .run_id = run_id,
            .task = {.kind = core::TaskKind::kActivity,
                     .queue = "q",
                     .priority = priority,
                     .ready_time = now() - age,
                     .scheduled_id = 5,
                     .attempt = attempt},
            .stream = 1};
  }
  Offer sticky_task(const std::string& run_id) {
    Offer offer = task(run_id);
    offer.task.kind = core::TaskKind::kWorkflow;
    offer.task.queue = "sticky";
    offer.task.sticky = true;
    return offer;
  }
  void offer(Offer offer) {
    matching_->offer(std::move(offer));
    run();
  }

  // What happened to polls, in order: "p1=run", "p2=" for an empty answer, "p3!CODE".
  std::uint64_t poll(const std::string& name, base::Duration time = 70s,
                     std::optional<PollRequest> request = {}) {
    if (!request) request = PollRequest{.queue = queue()};
    if (request->poller.identity.empty()) request->poller.identity = name;
    request->deadline = now() + time;
    const std::uint64_t id = matching_->poll(std::move(*request), [this, name](Result<std::string> answer) {
      std::string text = answer ? "=" : "!" + std::to_string(static_cast<int>(answer.error().code));
      if (answer) {
        ActivityReply reply;
        if (reply.ParseFromString(*answer)) text += reply.activity_id();
        replies_.push_back(*answer);
      }
      ended_.push_back(name + text);
    });
    run();
    return id;
  }
  PollRequest sticky_poll() { return {.queue = sticky(), .normal_name = "q", .poller = {.sticky = true}}; }
  std::vector<std::string> ended() { return std::exchange(ended_, {}); }

  QueueDescription describe(QueueKey key) {
    std::optional<QueueDescription> found;
    matching_->describe(std::move(key), [&](Result<QueueDescription> answer) { found = *std::move(answer); });
    run();
    EXPECT_TRUE(found);
    return found.value_or(QueueDescription{});
  }

  using Strings = std::vector<std::string>;
  base::ManualClock clock_;
  base::SimScheduler scheduler_{clock_};
  std::vector<std::unique_ptr<base::Executor>> executors_;
  Starter starter_;
  std::size_t window_ = 10'000;
  std::unique_ptr<Matching> matching_;
  Strings ended_;
  Strings replies_;
};

// ---- polls ----------------------------------------------------------------------------------------------------------------------

TEST_F(MatchingTest, MA05_PollsEndEmptyBeforeTheirClientGivesUp) {
  struct Row {
    base::Duration client, ends;
  };
  for (const Row& row :
       {Row{70s, 60s}, Row{61s, 60s}, Row{30s, 29s}, Row{3s, 2s}, Row{1s, 0s}, Row{999ms, 0s}, Row{0s, 0s}}) {
    poll("p", row.client);
    if (row.ends > 0s) {
      pass(row.ends - 1ms);
      EXPECT_EQ(ended(), Strings{}) << row.client.count();
      pass(1ms);
    } else {
      pass(1ms);
    }
    EXPECT_EQ(ended(), Strings{"p="}) << row.client.count();
  }
}

TEST_F(MatchingTest, E16_APollWithLessThanASecondLeftIsGivenNothing) {
  offer(task("a"));
  poll("late", 999ms);
  EXPECT_EQ(ended(), Strings{"late="});
  poll("just", 1s);
  EXPECT_EQ(ended(), Strings{"just=a"});
}

TEST_F(MatchingTest, MA05_AClientThatLeftFreesItsPlace) {
  const std::uint64_t id = poll("gone");
  poll("here");
  matching_->cancel_poll(queue(), id);
  run();
  EXPECT_EQ(ended(), Strings{"gone="});
  offer(task("a"));
  EXPECT_EQ(ended(), Strings{"here=a"});
}

TEST_F(MatchingTest, MA05_ACancelMayOvertakeItsPoll) {
  const std::uint64_t id = matching_->poll({.queue = queue(), .deadline = now() + 70s},
                                           [this](Result<std::string>) { ended_.push_back("gone"); });
  matching_->cancel_poll(queue(), id);  // its lane goes first
  run();
  EXPECT_EQ(ended(), Strings{"gone"});
  offer(task("a"));
  EXPECT_TRUE(starter_.starts.empty());
}

TEST_F(MatchingTest, E16_EachStartHasARequestIdOfItsOwn) {
  for (int i = 0; i < 20; ++i) {
    offer(task(std::to_string(i)));
    poll("p");
  }
  EXPECT_EQ(starter_.request_ids.size(), 20u);
}

// ---- reserving (E16) ------------------------------------------------------------------------------------------------------------

TEST_F(MatchingTest, E16_AFailedStartPutsThePollFirstAndTheTaskBack) {
  poll("first");
  poll("second");
  starter_.hold = true;
  offer(task("a", 5s));
  starter_.failures["a"] = Code::kUnavailable;  // the group was lost
  starter_.release();
  run();
  EXPECT_EQ(ended(), Strings{});
  starter_.hold = false;
  starter_.failures.clear();
  offer(task("b"));
  EXPECT_EQ(ended(), Strings{"first=b"});
  pass(100ms);
  EXPECT_EQ(ended(), Strings{"second=a"});
}

TEST_F(MatchingTest, E16_AReservedPollKeepsItsDeadline) {
  starter_.hold = true;
  poll("p", 11s);  // ends after 10
  pass(5s);
  offer(task("a"));
  starter_.failures["a"] = Code::kUnavailable;
  pass(2s);
  starter_.release();
  run();
  starter_.hold = true;
  pass(2999ms);
  EXPECT_EQ(ended(), Strings{});
  for (auto& start : std::exchange(starter_.held, {})) start.done(base::fail(Code::kUnavailable, "no"));
  pass(1ms);
  EXPECT_EQ(ended(), Strings{"p="});
}

TEST_F(MatchingTest, E16_AStartForAClientThatLeftIsUndone) {
  starter_.hold = true;
  const std::uint64_t id = poll("gone");
  offer(task("a"));
  matching_->cancel_poll(queue(), id);
  run();
  EXPECT_EQ(ended(), Strings{"gone="});
  starter_.release();
  run();
  ASSERT_EQ(starter_.undone.size(), 1u);
  EXPECT_EQ(starter_.undone[0].substr(0, 2), "a:");
  starter_.hold = false;
  poll("next");
  EXPECT_EQ(ended(), Strings{});
  offer(task("a"));  // History offers it again: the attempt is not consumed
  EXPECT_EQ(ended(), Strings{"next=a"});
}

TEST_F(MatchingTest, E16_AStartThatComesAfterTheClientsDeadlineIsUndone) {
  starter_.hold = true;
  poll("p", 10s);
  offer(task("a"));
  pass(9999ms);
  EXPECT_EQ(ended(), Strings{});  // reserved: its end does not count, its client's patience does
  pass(1ms);
  EXPECT_EQ(ended(), Strings{"p="});
  starter_.release();
  run();
  EXPECT_EQ(starter_.undone.size(), 1u);
}

TEST_F(MatchingTest, E16_AnObsoleteTaskIsDroppedAndThePollGetsTheNext) {
  starter_.failures["old"] = Code::kNotFound;
  offer(task("old", 9s));
  offer(task("new", 1s));
  poll("p");
  EXPECT_EQ(ended(), Strings{"p=new"});
  EXPECT_EQ(starter_.starts["old"], 1);
}

TEST_F(MatchingTest, E16_OlderTasksGoFirst) {
  offer(task("young"));
  offer(task("old", 9s));
  offer(task("urgent", 1s, 1));
  starter_.hold = true;
  poll("p1");
  poll("p2");
  poll("p3");
  starter_.release();
  run();
  EXPECT_EQ(ended(), (Strings{"p1=urgent", "p2=old", "p3=young"}));
}

TEST_F(MatchingTest, E16_OffersRepeatHarmlessly) {
  offer(task("a"));
  offer(task("a"));
  poll("p1");
  poll("p2");
  EXPECT_EQ(ended(), Strings{"p1=a"});
  EXPECT_EQ(starter_.starts["a"], 1);
  starter_.hold = true;
  offer(task("b", 0s, 3, 1));
  offer(task("b", 0s, 3, 1));
  offer(task("b", 0s, 3, 2));  // a newer attempt waits for the outcome
  EXPECT_EQ(starter_.held.size(), 1u);
  starter_.failures["b"] = Code::kNotFound;
  starter_.release();
  starter_.failures.clear();
  run();
  ASSERT_EQ(starter_.held.size(), 1u);
  EXPECT_EQ(starter_.held[0].offer.task.attempt, 2);
}

TEST_F(MatchingTest, E16_OffersOfAnOlderStreamAreDropped) {
  offer(task("a"));
  Offer newer = task("b");
  newer.stream = 2;
  offer(newer);
  offer(task("c"));
  poll("p");
  poll("q");
  EXPECT_EQ(ended(), Strings{"p=b"});
}

// No task waits for a timeout while a poll waits, whatever fails and whoever leaves on the way.
TEST_F(MatchingTest, E16_NothingIsLost) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    base::Random random(seed);
    starter_ = Starter();
    start(1 + static_cast<int>(seed % 3));
    std::vector<std::uint64_t> polls;
    std::map<std::string, int> offered;
    std::map<std::string, int> delivered;
    replies_.clear();
    for (int step = 0; step < 400; ++step) {
      starter_.hold = random.below(2) == 0;
      if (!starter_.hold) starter_.release();
      switch (random.below(5)) {
        case 0:
        case 1: {
          const std::string run_id = "r" + std::to_string(step);
          offered[run_id] = 1;
          if (random.below(4) == 0) starter_.failures[run_id] = Code::kUnavailable;
          offer(task(run_id));
          break;
        }
        case 2: polls.push_back(poll("p", 5s)); break;
        case 3:
          if (!polls.empty()) matching_->cancel_poll(queue(), polls[random.below(polls.size())]);
          run();
          break;
        default: pass(static_cast<std::int64_t>(random.below(2'000)) * 1ms);
      }
      for (const std::string& undone : std::exchange(starter_.undone, {})) {
        offer(task(undone.substr(0, undone.find(':'))));
      }
    }
    starter_.hold = false;
    starter_.failures.clear();
    starter_.release();
    pass(11s);  // the longest pause after failures
    for (const std::string& undone : std::exchange(starter_.undone, {}))
      offer(task(undone.substr(0, undone.find(':'))));
    for (int i = 0; i < 400; ++i) poll("last");
    for (const std::string& bytes : replies_) {
      ActivityReply reply;
      if (reply.ParseFromString(bytes) && !reply.activity_id().empty()) ++delivered[reply.activity_id()];
    }
    EXPECT_EQ(delivered, offered) << seed;
    matching_->drain();
    run();
  }
}

// ---- sticky queues --------------------------------------------------------------------------------------------------------------

TEST_F(MatchingTest, WT06_WithoutAPollForTenSecondsAStickyQueueIsUnavailable) {
  offer(sticky_task("never"));
  EXPECT_EQ(starter_.unavailable, Strings{"never"});
  poll("p", 3s, sticky_poll());
  pass(2s);  // it ended
  pass(9900ms);
  offer(sticky_task("waits"));
  EXPECT_EQ(starter_.unavailable.size(), 1u);
  pass(200ms);  // ten seconds are over: what waits there is handed back
  EXPECT_EQ(starter_.unavailable, (Strings{"never", "waits"}));
  poll("p", 70s, sticky_poll());
  pass(30s);
  offer(sticky_task("there"));
  EXPECT_EQ(starter_.starts["there"], 1);
}

TEST_F(MatchingTest, E16_AfterARestartAStickyQueueIsUnknownNotAbsent) {
  store::MemoryStore store(*executors_[0]);
  store.append(1, "g", [](Result<void>) {});
  store.project_visibility({.position = 1}, [](Result<void>) {});
  store.project({.position = 1}, [](Result<void>) {});
  run();
  start(1, &store);  // an earlier life left something there
  offer(sticky_task("a"));
  offer(sticky_task("b"));
  EXPECT_EQ(starter_.unavailable, Strings{});
  pass(4s);
  poll("p", 70s, sticky_poll());
  EXPECT_EQ(starter_.starts.size(), 1u);
  start(1, &store);
  offer(sticky_task("c"));
  pass(9s);
  EXPECT_EQ(starter_.unavailable, Strings{});
  pass(2s);  // now it is known
  EXPECT_EQ(starter_.unavailable, Strings{"c"});
  offer(sticky_task("d"));
  EXPECT_EQ(starter_.unavailable, (Strings{"c", "d"}));
}

// ---- rates, figures, pollers ----------------------------------------------------------------------------------------------------

TEST_F(MatchingTest, MA08_TheLastRateNamedHolds) {
  for (int i = 0; i < 4; ++i) offer(task("t" + std::to_string(i)));
  poll("a", 70s, PollRequest{.queue = queue(), .max_tasks_per_second = 0});
  poll("b");
  pass(30s);
  EXPECT_EQ(ended(), Strings{});
  EXPECT_EQ(describe(queue()).max_tasks_per_second, 0);
  poll("c", 70s, PollRequest{.queue = queue(), .max_tasks_per_second = 2});
  EXPECT_EQ(ended().size(), 1u);
  pass(499ms);
  EXPECT_EQ(ended().size(), 0u);
  pass(1ms);
  EXPECT_EQ(ended().size(), 1u);
  pass(500ms);
  EXPECT_EQ(ended().size(), 1u);
  EXPECT_EQ(describe(queue()).max_tasks_per_second, 2);
}

TEST_F(MatchingTest, MA10_MA12_Describe) {
  EXPECT_TRUE(describe(queue("unknown")).pollers.empty());
  offer(task("a", 2s));
  offer(task("b", 1s, 1));
  QueueDescription found = describe(queue());
  EXPECT_EQ(found.backlog, 2);
  EXPECT_EQ(found.backlog_age, 2s);
  ASSERT_EQ(found.priorities.size(), 2u);
  EXPECT_EQ(found.priorities[0].priority, 1);
  EXPECT_EQ(found.priorities[0].backlog, 1);
  poll("worker");
  found = describe(queue());
  EXPECT_EQ(found.backlog, 1);
  ASSERT_EQ(found.pollers.size(), 1u);
  EXPECT_EQ(found.pollers[0].identity(), "worker");
  EXPECT_EQ(found.pollers[0].rate_per_second(), 100'000);
  EXPECT_GT(found.dispatch_rate, 0);
  pass(5min - 1s);
  EXPECT_EQ(describe(queue()).pollers.size(), 1u);
  pass(2s);
  EXPECT_TRUE(describe(queue()).pollers.empty());
}

TEST_F(MatchingTest, MA11_AdviceIsAppendedToTheReply) {
  poll("a");
  pass(2s);
  offer(task("r"));
  ASSERT_EQ(ended(), Strings{"a=r"});
  ActivityReply reply;
  ASSERT_TRUE(reply.ParseFromString(replies_.back()));
  EXPECT_EQ(reply.activity_id(), "r");
  EXPECT_EQ(reply.poller_scaling_decision().poll_request_delta_suggestion(), -1);

  poll("p", 70s, sticky_poll());
  pass(2s);
  offer(sticky_task("s"));
  WorkflowReply workflow;
  ASSERT_TRUE(workflow.ParseFromString(replies_.back()));
  EXPECT_EQ(workflow.poller_scaling_decision().poll_request_delta_suggestion(), -1);
}

// ---- queries --------------------------------------------------------------------------------------------------------------------

class QueryTest : public MatchingTest {
 protected:
  void query(base::Duration time, bool with_sticky = false, base::Duration sticky_timeout = 5s) {
    QueryTask task{.id = "q",
                   .response = "normal",
                   .queue = queue("q", core::TaskKind::kWorkflow),
                   .deadline = now() + time};
    if (with_sticky) {
      task.fallback = task.queue;
      task.fallback_response = "normal";
      task.queue = sticky();
      task.response = "sticky";
      task.sticky_timeout = sticky_timeout;
    }
    task.taken = [this](Result<void> taken) {
      taken_.push_back(taken ? "taken"
                             : std::to_string(static_cast<int>(taken.error().code)) + " " +
                                   taken.error().message);
    };
    matching_->query(std::move(task));
    run();
  }
  void normal_poll(const std::string& name, base::Duration time = 70s) {
    poll(name, time, PollRequest{.queue = queue("q", core::TaskKind::kWorkflow)});
  }
  Strings taken() { return std::exchange(taken_, {}); }

  Strings taken_;
};

TEST_F(QueryTest, MA14_APollTakesAQuery) {
  query(10s);
  normal_poll("p");
  EXPECT_EQ(taken(), Strings{"taken"});
  EXPECT_EQ(replies_.back(), "normal");
  normal_poll("q");
  query(10s);
  EXPECT_EQ(taken(), Strings{"taken"});
}

TEST_F(QueryTest, WT53_StickyFirstThenTheNormalQueue) {
  poll("s", 3s, sticky_poll());
  pass(2s);
  query(20s, true, 5s);
  normal_poll("n");
  pass(4900ms);
  EXPECT_EQ(taken(), Strings{});
  pass(200ms);
  EXPECT_EQ(taken(), Strings{"taken"});
  EXPECT_EQ(replies_.back(), "normal");
  poll("s", 70s, sticky_poll());
  query(20s, true);
  EXPECT_EQ(replies_.back(), "sticky");
}

TEST_F(QueryTest, WT53_AStickyQueueThatIsAbsentIsNotTried) {
  normal_poll("n");
  query(20s, true);
  EXPECT_EQ(taken(), Strings{"taken"});
  EXPECT_EQ(replies_.back(), "normal");
}

TEST_F(QueryTest, WT53_NobodyPolledLately) {
  query(10s);
  pass(8900ms);
  EXPECT_EQ(taken(), Strings{});
  pass(200ms);
  EXPECT_EQ(taken(), Strings{"9 no poller seen for task queue recently, worker may be down"});
  normal_poll("n", 3s);
  pass(2s);
  query(10s);
  pass(9900ms);
  EXPECT_EQ(taken(), Strings{});
  pass(200ms);
  EXPECT_EQ(taken(), Strings{"4 query timed out before a worker could process it"});
}

TEST_F(QueryTest, AreBoundedAndEndAtShutdown) {
  for (int i = 0; i < 1'001; ++i) query(60s);
  EXPECT_EQ(taken().size(), 1u);
  matching_->drain();
  run();
  const Strings ended = taken();
  EXPECT_EQ(ended.size(), 1'000u);
  EXPECT_EQ(ended[0].substr(0, 2), "14");
  query(60s);
  EXPECT_EQ(taken().size(), 1u);
}

// ---- shutdown -------------------------------------------------------------------------------------------------------------------

TEST_F(MatchingTest, MA16_AWorkersPollsEndEmptyAtOnce) {
  poll("mine", 70s, PollRequest{.queue = queue(), .poller = {.worker_instance_key = "k1"}});
  poll("mine2", 70s, PollRequest{.queue = queue("other"), .poller = {.worker_instance_key = "k1"}});
  poll("theirs", 70s, PollRequest{.queue = queue(), .poller = {.worker_instance_key = "k2"}});
  poll("sticky", 70s, sticky_poll());
  matching_->shutdown_worker("ns", "sticky", "", "k1");
  run();
  EXPECT_EQ(ended(), (Strings{"mine=", "mine2=", "sticky="}));
  offer(sticky_task("a"));
  EXPECT_EQ(starter_.unavailable, Strings{"a"});  // forgotten at once
  offer(task("b"));
  EXPECT_EQ(ended(), Strings{"theirs=b"});
}

TEST_F(MatchingTest, MA16_AWorkersLatePollsEndEmptyToo) {
  matching_->shutdown_worker("ns", "sticky", "", "k1");
  run();
  poll("late", 70s, PollRequest{.queue = queue(), .poller = {.worker_instance_key = "k1"}});
  PollRequest late_sticky = sticky_poll();
  late_sticky.poller.worker_instance_key = "k1";
  poll("late sticky", 70s, std::move(late_sticky));
  EXPECT_EQ(ended(), (Strings{"late=", "late sticky="}));
  offer(sticky_task("a"));
  EXPECT_EQ(starter_.unavailable, Strings{"a"});  // such a poll does not bring its queue back
  poll("another", 90s, PollRequest{.queue = queue(), .poller = {.worker_instance_key = "k2"}});
  poll("elsewhere", 90s,
       PollRequest{.queue = {"other", core::TaskKind::kWorkflow, "q"},
                   .poller = {.worker_instance_key = "k1"}});
  EXPECT_EQ(ended(), Strings{});
  pass(71s);  // no poll of its time can be on its way any more
  poll("after", 70s, PollRequest{.queue = queue(), .poller = {.worker_instance_key = "k1"}});
  EXPECT_EQ(std::ranges::count(ended(), "after="), 0);
}

TEST_F(MatchingTest, MA16_APollWhoseStartFailsEndsWhenItsWorkerHasLeft) {
  starter_.hold = true;
  poll("reserved", 70s, PollRequest{.queue = queue(), .poller = {.worker_instance_key = "k1"}});
  offer(task("a"));
  matching_->shutdown_worker("ns", "", "", "k1");
  run();
  EXPECT_EQ(ended(), Strings{});  // a start that succeeds is delivered
  starter_.failures["a"] = Code::kUnavailable;
  starter_.release();
  run();
  EXPECT_EQ(ended(), Strings{"reserved="});
}

TEST_F(MatchingTest, DrainEndsPollsButDeliversWhatIsBeingStarted) {
  starter_.hold = true;
  poll("reserved");
  offer(task("a"));
  poll("idle");
  matching_->drain();
  run();
  EXPECT_EQ(ended(), Strings{"idle="});
  poll("new");
  EXPECT_EQ(ended(), Strings{"new="});
  starter_.release();
  run();
  EXPECT_EQ(ended(), Strings{"reserved=a"});
}

// ---- the store's index (E6) -----------------------------------------------------------------------------------------------------

TEST_F(MatchingTest, E6_AfterARestartTheIndexIsServedInOrderWithinTheWindow) {
  constexpr int kTasks = 2'000;
  store::MemoryStore store(*executors_[0]);
  store.append(1, "g", [](Result<void>) {});
  store.project_visibility({.position = 1}, [](Result<void>) {});
  store::Projection projection{.position = 1};
  for (int i = 0; i < kTasks; ++i) {
    const std::string run_id = "r" + std::to_string(10'000 + i);
    projection.units.push_back({.key = {"ns", store::Kind::kWorkflow, "w-" + run_id},
                                .position = 1,
                                .head = "h",
                                .ready = {{.queue = ready_key(queue()),
                                           .priority = 1 + i % 3,
                                           .time = now() - 1h + i * 1ms,
                                           .run_id = run_id,
                                           .task_id = 5}}});
  }
  store.project(std::move(projection), [](Result<void>) {});
  run();
  window_ = 200;
  start(1, &store);
  EXPECT_EQ(describe(queue()).backlog_age, 1h);  // known without any poll
  starter_.hold = true;
  offer(task("new", 0s, 3));
  std::string last;
  Strings order;
  for (int i = 0; i < kTasks + 1; ++i) {
    poll("p");
    ASSERT_EQ(starter_.held.size(), 1u) << i;
    const Offer& offer = starter_.held[0].offer;
    order.push_back(std::to_string(offer.task.priority) + offer.run_id);
    EXPECT_EQ(offer.unit.id, "w-" + offer.run_id);
    starter_.release();
    run();
  }
  Strings sorted = order;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(std::set<std::string>(order.begin(), order.end()).size(), order.size());
  EXPECT_EQ(order.back(), "3new");
  order.pop_back();
  std::erase(sorted, "3new");
  EXPECT_EQ(order, sorted);
}

// ---- costs (E15) ----------------------------------------------------------------------------------------------------------------

TEST_F(MatchingTest, E15_AMatchNeedsNoHopOnItsOwnExecutor) {
  poll("p");
  bool same_turn = false;
  executors_[0]->post(base::Lane::kNewWork, 0, [&] {
    matching_->offer(task("a"));
    same_turn = !ended_.empty();
  });
  run();
  EXPECT_TRUE(same_turn);
}

TEST_F(MatchingTest, E15_ManyPollsOneTimerAndNothingLeftBehind) {
  start(2);
  for (int i = 0; i < 3'000; ++i) {
    poll("p" + std::to_string(i), 70s, PollRequest{.queue = queue("q" + std::to_string(i % 500))});
  }
  pass(61s);
  EXPECT_EQ(ended().size(), 3'000u);
  pass(10min);  // idle queues are unloaded
  EXPECT_EQ(scheduler_.next_timer(), base::kNever);
}

TEST_F(MatchingTest, E6_ReferencesOfAHomeAreBounded) {
  window_ = 10'000;
  start(1);
  for (int q = 0; q < 30; ++q) {
    for (int i = 0; i < 10'000; ++i) {
      Offer one = task("r" + std::to_string(i));
      one.task.queue = "q" + std::to_string(q);
      matching_->offer(std::move(one));
    }
    run();
  }
  std::int64_t held = 0;
  for (int q = 29; q >= 0; --q) held += describe(queue("q" + std::to_string(q))).backlog;
  EXPECT_LE(held, 200'000);
  EXPECT_GE(held, 150'000);
}

}  // namespace
}  // namespace perdure::matching
