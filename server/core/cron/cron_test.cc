#include "server/core/cron/cron.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace perdure::core {
namespace {

// "2024-02-28T23:59:00Z", with or without a fraction.
base::Time at(const std::string& text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0;
  double second = 0;
  EXPECT_EQ(std::sscanf(text.c_str(), "%d-%d-%dT%d:%d:%lfZ", &year, &month, &day, &hour, &minute, &second), 6)
      << text;
  const std::chrono::sys_days date(std::chrono::year(year) / month / day);
  return date + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::milliseconds(static_cast<int>(second * 1000));
}

std::string text_of(base::Time time) {
  const auto date = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day day(date);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - date));
  char text[32];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02dZ", int(day.year()), unsigned(day.month()),
                unsigned(day.day()), int(clock.hours().count()), int(clock.minutes().count()),
                int(clock.seconds().count()));
  return text;
}

std::string next(const char* schedule, const char* after) {
  const auto time = next_cron_time(schedule, at(after));
  return time ? text_of(*time) : time.error().message;
}

// TM-04: five fields.
TEST(Cron, Fields) {
  EXPECT_EQ(next("* * * * *", "2024-02-28T23:59:00Z"), "2024-02-29T00:00:00Z");
  EXPECT_EQ(next("* * * * *", "2024-02-28T23:58:59.999Z"), "2024-02-28T23:59:00Z");
  EXPECT_EQ(next("*/15 * * * *", "2024-01-01T10:46:00Z"), "2024-01-01T11:00:00Z");
  EXPECT_EQ(next("5/20 * * * *", "2024-01-01T10:26:00Z"), "2024-01-01T10:45:00Z");
  EXPECT_EQ(next("0 9-17/4 * * *", "2024-01-01T13:00:00Z"), "2024-01-01T17:00:00Z");
  EXPECT_EQ(next("0 0 1 jan ?", "2024-01-01T00:00:00Z"), "2025-01-01T00:00:00Z");
  EXPECT_EQ(next("30 4 * * MON-FRI", "2024-01-05T04:30:00Z"), "2024-01-08T04:30:00Z");
  EXPECT_EQ(next("0 12 1,15 * *", "2024-01-01T12:00:00Z"), "2024-01-15T12:00:00Z");
  EXPECT_EQ(next("0 0 29 2 *", "2024-03-01T00:00:00Z"), "2028-02-29T00:00:00Z");
  EXPECT_EQ(next("  0\t0  * * *  ", "2024-03-01T00:00:00Z"), "2024-03-02T00:00:00Z");
}

// Day of month and day of week: either suffices when both are restricted.
TEST(Cron, EitherDay) {
  EXPECT_EQ(next("0 0 13 * FRI", "2024-09-11T00:00:00Z"), "2024-09-13T00:00:00Z");
  EXPECT_EQ(next("0 0 13 * FRI", "2024-09-13T00:00:00Z"), "2024-09-20T00:00:00Z");
  EXPECT_EQ(next("0 0 */2 * FRI", "2024-09-20T00:00:00Z"), "2024-09-21T00:00:00Z");
}

TEST(Cron, Names) {
  EXPECT_EQ(next("@hourly", "2024-01-01T10:46:00Z"), "2024-01-01T11:00:00Z");
  EXPECT_EQ(next("@daily", "2024-01-01T10:46:00Z"), "2024-01-02T00:00:00Z");
  EXPECT_EQ(next("@midnight", "2024-01-01T10:46:00Z"), "2024-01-02T00:00:00Z");
  EXPECT_EQ(next("@weekly", "2024-01-01T10:46:00Z"), "2024-01-07T00:00:00Z");
  EXPECT_EQ(next("@monthly", "2024-01-01T10:46:00Z"), "2024-02-01T00:00:00Z");
  EXPECT_EQ(next("@yearly", "2024-01-01T10:46:00Z"), "2025-01-01T00:00:00Z");
  EXPECT_EQ(next("@annually", "2024-01-01T10:46:00Z"), "2025-01-01T00:00:00Z");
}

// Whole seconds, at least one.
TEST(Cron, Every) {
  EXPECT_EQ(next("@every 1h30m", "2024-01-01T10:00:00.250Z"), "2024-01-01T11:30:00Z");
  EXPECT_EQ(next("@every 1.5h", "2024-01-01T10:00:00Z"), "2024-01-01T11:30:00Z");
  EXPECT_EQ(next("@every 90s", "2024-01-01T10:00:00Z"), "2024-01-01T10:01:30Z");
  EXPECT_EQ(next("@every 10ms", "2024-01-01T10:00:00Z"), "2024-01-01T10:00:01Z");
}

TEST(Cron, Zones) {
  EXPECT_EQ(next("CRON_TZ=America/New_York 0 9 * * *", "2024-01-15T00:00:00Z"), "2024-01-15T14:00:00Z");
  EXPECT_EQ(next("TZ=America/New_York 0 9 * * *", "2024-07-15T00:00:00Z"), "2024-07-15T13:00:00Z");
  EXPECT_EQ(next("TZ=Asia/Kolkata 0 0 * * *", "2024-07-15T00:00:00Z"), "2024-07-15T18:30:00Z");
  EXPECT_EQ(next("TZ=UTC 0 0 * * *", "2024-07-15T00:00:00Z"), "2024-07-16T00:00:00Z");
}

// A skipped local time does not come, a repeated one comes twice.
TEST(Cron, ClockChanges) {
  EXPECT_EQ(next("TZ=America/New_York 30 2 * * *", "2024-03-10T00:00:00Z"), "2024-03-11T06:30:00Z");
  EXPECT_EQ(next("TZ=America/New_York 30 1 * * *", "2024-11-03T05:00:00Z"), "2024-11-03T05:30:00Z");
  EXPECT_EQ(next("TZ=America/New_York 30 1 * * *", "2024-11-03T05:30:00Z"), "2024-11-03T06:30:00Z");
  EXPECT_EQ(next("TZ=America/New_York 30 1 * * *", "2024-11-03T06:30:00Z"), "2024-11-04T06:30:00Z");
}

TEST(Cron, Invalid) {
  for (const char* schedule : {"",
                               "not a cron",
                               "* * * *",
                               "* * * * * *",
                               "61 * * * *",
                               "* 24 * * *",
                               "* * 0 * *",
                               "* * * 13 *",
                               "* * * * 7",
                               "5-1 * * * *",
                               "*/0 * * * *",
                               "1-2-3 * * * *",
                               "1/2/3 * * * *",
                               "-1 * * * *",
                               ", * * * *",
                               "@sometimes",
                               "@every",
                               "@every soon",
                               "@every -1h",
                               "@every 5",
                               "TZ=Nowhere/City 0 0 * * *",
                               "TZ=UTC",
                               "0 0 30 2 *"}) {
    EXPECT_EQ(next(schedule, "2024-01-01T00:00:00Z"), "invalid CronSchedule.") << schedule;
  }
}

}  // namespace
}  // namespace perdure::core
