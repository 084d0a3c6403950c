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
  kErrorsWithType,
  kLatency,
  kPending,
  kFsyncs,
  kLogBytes,
  kLogGroups,
  kWakes,
  kUnprojected,
  kLowSpace,
  kMemory,
};

const std::vector<MetricFamily> kFamilies = {
    {"build_information", "gauge", "Constant 1; the labels say what runs."},
    {"service_requests", "counter", "Calls that have ended."},
    {"service_errors", "counter", "Calls that ended with an error."},
    {"service_errors_with_type", "counter", "The same by canonical code."},
    {"service_latency", "histogram",
     "Seconds from the arrival of a call to its answer, long polls included."},
    {"service_pending_requests", "gauge", "Calls under way, parked polls included."},
    {"perdure_log_fsyncs", "counter", "Syncs of the log."},
    {"perdure_log_bytes", "counter", "Bytes appended to the log."},
    {"perdure_log_groups", "counter", "Groups appended to the log; one sync carries many records."},
    {"perdure_executor_wakes", "counter", "How often a loop had to be woken for what was posted to it."},
    {"perdure_unprojected_bytes", "gauge", "Bytes of the log that the database does not hold yet."},
    {"perdure_low_space", "gauge", "1 while the disk is so full that new work is refused."},
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

void write_latency(Writer& out, const Called& one) {
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < CallMetrics::kBounds.size(); ++i) {
    below += one.row->latency[i].load(std::memory_order_relaxed);
    const double bound = std::chrono::duration<double>(CallMetrics::kBounds[i]).count();
    out.sample(one.labels + ",le=\"" + number(bound) + "\"", below, "_bucket");
  }
  const std::uint64_t all = sum(one.row->latency);
  out.sample(one.labels + ",le=\"+Inf\"", all, "_bucket");
  out.sample(one.labels,
             number(static_cast<double>(one.row->nanoseconds.load(std::memory_order_relaxed)) / 1e9), "_sum");
  out.sample(one.labels, all, "_count");
}

void write_calls(Writer& out, const CallMetrics& calls) {
  const std::vector<Called> all = called(calls);
  out.family(kRequests);
  for (const Called& one : all) out.sample(one.labels, one.total);
  out.family(kErrors);
  for (const Called& one : all)
    out.sample(one.labels, one.total - one.row->ended[0].load(std::memory_order_relaxed));
  out.family(kErrorsWithType);
  for (const Called& one : all) {
    for (std::size_t code = 1; code < CallMetrics::kCodes; ++code) {
      const std::uint64_t count = one.row->ended[code].load(std::memory_order_relaxed);
      if (count > 0) out.sample(one.labels + ",error_type=\"" + kCodeNames[code] + "\"", count);
    }
  }
  out.family(kLatency);
  for (const Called& one : all) write_latency(out, one);
  out.family(kPending);
  out.sample("service_name=\"frontend\"",
             static_cast<std::uint64_t>(std::max<std::int64_t>(0, calls.pending())));
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
  const auto single = [&](Family family, std::uint64_t value) {
    out.family(family);
    out.sample({}, value);
  };
  single(kFsyncs, now.log_fsyncs);
  single(kLogBytes, now.log_bytes);
  single(kLogGroups, now.log_groups);
  single(kWakes, sources.wakes ? sources.wakes() : 0);
  single(kUnprojected, now.unprojected_bytes);
  single(kLowSpace, now.low_space ? 1 : 0);
  single(kMemory, resident_bytes());
  return out.take();
}

}  // namespace perdure::gateway
