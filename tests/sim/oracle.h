// Oracle: what clients of the server may observe, as a plain model: maps, and nothing from server/.
//
// It stands at the server's door: it is told of every request that arrives and every answer that leaves, and
// at the end of the whole histories. It never predicts what a workflow does; it knows what can never be seen:
//
//   what was said is there, and stays as it was shown, whatever crashed since (E1, E9)
//   event ids without a gap, one close event at the end, one open run per id, runs one after another (E4)
//   a request id has one effect; so has an obligation (E7); an activity's result is taken once (E16, E17)
//   timers and timeouts never early, never forgotten (E6)
//   a read, List and Count show everything acknowledged before they came (E8, E11)
//   what says "not there" or "exists" was true at some moment between question and answer: with the order
//   above, the history of each id is linearizable
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "temporal/api/workflowservice/v1/request_response.pb.h"

namespace perdure::sim {

class Oracle {
 public:
  using History = std::vector<temporal::api::history::v1::HistoryEvent>;

  // ---- at the door ----
  // `method`: without its service. Numbers of calls are never used twice.
  void arrived(std::uint64_t call, std::string_view method, const std::string& request, base::Time now);
  void left(std::uint64_t call, const base::Result<std::string>& answer, base::Time now);
  // The server died: what is under way may have happened or not.
  void server_died(base::Time now);
  // The server stood still at that time.
  void interrupted(base::Time at) { interruptions_.push_back(at); }
  // The server could not be on time between these two.
  void disturbed(base::Time from, base::Time to);
  // The server's clock was set: its times cannot be compared with those of the clients.
  void clock_was_set() { strict_time_ = false; }
  // Somebody else saw something wrong.
  void violated(const std::string& what);

  // ---- at the end ----
  struct RunName {
    std::string id, run_id;
    friend auto operator<=>(const RunName&, const RunName&) = default;
  };
  // Every run that was ever named and was not asked to be deleted.
  std::vector<RunName> runs() const;
  // Every run that has a history.
  std::vector<RunName> all_runs() const;
  // The whole history of one of them, as it is in the end. Runs that it names are known from then on.
  void whole_history(const RunName& run, const History& history);
  // All rules that need whole histories; everything must have been told before. `quiet`: nothing is left to
  // happen.
  void judge();

  const std::vector<std::string>& violations() const { return violations_; }
  std::uint64_t answers() const { return answers_; }
  std::uint64_t acknowledged() const { return acknowledged_; }

 private:
  using Tick = std::uint64_t;  // orders arrivals and answers
  static constexpr Tick kUnknown = ~Tick{0};

  struct Run {
    std::string id;
    Tick known = kUnknown;                 // since when it was shown to exist
    Tick closed = kUnknown;                // since when it was shown to be closed
    bool doomed = false;                   // somebody asked to delete it
    std::map<Tick, std::int64_t> lengths;  // of what was shown of its history
    std::vector<std::string> events;       // the longest that was shown
    History whole;
    base::Time start{}, close = base::kNever;
  };
  enum class Outcome : std::uint8_t { kUnderWay, kOk, kError, kUnknown };
  struct Op {
    std::string method;
    std::string request;
    std::string id, run_id;  // as named by the request
    std::string label;       // what its effect is known by
    std::string answer_run;  // as named by the answer
    Tick arrival = 0, answer = kUnknown;
    base::Time arrived{}, left = base::kNever;
    Outcome outcome = Outcome::kUnderWay;
    base::Code code{};
    std::int64_t number = 0;  // started event id of a workflow task, length of a history
    bool flag = false;        // Start: it started; history: nothing was hidden in a buffer
  };
  struct Place {
    const Run* run = nullptr;
    std::string run_id;
    std::size_t index = 0;
  };

  Run& run(const std::string& id, const std::string& run_id);
  void known(const std::string& id, const std::string& run_id);
  bool forgotten(const std::string& id) const { return doomed_ids_.contains(id); }
  void shown(const Op& op, const std::string& run_id, const temporal::api::history::v1::History& history);
  void shown_closed(Run& run, const Op& op, bool closed, const std::string& what);

  void read_request(Op& op);
  void read_answer(Op& op, const std::string& answer);
  void read_error(Op& op);
  void start_left(Op& op, const std::string& answer);
  void describe_left(Op& op, const std::string& answer);
  void history_left(Op& op, const std::string& answer);
  void list_left(Op& op, const std::string& answer);
  void count_left(Op& op, const std::string& answer);
  void task_left(Op& op, const std::string& answer);
  void activity_left(Op& op, const std::string& answer);

  // judge.cc
  void index_events();
  void judge_run(const std::string& run_id, const Run& run);
  void judge_times(const std::string& run_id, const Run& run);
  void judge_chain(const std::string& id, std::vector<std::pair<std::string, const Run*>>& runs);
  void judge_effects();
  void judge_order();
  void judge_op(const Op& op);
  void judge_acknowledged(const Op& op);
  bool made_twice(const std::string& id, const std::vector<Place>& made) const;
  void judge_absence(const Op& op);
  void judge_read(const Op& op);
  void judge_query(const Op& op);
  // How many signals of the run were acknowledged before that and are at or beyond `place`.
  int acknowledged_signals(const std::string& id, const std::string& run_id, Tick before,
                           std::int64_t place) const;
  void once(const Op& op, const std::map<std::string, std::vector<Place>>& places, const char* what);
  void on_time(const std::string& what, base::Time due, base::Time happened);
  bool excused(base::Time due, base::Time happened) const;
  std::vector<std::pair<std::string, const Run*>> runs_of(const std::string& id) const;

  bool strict_time_ = true;
  Tick tick_ = 0;
  std::map<std::string, Run> runs_;        // by run id
  std::map<std::uint64_t, Op> under_way_;  // by call
  std::vector<Op> ops_;                    // that are over
  std::set<std::string> doomed_ids_;
  std::map<std::string, std::string> tasks_;  // token: run id, of workflow tasks and activities
  std::map<std::string, std::int64_t> task_numbers_;
  std::map<std::string, std::string> activities_;    // token: run/activity
  std::map<std::string, int> completed_activities_;  // run/activity: how often its end was accepted
  std::map<std::string, std::pair<int, Tick>>
      attempts_;                               // run/activity: the newest attempt that left, and when
  std::map<std::string, int> token_attempts_;  // token of an activity: its attempt
  std::set<std::pair<std::string, std::int64_t>>
      delivered_;  // run, started event id of workflow tasks that left
  std::vector<base::Time> interruptions_;
  std::map<std::string, int> beats_;  // run/activity: the newest heartbeat that was accepted
  std::vector<std::pair<base::Time, base::Time>> disturbances_;
  // Of the whole histories, by label.
  std::map<std::string, std::vector<Place>> starts_, signals_, cancels_, terminations_, results_;
  std::vector<std::string> violations_;
  std::uint64_t answers_ = 0, acknowledged_ = 0;
};

bool is_close(temporal::api::enums::v1::EventType type);

}  // namespace perdure::sim
