#include "bench/meter.h"

#include <gtest/gtest.h>

namespace perdure::bench {
namespace {

using std::chrono::milliseconds;

TEST(Percentile, NearestRank) {
  std::vector<base::Duration> values;
  for (int i = 100; i >= 1; --i) values.push_back(milliseconds(i));
  EXPECT_EQ(percentile(values, 50), milliseconds(50));
  EXPECT_EQ(percentile(values, 99), milliseconds(99));
  EXPECT_EQ(percentile(values, 100), milliseconds(100));
}

TEST(Percentile, FewValues) {
  std::vector<base::Duration> none;
  EXPECT_EQ(percentile(none, 50), base::Duration::zero());
  std::vector<base::Duration> one{milliseconds(7)};
  EXPECT_EQ(percentile(one, 1), milliseconds(7));
  EXPECT_EQ(percentile(one, 99), milliseconds(7));
  std::vector<base::Duration> two{milliseconds(9), milliseconds(1)};
  EXPECT_EQ(percentile(two, 50), milliseconds(1));
  EXPECT_EQ(percentile(two, 51), milliseconds(9));
}

TEST(CpuOfStat, SurvivesAnyProcessName) {
  const std::string fields = " S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 12 0 999";
  EXPECT_EQ(cpu_of_stat("42 (perdure)" + fields, 100), milliseconds(2000));
  EXPECT_EQ(cpu_of_stat("42 (a) b (c)) " + fields.substr(1), 100), milliseconds(2000));
  EXPECT_EQ(cpu_of_stat("garbage", 100), std::nullopt);
  EXPECT_EQ(cpu_of_stat("42 (perdure) S 1 2", 100), std::nullopt);
}

TEST(BusyOfStat, LeavesIdleAndWaitingOut) {
  EXPECT_EQ(busy_of_stat("cpu  100 20 30 5000 400 7 3 9 0 0\ncpu0 1 1 1 1\n", 100), milliseconds(1600));
  EXPECT_EQ(busy_of_stat("intr 1 2 3", 100), std::nullopt);
}

TEST(FieldOf, FindsTheWholeKey) {
  const std::string text =
      "VmPeak:\t  9 kB\nVmRSS:\t   1234 kB\nrchar: 5\nwrite_bytes: 4096\ncancelled_write_bytes: 1\n";
  EXPECT_EQ(field_of(text, "VmRSS:"), 1234);
  EXPECT_EQ(field_of(text, "write_bytes:"), 4096);
  EXPECT_EQ(field_of(text, "VmSwap:"), std::nullopt);
}

TEST(MetricOf, SumsOverLabelsAndIgnoresLongerNames) {
  const std::string text =
      "# HELP perdure_log_fsyncs fsyncs\n# TYPE perdure_log_fsyncs counter\n"
      "perdure_log_fsyncs 12\nperdure_log_fsyncs_extra 99\n"
      "requests{op=\"a b\"} 3\nrequests{op=\"c\"} 4.5\n";
  EXPECT_EQ(metric_of(text, "perdure_log_fsyncs"), 12);
  EXPECT_EQ(metric_of(text, "requests"), 7.5);
  EXPECT_EQ(metric_of(text, "perdure_log"), std::nullopt);
}

}  // namespace
}  // namespace perdure::bench
