// The pure core of replay: history in, activations out; commands in, matched against history or handed out to
// be sent.
//
// A workflow task's history is cut at every WorkflowTaskStarted that was not in vain. Each cut is an
// activation: what became known since the last one, in history order. The commands that the code answers with
// must be those that history has next; where history ends, they are the answer to the server. No I/O, no
// clock, no threads; a Replay is used by one thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <vector>

#include <temporal/api/command/v1/message.pb.h>
#include <temporal/api/history/v1/message.pb.h>
#include <temporal/api/protocol/v1/message.pb.h>
#include <temporal/api/update/v1/message.pb.h>

namespace perdure::replay {

using Event = temporal::api::history::v1::HistoryEvent;
using Message = temporal::api::protocol::v1::Message;

enum class CommandKind : std::uint8_t {
  kScheduleActivity,
  kCancelActivity,
  kStartTimer,
  kCancelTimer,
  kStartChild,
  kSignalExternal,
  kCancelExternal,
  kMarker,
  kPatch,
  kUpsertSearchAttributes,
  kModifyProperties,
  kAcceptUpdate,    // with a message, as the next two
  kCompleteUpdate,  // with its outcome
  kRejectUpdate,    // leaves nothing in history: handed out once, matched with nothing
  kComplete,
  kFail,
  kCancel,
  kContinueAsNew,
};

// What the code asked for. `sequence` names the operation: what history says about it comes back as a Job of
// that number. kCancelActivity carries no scheduled event id: the number of the activity is in `sequence`,
// and commands() fills it in.
struct Command {
  CommandKind kind{};
  std::uint64_t sequence = 0;
  temporal::api::command::v1::Command wire;
  std::source_location where;
  bool deprecated_patch = false;
  std::shared_ptr<const Message> message;  // of an update
};

enum class JobKind : std::uint8_t {
  kStart,
  kSignal,
  kCancelRequested,
  kActivity,        // ended somehow: the event says how
  kTimer,           // fired
  kChildStarted,    // or not: the event says
  kChild,           // ended somehow
  kExternalSignal,  // delivered or failed
  kExternalCancel,  // delivered or failed
  kUpdate,          // new, or accepted in history
};

// An update that is new (as its message says) or that history has as accepted.
struct Update {
  std::string instance_id, message_id;
  std::int64_t sequencing_event_id = 0;
  bool accepted = false;  // its validator has spoken
  temporal::api::update::v1::Request request;
};

struct Job {
  JobKind kind{};
  std::uint64_t sequence = 0;    // of the command it answers; 0: none
  const Event* event = nullptr;  // valid until the next call of next(); null for an update
  std::shared_ptr<const Update> update;
};

struct Activation {
  std::int64_t now_nanos = 0;  // since the epoch
  bool replaying = false;
  std::int64_t started_event_id = 0;
  std::int64_t history_bytes = 0;
  bool continue_as_new_suggested = false;
  std::vector<std::string> patches;            // that history has for this task's commands
  std::vector<const Event*> side_effects;      // their markers among this task's commands, in order
  std::vector<const Event*> local_activities;  // likewise: what they ended with
  std::string build_id;                        // of the worker that completed this task, if history has it
  std::vector<Job> jobs;
};

// The code asked for something else than history has.
struct NonDeterminism {
  std::int64_t event_id = 0;
  std::string message;  // names the event and the source line of the command
};

class Replay {
 public:
  // Appends events; false when they do not follow those it has (then this Replay is of no use for them).
  bool append(google::protobuf::RepeatedPtrField<Event> events);

  // The messages that came with the last workflow task: part of its activation, after everything else.
  void offer(google::protobuf::RepeatedPtrField<Message> messages) { offered_ = std::move(messages); }

  // The server dropped the workflow task that was answered last, with its events, as if it had never been.
  void take_back();

  // Matches what was recorded last with what history has, and cuts the next activation; nothing when history
  // has none left.
  std::expected<std::optional<Activation>, NonDeterminism> next();

  // What the code answered to the activation that next() returned.
  void record(std::vector<Command> commands);

  // And then, in the same workflow task.
  void record_more(std::vector<Command> commands);

  // The commands recorded last, ready to be sent. They stay recorded: the history of the next task has them.
  std::vector<temporal::api::command::v1::Command> commands() const;
  // The messages of these commands, and the rejections of updates.
  std::vector<Message> messages() const;

  std::int64_t last_event_id() const { return last_event_id_; }
  bool has_first_event() const { return first_event_id_ == 1; }

 private:
  std::expected<void, NonDeterminism> match_commands();
  std::expected<bool, NonDeterminism> match(const Command& command, const Event& event);
  void add_jobs(const Event& event, Activation& activation);
  void look_ahead(std::size_t from, Activation& activation) const;
  Job accepted_update(const Event& event) const;
  void add_offered(Activation& activation);
  std::uint64_t answered(const Event& event) const;
  bool in_vain(std::size_t started) const;

  std::deque<Event> events_;  // not yet passed; those of the last activation are at the front until next()
  std::size_t consumed_ = 0;  // of them
  std::int64_t last_event_id_ = 0, first_event_id_ = 0;
  std::int64_t matched_event_id_ = 0;  // the last that came of recorded commands
  bool activated_ = false;             // an activation was handed out whose completion history must show
  std::vector<Command> recorded_, rejections_;
  google::protobuf::RepeatedPtrField<Message> offered_;
  std::map<std::string, temporal::api::update::v1::Request> admitted_;  // by history, before their acceptance
  std::map<std::int64_t, std::uint64_t> sequence_of_event_;             // of scheduled or initiated events
  std::map<std::uint64_t, std::int64_t> event_of_sequence_;
};

// "ActivityTaskScheduled(charge)", for messages.
std::string describe(const Event& event);
std::string describe(const Command& command);
// The id in a patch marker, if it is one.
std::optional<std::string> patch_of(const Event& event, bool* deprecated = nullptr);

inline constexpr char kPatchMarker[] = "core_patch";
inline constexpr char kSideEffectMarker[] = "SideEffect";
inline constexpr char kLocalActivityMarker[] = "core_local_activity";

}  // namespace perdure::replay
