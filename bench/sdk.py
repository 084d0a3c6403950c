#!/usr/bin/env python3
"""The C++ SDK beside the Go SDK: sdk.py [--build build-release] [--json FILE] [--quick]

Replay of one history, CPU of a worker per workflow of one activity, memory of a workflow in the cache, and what the C++ headers
cost to compile. Both SDKs in the same rounds, against the same server; medians of the rounds. What the figures mean: README.md.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import resource
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tools")]
import processes
import report
import toolchain

CHAIN = 200  # activities in the history that is replayed
LANGUAGES = ("cpp", "go")
COMPILED = {
    "compile_workflow_h": "#include <perdure/workflow.h>\n",
    "compile_four_programs": """#include <perdure/worker.h>
#include "examples/entity/account.h"
#include "examples/fan_out/thumbnails.h"
#include "examples/hello/hello.h"
#include "examples/order_saga/order.h"
void add(perdure::Worker& worker) {
  worker.add<shop::OrderWorkflow>().add<bank::AccountWorkflow>();
  worker.add<&hello::greet, &hello::compose, &pictures::thumbnails, &pictures::make_thumbnail>();
  worker.add<&bank::book>([](std::string account, long) { return account; });
}
""",
}


def output(*command, **environment):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}).stdout


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def on_core(core, command):
    return ["taskset", "-c", str(core), *map(str, command)]


class Quiet:
    """What programs that are none of ours took of the machine, from one call of percent() to the next."""

    def __init__(self):
        self.running = []  # processes of ours that nobody has waited for yet
        self.before = self.read()

    def read(self):
        """Seconds: what all cores were busy, stolen time included; what we used; the time."""
        busy = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]
        user, nice, system, _, _, irq, softirq, steal = map(int, busy[:8])
        times = os.times()
        ours = sum(times[:4]) + sum(cpu_seconds(one.pid) for one in self.running if one.returncode is None)
        return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK"), ours, times.elapsed

    def percent(self):
        """Of one core."""
        now = self.read()
        busy, ours, elapsed = (after - before for after, before in zip(now, self.before))
        self.before = now
        return max(0.0, busy - ours) * 100 / elapsed


class Worker:
    """A worker of the bench on core 0, from when it polls until the end of a `with`."""

    def __init__(self, program, queue, address, quiet):
        self.queue, self.quiet = queue, quiet
        self.process = subprocess.Popen(on_core(0, [program, "worker", queue]), stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "TEMPORAL_ADDRESS": address})
        quiet.running.append(self.process)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{program} did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.quiet.running.remove(self.process)
        processes.terminate(self.process)
        self.process.stdout.close()


class Rounds:
    """The programs of both languages, and what one round measures with them."""

    def __init__(self, options, place, quiet):
        self.quick, self.quiet = options.quick, quiet
        self.driver = options.build.absolute() / "bench/perdure-sdk-bench"
        self.programs = {"cpp": self.driver, "go": place / "sdkbench"}
        self.history = place / "history.json"
        subprocess.run([toolchain.go(), "build", "-o", self.programs["go"], "./sdkbench"], cwd=ROOT / "tests/compat/go", check=True)

    def make_history(self, address):
        output(self.driver, "history", self.history, str(CHAIN), TEMPORAL_ADDRESS=address)

    def drive(self, mode, worker, address, *arguments):
        output(*on_core(os.cpu_count() - 1, [self.driver, mode, worker.queue, *arguments]), TEMPORAL_ADDRESS=address)

    def replay(self, language):
        seconds = 0.5 if self.quick else 2
        said = json.loads(output(*on_core(0, [self.programs[language], "replay", self.history, seconds])))
        return {f"replay_{language}_events_per_cpu_second": said["events"] / said["cpu_seconds"]}

    def worker_cpu(self, language, number, address):
        figures = {}
        for clients, count in ((16, 200 if self.quick else 2000), (1, 100 if self.quick else 500)):
            with Worker(self.programs[language], f"cpu-{language}-{clients}-{number}", address, self.quiet) as worker:
                self.drive("drive", worker, address, count // 4, clients)  # warm
                before = cpu_seconds(worker.process.pid)
                self.drive("drive", worker, address, count, clients)
                used = cpu_seconds(worker.process.pid) - before
                figures[f"worker_{language}_ms_per_workflow_{clients}"] = used * 1000 / count
        return figures

    def memory(self, language, number, address):
        count = 500 if self.quick else 4000
        with Worker(self.programs[language], f"memory-{language}-{number}", address, self.quiet) as worker:
            self.drive("drive", worker, address, count // 10, 16)  # what a worker needs once
            before = resident_bytes(worker.process.pid)
            self.drive("fill", worker, address, count)
            used = resident_bytes(worker.process.pid) - before
        return {f"cache_{language}_kib_per_workflow": used / 1024 / count}

    def one(self, number, address):
        """The figures of a round. Who begins changes from round to round."""
        figures = {}
        for measure in (lambda language: self.replay(language),
                        lambda language: self.worker_cpu(language, number, address),
                        lambda language: self.memory(language, number, address)):
            for language in LANGUAGES if number % 2 == 0 else reversed(LANGUAGES):
                figures |= measure(language)
        figures["other_cpu_percent"] = self.quiet.percent()
        return figures


def compile_times(place, compiler):
    """CPU seconds; the headers are in the page cache."""
    figures = {}
    for name, text in COMPILED.items():
        source = place / f"{name}.cc"
        source.write_text(text)
        command = [compiler, "-std=c++20", "-O0", f"-I{ROOT}", f"-I{ROOT}/sdk/include", "-c", source, "-o", place / "out.o"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        output(*command)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        figures[name + "_s"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return figures


def settings(options, repetitions):
    model = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    go_sdk = re.search(r"go\.temporal\.io/sdk (v\S+)", (ROOT / "tests/compat/go/go.mod").read_text())[1]
    yield f"machine   {os.cpu_count()} × {model[1] if model else platform.machine()}, Linux {platform.release()}"
    yield f"load      {' '.join(f'{load:.2f}' for load in os.getloadavg())} before the first measurement (1, 5, 15 minutes)"
    yield f"C++       {options.build.absolute()}, compiled by {output('g++', '--version').splitlines()[0]}"
    yield f"Go        {output(toolchain.go(), 'version').strip()}, Go SDK {go_sdk}"
    yield f"pinning   worker and replay on core 0, the program that drives on core {os.cpu_count() - 1}, the server on both"
    yield f"workers   both with their defaults: 2 pollers of each kind, sticky cache, eager activities; the same workflows"
    yield f"medians   of {repetitions}, both languages in each round"


def print_round(what, rounds):
    figures = ", ".join(f"{key} {value:.4g}" for key, value in rounds[-1].items())
    print(f"  {what} {len(rounds)}: {figures}", file=sys.stderr)


def print_table(figures):
    rows = (("replay, events per CPU second", "replay_{}_events_per_cpu_second", "{:,.0f}", False),
            ("worker CPU ms per workflow of one activity, 16 at a time", "worker_{}_ms_per_workflow_16", "{:.3f}", True),
            ("  the same, one at a time", "worker_{}_ms_per_workflow_1", "{:.3f}", True),
            ("memory of a cached workflow, KiB", "cache_{}_kib_per_workflow", "{:.1f}", True))
    lines = [["", "C++", "Go", "ratio"]]
    for title, key, form, less_is_better in rows:
        cpp, go = (figures[key.format(language)] for language in LANGUAGES)
        ratio = f"{(go / cpp if less_is_better else cpp / go):.1f}×" if cpp > 0 and go > 0 else "-"
        lines.append([title, form.format(cpp), form.format(go), ratio])
    lines.append(["compile workflow.h alone at -O0, CPU s", f"{figures['compile_workflow_h_s']:.2f}", "", ""])
    lines.append(["compile the four programs at -O0, CPU s", f"{figures['compile_four_programs_s']:.2f}", "", ""])
    print("\n" + "\n".join(report.aligned(lines)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build-release", help="the build tree to measure")
    parser.add_argument("--server", type=pathlib.Path, help="the server that both use; default: perdure in the build tree")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="also write the figures as one flat object")
    parser.add_argument("--compiler", default="g++", help="whose time is taken for the headers")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one short round: a look, not a measurement")
    options = parser.parse_args()
    processes.use_packages()
    repetitions = 1 if options.quick else options.repetitions
    print("\n".join(settings(options, repetitions)), flush=True)
    with tempfile.TemporaryDirectory(prefix="sdk-bench-") as folder:
        place = pathlib.Path(folder)
        quiet = Quiet()
        rounds = Rounds(options, place, quiet)
        compile_times(place, options.compiler)  # warm
        quiet.percent()
        compiled = []
        for _ in range(repetitions):
            compiled.append(compile_times(place, options.compiler))
            compiled[-1]["other_cpu_percent_compiling"] = quiet.percent()
            print_round("headers", compiled)
        measured = []
        with processes.PerdureServer(options.server or options.build / "perdure", place / "data") as server:
            quiet.running.append(server.process)
            rounds.make_history(server.address)
            quiet.percent()
            for number in range(repetitions):
                measured.append(rounds.one(number, server.address))
                print_round("round", measured)
            quiet.running.remove(server.process)
    figures = report.median_of(compiled) | report.median_of(measured)
    print_table(figures)
    print(f"\n- other programs took {figures['other_cpu_percent']:.0f} % of a core (median of the rounds), "
          f"{figures['other_cpu_percent_compiling']:.0f} % while headers were compiled")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
