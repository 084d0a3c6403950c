// E4, E5, E11, E13, E15 and E17 with the real shell: transactions over two runs, volatile state, lists, the catalog, small
// mailboxes, copies of a data directory.
#include <gtest/gtest.h>

#include "tests/engine/answers.h"
#include "tests/engine/load.h"
#include "tests/engine/world.h"

namespace perdure::engine {
namespace {

using base::Code;
using base::Crash;
using std::chrono::milliseconds;

wfs::PollWorkflowTaskQueueResponse task_of(World& world, const std::string& queue = "tq") {
  const auto task =
      world.call<wfs::PollWorkflowTaskQueueResponse>("PollWorkflowTaskQueue", poll_request(queue));
  EXPECT_TRUE(task && !task->task_token().empty());
  return task ? *task : wfs::PollWorkflowTaskQueueResponse();
}

void start(World& world, const wfs::StartWorkflowExecutionRequest& request) {
  EXPECT_TRUE(world.call<wfs::StartWorkflowExecutionResponse>("StartWorkflowExecution", request));
}

std::int64_t count(World& world, const std::string& query) {
  wfs::CountWorkflowExecutionsRequest request;
  request.set_namespace_("default");
  request.set_query(query);
  const auto response = world.call<wfs::CountWorkflowExecutionsResponse>("CountWorkflowExecutions", request);
  EXPECT_TRUE(response) << (response ? "" : response.error().message);
  return response ? response->count() : -1;
}

// ---- E4: a transaction over two runs, and a loss of power between any two of its steps -----------------

// A transaction that leaves exactly one current run, whether or not it happened.
struct Transaction {
  std::string name;
  std::function<void(World&)> set_up;
  // Issues it; again after a crash.
  std::function<std::shared_ptr<ClientCall>(World&)> go;
  std::int64_t runs_before = 1, runs_after = 2;
};

wfs::RespondWorkflowTaskCompletedRequest with_command(const std::string& token, enums::CommandType type) {
  auto request = completion(token);
  auto& command = *request.add_commands();
  command.set_command_type(type);
  if (type == enums::COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION) {
    command.mutable_fail_workflow_execution_command_attributes()
        ->mutable_failure()
        ->mutable_application_failure_info();
  } else if (type == enums::COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION) {
    command.mutable_complete_workflow_execution_command_attributes();
  } else {
    auto& attributes = *command.mutable_continue_as_new_workflow_execution_command_attributes();
    attributes.mutable_workflow_type()->set_name("T");
    attributes.mutable_task_queue()->set_name("tq");
  }
  return request;
}

Transaction ending_with(const std::string& name, enums::CommandType type,
                        std::function<void(wfs::StartWorkflowExecutionRequest&)> shape) {
  auto token = std::make_shared<std::string>();
  Transaction made{.name = name};
  made.set_up = [token, shape = std::move(shape)](World& world) {
    auto request = start_request("id");
    shape(request);
    start(world, request);
    world.advance(seconds(61));  // a cron's first run begins with the minute
    *token = task_of(world).task_token();
  };
  made.go = [token, type](World& world) {
    return world.issue("RespondWorkflowTaskCompleted", with_command(*token, type));
  };
  return made;
}

std::vector<Transaction> transactions() {
  std::vector<Transaction> all;
  all.push_back(
      ending_with("continue-as-new", enums::COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION, [](auto&) {}));
  all.push_back(ending_with("retry", enums::COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION,
                            [](auto& request) { request.mutable_retry_policy()->set_maximum_attempts(3); }));
  all.push_back(ending_with("cron", enums::COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
                            [](auto& request) { request.set_cron_schedule("* * * * *"); }));
  all.push_back({.name = "terminate existing",
                 .set_up = [](World& world) { start(world, start_request("id")); },
                 .go =
                     [](World& world) {
                       auto request = start_request("id");
                       request.set_request_id("the second");
                       request.set_workflow_id_conflict_policy(
                           enums::WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING);
                       return world.issue("StartWorkflowExecution", request);
                     }});
  all.push_back({.name = "signal with start",
                 .set_up = [](World&) {},
                 .go =
                     [](World& world) {
                       wfs::SignalWithStartWorkflowExecutionRequest request;
                       request.set_namespace_("default");
                       request.set_workflow_id("id");
                       request.mutable_workflow_type()->set_name("T");
                       request.mutable_task_queue()->set_name("tq");
                       request.set_signal_name("s");
                       request.set_request_id("once");
                       return world.issue("SignalWithStartWorkflowExecution", request);
                     },
                 .runs_before = 0,
                 .runs_after = 1});
  return all;
}

// Exactly one current run (or none, before there was any), all others closed, and the listing says the same.
void check_runs(World& world, const Transaction& transaction, bool must_have_happened) {
  const std::int64_t runs = count(world, "WorkflowId = 'id'");
  EXPECT_TRUE(runs == transaction.runs_after || (runs == transaction.runs_before && !must_have_happened))
      << runs;
  EXPECT_EQ(count(world, "ExecutionStatus = 'Running'"), runs == 0 ? 0 : 1);
  const auto described =
      world.call<wfs::DescribeWorkflowExecutionResponse>("DescribeWorkflowExecution", describe_request("id"));
  EXPECT_EQ(described.has_value(), runs > 0);
  if (described) {
    EXPECT_EQ(described->workflow_execution_info().status(), enums::WORKFLOW_EXECUTION_STATUS_RUNNING);
  }
  if (transaction.name == "signal with start" && runs == 1) {
    const auto events = history_types(world, "id");
    // both, or neither
    EXPECT_EQ(std::ranges::count(events, enums::EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED), 1);
  }
}

// Power fails at the disk's n-th operation from here; true: the transaction and its projection were over before.
bool fails_at(const Transaction& transaction, std::uint64_t n, Crash kind) {
  World world({.local = true, .seed = n});
  transaction.set_up(world);
  world.disk().stop_at(world.disk().operations() + n, n % 2 == 0);
  const auto first = transaction.go(world);
  world.scheduler.run_until_idle();
  const bool acknowledged = first->answered() && first->answer->has_value();
  for (int i = 0; i < 30 && !world.fatal(); ++i) world.advance(milliseconds(100));
  const bool over = !world.fatal();
  world.crash(kind);
  check_runs(world, transaction, acknowledged);
  if (!acknowledged) {
    transaction.go(world);
    world.scheduler.run_until_idle();
    check_runs(world, transaction, true);
    world.crash(kind);
  }
  check_runs(world, transaction, true);
  return over;
}

TEST(E4, ATransactionOverTwoRunsHappensWholeOrNotAtAll) {
  for (const Transaction& transaction : transactions()) {
    for (const Crash kind : {Crash::kDropUnsynced, Crash::kRandom}) {
      std::uint64_t n = 1;
      for (bool over = false; !over; ++n) {
        SCOPED_TRACE(transaction.name + ", power fails at operation " + std::to_string(n));
        ASSERT_LT(n, 300u);
        over = fails_at(transaction, n, kind);
        if (HasFailure()) return;
      }
      EXPECT_GT(n, 4u) << transaction.name;
    }
  }
}

TEST(E4, AColdLoadDelaysNobodyElseOnItsExecutor) {
  World world({.local = true, .cache_bytes = 0});
  start(world, start_request("cold"));
  world.advance(seconds(3));
  start(world, start_request("warm"));  // not written behind yet: in memory
  world.reads().stall();
  const auto cold = world.start("DescribeWorkflowExecution", describe_request("cold"));
  EXPECT_FALSE(cold->answered());
  for (int n = 0; n < 10; ++n) {
    EXPECT_TRUE(world.call<wfs::SignalWorkflowExecutionResponse>(
        "SignalWorkflowExecution", signal_request("warm", "s" + std::to_string(n))));
  }
  EXPECT_FALSE(cold->answered());
  world.reads().go_on();
  world.scheduler.run_until_idle();
  EXPECT_TRUE(cold->answered() && cold->answer->has_value());
}

// ---- E5: volatile state ---------------------------------------------------------------------------------

wfs::QueryWorkflowRequest query_request(const std::string& id) {
  wfs::QueryWorkflowRequest request;
  request.set_namespace_("default");
  request.mutable_execution()->set_workflow_id(id);
  request.mutable_query()->set_query_type("q");
  return request;
}

wfs::RespondWorkflowTaskCompletedRequest sticky_completion(const std::string& token) {
  auto request = completion(token);
  request.mutable_sticky_attributes()->mutable_worker_task_queue()->set_name("sticky");
  request.mutable_sticky_attributes()->mutable_schedule_to_start_timeout()->set_seconds(5);
  return request;
}

wfs::PollWorkflowTaskQueueRequest sticky_poll() {
  auto poll = poll_request("sticky");
  poll.mutable_task_queue()->set_kind(enums::TASK_QUEUE_KIND_STICKY);
  poll.mutable_task_queue()->set_normal_name("tq");
  return poll;
}

// A life with a sticky worker that always polls, buffered events and a query that waits; `between` is called after each step and
// says whether the server crashed there.
std::vector<enums::EventType> sticky_life(World& world, const std::function<bool(int)>& between) {
  int step = 0;
  start(world, start_request("id"));
  between(step++);
  const auto first = task_of(world);
  between(step++);
  EXPECT_TRUE(world.call<wfs::RespondWorkflowTaskCompletedResponse>("RespondWorkflowTaskCompleted",
                                                                    sticky_completion(first.task_token())));
  auto poll = world.start("PollWorkflowTaskQueue", sticky_poll());
  const bool poll_lost = between(step++);
  EXPECT_TRUE(world.call<wfs::SignalWorkflowExecutionResponse>("SignalWorkflowExecution",
                                                               signal_request("id", "s1")));
  between(step++);
  // After a crash the sticky worker was not seen yet: unknown, not absent (E16).
  if (poll_lost) poll = world.start("PollWorkflowTaskQueue", sticky_poll());
  const auto task = answer_of<wfs::PollWorkflowTaskQueueResponse>(*poll);
  EXPECT_FALSE(task.task_token().empty());
  EXPECT_TRUE(world.call<wfs::SignalWorkflowExecutionResponse>("SignalWorkflowExecution",
                                                               signal_request("id", "s2")));
  const auto query = world.start("QueryWorkflow", query_request("id"));  // waits behind the task under way
  EXPECT_FALSE(query->answered());
  bool query_lost = between(step++);
  EXPECT_TRUE(world.call<wfs::RespondWorkflowTaskCompletedResponse>("RespondWorkflowTaskCompleted",
                                                                    sticky_completion(task.task_token())));
  query_lost |= between(step++);
  const auto last_poll = world.start("PollWorkflowTaskQueue", sticky_poll());
  const auto last_task = answer_of<wfs::PollWorkflowTaskQueueResponse>(*last_poll);
  EXPECT_EQ(last_task.queries().size(), query_lost ? 0u : 1u);
  auto last = completion(last_task.task_token());
  for (const auto& [id, asked] : last_task.queries()) {
    auto& result = (*last.mutable_query_results())[id];
    result.set_result_type(enums::QUERY_RESULT_TYPE_ANSWERED);
    result.mutable_answer()->add_payloads()->set_data("1");
  }
  add_completion(last);
  query_lost |= between(step++);
  EXPECT_TRUE(world.call<wfs::RespondWorkflowTaskCompletedResponse>("RespondWorkflowTaskCompleted", last));
  EXPECT_EQ(query->answered(), !query_lost);
  between(step++);
  return history_types(world, "id");
}

TEST(E5, EvictionsAndCrashesLeaveTheSameEvents) {
  World undisturbed;
  int steps = 0;
  const auto expected = sticky_life(undisturbed, [&](int step) {
    steps = step + 1;
    return false;
  });
  ASSERT_EQ(steps, 8);
  for (const bool local : {false, true}) {
    World evicting({.local = local, .cache_bytes = 0});
    EXPECT_EQ(sticky_life(evicting,
                          [&](int) {
                            evicting.advance(milliseconds(1100));
                            return false;
                          }),
              expected);
    for (int at = 0; at < steps; ++at) {
      SCOPED_TRACE("crash after step " + std::to_string(at));
      World crashing({.local = local});
      EXPECT_EQ(sticky_life(crashing,
                            [&](int step) {
                              if (step == at) crashing.crash();
                              return step == at;
                            }),
                expected);
    }
  }
}

// WT-53: a sticky worker that does not come for a query is not waited for by the next task either.
TEST(E5, AQueryThatFellBackEndsTheStickyBinding) {
  World world;
  start(world, start_request("id"));
  const auto first = task_of(world);
  ASSERT_TRUE(world.call<wfs::RespondWorkflowTaskCompletedResponse>("RespondWorkflowTaskCompleted",
                                                                    sticky_completion(first.task_token())));
  const auto seen = world.start("PollWorkflowTaskQueue", sticky_poll());
  seen->leave();  // its worker was there a moment ago
  world.advance(milliseconds(10));
  const auto query = world.start("QueryWorkflow", query_request("id"));
  world.advance(seconds(6));  // longer than the sticky timeout
  const auto polled =
      answer_of<wfs::PollWorkflowTaskQueueResponse>(*world.start("PollWorkflowTaskQueue", poll_request()));
  EXPECT_TRUE(polled.has_query());
  EXPECT_GT(polled.history().events_size(), 0);
  ASSERT_TRUE(
      world.call<wfs::SignalWorkflowExecutionResponse>("SignalWorkflowExecution", signal_request("id", "s")));
  const auto next = task_of(world);  // from the normal queue, at once, with the whole history
  ASSERT_GT(next.history().events_size(), 0);
  EXPECT_EQ(next.history().events(0).event_id(), 1);
}

// A long poll whose client has gone is not kept until its time.
TEST(E5, ALongPollLeavesWithItsClient) {
  World world;
  start(world, start_request("id"));
  const auto gone = world.start("GetWorkflowExecutionHistory", history_request("id", true));
  const auto stays = world.start("GetWorkflowExecutionHistory", history_request("id", true));
  ASSERT_FALSE(gone->answered());
  EXPECT_EQ(world.history_figures().history_waiters, 2u);
  gone->leave();
  world.scheduler.run_until_idle();
  EXPECT_TRUE(gone->answered());
  EXPECT_FALSE(stays->answered());
  EXPECT_EQ(world.history_figures().history_waiters, 1u);
  world.advance(seconds(21));
  EXPECT_TRUE(stays->answered());
  EXPECT_EQ(world.history_figures().history_waiters, 0u);
  gone->leave();  // again, and nobody is there
}

TEST(E5, NoWaiterHangsWhenTheServerStops) {
  World world;
  start(world, start_request("id"));
  const auto task = task_of(world);
  const auto query = world.start("QueryWorkflow", query_request("id"));
  const auto history = world.start("GetWorkflowExecutionHistory", history_request("id", true));
  const auto poll = world.start("PollWorkflowTaskQueue", poll_request());
  EXPECT_FALSE(query->answered() || history->answered() || poll->answered());
  EXPECT_TRUE(world.stop());
  for (const auto& call : {query, history}) {
    ASSERT_TRUE(call->answered() && !call->answer->has_value());
    EXPECT_EQ(call->answer->error().code, Code::kUnavailable);
    EXPECT_EQ(call->answer->error().message, "the server is stopping; please retry");
  }
  EXPECT_TRUE(poll->answered());  // empty
}

TEST(E5, NoWaiterHangsWhenTheLogEnds) {
  World world({.loops = 2});
  for (int i = 0; i < 6; ++i) start(world, start_request("id-" + std::to_string(i)));
  std::vector<std::shared_ptr<ClientCall>> waiting;
  for (int i = 0; i < 6; ++i) {
    waiting.push_back(
        world.start("GetWorkflowExecutionHistory", history_request("id-" + std::to_string(i), true)));
    waiting.push_back(world.start("QueryWorkflow", query_request("id-" + std::to_string(i))));
  }
  for (const auto& call : waiting) EXPECT_FALSE(call->answered());
  world.store().end_stream({Code::kUnavailable, "sync failed", {}});
  world.start("SignalWorkflowExecution", signal_request("id-0", "s"));  // one executor notices, both tell
  for (const auto& call : waiting) {
    ASSERT_TRUE(call->answered() && !call->answer->has_value());
    EXPECT_EQ(call->answer->error().code, Code::kUnavailable);
  }
}

// The answer of a query rides on a completion: it may not leave before that is durable (E1).
TEST(E5, E1_AQueryResultWaitsForTheCompletionThatBroughtIt) {
  World world;
  start(world, start_request("id"));
  const auto first = task_of(world);
  const auto query = world.start("QueryWorkflow", query_request("id"));
  ASSERT_TRUE(
      world.call<wfs::SignalWorkflowExecutionResponse>("SignalWorkflowExecution", signal_request("id", "s")));
  ASSERT_TRUE(world.call<wfs::RespondWorkflowTaskCompletedResponse>("RespondWorkflowTaskCompleted",
                                                                    completion(first.task_token())));
  const auto second = task_of(world);
  ASSERT_EQ(second.queries().size(), 1u);
  auto done = completion(second.task_token());
  auto& result = (*done.mutable_query_results())[second.queries().begin()->first];
  result.set_result_type(enums::QUERY_RESULT_TYPE_ANSWERED);
  world.store().hold_appends();
  const auto completed = world.start("RespondWorkflowTaskCompleted", done);
  EXPECT_FALSE(completed->answered());
  EXPECT_FALSE(query->answered());
  world.store().release_appends();
  world.scheduler.run_until_idle();
  EXPECT_TRUE(completed->answered());
  ASSERT_TRUE(query->answered());
  EXPECT_TRUE(query->answer->has_value());
}

// ---- E11: lists ----------------------------------------------------------------------------------------

TEST(E11, ListAndCountSeeWhatWasAcknowledgedWithinATenthOfASecond) {
  World world({.local = true, .loops = 2});
  base::Random random(5);
  std::int64_t running = 0, all = 0;
  for (int n = 0; n < 150; ++n) {
    if (running == 0 || random.below(3) > 0) {
      start(world, start_request("id-" + std::to_string(n)));
      ++running;
      ++all;
    } else {
      wfs::ListWorkflowExecutionsRequest open;
      open.set_namespace_("default");
      open.set_query("ExecutionStatus = 'Running'");
      const auto listed = world.call<wfs::ListWorkflowExecutionsResponse>("ListWorkflowExecutions", open);
      ASSERT_TRUE(listed);
      ASSERT_EQ(listed->executions_size(), running);
      wfs::TerminateWorkflowExecutionRequest request;
      request.set_namespace_("default");
      *request.mutable_workflow_execution() =
          listed->executions(static_cast<int>(random.below(static_cast<std::uint64_t>(running)))).execution();
      ASSERT_TRUE(world.call<wfs::TerminateWorkflowExecutionResponse>("TerminateWorkflowExecution", request));
      --running;
    }
    wfs::CountWorkflowExecutionsRequest request;
    request.set_namespace_("default");
    if (n % 2 == 0) request.set_query("ExecutionStatus = 'Running'");
    const auto counted = world.start("CountWorkflowExecutions", request);
    for (int ms = 0; ms < 100 && !counted->answered(); ++ms) world.advance(milliseconds(1));
    ASSERT_TRUE(counted->answered());
    ASSERT_EQ(answer_of<wfs::CountWorkflowExecutionsResponse>(*counted).count(), n % 2 == 0 ? running : all);
    if (random.below(10) == 0) world.advance(milliseconds(random.below(2000)));
  }
}

TEST(E11, ASlowCountHoldsUpNoStart) {
  World world({.local = true});
  start(world, start_request("cold"));
  world.advance(seconds(3));
  world.crash();  // nothing is in memory: heads are read from the store
  world.lists().stall();
  wfs::CountWorkflowExecutionsRequest request;
  request.set_namespace_("default");
  const auto counted = world.start("CountWorkflowExecutions", request);
  EXPECT_FALSE(counted->answered());
  start(world, start_request("new"));
  EXPECT_EQ(history_types(world, "cold").size(), 2u);
  EXPECT_FALSE(counted->answered());
  world.lists().go_on();
  world.scheduler.run_until_idle();
  EXPECT_EQ(answer_of<wfs::CountWorkflowExecutionsResponse>(*counted).count(), 1);
}

// ---- E13: the catalog of one process -------------------------------------------------------------------

TEST(E13, ANamespaceIsThereAsSoonAsItsRegistrationIsAnswered) {
  for (int server = 0; server < 50; ++server) {
    World world({.loops = 2});
    for (int n = 0; n < 200; ++n) {
      const std::string name = "ns-" + std::to_string(n);
      wfs::RegisterNamespaceRequest registration;
      registration.set_namespace_(name);
      registration.mutable_workflow_execution_retention_period()->set_seconds(86'400);
      ASSERT_TRUE(world.call<wfs::RegisterNamespaceResponse>("RegisterNamespace", registration));
      auto request = start_request("id");
      request.set_namespace_(name);
      const auto started = world.call<wfs::StartWorkflowExecutionResponse>("StartWorkflowExecution", request);
      ASSERT_TRUE(started) << name << ": " << started.error().message;
    }
    world.crash();
    wfs::DescribeNamespaceRequest request;
    request.set_namespace_("ns-199");
    EXPECT_TRUE(world.call<wfs::DescribeNamespaceResponse>("DescribeNamespace", request));
  }
}

// ---- E15: mailboxes of one byte ------------------------------------------------------------------------

TEST(E15, MailboxesOfSizeOneStillMakeProgress) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    World world({.seed = seed, .loops = 2, .mailbox = {.internal_bytes = 1, .new_work_bytes = 1}});
    Load load(world, {.seed = seed, .crashes = 2, .kinds = {Crash::kKeepAll}});
    load.run();
    for (const std::string& violation : load.violations())
      ADD_FAILURE() << "seed " << seed << ": " << violation;
    EXPECT_GE(load.acknowledged(), 24);
    if (HasFailure()) return;
  }
}

// ---- E17: tokens outlive no copy -----------------------------------------------------------------------

TEST(E17, TokensOfAnotherFutureAreWorthlessInARestoredCopy) {
  World world({.local = true});
  start(world, start_request("id"));
  const std::shared_ptr<base::SimDisk> copy = world.disk().copy(9);
  copy->crash(Crash::kDropUnsynced);
  // The original goes on: these tokens name starts that the copy has never seen.
  const auto task = task_of(world);
  auto commands = completion(task.task_token());
  add_activity(commands, "a", seconds(100));
  ASSERT_TRUE(
      world.call<wfs::RespondWorkflowTaskCompletedResponse>("RespondWorkflowTaskCompleted", commands));
  const auto activity =
      answer_of<wfs::PollActivityTaskQueueResponse>(*world.start("PollActivityTaskQueue", activity_poll()));
  ASSERT_FALSE(activity.task_token().empty());

  World restored({.local = true, .seed = 9, .start = world.clock.now(), .lives = 50, .disk = copy});
  // The same events with the same ids happen again, for other workers.
  auto again = completion(task_of(restored).task_token());
  add_activity(again, "a", seconds(100));
  const auto old_task =
      restored.call<wfs::RespondWorkflowTaskCompletedResponse>("RespondWorkflowTaskCompleted", commands);
  ASSERT_FALSE(old_task);
  EXPECT_EQ(old_task.error().code, Code::kNotFound);
  ASSERT_TRUE(
      restored.call<wfs::RespondWorkflowTaskCompletedResponse>("RespondWorkflowTaskCompleted", again));
  const auto other = answer_of<wfs::PollActivityTaskQueueResponse>(
      *restored.start("PollActivityTaskQueue", activity_poll()));
  ASSERT_FALSE(other.task_token().empty());
  wfs::RespondActivityTaskCompletedRequest done;
  done.set_namespace_("default");
  done.set_task_token(activity.task_token());
  const auto old_activity =
      restored.call<wfs::RespondActivityTaskCompletedResponse>("RespondActivityTaskCompleted", done);
  ASSERT_FALSE(old_activity);
  EXPECT_EQ(old_activity.error().code, Code::kNotFound);
  done.set_task_token(other.task_token());
  EXPECT_TRUE(restored.call<wfs::RespondActivityTaskCompletedResponse>("RespondActivityTaskCompleted", done));
}

}  // namespace
}  // namespace perdure::engine
