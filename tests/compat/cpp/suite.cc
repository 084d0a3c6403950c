// The C++ SDK's suite: every scenario of ../scenarios.md against a running server, with a cache of workflows and without.
//
//   compat_cpp --address 127.0.0.1:7233 [--list tests/compat/scenarios.md] [--jobs 16] [names…]
//
// Prints one line per scenario, the failures, and a summary; exit status 1 when something failed.
#include <algorithm>
#include <cstdio>
#include <deque>

#include "base/clock.h"
#include "base/guarded.h"
#include "tests/compat/cpp/trial.h"

namespace perdure::compat {
namespace {

struct Work {
  std::string name;
  bool cached = false;
  std::string title() const { return name + (cached ? " (cache)" : " (no cache)"); }
};
struct Queue {
  std::deque<Work> left;
  std::vector<std::pair<std::string, std::string>> failures;
};

void run_one(const Work& work, Settings settings, const Scenario& scenario, const Wanted& wanted,
             base::Guarded<Queue>& queue) {
  settings.cache_bytes = work.cached ? std::size_t{64} << 20 : 0;
  const base::Time began = base::system_clock().now();
  std::string problem;
  try {
    Trial trial(work.name, settings);
    scenario(trial);
    trial.verify(wanted);
  } catch (const std::exception& error) {
    problem = error.what();
  }
  const double seconds = std::chrono::duration<double>(base::system_clock().now() - began).count();
  queue.with([&](Queue& all) {
    std::printf("%s %s (%.1f s)\n", problem.empty() ? "ok  " : "FAIL", work.title().c_str(), seconds);
    std::fflush(stdout);
    if (!problem.empty()) all.failures.emplace_back(work.title(), problem);
  });
}

struct Arguments {
  Settings settings;
  std::string list = "tests/compat/scenarios.md", worker_queue, how;
  int jobs = 16;
  std::vector<std::string> names;
};

Arguments read_arguments(int count, char** given) {
  Arguments all;
  all.settings.program = "/proc/self/exe";
  for (int i = 1; i < count; ++i) {
    const std::string flag = given[i];
    const auto value = [&] { return std::string(i + 1 < count ? given[++i] : ""); };
    if (flag == "--address") {
      all.settings.address = value();
    } else if (flag == "--list") {
      all.list = value();
    } else if (flag == "--jobs") {
      all.jobs = std::stoi(value());
    } else if (flag == "--worker") {
      all.worker_queue = value();
      all.how = value();
    } else {
      all.names.push_back(flag);
    }
  }
  return all;
}

// Every name of the list is a scenario here, and nothing else is.
void compare(const std::map<std::string, Wanted>& wanted, const Scenarios& scenarios) {
  std::vector<std::string> listed, here;
  for (const auto& one : wanted) listed.push_back(one.first);
  for (const auto& one : scenarios) here.push_back(one.first);
  std::sort(here.begin(), here.end());
  if (listed == here) return;
  std::vector<std::string> differ;
  std::set_symmetric_difference(listed.begin(), listed.end(), here.begin(), here.end(),
                                std::back_inserter(differ));
  std::string names;
  for (const std::string& one : differ) names += " " + one;
  throw std::runtime_error("only in the list or only in this suite:" + names);
}

int run(const Arguments& arguments) {
  if (!arguments.worker_queue.empty())
    return run_worker_process(arguments.settings, arguments.worker_queue, arguments.how);
  const auto wanted = read_list(arguments.list);
  Scenarios scenarios;
  add_activity_scenarios(scenarios);
  add_message_scenarios(scenarios);
  add_lifecycle_scenarios(scenarios);
  add_worker_scenarios(scenarios);
  compare(wanted, scenarios);
  base::Guarded<Queue> queue;
  std::size_t count = 0;
  for (const auto& [name, scenario] : scenarios) {
    const auto& names = arguments.names;
    if (!names.empty() && std::find(names.begin(), names.end(), name) == names.end()) continue;
    for (const bool cached : {false, true}) {
      queue.with([&](Queue& all) { all.left.push_back({name, cached}); });
      ++count;
    }
  }
  const base::Time began = base::system_clock().now();
  std::vector<std::unique_ptr<base::Executor>> runners;
  for (int i = 0; i < arguments.jobs; ++i) {
    runners.push_back(base::make_thread_executor("scenario", base::system_clock()));
    runners.back()->post(base::Lane::kCompletion, 0, [&] {
      for (;;) {
        std::optional<Work> next = queue.with([](Queue& all) {
          std::optional<Work> front;
          if (!all.left.empty()) {
            front = all.left.front();
            all.left.pop_front();
          }
          return front;
        });
        if (!next) return;
        run_one(*next, arguments.settings, scenarios.at(next->name), wanted.at(next->name), queue);
      }
    });
  }
  runners.clear();
  const auto failures = queue.with([](const Queue& all) { return all.failures; });
  for (const auto& [title, problem] : failures) std::printf("\n--- %s\n%s\n", title.c_str(), problem.c_str());
  const double seconds = std::chrono::duration<double>(base::system_clock().now() - began).count();
  std::printf("cpp: %zu passed, %zu failed, %.1f s\n", count - failures.size(), failures.size(), seconds);
  return failures.empty() ? 0 : 1;
}

}  // namespace
}  // namespace perdure::compat

int main(int count, char** given) {
  try {
    return perdure::compat::run(perdure::compat::read_arguments(count, given));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "compat_cpp: %s\n", error.what());
    return 1;
  }
}
