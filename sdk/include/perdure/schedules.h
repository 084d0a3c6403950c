// Schedules: workflows that the server starts by itself, at times that a specification gives.
//
//   client.schedules().create("nightly", {.action = starts<&report>({.id = "report", .task_queue = "q"},
//   "sales"),
//                                         .spec = {.calendars = {{.hour = {{3}}}}, .time_zone =
//                                         "Europe/Berlin"}});
//
// Handles are cheap to copy and used by any thread; calls block until the server has answered, and throw
// ScheduleNotFound, ScheduleExists or RpcError.
#pragma once

#include <perdure/client.h>

namespace perdure {
inline namespace v1 {

// start, start + step, … up to end.
struct ScheduleRange {
  int start = 0, end = 0, step = 1;  // end below start: start alone
  friend bool operator==(const ScheduleRange&, const ScheduleRange&) = default;
};
// All of them must match.
struct ScheduleCalendar {
  std::vector<ScheduleRange> second{{0}}, minute{{0}}, hour{{0}}, day_of_month{{1, 31}}, month{{1, 12}};
  std::vector<ScheduleRange> year{};               // empty: each
  std::vector<ScheduleRange> day_of_week{{0, 6}};  // 0: Sunday
  std::string comment{};
  friend bool operator==(const ScheduleCalendar&, const ScheduleCalendar&) = default;
};
// At each multiple of `every` since the epoch, `offset` later.
struct ScheduleInterval {
  Duration every{}, offset{};
  friend bool operator==(const ScheduleInterval&, const ScheduleInterval&) = default;
};
struct ScheduleSpec {
  std::vector<ScheduleCalendar> calendars{};
  std::vector<ScheduleInterval> intervals{};
  std::vector<std::string> cron{};  // the server turns them into calendars
  std::vector<ScheduleCalendar> skip{};
  std::optional<TimePoint> start{}, end{};
  Duration jitter{};
  std::string time_zone{};  // empty: UTC
};

// When it is time and the last workflow has not ended.
enum class OverlapPolicy {
  kUnspecified,
  kSkip,
  kBufferOne,
  kBufferAll,
  kCancelOther,
  kTerminateOther,
  kAllowAll
};

struct SchedulePolicy {
  OverlapPolicy overlap = OverlapPolicy::kUnspecified;  // kSkip
  Duration catchup_window{};                            // 0: the server's, a year
  bool pause_on_failure = false;
};

// The workflow that is started. The server adds the time to its id.
struct ScheduledStart {
  std::string type;
  StartOptions options;
  Payloads arguments;
};
template <class W, class... A>
ScheduledStart starts(StartOptions options, A&&... arguments) {
  using Params = typename detail::WorkflowTraits<W>::args;
  static_assert(
      detail::args_fit<Params, A...>,
      "perdure: the arguments do not match the parameters (count, type, or a narrowing conversion)");
  return {std::string(detail::workflow_name_of<W>()), std::move(options),
          detail::ArgumentList<Params>::encode_all(std::forward<A>(arguments)...)};
}
template <auto F, class... A>
ScheduledStart starts(StartOptions options, A&&... arguments) {
  using Params = typename detail::Callee<F>::args;
  static_assert(
      detail::args_fit<Params, A...>,
      "perdure: the arguments do not match the parameters (count, type, or a narrowing conversion)");
  return {std::string(detail::name_of<F>()), std::move(options),
          detail::ArgumentList<Params>::encode_all(std::forward<A>(arguments)...)};
}

struct Schedule {
  ScheduledStart action;
  ScheduleSpec spec{};
  SchedulePolicy policy{};
  std::string note{};
  bool paused = false;
  std::optional<std::int64_t> remaining_actions{};  // nothing: no limit
};

struct ScheduleCreation {
  bool trigger_immediately = false;
  Memo memo{};
  SearchAttributes search_attributes{};
};

struct ScheduleAction {
  TimePoint scheduled{}, started{};
  std::string workflow_id, run_id;
};
struct ScheduleDescription {
  std::string id;
  Schedule schedule;
  Memo memo;
  SearchAttributes search_attributes;
  std::int64_t actions = 0, missed = 0, skipped_for_overlap = 0;
  std::vector<std::pair<std::string, std::string>> running;  // workflow and run ids
  std::vector<ScheduleAction> recent;
  std::vector<TimePoint> next;
  TimePoint created{};
  std::optional<TimePoint> updated{};
  std::string conflict_token;
};
struct ScheduleListing {
  std::string id, workflow_type, note;
  bool paused = false;
  Memo memo;
  SearchAttributes search_attributes;
  std::vector<ScheduleAction> recent;
  std::vector<TimePoint> next;
};
struct ScheduleBackfill {
  TimePoint start{}, end{};
  OverlapPolicy overlap = OverlapPolicy::kUnspecified;
};

class ScheduleExists : public Error {
 public:
  using Error::Error;
};
class ScheduleNotFound : public Error {
 public:
  using Error::Error;
};

class ScheduleHandle {
 public:
  ScheduleHandle(std::shared_ptr<detail::Connection> connection, std::string id)
      : connection_(std::move(connection)), id_(std::move(id)) {}
  const std::string& id() const { return id_; }

  ScheduleDescription describe() const;
  // change(schedule) is called with what there is, and again when somebody else changed it meanwhile.
  void update(const std::function<void(Schedule&)>& change) const;
  void pause(const std::string& note = "paused") const;
  void unpause(const std::string& note = "unpaused") const;
  void trigger(OverlapPolicy overlap = OverlapPolicy::kUnspecified) const;
  void backfill(const std::vector<ScheduleBackfill>& times) const;
  void remove() const;

 private:
  std::shared_ptr<detail::Connection> connection_;
  std::string id_;
};

class Schedules {
 public:
  explicit Schedules(std::shared_ptr<detail::Connection> connection) : connection_(std::move(connection)) {}
  ScheduleHandle create(const std::string& id, const Schedule& schedule,
                        const ScheduleCreation& creation = {}) const;
  ScheduleHandle handle(std::string id) const { return {connection_, std::move(id)}; }
  Paged<ScheduleListing> list(std::string query = {}) const;

 private:
  std::shared_ptr<detail::Connection> connection_;
};

inline Schedules Client::schedules() const {
  return Schedules(connection_);
}

}  // namespace v1
}  // namespace perdure
