#include "server/gateway/metrics.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <string_view>

#include "base/check.h"

namespace perdure::gateway {
namespace {

using frontend::CallMetrics;
using frontend::Method;

// Places in the table below.
enum Family : std::size_t {
  kBuild,
  kRequests,
  kErrors,
  kErrorWithType,
  kLatency,
  kPending,
  kOperations,
  kOperationErrors,
  kOperationLatency,
  kSuccess,
  kFailed,
  kCancel,
  kTerminate,
  kTimeout,
  kContinuedAsNew,
  kPollSuccess,
  kPollSuccessSync,
  kPollTimeouts,
  kSyncMatch,
  kAsyncMatch,
  kBacklog,
  kBacklogAge,
  kLoadedQueues,
  kParkedPolls,
  kReferences,
  kWaitingQueries,
  kHistoryWaiters,
  kExecutions,
  kCachedBytes,
  kMailboxBytes,
  kRefused,
  kFsyncs,
  kLogBytes,
  kLogGroups,
  kWakes,
  kUnprojected,
  kLowSpace,
  kQuarantined,
  kMemory,
};

const std::vector<MetricFamily> kFamilies = {
    {"build_information", "gauge", "Constant 1; the labels say what runs."},
    {"service_requests", "counter", "Calls that have ended."},
    {"service_errors", "counter", "Calls that ended with an error."},
    {"service_error_with_type", "counter", "The same by canonical code."},
    {"service_latency", "histogram",
     "Seconds from the arrival of a call to its answer, long polls included."},
    {"service_pending_requests", "gauge", "Calls under way, parked polls included."},
    {"persistence_requests", "counter", "Operations of the store that have ended."},
    {"persistence_errors", "counter", "Operations of the store that have failed."},
    {"persistence_latency", "histogram", "Seconds from asking the store to its answer."},
    {"workflow_success", "counter", "Runs that completed."},
    {"workflow_failed", "counter", "Runs that failed."},
    {"workflow_cancel", "counter", "Runs that were canceled."},
    {"workflow_terminate", "counter", "Runs that were terminated."},
    {"workflow_timeout", "counter", "Runs that ran out of time."},
    {"workflow_continued_as_new", "counter", "Runs that continued as new."},
    {"poll_success", "counter", "Polls that got a task."},
    {"poll_success_sync", "counter", "Polls that got a task which had not waited for them."},
    {"poll_timeouts", "counter", "Polls that ended empty."},
    {"syncmatch_latency", "histogram",
     "Seconds from a task's being due to its delivery, when a poll waited for it."},
    {"asyncmatch_latency", "histogram", "The same when the task waited for a poll."},
    {"approximate_backlog_count", "gauge", "Tasks that wait in a task queue: the 200 with the most."},
    {"approximate_backlog_age_seconds", "gauge", "How long the oldest of them has waited."},
    {"loaded_task_queue_count", "gauge", "Task queues in memory, sticky ones included."},
    {"perdure_parked_polls", "gauge", "Polls that wait for a task; bounded."},
    {"perdure_task_references", "gauge", "References to waiting tasks in memory; bounded."},
    {"perdure_waiting_queries", "gauge", "Queries that wait for a worker; bounded."},
    {"perdure_history_waiters", "gauge", "Long polls of histories."},
    {"perdure_executions_in_memory", "gauge", "Workflow IDs that are loaded."},
    {"perdure_execution_cache_bytes", "gauge", "What they hold, about; bounded."},
    {"perdure_mailbox_bytes", "gauge", "Requests that wait for their executor; bounded."},
    {"perdure_refused_requests", "counter", "Requests refused beyond a bound, which the label names."},
    {"perdure_log_fsyncs", "counter", "Syncs of the log."},
    {"perdure_log_bytes", "counter", "Bytes appended to the log."},
    {"perdure_log_groups", "counter", "Groups appended to the log; one sync carries many records."},
    {"perdure_executor_wakes", "counter", "How often a loop had to be woken for what was posted to it."},
    {"perdure_unprojected_bytes", "gauge", "Bytes of the log that the database does not hold yet."},
    {"perdure_low_space", "gauge", "1 while the disk is so full that new work is refused."},
    {"perdure_quarantined_ids", "gauge", "Workflow IDs whose state is broken: only read and deleted."},
    {"process_resident_memory_bytes", "gauge", "Resident memory of the process."},
};

constexpr std::array<const char*, CallMetrics::kCodes> kCodeNames = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.9g", value);
  return text.data();
}

class Writer {
 public:
  void family(Family family) {
    const MetricFamily& row = kFamilies[family];
    name_ = row.name;
    text_.append("# HELP ").append(row.name).append(" ").append(row.help).append("\n");
    text_.append("# TYPE ").append(row.name).append(" ").append(row.type).append("\n");
  }
  void sample(std::string_view labels, const std::string& value, std::string_view suffix = {}) {
    text_.append(name_).append(suffix);
    if (!labels.empty()) text_.append("{").append(labels).append("}");
    text_.append(" ").append(value).append("\n");
  }
  void sample(std::string_view labels, std::uint64_t value, std::string_view suffix = {}) {
    sample(labels, std::to_string(value), suffix);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string_view name_;
  std::string text_;
};

// A method that was called, with its labels and what was counted; those never called take no room.
struct Called {
  std::string labels;
  const CallMetrics::Row* row;
  std::uint64_t total = 0;
};

std::uint64_t sum(const auto& counters) {
  std::uint64_t total = 0;
  for (const auto& counter : counters) total += counter.load(std::memory_order_relaxed);
  return total;
}

std::vector<Called> called(const CallMetrics& calls) {
  std::vector<Called> all;
  const auto add = [&](const Method* method, std::string_view operation) {
    Called one{"operation=\"" + std::string(operation) + "\",service_name=\"frontend\"", &calls.row(method)};
    one.total = sum(one.row->ended);
    if (one.total > 0) all.push_back(std::move(one));
  };
  calls.methods().each([&](const Method& method) {
    add(&method, std::string_view(method.full_name).substr(method.full_name.rfind('/') + 1));
  });
  add(nullptr, "unknown");
  std::sort(all.begin(), all.end(), [](const Called& a, const Called& b) { return a.labels < b.labels; });
  return all;
}

// Histogram::buckets, or the same as atomic numbers.
template <class Buckets>
void write_histogram(Writer& out, const std::string& labels, const Buckets& buckets, double seconds) {
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < base::Histogram::kBounds.size(); ++i) {
    below += buckets[i];
    const double bound = std::chrono::duration<double>(base::Histogram::kBounds[i]).count();
    out.sample(labels + ",le=\"" + number(bound) + "\"", below, "_bucket");
  }
  const std::uint64_t all = below + buckets[base::Histogram::kBounds.size()];
  out.sample(labels + ",le=\"+Inf\"", all, "_bucket");
  out.sample(labels, number(seconds), "_sum");
  out.sample(labels, all, "_count");
}

double seconds_of(std::uint64_t nanoseconds) {
  return static_cast<double>(nanoseconds) / 1e9;
}

// A label's value, from outside.
std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    if (c == '"' || c == '\\') safe += '\\';
    if (c == '\n') {
      safe += "\\n";
    } else {
      safe += c;
    }
  }
  return safe;
}

void write_calls(Writer& out, const CallMetrics& calls) {
  const std::vector<Called> all = called(calls);
  out.family(kRequests);
  for (const Called& one : all) out.sample(one.labels, one.total);
  out.family(kErrors);
  for (const Called& one : all)
    out.sample(one.labels, one.total - one.row->ended[0].load(std::memory_order_relaxed));
  out.family(kErrorWithType);
  for (const Called& one : all) {
    for (std::size_t code = 1; code < CallMetrics::kCodes; ++code) {
      const std::uint64_t count = one.row->ended[code].load(std::memory_order_relaxed);
      if (count > 0) out.sample(one.labels + ",error_type=\"" + kCodeNames[code] + "\"", count);
    }
  }
  out.family(kLatency);
  for (const Called& one : all)
    write_histogram(out, one.labels, one.row->latency, seconds_of(one.row->nanoseconds));
  out.family(kPending);
  out.sample("service_name=\"frontend\"",
             static_cast<std::uint64_t>(std::max<std::int64_t>(0, calls.pending())));
}

void write_operations(Writer& out, const store::MeasuredStore* store) {
  using Operations = store::MeasuredStore;
  std::vector<std::pair<std::string, const Operations::Row*>> rows;
  for (std::size_t i = 0; store != nullptr && i < Operations::kOperations; ++i) {
    const Operations::Row& row = store->row(static_cast<Operations::Operation>(i));
    if (sum(row.latency) > 0)
      rows.emplace_back("operation=\"" + std::string(Operations::kNames[i]) + "\"", &row);
  }
  out.family(kOperations);
  for (const auto& [labels, row] : rows) out.sample(labels, sum(row->latency));
  out.family(kOperationErrors);
  for (const auto& [labels, row] : rows) out.sample(labels, row->errors);
  out.family(kOperationLatency);
  for (const auto& [labels, row] : rows)
    write_histogram(out, labels, row->latency, seconds_of(row->nanoseconds));
}

// The label of a namespace by its id.
std::string namespace_label(const MetricSources& sources, const std::string& id) {
  const std::string name = sources.namespace_name ? sources.namespace_name(id) : id;
  return "namespace=\"" + escaped(name.empty() ? id : name) + "\"";
}

void write_closed_runs(Writer& out, const MetricSources& sources, const history::HistoryFigures& figures) {
  // By WorkflowExecutionStatus.
  constexpr std::pair<Family, std::size_t> kClosed[] = {{kSuccess, 2},   {kFailed, 3},  {kCancel, 4},
                                                        {kTerminate, 5}, {kTimeout, 7}, {kContinuedAsNew, 6}};
  for (const auto& [family, status] : kClosed) {
    out.family(family);
    for (const auto& [id, counts] : figures.closed) {
      if (counts[status] > 0) out.sample(namespace_label(sources, id), counts[status]);
    }
  }
}

const char* type_label(core::TaskKind kind) {
  return kind == core::TaskKind::kWorkflow ? ",task_type=\"Workflow\"" : ",task_type=\"Activity\"";
}

void write_matching(Writer& out, const MetricSources& sources, const matching::MatchingFigures& figures) {
  const auto each = [&](Family family, auto write) {
    out.family(family);
    for (const auto& [key, counters] : figures.counters) {
      write(namespace_label(sources, key.first) + type_label(key.second), counters);
    }
  };
  using matching::PollCounters;
  const auto latency = [&out](const std::string& labels, const base::Histogram& of) {
    write_histogram(out, labels, of.buckets, std::chrono::duration<double>(of.sum).count());
  };
  each(kPollSuccess,
       [&](const std::string& labels, const PollCounters& of) { out.sample(labels, of.success); });
  each(kPollSuccessSync,
       [&](const std::string& labels, const PollCounters& of) { out.sample(labels, of.success_sync); });
  each(kPollTimeouts,
       [&](const std::string& labels, const PollCounters& of) { out.sample(labels, of.timeouts); });
  each(kSyncMatch,
       [&](const std::string& labels, const PollCounters& of) { latency(labels, of.sync_match); });
  each(kAsyncMatch,
       [&](const std::string& labels, const PollCounters& of) { latency(labels, of.async_match); });
  const auto labels_of = [&](const matching::QueueGauge& queue) {
    return namespace_label(sources, queue.namespace_id) + ",taskqueue=\"" + escaped(queue.name) + "\"" +
           type_label(queue.kind);
  };
  out.family(kBacklog);
  for (const auto& queue : figures.queues) out.sample(labels_of(queue), std::to_string(queue.backlog));
  out.family(kBacklogAge);
  for (const auto& queue : figures.queues) {
    out.sample(labels_of(queue), number(std::chrono::duration<double>(queue.backlog_age).count()));
  }
}

void write_refused(Writer& out, const history::HistoryFigures& history,
                   const matching::MatchingFigures& matching) {
  out.family(kRefused);
  const std::pair<const char*, std::uint64_t> bounds[] = {{"execution", history.refused_execution},
                                                          {"low_space", history.refused_low_space},
                                                          {"mailbox", history.refused_mailbox},
                                                          {"parked_polls", matching.refused_polls},
                                                          {"unprojected_bytes", history.refused_unprojected},
                                                          {"waiting_queries", matching.refused_queries}};
  for (const auto& [bound, count] : bounds) out.sample("bound=\"" + std::string(bound) + "\"", count);
}

std::uint64_t resident_bytes() {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/proc/self/statm", "re"),
                                                             &std::fclose);
  unsigned long long whole = 0, resident = 0;
  if (!file || std::fscanf(file.get(), "%llu %llu", &whole, &resident) != 2) return 0;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

const std::vector<MetricFamily>& metric_families() {
  return kFamilies;
}

std::string metrics_text(const MetricSources& sources) {
  CHECK(sources.calls != nullptr && sources.store != nullptr);
  const store::Statistics now = sources.store->statistics();
  Writer out;
  out.family(kBuild);
  out.sample("version=\"" + sources.version + "\"", 1);
  write_calls(out, *sources.calls);
  write_operations(out, sources.operations);
  const auto history = sources.history ? sources.history() : history::HistoryFigures();
  const auto matching = sources.matching ? sources.matching() : matching::MatchingFigures();
  write_closed_runs(out, sources, history);
  write_matching(out, sources, matching);
  const auto single = [&](Family family, std::uint64_t value) {
    out.family(family);
    out.sample({}, value);
  };
  single(kLoadedQueues, matching.loaded_queues);
  single(kParkedPolls, matching.parked_polls);
  single(kReferences, matching.references);
  single(kWaitingQueries, matching.waiting_queries);
  single(kHistoryWaiters, history.history_waiters);
  single(kExecutions, history.executions);
  single(kCachedBytes, history.cached_bytes);
  single(kMailboxBytes, history.mailbox_bytes);
  write_refused(out, history, matching);
  single(kFsyncs, now.log_fsyncs);
  single(kLogBytes, now.log_bytes);
  single(kLogGroups, now.log_groups);
  single(kWakes, sources.wakes ? sources.wakes() : 0);
  single(kUnprojected, now.unprojected_bytes);
  single(kLowSpace, now.low_space ? 1 : 0);
  single(kQuarantined, sources.quarantined ? sources.quarantined() : 0);
  single(kMemory, resident_bytes());
  return out.take();
}

}  // namespace perdure::gateway
