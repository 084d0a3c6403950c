// A client, a worker and a replayer for tests of the whole way; tests/run.py says where the server is. Each
// test runs with the worker's cache and without.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>

#include <perdure/client.h>
#include <perdure/replayer.h>
#include <perdure/worker.h>

class OnServer : public ::testing::TestWithParam<std::size_t> {
 protected:
  OnServer() : queue_(std::string("on-") + std::to_string(getpid()) + "-" + unique()) {
    worker_ = std::make_unique<perdure::Worker>(client_, worker_options());
  }
  perdure::WorkerOptions worker_options() const {
    perdure::WorkerOptions options;
    options.task_queue = queue_;
    options.cache_bytes = GetParam();
    return options;
  }
  void start() { worker_->start(); }
  perdure::Client& client() { return client_; }
  perdure::Worker& worker() { return *worker_; }
  perdure::Replayer& replayer() { return replayer_; }
  const std::string& queue() const { return queue_; }
  perdure::StartOptions named(const std::string& id) const {
    return {.id = queue_ + "-" + id, .task_queue = queue_};
  }
  // Fresh code takes the whole history without an objection.
  void check_replay(const std::string& workflow_id) {
    EXPECT_EQ(replayer_.replay(perdure::detail::fetch_history(*client_.connection(), {workflow_id, {}})),
              std::nullopt);
  }

 private:
  static std::string unique() {
    static int number = 0;
    return std::to_string(++number);
  }

  perdure::Client client_ = perdure::Client::connect();
  const std::string queue_;
  perdure::Replayer replayer_;
  std::unique_ptr<perdure::Worker> worker_;
};

inline std::string cache_name(const ::testing::TestParamInfo<std::size_t>& info) {
  return info.param == 0 ? "without_cache" : "with_cache";
}
#define PERDURE_ON_SERVER(suite) \
  INSTANTIATE_TEST_SUITE_P(On, suite, ::testing::Values(std::size_t{0}, std::size_t{1} << 20), cache_name)
