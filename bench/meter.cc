#include "bench/meter.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/clock.h"
#include "bench/address.h"

namespace perdure::bench {
namespace {

base::Result<std::string> file_text(const std::string& name) {
  std::ifstream in(name);
  if (!in) return base::fail(base::Code::kUnavailable, "cannot read " + name);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// From schedstat, whose first number is the time on a CPU in nanoseconds. Threads that end meanwhile are left
// out.
std::map<std::string, base::Duration> cpu_by_thread_name(const std::string& directory) {
  std::map<std::string, base::Duration> sums;
  std::error_code error;
  for (const auto& thread : std::filesystem::directory_iterator(directory, error)) {
    const auto name = file_text(thread.path() / "comm");
    const auto schedstat = file_text(thread.path() / "schedstat");
    if (!name || !schedstat) continue;
    sums[name->substr(0, name->find('\n'))] += base::Duration(std::strtoll(schedstat->c_str(), nullptr, 10));
  }
  return sums;
}

// GET /metrics, blocking for at most two seconds.
base::Result<std::string> metrics_text(const std::string& address) {
  TRY(const sockaddr_in to, numeric_address(address));
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{.tv_sec = 2, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  const std::string request = "GET /metrics HTTP/1.1\r\nHost: " + address + "\r\nConnection: close\r\n\r\n";
  std::string text;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 &&
      send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
    std::array<char, 16 << 10> buffer;
    for (ssize_t n = 0; (n = recv(fd, buffer.data(), buffer.size(), 0)) > 0;) {
      text.append(buffer.data(), static_cast<std::size_t>(n));
    }
  }
  close(fd);
  if (text.find(" 200 ") == std::string::npos) {
    return base::fail(base::Code::kUnavailable, "no metrics at http://" + address + "/metrics");
  }
  return text;
}

}  // namespace

base::Duration percentile(std::vector<base::Duration>& values, double percent) {
  if (values.empty()) return base::Duration::zero();
  const auto rank = static_cast<std::size_t>(std::ceil(percent / 100.0 * static_cast<double>(values.size())));
  const auto at =
      values.begin() + static_cast<std::ptrdiff_t>(std::clamp<std::size_t>(rank, 1, values.size()) - 1);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

std::optional<base::Duration> cpu_of_stat(std::string_view stat, std::int64_t ticks_per_second) {
  const auto name_end = stat.rfind(')');  // the name may hold anything, blanks and brackets too
  if (name_end == std::string_view::npos) return std::nullopt;
  std::istringstream fields{std::string(stat.substr(name_end + 1))};
  std::string skipped;
  for (int i = 3; i < 14; ++i)
    fields >> skipped;  // field 3 is the first after the name; 14 and 15 are utime and stime
  std::int64_t user = 0;
  std::int64_t system = 0;
  if (!(fields >> user >> system)) return std::nullopt;
  return base::Duration((user + system) * (1'000'000'000 / ticks_per_second));
}

std::optional<base::Duration> busy_of_stat(std::string_view stat, std::int64_t ticks_per_second) {
  std::istringstream fields{std::string(stat)};
  std::string name;
  std::int64_t user = 0, nice = 0, system = 0, idle = 0, io_wait = 0, irq = 0, soft_irq = 0;
  if (!(fields >> name >> user >> nice >> system >> idle >> io_wait >> irq >> soft_irq) || name != "cpu") {
    return std::nullopt;
  }
  return base::Duration((user + nice + system + irq + soft_irq) * (1'000'000'000 / ticks_per_second));
}

std::optional<std::int64_t> field_of(std::string_view text, std::string_view key) {
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string name;
    std::int64_t value = 0;
    if (fields >> name >> value && name == key) return value;
  }
  return std::nullopt;
}

std::optional<double> metric_of(std::string_view text, std::string_view name) {
  std::optional<double> sum;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(name)) continue;
    auto rest = std::string_view(line).substr(name.size());
    if (rest.starts_with('{')) rest.remove_prefix(std::min(rest.size(), rest.find('}') + 1));
    if (!rest.starts_with(' ')) continue;  // a longer name
    std::istringstream number{std::string(rest)};
    double value = 0;
    if (number >> value) sum = sum.value_or(0) + value;
  }
  return sum;
}

Meter::Meter(int server_pid, std::string metrics) : pid_(server_pid), metrics_(std::move(metrics)) {
  if (metrics_.empty()) syncs_ = std::make_unique<SyncCounter>(pid_);
}

base::Result<Reading> Meter::read() const {
  const std::string proc = "/proc/" + std::to_string(pid_);
  const auto ticks = sysconf(_SC_CLK_TCK);
  Reading reading{.at = base::system_clock().now()};
  TRY(const auto stat, file_text(proc + "/stat"));
  TRY(const auto own_stat, file_text("/proc/self/stat"));
  TRY(const auto machine_stat, file_text("/proc/stat"));
  TRY(const auto status, file_text(proc + "/status"));
  reading.server_cpu = cpu_of_stat(stat, ticks).value_or(base::Duration::zero());
  reading.driver_cpu = cpu_of_stat(own_stat, ticks).value_or(base::Duration::zero());
  reading.machine_cpu = busy_of_stat(machine_stat, ticks).value_or(base::Duration::zero());
  reading.rss_kib = field_of(status, "VmRSS:").value_or(0);
  reading.threads = cpu_by_thread_name(proc + "/task");
  if (syncs_) reading.fsyncs = syncs_->count();
  if (!metrics_.empty()) {
    TRY(const auto text, metrics_text(metrics_));
    reading.fsyncs = metric_of(text, "perdure_log_fsyncs");
    reading.wakes = metric_of(text, "perdure_executor_wakes");
    reading.log_bytes = metric_of(text, "perdure_log_bytes");
  }
  return reading;
}

}  // namespace perdure::bench
