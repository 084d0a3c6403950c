// perdure-sim: one seed to read, or many to hunt.
//
//   perdure-sim --seed S            the trace of one seed on stdout, then its hash and what it broke
//   perdure-sim --runs N [--from S] many seeds, from S on; stops at the first that breaks a rule
//   perdure-sim --hash S            only the hash of a seed
//   perdure-sim --crash-points R    reference workload R with a crash at each of its operations of the disk and answers
//   perdure-sim --reference R --at K --point N
//                                   the trace of reference workload R that crashes at its Nth operation of the disk
//                                   (K = 1; 2: and tears it), or before (3) or after (4) its Nth answer
//   perdure-sim --bug B --runs N    the same with a planted bug (base/planted.h)
//   perdure-sim --hunt N            every planted bug in turn: the first of N seeds that finds it, as a table
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/clock.h"
#include "base/planted.h"
#include "tests/sim/bugs.h"
#include "tests/sim/simulation.h"

namespace perdure::sim {
namespace {

struct Arguments {
  std::uint64_t seed = 0, runs = 0, from = 1;
  std::uint64_t hunt = 0;
  int bug = 0;
  bool hash_only = false;
  int reference = -1, crash_points = -1;
  CrashPoint crash;
};

int one(const Arguments& arguments) {
  Plan plan = arguments.reference < 0 ? plan_of(arguments.seed) : reference_plan(arguments.reference);
  plan.crash = arguments.crash;
  const Outcome outcome = Simulation(plan, arguments.hash_only ? nullptr : stdout).run();
  if (!arguments.hash_only) {
    for (const std::string& violation : outcome.violations) std::printf("broken: %s\n", violation.c_str());
    std::printf("seed %llu: %llu steps, %llu answers, %llu crashes, hash ",
                static_cast<unsigned long long>(outcome.seed), static_cast<unsigned long long>(outcome.steps),
                static_cast<unsigned long long>(outcome.answers),
                static_cast<unsigned long long>(outcome.crashes));
  }
  std::printf("%016llx\n", static_cast<unsigned long long>(outcome.hash));
  return outcome.violations.empty() ? 0 : 1;
}

using Matrix = std::array<std::array<std::uint32_t, kFaults>, kFeatures>;

// How many seeds had both; false when a pair was never met.
bool print_matrix(const Matrix& cells) {
  bool full = true;
  std::printf("\n%-18s", "seeds with both");
  for (std::size_t fault = 0; fault < kFaults; ++fault)
    std::printf(" %7.7s", std::string(name_of(static_cast<Fault>(fault))).c_str());
  std::printf("\n");
  for (std::size_t feature = 0; feature < kFeatures; ++feature) {
    std::printf("%-18s", std::string(name_of(static_cast<Feature>(feature))).c_str());
    for (std::size_t fault = 0; fault < kFaults; ++fault) {
      std::printf(" %7u", cells[feature][fault]);
      full &= cells[feature][fault] > 0;
    }
    std::printf("\n");
  }
  return full;
}

int many(const Arguments& arguments) {
  const base::Time begin = base::system_clock().now();
  const bool terminal = std::getenv("TERM") != nullptr && isatty(fileno(stderr));
  Matrix cells{};
  double simulated = 0;
  std::uint64_t crashes = 0, answers = 0;
  for (std::uint64_t n = 0; n < arguments.runs; ++n) {
    Outcome outcome = simulate(arguments.from + n);
    if (n % 64 == 0 && outcome.violations.empty() && simulate(arguments.from + n).hash != outcome.hash)
      outcome.violations.push_back("E18: the same seed made two different runs");
    simulated += std::chrono::duration<double>(outcome.simulated).count();
    crashes += outcome.crashes;
    answers += outcome.answers;
    for (std::size_t feature = 0; feature < kFeatures; ++feature) {
      for (std::size_t fault = 0; fault < kFaults; ++fault)
        cells[feature][fault] +=
            outcome.coverage.features[feature] > 0 && outcome.coverage.faults[fault] > 0 ? 1 : 0;
    }
    const double real = std::chrono::duration<double>(base::system_clock().now() - begin).count();
    if (terminal || (n + 1) % 500 == 0 || n + 1 == arguments.runs) {
      const int done = static_cast<int>(40 * (n + 1) / arguments.runs);
      std::fprintf(stderr, "%s[%.*s%.*s] %llu/%llu seeds, %.0f s, %.0f:1 simulated to real%s",
                   terminal ? "\r" : "", done, "########################################", 40 - done,
                   "........................................", static_cast<unsigned long long>(n + 1),
                   static_cast<unsigned long long>(arguments.runs), real, simulated / real,
                   terminal && n + 1 < arguments.runs ? "" : "\n");
    }
    if (outcome.violations.empty()) continue;
    const char* commit = std::getenv("PERDURE_COMMIT");
    std::printf("\nseed %llu fails at commit %s:\n", static_cast<unsigned long long>(outcome.seed),
                commit ? commit : "unknown");
    for (const std::string& violation : outcome.violations) std::printf("  %s\n", violation.c_str());
    std::printf("read it with ./dev sim --seed %llu\n", static_cast<unsigned long long>(outcome.seed));
    return 1;
  }
  const bool full = print_matrix(cells);
  std::printf("%llu seeds, %llu crashes, %llu answers, %.0f s simulated\n",
              static_cast<unsigned long long>(arguments.runs), static_cast<unsigned long long>(crashes),
              static_cast<unsigned long long>(answers), simulated);
  if (full || arguments.runs < 2000) return 0;
  std::printf("a feature never met a fault\n");
  return 1;
}

// Crashes at the first, second, third … point until the workload ends without having come that far.
int crash_everywhere(int reference) {
  static constexpr const char* kWhere[] = {"", "operations of the disk", "the same torn", "before answers",
                                           "after answers"};
  for (int at = 1; at <= 4; ++at) {
    Plan plan = reference_plan(reference);
    for (plan.crash = {static_cast<CrashPoint::At>(at), 1};; ++plan.crash.number) {
      const Outcome outcome = Simulation(plan).run();
      if (!outcome.violations.empty()) {
        for (const std::string& violation : outcome.violations) std::printf("  %s\n", violation.c_str());
        std::printf("read it with perdure-sim --reference %d --at %d --point %llu\n", reference, at,
                    static_cast<unsigned long long>(plan.crash.number));
        return 1;
      }
      if (!outcome.reached) break;
    }
    std::printf("%s: %llu\n", kWhere[at], static_cast<unsigned long long>(plan.crash.number - 1));
    std::fflush(stdout);
  }
  return 0;
}

// The first seed that sees the planted bug, on `out`; in a process of its own, which the bug may end.
void hunt_one(const PlantedBug& bug, std::uint64_t seeds, std::FILE* out) {
  base::plant(bug.bug);
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    Outcome outcome = simulate(seed);
    if (outcome.violations.empty() && bug.bug == base::Bug::kUnseeded && simulate(seed).hash != outcome.hash)
      outcome.violations.push_back("E18: the same seed made two different runs");
    if (outcome.violations.empty()) continue;
    std::fprintf(out, "%llu | %.90s", static_cast<unsigned long long>(seed),
                 outcome.violations.front().c_str());
    return;
  }
}

// Exit status 0 when nine of ten are found.
int hunt(std::uint64_t seeds) {
  std::size_t found = 0;
  std::printf("| bug | rule | what it does | first seed | what the oracle said |\n|---|---|---|---|---|\n");
  for (const PlantedBug& bug : kBugs) {
    std::FILE* out = std::tmpfile();
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      hunt_one(bug, seeds, out);
      std::fflush(out);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    std::rewind(out);
    char text[256] = {};
    const bool said = std::fgets(text, sizeof text, out) != nullptr;
    std::fclose(out);
    for (char* c = text; *c != 0; ++c) {
      if (*c == '\n') *c = ' ';
    }
    found += said ? 1 : 0;
    std::printf("| %d | %s | %s | %s |\n", static_cast<int>(bug.bug), bug.rule, bug.what,
                said          ? text
                : status != 0 ? "- | the process ended"
                              : "- | not found");
  }
  std::printf("%zu of %zu found\n", found, kBugs.size());
  return found * 10 >= kBugs.size() * 9 ? 0 : 1;
}

int run(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const std::uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
    if (name == "--seed")
      arguments.seed = value;
    else if (name == "--runs")
      arguments.runs = value;
    else if (name == "--from")
      arguments.from = value;
    else if (name == "--bug")
      arguments.bug = static_cast<int>(value);
    else if (name == "--hunt")
      arguments.hunt = value;
    else if (name == "--reference")
      arguments.reference = static_cast<int>(value) % kReferences;
    else if (name == "--crash-points")
      arguments.crash_points = static_cast<int>(value) % kReferences;
    else if (name == "--at")
      arguments.crash.at = static_cast<CrashPoint::At>(value % 5);
    else if (name == "--point")
      arguments.crash.number = value;
    else if (name == "--hash") {
      arguments.seed = value;
      arguments.hash_only = true;
    } else
      return std::fprintf(stderr, "perdure-sim: unknown argument %s\n", argv[i]), 2;
  }
  if (argc % 2 == 0 || (arguments.seed == 0 && arguments.runs == 0 && arguments.hunt == 0 &&
                        arguments.reference < 0 && arguments.crash_points < 0))
    return std::fprintf(stderr,
                        "perdure-sim --seed S | --runs N [--from S] [--bug B] | --hash S | --hunt N | "
                        "--crash-points R | --reference R --at K --point N\n"),
           2;
  if (arguments.crash_points >= 0) return crash_everywhere(arguments.crash_points);
  if (arguments.hunt > 0) return hunt(arguments.hunt);
  base::plant(static_cast<base::Bug>(arguments.bug));
  return arguments.runs > 0 ? many(arguments) : one(arguments);
}

}  // namespace
}  // namespace perdure::sim

int main(int argc, char** argv) {
  return perdure::sim::run(argc, argv);
}
