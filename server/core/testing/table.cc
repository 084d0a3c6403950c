#include "server/core/testing/table.h"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <sstream>
#include <stdexcept>

#include "server/core/draft.h"
#include "server/core/testing/world.h"

namespace perdure::core {
namespace {

namespace command = ::temporal::api::command::v1;
using google::protobuf::Message;
using temporal::api::common::v1::Payload;
using temporal::api::common::v1::Payloads;

// What is wrong with a row; ends as a "!!" line. Only inside this file.
struct BadRow : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A row: its first word, then words and key=value pairs. A value may be quoted: reason="no more".
class Row {
 public:
  explicit Row(const std::string& line) {
    std::size_t at = 0;
    while ((at = line.find_first_not_of(' ', at)) != std::string::npos) {
      const std::size_t quote = line.find('"', at), space = line.find(' ', at);
      std::string word;
      if (quote < space) {
        const std::size_t end = line.find('"', quote + 1);
        if (end == std::string::npos) throw BadRow("unclosed quote");
        word = line.substr(at, quote - at) + line.substr(quote + 1, end - quote - 1);
        at = end + 1;
      } else {
        word = line.substr(at, space - at);
        at = space;
      }
      add(word);
      if (at == std::string::npos) break;
    }
  }
  const std::string& verb() const { return words_.at(0); }
  const std::string& word(std::size_t index) const {
    if (index >= words_.size()) throw BadRow("a word is missing");
    return words_[index];
  }
  bool flag(const std::string& name) const {
    return std::find(words_.begin() + 1, words_.end(), name) != words_.end();
  }
  bool has(const std::string& key) const { return pairs_.contains(key); }
  std::string get(const std::string& key, const std::string& otherwise = {}) const {
    const auto found = pairs_.find(key);
    return found == pairs_.end() ? otherwise : found->second;
  }
  std::int64_t number(const std::string& key, std::int64_t otherwise) const {
    return has(key) ? std::stoll(get(key)) : otherwise;
  }

 private:
  void add(const std::string& word) {
    const std::size_t equals = word.find('=');
    if (words_.empty() || equals == std::string::npos) {
      words_.push_back(word);
    } else {
      pairs_[word.substr(0, equals)] = word.substr(equals + 1);
    }
  }
  std::vector<std::string> words_;
  std::map<std::string, std::string> pairs_;
};

// "10s", "1.5s", "200ms", "2m".
Duration duration_of(const std::string& text) {
  double amount = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), amount);
  const std::string unit(end, text.data() + text.size());
  const std::map<std::string, double> units = {{"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  if (error != std::errc() || !units.contains(unit)) throw BadRow("not a duration: " + text);
  return Duration(static_cast<std::int64_t>(amount * units.at(unit)));
}

std::string shown(Duration duration) {
  std::ostringstream text;
  text << static_cast<double>(duration.count()) / 1e9 << "s";
  return text.str();
}

// Sets the field that `field` makes, if the row has the key: nothing is made present by asking.
template <class Field>
void set_duration(const Row& row, const char* key, Field field) {
  if (row.has(key)) assign(field(), duration_of(row.get(key)).count());
}

// JSON in which ' stands for ".
Payload payload_of(std::string json) {
  std::replace(json.begin(), json.end(), '\'', '"');
  Payload payload;
  (*payload.mutable_metadata())["encoding"] = "json/plain";
  payload.set_data(json);
  return payload;
}
Payloads payloads_of(const std::string& json) {
  Payloads payloads;
  *payloads.add_payloads() = payload_of(json);
  return payloads;
}

// ---- what came of it -----------------------------------------------------------------------------------------------------------

// A message on one line: payloads as their text, times as what passed since the beginning.
class OneLine {
 public:
  OneLine() {
    printer_.SetSingleLineMode(true);
    printer_.RegisterMessagePrinter(Payload::descriptor(), new PayloadPrinter);
    printer_.RegisterMessagePrinter(google::protobuf::Timestamp::descriptor(), new TimePrinter);
    printer_.RegisterMessagePrinter(google::protobuf::Duration::descriptor(), new DurationPrinter);
  }
  std::string operator()(const Message& message) const {
    std::string text;
    printer_.PrintToString(message, &text);
    while (!text.empty() && text.back() == ' ') text.pop_back();
    return text;
  }

 private:
  using Generator = google::protobuf::TextFormat::BaseTextGenerator;
  struct PayloadPrinter : google::protobuf::TextFormat::MessagePrinter {
    void Print(const Message& message, bool, Generator* to) const override {
      to->PrintString(static_cast<const Payload&>(message).data() + " ");
    }
  };
  struct TimePrinter : google::protobuf::TextFormat::MessagePrinter {
    void Print(const Message& message, bool, Generator* to) const override {
      to->PrintString(
          "+" + shown(time_of(static_cast<const google::protobuf::Timestamp&>(message)) - World::kStart) +
          " ");
    }
  };
  struct DurationPrinter : google::protobuf::TextFormat::MessagePrinter {
    void Print(const Message& message, bool, Generator* to) const override {
      to->PrintString(shown(Duration(nanos(static_cast<const google::protobuf::Duration&>(message)))) + " ");
    }
  };
  google::protobuf::TextFormat::Printer printer_;
};

std::string one_line(const Message& message) {
  static const OneLine print;
  return print(message);
}

// ACTIVITY_TASK_SCHEDULED → ActivityTaskScheduled.
std::string camel(const std::string& name) {
  std::string text;
  bool upper = true;
  for (const char c : name) {
    if (c != '_') text += upper ? c : static_cast<char>(std::tolower(c));
    upper = c == '_';
  }
  return text;
}

std::string shown(HistoryEvent event) {
  if (event.has_workflow_task_started_event_attributes()) {
    // depends on the encoding alone
    event.mutable_workflow_task_started_event_attributes()->clear_history_size_bytes();
  }
  std::string text = camel(enums::EventType_Name(event.event_type()).substr(sizeof "EVENT_TYPE_" - 1));
  const auto* field = event.GetReflection()->GetOneofFieldDescriptor(
      event, event.GetDescriptor()->FindOneofByName("attributes"));
  if (field) {
    const std::string attributes = one_line(event.GetReflection()->GetMessage(event, field));
    if (!attributes.empty()) text += " " + attributes;
  }
  if (event.has_user_metadata()) text += " user_metadata " + one_line(event.user_metadata());
  return text;
}

class Report {
 public:
  // Names of run ids, and the workflow task as it was shown last, live longer than one report.
  Report(const World& world, const std::map<std::string, std::string>& names, std::string& task)
      : world_(world), names_(names), task_(task) {}

  void decision(const Decision& decision) {
    for (const RunChange& change : decision.runs)
      for (const HistoryEvent& event : change.events)
        line(std::to_string(event.event_id()) + " " + shown(event));
    for (const pb::Record& record : decision.records) record_line(record);
  }
  void line(const std::string& text) {
    std::string named = text;
    for (const auto& [id, name] : names_) {
      for (std::size_t at = 0; (at = named.find(id, at)) != std::string::npos;)
        named.replace(at, id.size(), name);
    }
    lines_ += "  " + named + "\n";
  }
  void error(const Error& error) {
    line("error " + std::to_string(static_cast<int>(error.code)) + ": " + error.message);
  }
  const std::string& lines() const { return lines_; }

 private:
  std::string ahead(std::int64_t time) const { return shown(time_of(time) - world_.now()); }

  void record_line(const pb::Record& record) {
    switch (record.change_case()) {
      case pb::Record::kStart:
        return line("run " + record.start().run_id() + " backoff " +
                    shown(Duration(record.start().first_task_backoff())));
      case pb::Record::kProgress: return progress_line(record.progress());
      case pb::Record::kActivity: return activity_line(record.activity());
      case pb::Record::kRemoveActivity:
        return line("- activity of " + std::to_string(record.remove_activity()));
      case pb::Record::kTimer:
        return line("timer " + record.timer().timer_id() + " in " + ahead(record.timer().fire_time()));
      case pb::Record::kRemoveTimer: return line("- timer " + record.remove_timer());
      case pb::Record::kBufferedEvent: {
        HistoryEvent event;
        event.ParseFromString(record.buffered_event());
        return line("buffered " + shown(event));
      }
      case pb::Record::kClearBufferedEvents: return line("- buffered");
      case pb::Record::kAttributes:
        if (record.attributes().memo().fields_size() > 0)
          line("memo " + one_line(record.attributes().memo()));
        if (record.attributes().search_attributes().indexed_fields_size() > 0) {
          line("search attributes " + one_line(record.attributes().search_attributes()));
        }
        return;
      case pb::Record::kDeleteRun: return line("- run " + record.run_id());
      default: return;
    }
  }
  void activity_line(const pb::Activity& activity) {
    std::string text =
        "activity " + activity.activity_id() + " attempt " + std::to_string(activity.attempt());
    if (activity.started_time() != 0) {
      text += " started";
    } else if (activity.waiting_for_retry()) {
      text += " waits " + ahead(activity.scheduled_time());
    } else {
      text += " scheduled";
    }
    if (activity.cancel_requested()) text += ", cancel requested";
    if (activity.has_heartbeat_details()) text += ", heartbeat " + one_line(activity.heartbeat_details());
    if (activity.has_last_failure()) text += ", last failure " + one_line(activity.last_failure());
    line(text);
  }
  void progress_line(const pb::RunProgress& progress) {
    const pb::WorkflowTask& task = progress.task();
    std::string text = "task none";
    if (task.scheduled_id() != 0) {
      text = "task attempt " + std::to_string(task.attempt()) +
             (task.started_id() != 0 ? " started " + std::to_string(task.started_id())
                                     : " scheduled " + std::to_string(task.scheduled_id()));
      if (task.on_sticky_queue()) text += " sticky";
    }
    if (progress.status() != enums::WORKFLOW_EXECUTION_STATUS_RUNNING) {
      const auto status = static_cast<enums::WorkflowExecutionStatus>(progress.status());
      text +=
          ", " +
          camel(enums::WorkflowExecutionStatus_Name(status).substr(sizeof "WORKFLOW_EXECUTION_STATUS_" - 1));
    }
    if (text != task_) line(text);
    task_ = text;
  }

  const World& world_;
  const std::map<std::string, std::string>& names_;
  std::string& task_;
  std::string lines_;
};

// ---- rows ----------------------------------------------------------------------------------------------------------------------

void fill_command(const Row& row, const RunState& run, command::Command& to);

class Session {
 public:
  // The lines below the row; `commands` are the "+" rows under it.
  std::string carry_out(const std::string& line, const std::vector<std::string>& commands) {
    Report report(*world_, names_, shown_task_);
    try {
      const Row row(line);
      if (row.verb() == "case") {
        world_ = std::make_unique<World>(1);
        names_.clear();
        tasks_.clear();
        shown_task_.clear();
        return {};
      }
      if (row.verb() == "advance") {
        advance(row, report);
      } else {
        ask(row, make(row, commands), report);
      }
    } catch (const BadRow& wrong) {
      report.line(std::string("!! ") + wrong.what());
    }
    if (!world_->broken().empty()) report.line("!! " + world_->broken());
    return report.lines();
  }

 private:
  const RunState& run() const {
    if (!world_->run()) throw BadRow("there is no run");
    return *world_->run();
  }

  void advance(const Row& row, Report& report) {
    world_->on_wake = [&](const Decision& decision) {
      name(decision);
      report.line("at +" + shown(world_->now() - World::kStart));
      report.decision(decision);
    };
    world_->advance_to(world_->now() + duration_of(row.word(1)));
    world_->on_wake = nullptr;
  }

  void ask(const Row& row, Command asked, Report& report) {
    const Decision decision = world_->decide(std::move(asked));
    name(decision);
    report.decision(decision);
    if (!decision.reply) return report.error(decision.reply.error());
    if (const auto* beat = std::get_if<Heartbeat>(&*decision.reply); beat && beat->cancel_requested) {
      report.line("cancel requested");
    }
    if (const auto* described = std::get_if<wfs::DescribeWorkflowExecutionResponse>(&*decision.reply)) {
      for (const auto& activity : described->pending_activities())
        report.line("pending " + one_line(activity));
      report.line("info " + one_line(described->workflow_execution_info()));
    }
    if (const auto* started = std::get_if<ActivityTaskStarted>(&*decision.reply)) keep(*started);
    if (const auto* completed = std::get_if<WorkflowTaskCompleted>(&*decision.reply)) {
      for (const auto& eager : completed->eager_activities) keep(eager);
    }
    if (row.verb() == "poll" || row.verb() == "complete") keep_task();
  }

  // Runs are called run-1, run-2 …, as they appear.
  void name(const Decision& decision) {
    for (const RunChange& change : decision.runs) {
      if (change.created) names_.emplace(change.run_id, "run-" + std::to_string(names_.size() + 1));
    }
  }
  void keep(const ActivityTaskStarted& started) {
    TaskRef task{.run_id = started.run_id, .scheduled_id = started.scheduled_id};
    task.attempt = started.activity->attempt();
    task.nonce = started.nonce;
    tasks_[started.activity_id] = task;
  }
  void keep_task() {
    const RunState* run = world_->run();
    if (!run || !run->has_started_task()) return;
    const pb::WorkflowTask& task = run->progress.task();
    task_ = {
        .run_id = run->start->run_id(), .scheduled_id = task.scheduled_id(), .started_id = task.started_id()};
    task_.attempt = task.attempt();
    task_.nonce = task.nonce();
  }

  // By token of the last poll, or by id when the row says so.
  TaskRef activity_task(const Row& row) const {
    const std::string id = row.word(1);
    if (row.flag("by-id")) {
      TaskRef task;
      task.activity_id = id;
      return task;
    }
    const auto found = tasks_.find(id);
    if (found == tasks_.end()) throw BadRow("nobody polled " + id);
    return found->second;
  }

  Command make(const Row& row, const std::vector<std::string>& commands) {
    const std::string& verb = row.verb();
    if (verb == "start") return make_start(row);
    if (verb == "signal") {
      SignalWorkflow signal;
      signal.request.set_signal_name(row.word(1));
      return signal;
    }
    if (verb == "cancel") return RequestCancelWorkflow{};
    if (verb == "terminate") {
      TerminateWorkflow terminate;
      terminate.request.set_reason(row.get("reason"));
      return terminate;
    }
    if (verb == "describe") return DescribeWorkflow{};
    if (verb == "reset-sticky") return ResetSticky{};
    if (verb == "poll") return make_poll();
    if (verb == "complete") return make_complete(row, commands);
    if (verb == "fail") {
      FailWorkflowTask fail{.task = task_};
      fail.request.set_cause(enums::WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE);
      return fail;
    }
    return make_of_activity(row);
  }

  Command make_start(const Row& row) {
    StartWorkflow start;
    auto& request = start.request;
    request.set_namespace_("default");
    request.set_workflow_id(world_->workflow_id());
    request.mutable_workflow_type()->set_name(row.get("type", "Greet"));
    request.mutable_task_queue()->set_name(row.get("queue", "q"));
    request.set_request_id(row.get("request", "r"));
    request.set_cron_schedule(row.get("cron"));
    request.set_workflow_id_conflict_policy(enums::WORKFLOW_ID_CONFLICT_POLICY_FAIL);
    assign(request.mutable_workflow_task_timeout(), duration_of(row.get("task-timeout", "10s")).count());
    set_duration(row, "run-timeout", [&] { return request.mutable_workflow_run_timeout(); });
    set_duration(row, "execution-timeout", [&] { return request.mutable_workflow_execution_timeout(); });
    set_duration(row, "delay", [&] { return request.mutable_workflow_start_delay(); });
    return start;
  }

  Command make_poll() {
    for (const Task& task : workflow_task_of(run())) {
      StartWorkflowTask start{
          .run_id = run().start->run_id(), .scheduled_id = task.scheduled_id, .attempt = task.attempt};
      start.sticky = task.sticky;
      start.queue = task.queue;
      start.identity = "worker";
      start.request_id = "poll";
      return start;
    }
    throw BadRow("no workflow task waits");
  }

  Command make_complete(const Row& row, const std::vector<std::string>& commands) {
    CompleteWorkflowTask complete{.task = task_};
    auto& request = complete.request;
    request.set_identity("worker");
    request.set_return_new_workflow_task(row.flag("return-new"));
    request.set_force_create_new_workflow_task(row.flag("heartbeat"));
    if (row.has("sticky")) {
      request.mutable_sticky_attributes()->mutable_worker_task_queue()->set_name(row.get("sticky"));
      request.mutable_sticky_attributes()->mutable_schedule_to_start_timeout()->set_seconds(5);
    }
    for (const std::string& line : commands) fill_command(Row(line), run(), *request.add_commands());
    return complete;
  }

  Command make_of_activity(const Row& row) {
    const std::string& verb = row.verb();
    if (verb == "poll-activity") {
      for (const Task& task : tasks_of(run())) {
        if (task.kind != TaskKind::kActivity) continue;
        if ((*run().activities.find(task.scheduled_id))->activity_id() != row.word(1)) continue;
        return StartActivityTask{.run_id = run().start->run_id(),
                                 .scheduled_id = task.scheduled_id,
                                 .attempt = task.attempt,
                                 .identity = "activity-worker",
                                 .request_id = "poll"};
      }
      throw BadRow("no task of that activity waits");
    }
    const TaskRef task = activity_task(row);
    const Payloads payloads = payloads_of(row.get("details", row.get("result", "null")));
    if (verb == "complete-activity") {
      return CompleteActivity{
          .task = task, .result = payloads, .has_result = row.has("result"), .identity = "activity-worker"};
    }
    if (verb == "cancel-activity") {
      return CancelActivity{.task = task,
                            .details = payloads,
                            .has_details = row.has("details"),
                            .identity = "activity-worker"};
    }
    if (verb == "heartbeat") {
      return HeartbeatActivity{.task = task,
                               .details = payloads,
                               .has_details = row.has("details"),
                               .identity = "activity-worker"};
    }
    if (verb != "fail-activity") throw BadRow("unknown row: " + verb);
    FailActivity fail{.task = task, .identity = "activity-worker"};
    fail.failure.set_message(row.get("message", "it broke"));
    auto& info = *fail.failure.mutable_application_failure_info();
    info.set_type(row.get("type"));
    info.set_non_retryable(row.flag("non-retryable"));
    set_duration(row, "next-delay", [&] { return info.mutable_next_retry_delay(); });
    if (row.has("details")) fail.last_heartbeat_details = payloads;
    return fail;
  }

  std::unique_ptr<World> world_ = std::make_unique<World>(1);
  std::map<std::string, std::string> names_;
  std::map<std::string, TaskRef> tasks_;  // by activity id: the task of the last poll
  TaskRef task_;
  std::string shown_task_;
};

void fill_schedule_activity(const Row& row, command::Command& to) {
  to.set_command_type(enums::COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK);
  auto& activity = *to.mutable_schedule_activity_task_command_attributes();
  activity.set_activity_id(row.get("id"));
  activity.mutable_activity_type()->set_name(row.get("type", "Work"));
  activity.mutable_task_queue()->set_name(row.get("queue", "q"));
  activity.set_request_eager_execution(row.flag("eager"));
  set_duration(row, "start-to-close", [&] { return activity.mutable_start_to_close_timeout(); });
  set_duration(row, "schedule-to-close", [&] { return activity.mutable_schedule_to_close_timeout(); });
  set_duration(row, "schedule-to-start", [&] { return activity.mutable_schedule_to_start_timeout(); });
  set_duration(row, "heartbeat", [&] { return activity.mutable_heartbeat_timeout(); });
  auto* policy = activity.mutable_retry_policy();
  set_duration(row, "initial", [&] { return policy->mutable_initial_interval(); });
  set_duration(row, "maximum", [&] { return policy->mutable_maximum_interval(); });
  if (row.has("coefficient")) policy->set_backoff_coefficient(std::stod(row.get("coefficient")));
  policy->set_maximum_attempts(static_cast<std::int32_t>(row.number("attempts", 0)));
  if (row.has("non-retryable-type")) policy->add_non_retryable_error_types(row.get("non-retryable-type"));
}

void fill_command(const Row& row, const RunState& run, command::Command& to) {
  const std::string& verb = row.verb();
  if (row.has("summary")) *to.mutable_user_metadata()->mutable_summary() = payload_of(row.get("summary"));
  if (verb == "schedule-activity") return fill_schedule_activity(row, to);
  if (verb == "cancel-activity") {
    to.set_command_type(enums::COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK);
    std::int64_t scheduled = row.number("scheduled", 0);
    run.activities.each([&](std::int64_t id, const auto& a) {
      scheduled = a->activity_id() == row.get("id") ? id : scheduled;
    });
    return to.mutable_request_cancel_activity_task_command_attributes()->set_scheduled_event_id(scheduled);
  }
  if (verb == "start-timer") {
    to.set_command_type(enums::COMMAND_TYPE_START_TIMER);
    auto* timer = to.mutable_start_timer_command_attributes();
    timer->set_timer_id(row.get("id"));
    return set_duration(row, "after", [&] { return timer->mutable_start_to_fire_timeout(); });
  }
  if (verb == "cancel-timer") {
    to.set_command_type(enums::COMMAND_TYPE_CANCEL_TIMER);
    return to.mutable_cancel_timer_command_attributes()->set_timer_id(row.get("id"));
  }
  if (verb == "marker") {
    to.set_command_type(enums::COMMAND_TYPE_RECORD_MARKER);
    return to.mutable_record_marker_command_attributes()->set_marker_name(row.get("name"));
  }
  if (verb == "upsert" || verb == "memo") {
    const Payload value = payload_of(row.get("value"));
    if (verb == "upsert") {
      to.set_command_type(enums::COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES);
      auto& fields =
          *to.mutable_upsert_workflow_search_attributes_command_attributes()->mutable_search_attributes();
      (*fields.mutable_indexed_fields())[row.get("key")] = value;
    } else {
      to.set_command_type(enums::COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES);
      auto& memo = *to.mutable_modify_workflow_properties_command_attributes()->mutable_upserted_memo();
      (*memo.mutable_fields())[row.get("key")] = value;
    }
    return;
  }
  if (verb == "complete-workflow") {
    to.set_command_type(enums::COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION);
    to.mutable_complete_workflow_execution_command_attributes();
    return;
  }
  if (verb == "fail-workflow") {
    to.set_command_type(enums::COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION);
    to.mutable_fail_workflow_execution_command_attributes()->mutable_failure()->set_message(
        row.get("message", "no"));
    return;
  }
  if (verb == "continue-as-new") {
    to.set_command_type(enums::COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION);
    to.mutable_continue_as_new_workflow_execution_command_attributes()->mutable_workflow_type()->set_name(
        "Greet");
    return;
  }
  throw BadRow("unknown command: " + verb);
}

std::string without_remark(const std::string& line) {
  const std::string text = line.substr(0, line.find('#'));
  const std::size_t end = text.find_last_not_of(' ');
  return end == std::string::npos ? std::string() : text.substr(0, end + 1);
}

}  // namespace

std::string run_table(const std::string& table) {
  std::vector<std::string> lines;  // rows and remarks, without what was expected
  std::istringstream in(table);
  for (std::string line; std::getline(in, line);)
    if (!line.starts_with("  ")) lines.push_back(line);
  Session session;
  std::string out;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    out += lines[i] + "\n";
    const std::string row = without_remark(lines[i]);
    if (row.empty()) continue;
    std::vector<std::string> commands;
    for (; i + 1 < lines.size() && lines[i + 1].starts_with("+ "); ++i) {
      out += lines[i + 1] + "\n";
      commands.push_back(without_remark(lines[i + 1].substr(2)));
    }
    const bool quiet = row.starts_with('.');
    const std::string found = session.carry_out(quiet ? row.substr(1) : row, commands);
    if (!quiet || found.find("  !!") != std::string::npos) out += found;
  }
  return out;
}

}  // namespace perdure::core
