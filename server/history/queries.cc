// Queries (WT-50…55): straight to a worker when nothing is in flight, otherwise on the next workflow task. Never durable.
#include <algorithm>

#include "server/core/errors.h"
#include "server/history/loop.h"
#include "server/history/token.h"
#include "server/history/wire.h"

namespace perdure::history {
namespace {

namespace wfs = core::wfs;
namespace enums = temporal::api::enums::v1;

constexpr std::int64_t kPageEvents = 256;

// The answer of a query to a run that has no task yet must reach the client before it gives up.
base::Time answer_by(base::Time now, base::Time deadline) {
  constexpr base::Duration kOnTheWay = std::chrono::milliseconds(500);
  return deadline == base::kNever ? deadline : deadline - std::min(kOnTheWay, (deadline - now) / 4);
}

// What a query task says of the run, without its token and history.
wfs::PollWorkflowTaskQueueResponse query_response(const UnitKey& key, const core::QueryRoute& route,
                                                  const QueryRequest& request) {
  wfs::PollWorkflowTaskQueueResponse response;
  response.mutable_workflow_execution()->set_workflow_id(key.id);
  response.mutable_workflow_execution()->set_run_id(route.run_id);
  response.mutable_workflow_type()->set_name(route.workflow_type);
  response.mutable_workflow_execution_task_queue()->set_name(route.task_queue);
  response.mutable_workflow_execution_task_queue()->set_kind(enums::TASK_QUEUE_KIND_NORMAL);
  response.set_previous_started_event_id(route.previous_started_id);
  response.set_attempt(1);
  *response.mutable_query() = request.request.query();
  return response;
}

}  // namespace

void Loop::query(QueryRequest request, Done<wfs::QueryWorkflowResponse> done) {
  const UnitKey key = request.key;
  core::RouteQuery route{.run_id = request.request.execution().run_id(),
                         .reject_condition = request.request.query_reject_condition()};
  decide(
      key, route,
      [this, key, request = std::move(request), done = std::move(done)](Result<core::Reply> reply) mutable {
        Unit* unit = find_unit(key);
        const Sequence sequence = unit ? unit->sequence : 0;
        if (!reply) {
          return when_durable(sequence,
                              [error = reply.error(), done = std::move(done)](base::Status status) mutable {
                                done(std::unexpected(status ? std::move(error) : std::move(status).error()));
                              });
        }
        const auto& route = std::get<core::QueryRoute>(*reply);
        if (route.how == core::QueryRoute::How::kRejected) {
          wfs::QueryWorkflowResponse response;
          response.mutable_query_rejected()->set_status(
              static_cast<enums::WorkflowExecutionStatus>(route.rejected_status));
          return when_durable(sequence, [response, done = std::move(done)](base::Status status) mutable {
            if (!status) return done(std::unexpected(std::move(status).error()));
            done(std::move(response));
          });
        }
        const std::string id = random_.uuid();
        PendingQuery& pending = queries_[id];
        pending.done = std::move(done);
        pending.sequence = sequence;
        pending.timer =
            executor_.call_at(route.pending_first_task ? answer_by(executor_.clock().now(), request.deadline)
                                                       : request.deadline,
                              [this, key, run_id = route.run_id, id, deadline = request.deadline] {
                                query_overdue(key, run_id, id, deadline);
                              });
        if (route.how == core::QueryRoute::How::kDirect) return query_directly(key, route, id, request);
        unit->find(route.run_id)->queries.push_back({id, std::move(request), false});
      });
}

void Loop::query_overdue(const UnitKey& key, const std::string& run_id, const std::string& id,
                         base::Time deadline) {
  Unit* unit = find_unit(key);
  Run* run = unit ? unit->find(run_id) : nullptr;
  const bool no_task_yet = run && !run->state.progress.first_task_scheduled();
  if (!no_task_yet && executor_.clock().now() < deadline) {
    const auto again = [this, key, run_id, id, deadline] { query_overdue(key, run_id, id, deadline); };
    queries_.at(id).timer = executor_.call_at(deadline, again);
    return;
  }
  if (run) run->queries.remove_if([&](const AttachedQuery& query) { return query.id == id; });
  const Sequence looked_at = unit ? unit->sequence : 0;
  if (no_task_yet) {
    return finish_query(id, std::unexpected(core::workflow_not_ready("Workflow task is not scheduled yet.")),
                        looked_at);
  }
  finish_query(id,
               base::fail(base::Code::kDeadlineExceeded, "query timed out before a worker could process it"),
               looked_at);
}

// A query task carries the whole history, or none when the worker has the run in its cache (WT-52).
void Loop::query_directly(const UnitKey& key, const core::QueryRoute& route, const std::string& id,
                          const QueryRequest& request) {
  with_events(key, route.run_id, 1, [this, key, route, id, request](base::Status status) mutable {
    Unit* unit = find_unit(key);
    Run* run = unit ? unit->find(route.run_id) : nullptr;
    if (!status || !run)
      return finish_query(id, std::unexpected(status ? core::workflow_not_found(key.id) : status.error()));
    core::pb::TaskToken token;
    token.set_kind(3);
    token.set_namespace_id(key.namespace_id);
    token.set_workflow_id(key.id);
    token.set_run_id(route.run_id);
    token.set_query_id(std::to_string(index_) + ":" + id);
    wfs::PollWorkflowTaskQueueResponse response = query_response(key, route, request);
    response.set_task_token(write_token(token, token_key()));
    matching::QueryTask task;
    task.id = id;
    task.deadline = request.deadline;
    const matching::QueueKey normal{key.namespace_id, core::TaskKind::kWorkflow, route.task_queue};
    const std::int64_t next = std::min(run->events.next(), kPageEvents + 1);
    wfs::PollWorkflowTaskQueueResponse whole = response;
    if (next < run->events.next()) {
      core::pb::HistoryToken page;
      page.set_namespace_id(key.namespace_id);
      page.set_workflow_id(key.id);
      page.set_run_id(route.run_id);
      page.set_next_event_id(next);
      page.set_running(run->state.running());
      whole.set_next_page_token(write_page_token(page, token_key()));
    }
    std::string history;
    for (std::int64_t event = 1; event < next; ++event) append_field(history, 1, *run->events.at(event));
    std::string full = whole.SerializeAsString();
    append_field(full, wfs::PollWorkflowTaskQueueResponse::kHistoryFieldNumber, history);
    if (!route.sticky_queue.empty() && run->state.running()) {
      // An empty history, but present: the worker goes on from its cache.
      task.response = response.SerializeAsString();
      append_field(task.response, wfs::PollWorkflowTaskQueueResponse::kHistoryFieldNumber, "");
      task.queue = {key.namespace_id, core::TaskKind::kWorkflow, route.sticky_queue};
      task.sticky_timeout = route.sticky_timeout;
      task.fallback = normal;
      task.fallback_response = std::move(full);
      task.fell_back = [this, executor = &executor_, key, run_id = route.run_id] {
        executor->post(base::Lane::kCompletion, 0, [this, key, run_id] {
          decide(key, core::ResetSticky{.run_id = run_id}, [](Result<core::Reply>) {});
        });
      };
    } else {
      task.queue = normal;
      task.response = std::move(full);
    }
    base::Executor* executor = &executor_;
    task.taken = [this, executor, id](Result<void> taken) {
      if (taken) return;
      executor->post(base::Lane::kCompletion, 0,
                     [this, id, error = taken.error()] { finish_query(id, std::unexpected(error)); });
    };
    // What the worker sees must be durable (rule E1).
    when_durable(unit->sequence, [this, id, task = std::move(task)](base::Status status) mutable {
      if (!status) return finish_query(id, std::unexpected(status.error()));
      shared_.matching->query(std::move(task));
    });
  });
}

void Loop::finish_query(const std::string& id, Result<wfs::QueryWorkflowResponse> answer,
                        Sequence looked_at) {
  const auto found = queries_.find(id);
  if (found == queries_.end()) return;
  PendingQuery pending = std::move(found->second);
  queries_.erase(found);
  executor_.cancel(pending.timer);
  when_durable(std::max(pending.sequence, looked_at),
               [answer = std::move(answer), done = std::move(pending.done)](base::Status status) mutable {
                 if (!status) return done(std::unexpected(std::move(status).error()));
                 done(std::move(answer));
               });
}

void Loop::query_answered(const std::string& id, int type, const temporal::api::common::v1::Payloads& answer,
                          const std::string& message, const temporal::api::failure::v1::Failure* failure,
                          Sequence looked_at) {
  if (answer.ByteSizeLong() > shared_.options.limits.blob_size) {
    return finish_query(id, std::unexpected(core::query_failed("query result exceeds size limit", nullptr)),
                        looked_at);
  }
  if (type == enums::QUERY_RESULT_TYPE_ANSWERED) {
    wfs::QueryWorkflowResponse response;
    *response.mutable_query_result() = answer;
    return finish_query(id, std::move(response), looked_at);
  }
  finish_query(id, std::unexpected(core::query_failed(message, failure)), looked_at);
}

void Loop::answer_query(const std::string& id, wfs::RespondQueryTaskCompletedRequest request,
                        Done<void> done) {
  if (!queries_.contains(id))
    return done(std::unexpected(core::not_found("query task not found, or already expired")));
  query_answered(id, request.completed_type(), request.query_result(), request.error_message(),
                 request.has_failure() ? &request.failure() : nullptr, 0);
  done({});
}

void Loop::take_query_results(Run& run, const QueryResults& results, Sequence looked_at) {
  for (const auto& [id, result] : results) {
    const auto found = std::find_if(run.queries.begin(), run.queries.end(),
                                    [&](const AttachedQuery& q) { return q.id == id; });
    if (found == run.queries.end()) continue;
    run.queries.erase(found);
    query_answered(id, result.result_type(), result.answer(), result.error_message(),
                   result.has_failure() ? &result.failure() : nullptr, looked_at);
  }
}

// After something happened to the run: queries that no workflow task will carry go on by themselves (WT-29).
void Loop::settle_queries(Unit& unit, Run& run) {
  if (run.state.exists() && run.state.running()) {
    const core::pb::WorkflowTask& task = run.state.progress.task();
    if (task.scheduled_id() != 0 || !run.state.progress.first_task_scheduled()) {
      if (task.started_id() == 0) {
        for (AttachedQuery& query : run.queries) query.sent = false;  // its task failed: it rides on the next
      }
      if (task.attempt() < 3) return;
    }
  }
  std::list<AttachedQuery> waiting;
  waiting.swap(run.queries);
  for (AttachedQuery& query : waiting) {
    const auto found = queries_.find(query.id);
    if (found == queries_.end()) continue;
    Done<wfs::QueryWorkflowResponse> done = std::move(found->second.done);
    executor_.cancel(found->second.timer);
    queries_.erase(found);
    executor_.post(base::Lane::kCompletion, 0,
                   [this, request = std::move(query.request), done = std::move(done)]() mutable {
                     this->query(std::move(request), std::move(done));
                   });
  }
  static_cast<void>(unit);
}

}  // namespace perdure::history
