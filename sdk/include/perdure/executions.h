// What the server tells about workflows: descriptions, lists, counts and histories.
//
//   for (const WorkflowExecution& one : client.list("WorkflowType = 'Order'")) …
//
// Ranges fetch a page when it is needed, on the thread that iterates; they throw RpcError. Values; any
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <perdure/attributes.h>
#include <perdure/payload.h>

namespace perdure {
inline namespace v1 {

enum class WorkflowStatus {
  kUnspecified,
  kRunning,
  kCompleted,
  kFailed,
  kCanceled,
  kTerminated,
  kContinuedAsNew,
  kTimedOut,
  kPaused,
};
// "Running", "Completed", …
std::string_view status_name(WorkflowStatus status);

struct WorkflowExecution {
  std::string id, run_id, type, task_queue;
  WorkflowStatus status = WorkflowStatus::kUnspecified;
  TimePoint start_time{}, execution_time{};  // the second: when its first task may run
  std::optional<TimePoint> close_time{};
  std::int64_t history_length = 0, history_bytes = 0;
  std::string parent_id, parent_run_id, root_id, root_run_id, first_run_id;
  Memo memo;
  SearchAttributes search_attributes;

  bool is_running() const { return status == WorkflowStatus::kRunning || status == WorkflowStatus::kPaused; }
};

enum class ActivityState { kUnspecified, kScheduled, kStarted, kCancelRequested, kPaused, kPauseRequested };

struct PendingActivity {
  std::string id, type;
  ActivityState state = ActivityState::kUnspecified;
  int attempt = 1, maximum_attempts = 0;
  std::exception_ptr last_failure;  // null: there was none
  Payloads last_heartbeat;
  std::optional<TimePoint> scheduled_time{}, last_started_time{}, last_heartbeat_time{}, next_attempt_time{};
  std::string last_worker;  // its identity
};

struct PendingChild {
  std::string id, run_id, type;
};

struct WorkflowDescription : WorkflowExecution {
  Duration execution_timeout{}, run_timeout{}, task_timeout{};
  std::vector<PendingActivity> activities;
  std::vector<PendingChild> children;
  int workflow_task_attempt = 0;  // 0: no workflow task is pending
  std::string summary, details;   // of StartOptions
};

struct HistoryEvent {
  std::int64_t id = 0;
  std::string type;  // "WorkflowExecutionStarted"
  TimePoint time{};
  std::string bytes;         // a serialized temporal.api.history.v1.HistoryEvent, through the codec
  std::string json() const;  // the whole event
};

struct HistoryOptions {
  bool wait = false;  // for further events, until the run is closed
  bool close_event_only = false;
};

struct WorkflowCount {
  struct Group {
    std::vector<Payload> values;  // of the attributes in GROUP BY
    std::int64_t count = 0;
  };
  std::int64_t count = 0;
  std::vector<Group> groups;
};

// Things that come in pages. begin() asks for the first page; a range may be iterated more than once, each
// time from the first.
template <class T>
class Paged {
 public:
  struct Page {
    std::vector<T> items;
    std::string next;  // empty: this was the last
  };
  using Fetch = std::function<Page(const std::string& token)>;

  class Iterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using reference = const T&;
    using pointer = const T*;
    using iterator_category = std::input_iterator_tag;

    Iterator() = default;
    explicit Iterator(const Fetch& fetch) : rest_(std::make_shared<Rest>(Rest{fetch, fetch({}), 0})) {
      settle();
    }
    const T& operator*() const { return rest_->page.items[rest_->index]; }
    const T* operator->() const { return &**this; }
    Iterator& operator++() {
      ++rest_->index;
      settle();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return rest_ == nullptr; }

   private:
    struct Rest {
      Fetch fetch;
      Page page;
      std::size_t index;
    };
    void settle() {
      while (rest_->index == rest_->page.items.size()) {
        if (rest_->page.next.empty()) return rest_.reset();
        Page next = rest_->fetch(rest_->page.next);
        rest_->page = std::move(next);
        rest_->index = 0;
      }
    }
    std::shared_ptr<Rest> rest_;
  };

  explicit Paged(Fetch fetch) : fetch_(std::move(fetch)) {}
  Iterator begin() const { return Iterator(fetch_); }
  std::default_sentinel_t end() const { return {}; }

 private:
  Fetch fetch_;
};

using WorkflowRange = Paged<WorkflowExecution>;
using HistoryRange = Paged<HistoryEvent>;

}  // namespace v1
}  // namespace perdure
