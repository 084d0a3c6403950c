// The home of some queues: everything about a queue happens on its executor (rule E15). Internal to matching.
//
// A poll's life:   arrives → idle ⇄ reserved → ended (its callback was called, exactly once)
//   idle       it waits in the row of its queue; its alarm is its end: empty answer
//   reserved   History was asked to start a task for it; its alarm is its client's deadline: empty answer, and the start is undone
//              when it comes. A start that came to nothing puts it back to the head of the row, with the end it had (E16).
//
// Thread rule: run() from any thread; the rest on the executor. TaskStarter, Store and the callbacks are called on the executor,
// and may call back on the same stack.
#pragma once

#include <deque>
#include <list>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/random.h"
#include "server/core/taskqueue/task_queue.h"
#include "server/matching/alarms.h"
#include "server/matching/matching.h"

namespace perdure::matching {

struct QueueKeyHash {
  std::size_t operator()(const QueueKey& key) const;
};

// A poll from its arrival to its end.
class Poll : public Alarm {
 public:
  Poll(Matching::Home& home, std::uint64_t id, Poller poller, PollDone done)
      : id(id), poller(std::move(poller)), done(std::move(done)), home_(home) {}
  void fire(base::Time now) override;

  const std::uint64_t id;
  Poller poller;
  PollDone done;
  struct Queue* queue = nullptr;
  core::PollPlace place = 0;  // while idle
  bool reserved = false;
  Time since{}, end{}, deadline{};

 private:
  Matching::Home& home_;
};

class Query : public Alarm {
 public:
  Query(Matching::Home& home, QueryTask task) : task(std::move(task)), home_(home) {}
  void fire(base::Time now) override;

  QueryTask task;
  Queue* queue = nullptr;
  bool last_second = false;  // pollers were seen lately: wait until the deadline (WT-53)

 private:
  Matching::Home& home_;
};

// A queue that is loaded: one that somebody used within the last minutes.
struct Queue : public Alarm {
  Queue(Matching::Home& home, QueueKey key, core::TaskWindow::Bounds bounds, std::optional<Time> lost)
      : key(std::move(key)), value(bounds, lost), home(home) {}
  void fire(base::Time now) override;
  // Somebody waits here, or something is under way that comes back.
  bool in_use() const {
    return live > 0 || value.window().under_way() > 0 || value.window().loading() || !queries.empty() ||
           !descriptions.empty();
  }
  // It must stay loaded.
  bool busy() const { return in_use() || pumping || holds > 0; }

  const QueueKey key;
  core::TaskQueue value;
  Matching::Home& home;
  bool sticky = false;
  bool shut_down = false;  // its worker said goodbye: absent, not unknown, until it polls again (MA-16)
  std::size_t live = 0;    // polls, idle and reserved
  std::list<std::shared_ptr<Query>> queries;
  std::vector<Done<QueueDescription>> descriptions;  // wait for the first page
  Time last_used{};
  std::list<Queue*>::iterator by_use;
  std::size_t counted = 0;  // references, as counted in the home's sum
  bool pumping = false, pump_again = false;
  int holds = 0;
};

// Keeps a queue loaded across callbacks, which may come back on the same stack.
class Hold {
 public:
  explicit Hold(Queue& queue) : queue_(queue) { ++queue_.holds; }
  ~Hold() { --queue_.holds; }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

 private:
  Queue& queue_;
};

class Matching::Home : public std::enable_shared_from_this<Matching::Home> {
 public:
  Home(Matching& matching, base::Executor& executor, std::uint64_t seed);
  ~Home();

  // Runs f(home) on the executor: at once when it is the current one. False: refused, nothing will happen.
  template <class F>
  bool run(base::Lane lane, std::size_t bytes, F f) {
    if (executor_.is_current()) {
      f(*this);
      arm_timer();
      return true;
    }
    return executor_.post(lane, bytes, [weak = weak_from_this(), f = std::move(f)]() mutable {
      if (const auto home = weak.lock()) {
        f(*home);
        home->arm_timer();
      }
    });
  }

  void offer(Offer offer);
  void poll(std::shared_ptr<Poll> poll, PollRequest request);
  void cancel_poll(std::uint64_t id);
  void query(QueryTask task);
  void describe(QueueKey key, Done<QueueDescription> done);
  void shutdown_worker(const std::string& namespace_id, const std::string& identity,
                       const std::string& worker_instance_key);
  void forget_sticky_queue(QueueKey key);
  void drain();

  base::Executor& executor() const { return executor_; }
  MatchingFigures figures() const;

  void end_of_poll(Poll& poll, Time now);
  void end_of_query(Query& query, Time now);
  void look_at(Queue& queue, Time now);

 private:
  Time now() const { return executor_.clock().now(); }

  Queue* find(const QueueKey& key);
  Queue& open(QueueKey key);
  void close(Queue& queue);
  void used(Queue& queue);
  void count(Queue& queue);
  void keep_bounds();

  void take_poll(Queue& queue, std::shared_ptr<Poll> poll, const PollRequest& request, Time at);
  void pump(Queue& queue);
  void reserve(Queue& queue, const core::TaskQueue::Match& match);
  void start_answered(Queue& queue, const core::IdlePoll& poll, const core::TaskIdentity& task,
                      Result<std::string> answer);
  void deliver(Queue& queue, const core::IdlePoll& poll, const core::TaskIdentity& task,
               std::string response);
  void park_again(Queue& queue, const core::IdlePoll& poll);
  void finish(std::shared_ptr<Poll> poll, Result<std::string> answer);
  void count_delivery(const Queue& queue, const core::IdlePoll& poll, Time due);
  void end_idle_polls(const std::function<bool(const Poll&)>& which);
  bool has_left(const Poller& poller, const QueueKey& key, Time now);
  void forget_oldest_left();
  Offer offer_of(const Queue& queue, const core::TaskReference& task) const;

  void read_page(Queue& queue);
  void page_read(Queue& queue, Result<std::vector<store::ReadyEntry>> page);

  bool sticky_absent(const Queue& queue, Time now) const;
  void give_up_sticky(Queue& queue, Time now);
  void serve_queries(Queue& queue);
  std::shared_ptr<Query> take_query(Query& query);
  void try_fallback(Query& query);
  void answer_descriptions(Queue& queue);
  QueueDescription description(const Queue& queue) const;

  void arm(Queue& queue);
  void arm_timer();
  void on_timer();
  void enter_stream(std::uint64_t stream);

  Matching& matching_;
  const MatchingOptions& options_;
  base::Executor& executor_;
  base::Random random_;
  Time unknown_until_{};  // before it, a sticky queue without polls is unknown, not absent (E16)

  std::unordered_map<QueueKey, std::unique_ptr<Queue>, QueueKeyHash> queues_;  // never iterated
  std::list<Queue*> by_use_;                                                   // least recently used first
  // iterated only to collect and sort
  std::unordered_map<std::uint64_t, std::shared_ptr<Poll>> polls_;
  // cancels that overtook their polls
  std::set<std::uint64_t> cancelled_early_;
  // Workers that shut down, by namespace and instance key: as long as a poll of theirs may be on its way (MA-16).
  std::set<std::pair<std::string, std::string>> left_;
  std::deque<std::pair<Time, std::pair<std::string, std::string>>> left_until_;
  std::size_t references_ = 0;
  std::size_t query_bytes_ = 0;
  std::optional<Time> lost_at_;  // a queue was unloaded for want of room
  std::uint64_t stream_ = 0;     // the newest seen in offers
  bool draining_ = false;
  MatchingFigures counted_;  // the counters; gauges are filled in when somebody asks

  Alarms alarms_;
  base::TimerId timer_ = 0;
  Time timer_at_{};
};

}  // namespace perdure::matching
