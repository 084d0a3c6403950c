#!/usr/bin/env python3
"""The C++ SDK beside the Go SDK: sdk.py [--build build-release] [--json FILE] [--quick]

Replay of one history, CPU of a worker per workflow of one activity, memory of a workflow in the cache, and what the C++ headers
cost to compile. Both SDKs in the same run, against the same server; workers are pinned to one core, everything else to the others.
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import processes
import toolchain

CHAIN = 200  # activities in the history that is replayed
COMPILED = {
    "compile_workflow_h": "#include <perdure/workflow.h>\n",
    "compile_four_programs": """#include <perdure/worker.h>
#include "sdk/examples/programs.h"
void add(perdure::Worker& worker) {
  using namespace examples;
  worker.add<OrderWorkflow>().add<AccountWorkflow>();
  worker.add<&greet, &thumbnails, &compose, &make_thumbnail, &book>();
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


class Worker:
    def __init__(self, program, queue, address):
        self.queue = queue
        self.process = subprocess.Popen(on_core(0, [program, "worker", queue]), stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "TEMPORAL_ADDRESS": address})
        assert self.process.stdout.readline() == "ready\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        processes.terminate(self.process)


def replay(programs, history, seconds):
    figures = {}
    for language, program in programs.items():
        said = json.loads(output(*on_core(0, [program, "replay", history, seconds])))
        figures[f"replay_{language}_events_per_cpu_second"] = said["events"] / said["cpu_seconds"]
    return figures


def worker_cpu(programs, driver, address, count, clients):
    figures = {}
    for language, program in programs.items():
        with Worker(program, f"cpu-{language}-{clients}", address) as worker:
            drive = on_core(os.cpu_count() - 1, [driver, "drive", worker.queue])
            output(*drive, str(count // 4), str(clients), TEMPORAL_ADDRESS=address)  # warm
            before = cpu_seconds(worker.process.pid)
            output(*drive, str(count), str(clients), TEMPORAL_ADDRESS=address)
            figures[f"worker_{language}_ms_per_workflow_{clients}"] = (cpu_seconds(worker.process.pid) - before) * 1000 / count
    return figures


def cache_memory(programs, driver, address, count):
    figures = {}
    for language, program in programs.items():
        with Worker(program, f"memory-{language}", address) as worker:
            fill = on_core(os.cpu_count() - 1, [driver, "fill", worker.queue])
            before = resident_bytes(worker.process.pid)
            output(*fill, str(count), TEMPORAL_ADDRESS=address)
            figures[f"cache_{language}_kib_per_workflow"] = (resident_bytes(worker.process.pid) - before) / 1024 / count
    return figures


def compile_times(place, repetitions):
    figures = {}
    for name, text in COMPILED.items():
        source = place / f"{name}.cc"
        source.write_text(text)
        taken = []
        for _ in range(repetitions):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            output("g++", "-std=c++20", "-O0", f"-I{ROOT}", f"-I{ROOT}/sdk/include", "-c", source, "-o", place / "out.o")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        figures[name + "_s"] = statistics.median(taken)
    return figures


def print_table(figures):
    rows = (("replay, events per CPU second", "replay_{}_events_per_cpu_second", "{:,.0f}"),
            ("worker CPU ms per workflow of one activity, 16 at a time", "worker_{}_ms_per_workflow_16", "{:.2f}"),
            ("  the same, one at a time", "worker_{}_ms_per_workflow_1", "{:.2f}"),
            ("memory of a cached workflow, KiB", "cache_{}_kib_per_workflow", "{:.1f}"))
    print(f"{'':58} {'C++':>12} {'Go':>12}")
    for title, key, form in rows:
        print(f"{title:58} " + " ".join(f"{form.format(figures[key.format(one)]):>12}" for one in ("cpp", "go")))
    print(f"{'compile workflow.h alone at -O0, CPU s':58} {figures['compile_workflow_h_s']:12.2f}")
    print(f"{'compile the four programs at -O0, CPU s':58} {figures['compile_four_programs_s']:12.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build-release")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="a look, not a measurement")
    options = parser.parse_args()
    processes.use_packages()
    driver = options.build.absolute() / "bench/perdure-sdk-bench"
    count = 200 if options.quick else 2000
    with tempfile.TemporaryDirectory(prefix="sdk-bench-") as folder:
        place = pathlib.Path(folder)
        subprocess.run([toolchain.go(), "build", "-o", place / "sdkbench", "./sdkbench"], cwd=ROOT / "tests/compat/go", check=True)
        programs = {"cpp": driver, "go": place / "sdkbench"}
        figures = compile_times(place, 1 if options.quick else 5)
        output(driver, "history", place / "history.json", str(CHAIN))
        figures |= replay(programs, place / "history.json", 1 if options.quick else 5)
        with processes.PerdureServer(options.build / "perdure", place / "data") as server:
            for clients in (16, 1):
                figures |= worker_cpu(programs, driver, server.address, count if clients > 1 else count // 4, clients)
            figures |= cache_memory(programs, driver, server.address, count * 2)
    print_table(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
