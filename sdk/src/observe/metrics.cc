#include <array>
#include <cstdio>
#include <map>

#include "base/guarded.h"

#include <perdure/metrics.h>

namespace perdure {
inline namespace v1 {

namespace {

// Seconds; the last bucket is everything.
constexpr std::array kBounds{0.001, 0.002, 0.005, 0.01, 0.02, 0.05,  0.1,   0.2,    0.5,   1.0,
                             2.0,   5.0,   10.0,  20.0, 50.0, 100.0, 500.0, 1000.0, 3600.0};

struct Histogram {
  std::array<std::uint64_t, kBounds.size() + 1> buckets{};
  std::uint64_t count = 0;
  double sum = 0;
};
struct Family {
  const char* type = "";
  std::map<std::string, double> values;  // by labels
  std::map<std::string, Histogram> histograms;
};

std::string written(MetricLabels labels) {
  std::string out;
  for (const MetricLabel& label : labels) {
    if (!out.empty()) out += ',';
    out.append(label.key).append("=\"");
    for (const char c : label.value) {
      if (c == '\\' || c == '"') out += '\\';
      c == '\n' ? void(out += "\\n") : void(out += c);
    }
    out += '"';
  }
  return out;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.15g", value);
  return text;
}

void print(std::string& out, const std::string& name, const std::string& labels, const std::string& value) {
  out.append(name);
  if (!labels.empty()) out.append("{").append(labels).append("}");
  out.append(" ").append(value).append("\n");
}

void print(std::string& out, const std::string& name, const std::string& labels, const Histogram& histogram) {
  std::uint64_t so_far = 0;
  for (std::size_t i = 0; i <= kBounds.size(); ++i) {
    so_far += histogram.buckets[i];
    const std::string bound = i < kBounds.size() ? number(kBounds[i]) : "+Inf";
    std::string all = labels;
    all.append(labels.empty() ? "" : ",").append("le=\"").append(bound).append("\"");
    print(out, name + "_bucket", all, std::to_string(so_far));
  }
  print(out, name + "_sum", labels, number(histogram.sum));
  print(out, name + "_count", labels, std::to_string(histogram.count));
}

}  // namespace

struct PrometheusMetrics::Kept {
  using Families = std::map<std::string, Family, std::less<>>;
  base::Guarded<Families> families;

  template <class Use>
  void with(std::string_view name, const char* type, Use use) {
    families.with([&](Families& all) {
      auto found = all.find(name);
      if (found == all.end()) found = all.emplace(std::string(name), Family{type, {}, {}}).first;
      use(found->second);
    });
  }
};

PrometheusMetrics::PrometheusMetrics() : kept_(std::make_unique<Kept>()) {}
PrometheusMetrics::~PrometheusMetrics() = default;

void PrometheusMetrics::count(std::string_view name, MetricLabels labels, std::uint64_t by) {
  kept_->with(name, "counter",
              [&](Family& family) { family.values[written(labels)] += static_cast<double>(by); });
}
void PrometheusMetrics::gauge(std::string_view name, MetricLabels labels, double value) {
  kept_->with(name, "gauge", [&](Family& family) { family.values[written(labels)] = value; });
}
void PrometheusMetrics::observe(std::string_view name, MetricLabels labels, double seconds) {
  kept_->with(name, "histogram", [&](Family& family) {
    Histogram& histogram = family.histograms[written(labels)];
    std::size_t bucket = 0;
    while (bucket < kBounds.size() && seconds > kBounds[bucket]) ++bucket;
    ++histogram.buckets[bucket];
    ++histogram.count;
    histogram.sum += seconds;
  });
}

std::string PrometheusMetrics::text() const {
  return std::as_const(kept_->families).with([](const Kept::Families& families) {
    std::string out;
    for (const auto& [name, family] : families) {
      out.append("# TYPE ").append(name).append(" ").append(family.type).append("\n");
      for (const auto& [labels, value] : family.values) print(out, name, labels, number(value));
      for (const auto& [labels, histogram] : family.histograms) print(out, name, labels, histogram);
    }
    return out;
  });
}

}  // namespace v1
}  // namespace perdure
