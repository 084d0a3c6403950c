// What leaves History: pages of a history (with long polls), and the replies of polls that got a task.
#include <algorithm>

#include "base/check.h"
#include "base/planted.h"
#include "server/core/errors.h"
#include "server/core/workflow/workflow_task.h"
#include "server/history/loop.h"
#include "server/history/token.h"
#include "server/history/wire.h"

namespace perdure::history {
namespace {

namespace wfs = core::wfs;

constexpr std::int64_t kPageEvents = 256;       // of the first page that a poll reply carries (WT-09)
constexpr std::int64_t kMostWaiters = 200'000;  // long polls, per executor
constexpr std::size_t kPageBytes = 3 << 20;     // so that a page stays below the message limit of clients

std::shared_ptr<const std::string> serialized(const core::HistoryEvent& event) {
  return std::make_shared<const std::string>(event.SerializeAsString());
}

}  // namespace

std::string Loop::token_key() const {
  return shared_.options.catalog->snapshot()->token_key;
}

// ---- GetWorkflowExecutionHistory
// -----------------------------------------------------------------------------------------------

void Loop::read_history(HistoryRequest request, Done<HistoryPage> done) {
  const UnitKey key = request.key;
  core::ReadHistory command{.run_id = request.run_id, .with_tail = false};
  decide(
      key, std::move(command),
      [this, key, request = std::move(request), done = std::move(done)](Result<core::Reply> reply) mutable {
        if (!reply) {
          if (serve_stored_history(key, request, done)) return;
          const Unit* unit = find_unit(key);
          return when_durable(unit ? unit->sequence : 0,
                              [error = reply.error(), done = std::move(done)](base::Status status) mutable {
                                done(std::unexpected(status ? std::move(error) : std::move(status).error()));
                              });
        }
        auto& position = std::get<core::HistoryPosition>(*reply);
        request.run_id = position.run_id;  // pinned: later runs of the id do not mix in (WT-63)
        std::int64_t first = std::max<std::int64_t>(request.first_event_id, 1);
        if (request.reverse) {
          const std::int64_t top =
              request.first_event_id == 0 ? position.next_event_id - 1 : request.first_event_id;
          first = std::max<std::int64_t>(1, top - request.page_size + 1);
        } else if (request.close_event_only) {
          first = position.running ? position.next_event_id : position.close_event_id;
        }
        const std::string run_id = request.run_id;
        with_events(
            key, run_id, first,
            [this, key, request = std::move(request), done = std::move(done)](base::Status status) mutable {
              if (!status) return done(std::unexpected(std::move(status).error()));
              serve_history(key, std::move(request), std::move(done));
            });
      });
}

void Loop::serve_history(const UnitKey& key, HistoryRequest request, Done<HistoryPage> done) {
  Unit* unit = find_unit(key);
  Run* run = unit ? unit->find(request.run_id) : nullptr;
  if (!run || !run->state.exists()) return done(std::unexpected(core::workflow_not_found(key.id)));
  HistoryPage page;
  if (!history_page(*unit, *run, request, !request.wait_new_event, page)) {
    return park_history(*unit, *run, std::move(request), std::move(done));
  }
  if (base::planted(base::Bug::kReadDoesNotWait)) return done(std::move(page));
  answer_page(*unit, std::move(page), std::move(done));
}

// Fills the page; false: there is nothing to say yet and the request waits (unless this is its last chance).
bool Loop::history_page(const Unit& unit, Run& run, const HistoryRequest& request, bool last_chance,
                        HistoryPage& page) {
  const core::pb::RunProgress& progress = run.state.progress;
  page.run_id = request.run_id;
  page.running = run.state.running();
  const std::int64_t next = progress.next_event_id();
  static_cast<void>(unit);
  if (request.close_event_only) {
    page.next_event_id = request.first_event_id;
    if (!page.running) {
      page.events.push_back(run.events.at(progress.close_event_id()));
      page.next_event_id = next;
      return true;
    }
    return last_chance;
  }
  std::size_t bytes = 0;
  const auto take = [&](std::int64_t id) {
    page.events.push_back(run.events.at(id));
    bytes += page.events.back()->size();
  };
  if (request.reverse) {
    const std::int64_t top =
        request.first_event_id == 0 ? next - 1 : std::min(request.first_event_id, next - 1);
    std::int64_t id = top;
    for (; id >= 1 && run.events.holds(id) && static_cast<int>(page.events.size()) < request.page_size &&
           bytes < kPageBytes;
         --id) {
      take(id);
    }
    page.next_event_id = id;
    page.more = id >= 1;
    return true;
  }
  std::int64_t id = std::max<std::int64_t>(request.first_event_id, 1);
  if (id >= next && request.wait_new_event && page.running && !last_chance) return false;
  for (; id < next && static_cast<int>(page.events.size()) < request.page_size && bytes < kPageBytes; ++id)
    take(id);
  page.next_event_id = std::max(id, request.first_event_id);
  page.more = id < next;
  if (!page.more && request.with_tail) {
    for (const core::HistoryEvent& event : core::transient_tail(run.state, false))
      page.events.push_back(serialized(event));
  }
  return true;
}

namespace {

base::Error stopping() {
  return {base::Code::kUnavailable, "the server is stopping; please retry", {}};
}

}  // namespace

// Long polls and queries end with an error that clients repeat, elsewhere or after the restart: the door
// closes only when no call is under way.
void Loop::release_parked() {
  stopping_ = true;
  end_parked(stopping());
}

void Loop::end_parked(const base::Error& why) {
  std::vector<Done<HistoryPage>> parked;
  for (const auto& [key, unit] : units_) {
    for (auto& [run_id, run] : unit->runs) {
      for (HistoryWaiter& waiter : run.waiters) {
        executor_.cancel(waiter.timer);
        parked.push_back(std::move(waiter.done));
      }
      run.waiters.clear();
    }
  }
  for (auto& done : parked) done(std::unexpected(why));
  while (!queries_.empty()) {
    auto query = queries_.extract(queries_.begin());
    executor_.cancel(query.mapped().timer);
    query.mapped().done(std::unexpected(why));
  }
}

void Loop::park_history(Unit& unit, Run& run, HistoryRequest request, Done<HistoryPage> done) {
  if (stopping_) return done(std::unexpected(stopping()));
  if (waiting_ >= kMostWaiters)
    return done(std::unexpected(core::overloaded("too many long polls of histories wait")));
  const base::TimerId timer = executor_.call_at(
      request.wait_until,
      [this, key = unit.key, run_id = request.run_id, id = request.waiter] { end_waiter(key, run_id, id); });
  run.waiters.push_back({std::move(request), std::move(done), timer, Counted(waiting_)});
}

void Loop::leave_history(const UnitKey& key, std::uint64_t waiter) {
  const Unit* unit = find_unit(key);
  if (!unit) return;
  for (const auto& [run_id, run] : unit->runs) {
    const auto waits = [&](const HistoryWaiter& w) { return w.request.waiter == waiter; };
    if (std::ranges::any_of(run.waiters, waits)) return end_waiter(key, std::string(run_id), waiter);
  }
}

// With what there is: an empty page.
void Loop::end_waiter(const UnitKey& key, const std::string& run_id, std::uint64_t waiter) {
  Unit* unit = find_unit(key);
  Run* run = unit ? unit->find(run_id) : nullptr;
  if (!run) return;
  const auto found =
      std::ranges::find(run->waiters, waiter, [](const HistoryWaiter& w) { return w.request.waiter; });
  if (found == run->waiters.end()) return;
  executor_.cancel(found->timer);
  HistoryWaiter ended = std::move(*found);
  run->waiters.erase(found);
  HistoryPage page;
  history_page(*unit, *run, ended.request, true, page);
  answer_page(*unit, std::move(page), std::move(ended.done));
}

void Loop::answer_page(const Unit& unit, Result<HistoryPage> page, Done<HistoryPage> done) {
  when_durable(unit.sequence, [page = std::move(page), done = std::move(done)](base::Status status) mutable {
    if (!status) return done(std::unexpected(std::move(status).error()));
    done(std::move(page));
  });
}

void Loop::answer_waiters(Unit& unit, Run& run) {
  for (auto waiter = run.waiters.begin(); waiter != run.waiters.end();) {
    HistoryPage page;
    Result<HistoryPage> answer = HistoryPage{};
    if (!run.state.exists()) {
      answer = std::unexpected(core::workflow_not_found(unit.key.id));
    } else if (history_page(unit, run, waiter->request, false, page)) {
      answer = std::move(page);
    } else {
      ++waiter;
      continue;
    }
    executor_.cancel(waiter->timer);
    answer_page(unit, std::move(answer), std::move(waiter->done));
    waiter = run.waiters.erase(waiter);
  }
}

// ---- poll replies
// --------------------------------------------------------------------------------------------------------------

// A serialized PollWorkflowTaskQueueResponse. The events from first_event_id on must be in memory.
std::string Loop::workflow_task_reply(Unit& unit, Run& run, const core::WorkflowTaskStarted& started,
                                      bool with_queries) {
  core::pb::TaskToken token;
  token.set_kind(1);
  token.set_namespace_id(unit.key.namespace_id);
  token.set_workflow_id(started.workflow_id);
  token.set_run_id(started.run_id);
  token.set_scheduled_id(started.scheduled_id);
  token.set_started_id(started.started_id);
  token.set_attempt(started.attempt);
  token.set_nonce(started.nonce);
  wfs::PollWorkflowTaskQueueResponse response;
  response.set_task_token(write_token(token, token_key()));
  response.mutable_workflow_execution()->set_workflow_id(started.workflow_id);
  response.mutable_workflow_execution()->set_run_id(started.run_id);
  response.mutable_workflow_type()->set_name(started.workflow_type);
  response.set_previous_started_event_id(started.previous_started_id);
  response.set_started_event_id(started.started_id);
  response.set_attempt(started.attempt);
  response.mutable_workflow_execution_task_queue()->set_name(started.task_queue);
  response.mutable_workflow_execution_task_queue()->set_kind(
      temporal::api::enums::v1::TASK_QUEUE_KIND_NORMAL);
  core::assign(response.mutable_scheduled_time(), started.scheduled_time);
  core::assign(response.mutable_started_time(), started.started_time);
  if (with_queries) {
    for (AttachedQuery& query : run.queries) {
      query.sent = true;
      (*response.mutable_queries())[query.id] = query.request.request.query();
    }
  }
  std::size_t bytes = 0;
  std::int64_t id = started.first_event_id;
  const std::int64_t end = std::min(started.next_event_id, started.first_event_id + kPageEvents);
  for (; id < end && bytes < kPageBytes; ++id) bytes += field_size(1, run.events.at(id)->size());
  const std::int64_t next = id;
  if (next < started.next_event_id) {
    core::pb::HistoryToken page;
    page.set_namespace_id(unit.key.namespace_id);
    page.set_workflow_id(started.workflow_id);
    page.set_run_id(started.run_id);
    page.set_next_event_id(next);
    page.set_running(true);
    response.set_next_page_token(write_page_token(page, token_key()));
  }
  std::string history;
  history.reserve(bytes + 512);
  for (id = started.first_event_id; id < next; ++id) append_field(history, 1, *run.events.at(id));
  if (next == started.next_event_id) {
    for (const core::HistoryEvent& event : started.tail) append_field(history, 1, event.SerializeAsString());
  }
  std::string out = response.SerializeAsString();
  append_field(out, wfs::PollWorkflowTaskQueueResponse::kHistoryFieldNumber, history);
  return out;
}

std::string Loop::activity_task_reply(const Unit& unit, const core::ActivityTaskStarted& started) {
  const core::pb::Activity& activity = *started.activity;
  const auto& scheduled = started.scheduled_event->activity_task_scheduled_event_attributes();
  core::pb::TaskToken token;
  token.set_kind(2);
  token.set_namespace_id(unit.key.namespace_id);
  token.set_workflow_id(started.workflow_id);
  token.set_run_id(started.run_id);
  token.set_scheduled_id(started.scheduled_id);
  token.set_attempt(activity.attempt());
  token.set_nonce(started.nonce);
  token.set_activity_id(activity.activity_id());
  wfs::PollActivityTaskQueueResponse response;
  response.set_task_token(write_token(token, token_key()));
  const auto catalog = shared_.options.catalog->snapshot();
  if (const core::Namespace* ns = catalog->find_by_id(unit.key.namespace_id))
    response.set_workflow_namespace(ns->name());
  response.mutable_workflow_type()->set_name(started.workflow_type);
  response.mutable_workflow_execution()->set_workflow_id(started.workflow_id);
  response.mutable_workflow_execution()->set_run_id(started.run_id);
  response.set_activity_id(activity.activity_id());
  response.mutable_activity_type()->set_name(activity.type());
  if (scheduled.has_header()) *response.mutable_header() = scheduled.header();
  if (scheduled.has_input()) *response.mutable_input() = scheduled.input();
  if (activity.has_heartbeat_details()) *response.mutable_heartbeat_details() = activity.heartbeat_details();
  core::assign(response.mutable_scheduled_time(), activity.first_scheduled_time());
  core::assign(response.mutable_current_attempt_scheduled_time(), activity.scheduled_time());
  core::assign(response.mutable_started_time(), activity.started_time());
  response.set_attempt(activity.attempt());
  core::assign(response.mutable_schedule_to_close_timeout(), activity.schedule_to_close_timeout());
  core::assign(response.mutable_start_to_close_timeout(), activity.start_to_close_timeout());
  core::assign(response.mutable_heartbeat_timeout(), activity.heartbeat_timeout());
  if (activity.has_retry_policy()) *response.mutable_retry_policy() = activity.retry_policy();
  if (activity.has_priority()) *response.mutable_priority() = activity.priority();
  return response.SerializeAsString();
}

// Builds a reply when the events it needs are in memory, and lets it go when everything in it is durable.
namespace {

template <class Answer>
void gated(Loop& loop, Sequence sequence, Answer answer, Done<Answer> done) {
  loop.when_durable(sequence,
                    [answer = std::move(answer), done = std::move(done)](base::Status status) mutable {
                      if (!status) return done(std::unexpected(std::move(status).error()));
                      done(std::move(answer));
                    });
}

}  // namespace

void Loop::start_task(const matching::Offer& offer, const matching::Poller& poller, Done<std::string> done) {
  core::Command command;
  if (offer.task.kind == core::TaskKind::kWorkflow) {
    command = core::StartWorkflowTask{.run_id = offer.run_id,
                                      .scheduled_id = offer.task.scheduled_id,
                                      .attempt = offer.task.attempt,
                                      .sticky = offer.task.sticky,
                                      .queue = offer.task.queue,
                                      .identity = poller.identity,
                                      .request_id = poller.request_id,
                                      .build_id = poller.build_id};
  } else {
    command = core::StartActivityTask{.run_id = offer.run_id,
                                      .scheduled_id = offer.task.scheduled_id,
                                      .attempt = offer.task.attempt,
                                      .identity = poller.identity,
                                      .request_id = poller.request_id,
                                      .build_id = poller.build_id};
  }
  const UnitKey key = offer.unit;
  decide(key, std::move(command), [this, key, done = std::move(done)](Result<core::Reply> reply) mutable {
    Unit* unit = find_unit(key);
    if (!unit) return done(std::unexpected(core::workflow_task_not_found()));
    if (!reply) {
      return when_durable(unit->sequence,
                          [error = reply.error(), done = std::move(done)](base::Status status) mutable {
                            done(std::unexpected(status ? std::move(error) : std::move(status).error()));
                          });
    }
    if (auto* activity = std::get_if<core::ActivityTaskStarted>(&*reply)) {
      return gated<std::string>(*this, unit->sequence, activity_task_reply(*unit, *activity),
                                std::move(done));
    }
    auto started = std::get<core::WorkflowTaskStarted>(std::move(*reply));
    const std::string run_id = started.run_id;
    const std::int64_t first = started.first_event_id;
    with_events(
        key, run_id, first,
        [this, key, started = std::move(started), done = std::move(done)](base::Status status) mutable {
          Unit* unit = find_unit(key);
          Run* run = unit ? unit->find(started.run_id) : nullptr;
          if (!status || !run)
            return done(
                std::unexpected(status ? core::workflow_task_not_found() : std::move(status).error()));
          gated<std::string>(*this, unit->sequence, workflow_task_reply(*unit, *run, started, true),
                             std::move(done));
        });
  });
}

void Loop::start_workflow(const UnitKey& key, core::StartWorkflow command, Done<std::string> done) {
  decide(key, std::move(command), [this, key, done = std::move(done)](Result<core::Reply> reply) mutable {
    Unit* unit = find_unit(key);
    const Sequence sequence = unit ? unit->sequence : 0;
    if (!reply) {
      return when_durable(sequence,
                          [error = reply.error(), done = std::move(done)](base::Status status) mutable {
                            done(std::unexpected(status ? std::move(error) : std::move(status).error()));
                          });
    }
    const core::StartAnswer& answer = std::get<core::StartAnswer>(*reply);
    std::string bytes = answer.response.SerializeAsString();
    if (answer.eager_task) {
      Run* run = unit->find(answer.eager_task->run_id);
      if (run && run->events.holds(1)) {
        append_field(bytes, wfs::StartWorkflowExecutionResponse::kEagerWorkflowTaskFieldNumber,
                     workflow_task_reply(*unit, *run, *answer.eager_task, false));
      }
    }
    gated<std::string>(*this, sequence, std::move(bytes), std::move(done));
  });
}

void Loop::complete_workflow_task(const UnitKey& key, core::CompleteWorkflowTask command,
                                  Done<std::string> done) {
  const std::string run_id = command.task.run_id;
  decide(key, std::move(command),
         [this, key, run_id, done = std::move(done)](Result<core::Reply> reply) mutable {
           Unit* unit = find_unit(key);
           const Sequence sequence = unit ? unit->sequence : 0;
           if (!reply) {
             return when_durable(
                 sequence, [error = reply.error(), done = std::move(done)](base::Status status) mutable {
                   done(std::unexpected(status ? std::move(error) : std::move(status).error()));
                 });
           }
           const auto& answer = std::get<core::WorkflowTaskCompleted>(*reply);
           wfs::RespondWorkflowTaskCompletedResponse response;
           response.set_reset_history_event_id(answer.reset_history_event_id);
           std::string bytes = response.SerializeAsString();
           for (const core::ActivityTaskStarted& activity : answer.eager_activities) {
             append_field(bytes, wfs::RespondWorkflowTaskCompletedResponse::kActivityTasksFieldNumber,
                          activity_task_reply(*unit, activity));
           }
           if (!answer.new_task)
             return gated<std::string>(*this, sequence, std::move(bytes), std::move(done));
           const std::int64_t first = answer.new_task->first_event_id;
           with_events(
               key, run_id, first,
               [this, key, bytes = std::move(bytes), task = *answer.new_task,
                done = std::move(done)](base::Status status) mutable {
                 Unit* unit = find_unit(key);
                 Run* run = unit ? unit->find(task.run_id) : nullptr;
                 if (status && run) {
                   append_field(bytes, wfs::RespondWorkflowTaskCompletedResponse::kWorkflowTaskFieldNumber,
                                workflow_task_reply(*unit, *run, task, true));
                 }
                 gated<std::string>(*this, unit ? unit->sequence : 0, std::move(bytes), std::move(done));
               });
         });
}

}  // namespace perdure::history
