#include "server/gateway/metrics.h"

#include <gtest/gtest.h>

namespace perdure::gateway {
namespace {

// Only statistics() is asked for.
class NumbersOnly : public store::Store {
 public:
  store::Statistics numbers;

  store::Statistics statistics() const override { return numbers; }
  store::Result<store::GroupNumber> replay(
      const std::function<void(store::GroupNumber, std::string_view)>&) override {
    return 0;
  }
  void append(store::GroupNumber, std::string, store::Done<void>) override {}
  void check_open(store::Done<void>) override {}
  void project(store::Projection, store::Done<void>) override {}
  void project_visibility(store::VisibilityFlush, store::Done<void>) override {}
  store::GroupNumber cursor() const override { return 0; }
  store::GroupNumber visibility_cursor() const override { return 0; }
  void read_head(store::UnitKey, store::Done<std::optional<store::StoredHead>>) override {}
  void read_run(store::UnitKey, std::string, store::Done<std::optional<store::StoredRun>>) override {}
  void read_events(store::UnitKey, std::string, std::int64_t, std::int64_t, std::size_t,
                   store::Done<std::vector<store::StoredEvent>>) override {}
  store::Result<std::map<std::string, std::string>> read_catalog() override {
    return std::map<std::string, std::string>();
  }
  store::Result<std::uint64_t> count_quarantined() override { return 0; }
  void scan_wake(store::Time, std::optional<store::WakeEntry>, std::size_t,
                 store::Done<std::vector<store::WakeEntry>>) override {}
  void scan_ready(std::string, std::optional<store::ReadyEntry>, std::size_t,
                  store::Done<std::vector<store::ReadyEntry>>) override {}
  void list(store::VisibilityQuery, store::Done<std::vector<store::VisibilityRow>>) override {}
  void count(store::VisibilityFilter, store::Done<std::int64_t>) override {}
  void list_closed_before(std::string, store::Time, std::size_t,
                          store::Done<std::vector<store::ClosedRun>>) override {}
  void close() override {}
};

TEST(Metrics, TellWhatHappened) {
  frontend::MethodTable methods;
  const auto nothing = [](std::shared_ptr<frontend::Call>) {};
  methods.add({"/s.S/Start", frontend::Policy::kPublic, frontend::RateClass::kNone, nothing});
  methods.add({"/s.S/Never", frontend::Policy::kPublic, frontend::RateClass::kNone, nothing});
  frontend::CallMetrics calls(methods);
  for (int i = 0; i < 4; ++i) calls.begin();
  calls.end(methods.find("/s.S/Start"), base::Code::kOk, std::chrono::microseconds(1500));
  calls.end(methods.find("/s.S/Start"), base::Code::kNotFound, std::chrono::seconds(100));
  calls.end(nullptr, base::Code::kUnimplemented, {});
  NumbersOnly store;
  store.numbers = {
      .log_fsyncs = 3, .log_bytes = 4096, .log_groups = 5, .unprojected_bytes = 6, .low_space = true};
  const std::string text = metrics_text({&calls, &store, "1.2.3"});
  for (const char* line : {
           "build_information{version=\"1.2.3\"} 1\n",
           "service_requests{operation=\"Start\",service_name=\"frontend\"} 2\n",
           "service_errors{operation=\"Start\",service_name=\"frontend\"} 1\n",
           "service_error_with_type{operation=\"Start\",service_name=\"frontend\",error_type=\"NotFound\"} "
           "1\n",
           "service_error_with_type{operation=\"unknown\",service_name=\"frontend\",error_type="
           "\"Unimplemented\"} 1\n",
           "service_latency_bucket{operation=\"Start\",service_name=\"frontend\",le=\"0.001\"} 0\n",
           "service_latency_bucket{operation=\"Start\",service_name=\"frontend\",le=\"0.002\"} 1\n",
           "service_latency_bucket{operation=\"Start\",service_name=\"frontend\",le=\"60\"} 1\n",
           "service_latency_bucket{operation=\"Start\",service_name=\"frontend\",le=\"+Inf\"} 2\n",
           "service_latency_sum{operation=\"Start\",service_name=\"frontend\"} 100.0015\n",
           "service_latency_count{operation=\"Start\",service_name=\"frontend\"} 2\n",
           "service_pending_requests{service_name=\"frontend\"} 1\n",
           "perdure_log_fsyncs 3\n",
           "perdure_low_space 1\n",
           "# TYPE service_latency histogram\n",
       }) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\nnot in\n" << text;
  }
  EXPECT_EQ(text.find("Never"), std::string::npos);
}

// Every family of the table is written once, in its order, whatever there is to tell: the golden list of names
// (tests/binary/metrics.txt) is of an empty server.
TEST(Metrics, EveryFamilyIsThere) {
  frontend::MethodTable methods;
  frontend::CallMetrics calls(methods);
  NumbersOnly store;
  const std::string text = metrics_text({&calls, &store, "1.2.3"});
  std::size_t at = 0;
  for (const MetricFamily& family : metric_families()) {
    const std::size_t found = text.find("# TYPE " + std::string(family.name) + " " + family.type + "\n");
    ASSERT_NE(found, std::string::npos) << family.name;
    EXPECT_GE(found, at) << family.name << " is not in its place";
    at = found;
  }
}

TEST(Metrics, TellOfTheEngine) {
  frontend::MethodTable methods;
  frontend::CallMetrics calls(methods);
  NumbersOnly store;
  base::ManualClock clock;
  const store::MeasuredStore operations(store, clock);
  MetricSources sources{&calls, &store, "1.2.3"};
  sources.operations = &operations;
  sources.namespace_name = [](const std::string& id) { return id == "id" ? "my \"ns\"" : ""; };
  sources.history = [] {
    history::HistoryFigures figures;
    figures.closed["id"][2] = 7;
    figures.closed["gone"][7] = 1;
    figures.refused_mailbox = 3;
    figures.history_waiters = 4;
    return figures;
  };
  sources.matching = [] {
    matching::MatchingFigures figures;
    auto& counters = figures.counters[{"id", core::TaskKind::kActivity}];
    counters.success = 5;
    counters.timeouts = 6;
    counters.sync_match.count(std::chrono::milliseconds(3));
    figures.queues.push_back({"id", "tq", core::TaskKind::kWorkflow, 12, std::chrono::milliseconds(1500)});
    figures.parked_polls = 9;
    return figures;
  };
  const std::string text = metrics_text(sources);
  for (
      const char* line : {
          "workflow_success{namespace=\"my \\\"ns\\\"\"} 7\n",
          "workflow_timeout{namespace=\"gone\"} 1\n",
          "poll_success{namespace=\"my \\\"ns\\\"\",task_type=\"Activity\"} 5\n",
          "poll_timeouts{namespace=\"my \\\"ns\\\"\",task_type=\"Activity\"} 6\n",
          "syncmatch_latency_bucket{namespace=\"my \\\"ns\\\"\",task_type=\"Activity\",le=\"0.005\"} 1\n",
          "approximate_backlog_count{namespace=\"my \\\"ns\\\"\",taskqueue=\"tq\",task_type=\"Workflow\"} 12\n",
          "approximate_backlog_age_seconds{namespace=\"my \\\"ns\\\"\",taskqueue=\"tq\",task_type=\"Workflow\"} 1.5\n",
          "perdure_parked_polls 9\n",
          "perdure_history_waiters 4\n",
          "perdure_refused_requests{bound=\"mailbox\"} 3\n",
      }) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\nnot in\n" << text;
  }
}

}  // namespace
}  // namespace perdure::gateway
