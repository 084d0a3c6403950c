// Asks the server in this process what Temporal was asked, on a simulated clock, and compares the answers.
//
//   golden_test                     all that must pass (passing.txt); fails when one does not
//   golden_test NAMES…              these scenarios or groups, whatever the lists say
//   golden_test --all               every scenario
//   golden_test --show NAME         its outcomes, normalised
//   golden_test --summary           a table of all groups
//   golden_test --update-passing    adds what passes now to passing.txt
//   golden_test --check-lists       only that the lists are complete
// Options: --strict (texts of errors too), --brief (no differences), --list (the name of each that passes),
// --recorded DIR.
#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/sim_scheduler.h"
#include "server/main/in_process_server.h"
#include "tests/golden/book.h"
#include "tests/golden/differ.h"
#include "tests/golden/run.h"

namespace perdure::golden {
namespace {

constexpr base::Time kStart{std::chrono::sys_days{std::chrono::year(2026) / 6 / 1}};

struct Options {
  std::vector<std::string> names;
  std::string folder = GOLDEN_FOLDER;
  std::string compiled = GOLDEN_SCENARIOS;
  std::string recorded;
  bool all = false, show = false, summary = false, update = false, check_lists = false;
  bool strict = false, brief = false, list = false;
};

bool parse(int count, char** arguments, Options& options) {
  const std::map<std::string_view, bool Options::*> flags{{"--all", &Options::all},
                                                          {"--show", &Options::show},
                                                          {"--summary", &Options::summary},
                                                          {"--update-passing", &Options::update},
                                                          {"--check-lists", &Options::check_lists},
                                                          {"--strict", &Options::strict},
                                                          {"--brief", &Options::brief},
                                                          {"--list", &Options::list}};
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    if (const auto flag = flags.find(argument); flag != flags.end()) {
      options.*flag->second = true;
    } else if (argument == "--recorded" && i + 1 < count) {
      options.recorded = arguments[++i];
    } else if (argument.starts_with("-")) {
      std::fprintf(stderr, "unknown option %s\n", arguments[i]);
      return false;
    } else {
      options.names.emplace_back(argument);
    }
  }
  if (options.recorded.empty()) options.recorded = options.folder + "/recorded";
  return true;
}

// Every scenario has a server of its own, which starts in less than a millisecond.
Json outcomes_of(const Json& scenario) {
  base::ManualClock clock(kStart);
  base::SimScheduler scheduler(clock);
  server::InProcessServer server(scheduler);
  // Like the recorded one, the server has been up for a while: workers that were never seen are absent, not unknown (E16).
  scheduler.advance_to(kStart + std::chrono::seconds(15));
  return Run(server.methods(), scheduler, scenario, uid_of(1)).outcomes();
}

struct Tally {
  int scenarios = 0, passed = 0, must_pass = 0, better = 0, due = 0;
  void add(const Tally& other) {
    scenarios += other.scenarios;
    passed += other.passed;
    must_pass += other.must_pass;
    better += other.better;
    due += other.due;
  }
};

void print_row(const std::string& name, const Tally& tally) {
  std::printf("%-20s %9d %7d %9d %7d %8d\n", name.c_str(), tally.scenarios, tally.passed, tally.must_pass,
              tally.better, tally.due);
}

void print_summary(const std::map<std::string, Tally>& groups) {
  std::printf("%-20s %9s %7s %9s %7s %8s\n", "group", "scenarios", "pass", "must pass", "better", "due");
  Tally all;
  for (const auto& [name, tally] : groups) {
    print_row(name, tally);
    all.add(tally);
  }
  print_row("in all", all);
}

bool passes(const Book& book, const std::string& name, const Options& options) {
  const Json expected = book.expected(name);
  std::vector<std::string> lines{"  not recorded"};
  if (!expected.is_null()) lines = differences(expected, outcomes_of(book.scenario(name)), options.strict);
  if (!options.summary && !lines.empty()) {
    std::printf("FAIL %s (%s)\n", name.c_str(), book.scenario(name).value("about", "").c_str());
    for (const auto& line : lines)
      if (!options.brief) std::printf("%s\n", line.c_str());
  }
  if (options.list && lines.empty()) std::printf("pass %s\n", name.c_str());
  std::fflush(stdout);
  return lines.empty();
}

std::vector<std::string> to_run(const Book& book, const Options& options) {
  const bool lists_rule = options.names.empty() && !options.all && !options.summary && !options.update;
  std::vector<std::string> names;
  for (const auto& name : book.select(options.names))
    if (!needs_grpc(name) && (!lists_rule || book.passing().contains(name))) names.push_back(name);
  return names;
}

int run_all(Book& book, const Options& options) {
  const auto begin = base::system_clock().now();
  std::map<std::string, Tally> groups;
  std::set<std::string> passed;
  int failed = 0, lost = 0;
  for (const auto& name : to_run(book, options)) {
    const bool pass = passes(book, name, options);
    groups[group_of(name)].add(
        {1, pass, book.passing().contains(name), book.better(name), book.due(name) && !book.not_due(name)});
    if (pass) passed.insert(name);
    failed += !pass;
    lost += !pass && book.passing().contains(name);
  }
  if (options.summary) print_summary(groups);
  if (options.update) book.add_passing(passed);
  const std::chrono::duration<double> took = base::system_clock().now() - begin;
  std::printf("%zu passed, %d failed in %.1f s\n", passed.size(), failed, took.count());
  return (options.summary || options.update ? lost : failed) > 0 ? 1 : 0;
}

int check_lists(const Book& book) {
  const auto faults = book.faults();
  for (const auto& fault : faults) std::printf("%s\n", fault.c_str());
  std::printf("%zu faults in the lists\n", faults.size());
  return faults.empty() ? 0 : 1;
}

int run(int count, char** arguments) {
  Options options;
  if (!parse(count, arguments, options)) return 2;
  Book book(options.folder, options.compiled, options.recorded);
  if (options.check_lists) return check_lists(book);
  if (!options.names.empty() && book.select(options.names).empty()) {
    std::fprintf(stderr, "no such scenario\n");
    return 2;
  }
  if (!options.show) return run_all(book, options);
  for (const auto& name : book.select(options.names))
    std::printf("%s\n", pretty_json(outcomes_of(book.scenario(name))).c_str());
  return 0;
}

}  // namespace
}  // namespace perdure::golden

int main(int count, char** arguments) {
  return perdure::golden::run(count, arguments);
}
