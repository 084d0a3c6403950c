// An id whose rules are broken (rule E12): what led there is kept, nobody may change it, it can be described, read and deleted,
// and no other id notices. The quarantine is a record of the log and a column of the projection, so it outlives the process.
#include "base/check.h"
#include "server/core/errors.h"
#include "server/core/workflow/describe.h"
#include "server/history/loop.h"

namespace perdure::history {
namespace {

// of records that cannot be applied, kept for whoever repairs them
constexpr std::size_t kRejectedBytes = 1 << 20;
constexpr int kRowsLookedAt = 100;

base::Error refusal(const Unit& unit) {
  return {base::Code::kFailedPrecondition,
          "workflow ID " + unit.key.id + " is quarantined: " + unit.quarantine->reason() +
              "; it can only be described, read and deleted",
          {}};
}

}  // namespace

void Loop::quarantine(Unit& unit, const std::string& why, const std::string& run_id) {
  if (unit.quarantine) return;
  core::pb::Quarantine quarantine;
  quarantine.set_reason(why.empty() ? "unreadable" : why);
  quarantine.set_run_id(run_id.empty() ? unit.head.head.current_run_id() : run_id);
  quarantine.set_time(core::nanos(executor_.clock().now()));
  core::pb::UnitRecords& records = records_of(unit);
  *records.add_records()->mutable_quarantine() = quarantine;
  take_quarantine(unit, std::move(quarantine));
}

// A unit's records of this turn: a decision of its own.
core::pb::UnitRecords& Loop::records_of(Unit& unit) {
  core::pb::UnitRecords& records = *group_.add_units();
  records.set_namespace_id(unit.key.namespace_id);
  records.set_kind(static_cast<int>(unit.key.kind));
  records.set_id(unit.key.id);
  unit.sequence = sequence_ + 1;
  mark_dirty(unit);
  return records;
}

void Loop::take_quarantine(Unit& unit, core::pb::Quarantine quarantine) {
  if (unit.quarantine) return;
  unit.quarantine = std::move(quarantine);
  unit.quarantine_dirty = true;
  mark_dirty(unit);
  ++shared_.quarantined;
  if (unit.timer != 0) executor_.cancel(unit.timer);
  unit.timer = 0;
  unit.timer_at = base::kNever;
  if (shared_.options.on_quarantine) shared_.options.on_quarantine(unit.key, unit.quarantine->reason());
  show_quarantine(unit);
}

void Loop::reject_tail(Unit& unit, std::size_t first, const std::string& why) {
  std::string run_id;
  for (const auto& record : unit.tail[first].second.records())
    run_id = record.run_id().empty() ? run_id : record.run_id();
  quarantine(unit, why, run_id);
  std::size_t bytes = unit.quarantine->ByteSizeLong();
  for (std::size_t i = first; i < unit.tail.size(); ++i) {
    auto& [group, records] = unit.tail[i];
    if (group <= unit.stored_position || (records.records_size() == 1 && records.records(0).has_quarantine()))
      continue;
    unit.quarantine->set_rejected_count(unit.quarantine->rejected_count() + 1);
    bytes += records.ByteSizeLong();
    if (bytes <= kRejectedBytes) *unit.quarantine->add_rejected() = std::move(records);
  }
  unit.quarantine_dirty = true;
}

// ---- what can still be done with it --------------------------------------------------------------------------------------------

void Loop::decide_quarantined(Unit& unit, PendingCommand pending) {
  const core::Command& command = pending.command;
  if (std::holds_alternative<core::DeleteWorkflow>(command))
    return forget_and_delete(unit, std::move(pending));
  if (const auto* describe = std::get_if<core::DescribeWorkflow>(&command)) {
    return pending.done(describe_quarantined(unit, describe->run_id));
  }
  if (const auto* read = std::get_if<core::ReadHistory>(&command)) {
    const std::string& run_id = read->run_id.empty() ? unit.head.head.current_run_id() : read->run_id;
    const Run* run = unit.find(run_id);
    if (run && run->state.exists()) return pending.done(decide_only(unit, std::move(pending.command)).reply);
  }
  if (std::holds_alternative<core::StartWorkflowTask>(command) ||
      std::holds_alternative<core::StartActivityTask>(command)) {
    return pending.done(std::unexpected(core::workflow_task_not_found()));  // queues forget its tasks
  }
  pending.done(std::unexpected(refusal(unit)));
}

Result<core::Reply> Loop::describe_quarantined(Unit& unit, const std::string& run_id) {
  core::Decision decision = decide_only(unit, core::DescribeWorkflow{run_id});
  if (!decision.reply) {
    const Run* run = unit.find(run_id.empty() ? unit.head.head.current_run_id() : run_id);
    const bool known = unit.head_unreadable || (run && run->unreadable) || run_id.empty() ||
                       run_id == unit.quarantine->run_id();
    if (!known) return decision.reply;
    core::wfs::DescribeWorkflowExecutionResponse response;
    auto& execution = *response.mutable_workflow_execution_info()->mutable_execution();
    execution.set_workflow_id(unit.key.id);
    execution.set_run_id(run_id.empty() ? unit.quarantine->run_id() : run_id);
    decision.reply = std::move(response);
  }
  auto& response = std::get<core::wfs::DescribeWorkflowExecutionResponse>(*decision.reply);
  core::report_quarantine(*response.mutable_workflow_execution_info(), unit.quarantine->reason());
  return std::move(decision.reply);
}

// The current run, the broken one, or no run in particular: the id goes whole, because what is left of it could not be trusted.
bool Loop::goes_whole(const Unit& unit, const core::DeleteWorkflow& command) const {
  return command.run_id.empty() || command.run_id == unit.head.head.current_run_id() ||
         (command.even_if_running && (unit.head_unreadable || command.run_id == unit.quarantine->run_id()));
}

// Ids on which it had an effect remember that until they are told to forget it (rule E7). An id that goes whole tells them
// first: in the log, too, they forget before it is gone.
void Loop::forget_and_delete(Unit& unit, PendingCommand pending) {
  const auto& removal = std::get<core::DeleteWorkflow>(pending.command);
  if (!removal.even_if_running || !goes_whole(unit, removal))
    return pending.done(delete_quarantined(unit, removal));
  ++unit.pins;
  forget_debts(unit, [this, key = unit.key, pending = std::move(pending)](base::Status status) mutable {
    Unit* unit = find_unit(key);
    CHECK(unit);
    --unit->pins;
    if (!status) return pending.done(std::unexpected(status.error()));
    // deleted meanwhile
    if (!unit->quarantine) return decide(key, std::move(pending.command), std::move(pending.done));
    pending.done(delete_quarantined(*unit, std::get<core::DeleteWorkflow>(pending.command)));
  });
}

// Retention takes single runs that are closed, as of any id.
Result<core::Reply> Loop::delete_quarantined(Unit& unit, const core::DeleteWorkflow& command) {
  const std::string& current = unit.head.head.current_run_id();
  const std::string& run_id = command.run_id;
  const bool by_user = command.even_if_running;
  Run* run = unit.find(run_id.empty() ? current : run_id);
  if (!by_user && (!run || !run->loaded || (run->state.exists() && run->state.running())))
    return std::unexpected(refusal(unit));
  if (goes_whole(unit, command)) {
    records_of(unit).add_records()->set_delete_unit(true);
    wipe(unit);
    return core::Nothing{};
  }
  if (!run || (!run->state.exists() && !run->unreadable))
    return std::unexpected(core::workflow_not_found(unit.key.id));
  core::pb::Record& record = *records_of(unit).add_records();
  record.set_run_id(run_id);
  record.set_delete_run(true);
  run->state = core::RunState{};
  run->unreadable = false;
  run->dirty = run->deleted = true;
  mark_visible(unit, run_id, *run);
  answer_waiters(unit, *run);
  return core::Nothing{};
}

void Loop::wipe(Unit& unit) {
  for (auto& [run_id, run] : unit.runs) {
    run.state = core::RunState{};
    answer_waiters(unit, run);
    while (!run.queries.empty()) {
      const std::string id = run.queries.front().id;
      finish_query(id, std::unexpected(core::workflow_not_found(unit.key.id)));
      run.queries.remove_if([&](const AttachedQuery& query) { return query.id == id; });
    }
  }
  unit.runs.clear();
  unit.head = core::HeadState{};
  unit.head_dirty = unit.head_unreadable = unit.quarantine_dirty = unit.stored = false;
  if (unit.quarantine) --shared_.quarantined;
  unit.quarantine.reset();
  unit.wiped = unit.wipe_dirty = unit.visibility_wiped = true;
  visibility_dirty_.emplace_back(unit.key, "");
  if (unit.timer != 0) executor_.cancel(unit.timer);
  unit.timer = 0;
  unit.timer_at = base::kNever;
  mark_dirty(unit);
}

// A history whose run cannot be read is served as it is stored, without what the state would add.
bool Loop::serve_stored_history(const UnitKey& key, const HistoryRequest& request, Done<HistoryPage>& done) {
  Unit* unit = find_unit(key);
  if (!unit || !unit->quarantine || request.reverse || request.close_event_only) return false;
  HistoryPage page;
  page.run_id = request.run_id;
  if (page.run_id.empty()) page.run_id = unit->head.head.current_run_id();
  if (page.run_id.empty()) page.run_id = unit->quarantine->run_id();
  const Run* run = unit->find(page.run_id);
  if (!unit->head_unreadable && !(run && run->unreadable)) return false;
  const std::int64_t first = std::max<std::int64_t>(request.first_event_id, 1);
  const std::int64_t last = first + request.page_size - 1;
  store_.read_events(
      key, page.run_id, first, last, 3 << 20,
      [page, first, last, done = std::move(done)](Result<std::vector<store::StoredEvent>> events) mutable {
        if (!events) return done(std::unexpected(events.error()));
        page.next_event_id = first + static_cast<std::int64_t>(events->size());
        page.more = !events->empty() && page.next_event_id <= last + 1;
        for (store::StoredEvent& event : *events) page.events.push_back(std::move(event.bytes));
        done(std::move(page));
      });
  return true;
}

// ---- lists ---------------------------------------------------------------------------------------------------------------------

bool Loop::shows_quarantine(const Unit& unit, const std::string& run_id) const {
  return unit.quarantine &&
         (run_id == unit.quarantine->run_id() || run_id == unit.head.head.current_run_id());
}

// The rows of the run in which it showed and of the current one say so. Of a run that is not in memory, or cannot be, the row that
// is stored is altered.
void Loop::show_quarantine(Unit& unit) {
  bool all_here = !unit.head_unreadable;
  for (const std::string& run_id : {unit.quarantine->run_id(), unit.head.head.current_run_id()}) {
    Run* run = run_id.empty() ? nullptr : unit.find(run_id);
    if (run && run->state.exists()) {
      mark_visible(unit, run_id, *run);
    } else {
      all_here = all_here && run_id.empty();
    }
  }
  if (all_here && !unit.quarantine->run_id().empty()) return;
  store::VisibilityQuery query;
  query.filter.namespace_id = unit.key.namespace_id;
  query.filter.workflow_id = unit.key.id;
  query.page_size = kRowsLookedAt;
  ++unit.loads;
  store_.list(std::move(query), [this, key = unit.key](Result<std::vector<store::VisibilityRow>> rows) {
    executor_.post(base::Lane::kCompletion, 0, [this, key, rows = std::move(rows)]() mutable {
      Unit* unit = find_unit(key);
      CHECK(unit);
      --unit->loads;
      if (rows && unit->quarantine) show_in_stored_rows(*unit, std::move(*rows));
      loaded(key);
    });
  });
}

void Loop::show_in_stored_rows(Unit& unit, std::vector<store::VisibilityRow> rows) {
  const bool any = unit.quarantine->run_id().empty();
  bool shown = false;
  for (store::VisibilityRow& row : rows) {
    if (!(any && !shown) && !shows_quarantine(unit, row.run_id)) continue;
    shown = true;
    if (Run* run = unit.find(row.run_id); run && run->state.exists()) {  // loaded meanwhile
      mark_visible(unit, row.run_id, *run);
      continue;
    }
    temporal::api::workflow::v1::WorkflowExecutionInfo info;
    if (!info.ParseFromString(row.info)) continue;
    core::report_quarantine(info, unit.quarantine->reason());
    row.info = info.SerializeAsString();
    visibility_rows_.push_back(std::move(row));
  }
  if (!shown) visibility_rows_.push_back(bare_row(unit));
  schedule_visibility();
}

// Of an id of which nothing was ever listed.
store::VisibilityRow Loop::bare_row(const Unit& unit) const {
  store::VisibilityRow row;
  row.namespace_id = unit.key.namespace_id;
  row.workflow_id = unit.key.id;
  row.run_id = unit.quarantine->run_id();
  // so that it is among the open ones
  row.status = temporal::api::enums::v1::WORKFLOW_EXECUTION_STATUS_RUNNING;
  row.start_time = core::time_of(unit.quarantine->time());
  temporal::api::workflow::v1::WorkflowExecutionInfo info;
  info.mutable_execution()->set_workflow_id(row.workflow_id);
  info.mutable_execution()->set_run_id(row.run_id);
  core::assign(info.mutable_start_time(), unit.quarantine->time());
  core::report_quarantine(info, unit.quarantine->reason());
  row.info = info.SerializeAsString();
  return row;
}

}  // namespace perdure::history
