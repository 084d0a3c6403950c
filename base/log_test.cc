#include "base/log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <string>

namespace perdure::base {
namespace {

class LogTest : public testing::Test {
 protected:
  LogTest() {
    EXPECT_EQ(pipe(pipe_.data()), 0);
    clock_.set(Time(std::chrono::milliseconds(1'700'000'000'123)));
  }
  ~LogTest() override {
    start_log(LogLevel::kNever, LogFormat::kText, clock_, -1);
    close(pipe_[0]);
    close(pipe_[1]);
  }
  void start(LogLevel level, LogFormat format) { start_log(level, format, clock_, pipe_[1]); }
  // What was written since; a mark ends it, so that nothing blocks.
  std::string written() {
    EXPECT_EQ(write(pipe_[1], "|", 1), 1);
    std::string text(1 << 16, 0);
    const ssize_t size = read(pipe_[0], text.data(), text.size());
    text.resize(static_cast<std::size_t>(size) - 1);
    return text;
  }

  ManualClock clock_{Time()};
  std::array<int, 2> pipe_{};
};

TEST_F(LogTest, TextIsTimeLevelEventAndFields) {
  start(LogLevel::kInfo, LogFormat::kText);
  LOG(kInfo, "recovered",
      {{"groups", 12}, {"whole", true}, {"directory", "/a b"}, {"id", "wörk=1\n"}, {"none", ""}});
  EXPECT_EQ(written(),
            "time=2023-11-14T22:13:20.123Z level=INFO msg=recovered groups=12 whole=true directory=\"/a b\" "
            "id=\"wörk=1\\n\" none=\"\"\n");
}

TEST_F(LogTest, JsonIsOneObjectALine) {
  start(LogLevel::kDebug, LogFormat::kJson);
  LOG(kError, "log_failed", {{"reason", "a \"bad\"\x01 \xff disk\\"}, {"code", -5}});
  LOG(kWarn, "alone");
  EXPECT_EQ(written(),
            "{\"time\":\"2023-11-14T22:13:20.123Z\",\"level\":\"ERROR\",\"msg\":\"log_failed\",\"reason\":"
            "\"a \\\"bad\\\"\\u0001 \\ufffd disk\\\\\",\"code\":-5}\n"
            "{\"time\":\"2023-11-14T22:13:20.123Z\",\"level\":\"WARN\",\"msg\":\"alone\"}\n");
}

TEST_F(LogTest, WhatIsOffIsNotEvenComputed) {
  start(LogLevel::kWarn, LogFormat::kText);
  int computed = 0;
  const auto costly = [&] { return ++computed; };
  LOG(kInfo, "unheard", {{"cost", costly()}});
  EXPECT_EQ(computed, 0);
  LOG(kWarn, "heard", {{"cost", costly()}});
  EXPECT_EQ(computed, 1);
  start(LogLevel::kNever, LogFormat::kText);
  LOG(kError, "unheard", {{"cost", costly()}});
  EXPECT_EQ(computed, 1);
  EXPECT_EQ(written().find("unheard"), std::string::npos);
}

TEST_F(LogTest, LongTextIsCut) {
  start(LogLevel::kInfo, LogFormat::kText);
  LOG(kInfo, "long", {{"text", std::string(100'000, 'x')}});
  EXPECT_LT(written().size(), 1100U);
}

TEST(LogLevels, HaveNames) {
  EXPECT_EQ(log_level_of("debug"), LogLevel::kDebug);
  EXPECT_EQ(log_level_of("never"), LogLevel::kNever);
  EXPECT_EQ(log_level_of("loud"), std::nullopt);
}

}  // namespace
}  // namespace perdure::base
