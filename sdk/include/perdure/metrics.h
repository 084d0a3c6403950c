// Metrics of clients and workers under the names that Temporal's SDKs use, so that their dashboards fit.
//
// Give one to ClientOptions::metrics: PrometheusMetrics keeps them and prints them, a class of your own
// passes them on. A workflow's metrics count nothing twice when the run is replayed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace perdure {
inline namespace v1 {

struct MetricLabel {
  std::string_view key, value;
};
using MetricLabels = std::span<const MetricLabel>;

// Called on any thread, by several at a time; must not block. Names and labels are valid during the call.
class Metrics {
 public:
  virtual ~Metrics() = default;
  virtual void count(std::string_view name, MetricLabels labels, std::uint64_t by) = 0;
  virtual void gauge(std::string_view name, MetricLabels labels, double value) = 0;
  virtual void observe(std::string_view name, MetricLabels labels, double seconds) = 0;  // how long it took
};

// Keeps what it is told and prints it in Prometheus' text format: counters, gauges, and histograms in
// seconds.
class PrometheusMetrics final : public Metrics {
 public:
  PrometheusMetrics();
  ~PrometheusMetrics() override;
  void count(std::string_view name, MetricLabels labels, std::uint64_t by) override;
  void gauge(std::string_view name, MetricLabels labels, double value) override;
  void observe(std::string_view name, MetricLabels labels, double seconds) override;
  std::string text() const;

 private:
  struct Kept;
  std::unique_ptr<Kept> kept_;
};

}  // namespace v1
}  // namespace perdure
