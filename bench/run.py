#!/usr/bin/env python3
"""Measures the server: starts it, puts each workload on it, prints one table of medians.

  bench/run.py [--json FILE] [--against temporal] [--quick] [--binary build/perdure]

`--against temporal` puts the same load, in the same run and in turns, on Temporal's own server, which is
installed where it is missing.
Each repetition starts the server anew on an empty directory. What the figures mean: bench/README.md.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import shutil
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tools")]
import report

MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")
LOAD_BEFORE_KILL_S = 2.0
SETTLE_S = 1.0  # between the first answer and the look at idle memory


class Side:
    """A server to measure: how it is started, and where it answers."""

    def __init__(self, name, command, environment, port, metrics=None, settings=()):
        self.name = name
        self.command = command
        self.environment = environment
        self.address = f"127.0.0.1:{port}"
        self.metrics = metrics
        self.settings = settings


def free_ports(count):
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def perdure(data, options):
    port, metrics_port = free_ports(2)
    command = [
        options.binary,
        "server",
        "start",
        "--data",
        data,
        "--ip",
        "127.0.0.1",
        "--port",
        str(port),
        "--metrics-port",
        str(metrics_port),
    ]
    return Side("perdure", command, {}, port, f"127.0.0.1:{metrics_port}")


def temporal(data, _options):
    from temporal_server import TemporalServer

    server = TemporalServer(data)
    return Side(
        "temporal", server.command(), server.environment, server.port, settings=server.settings().items()
    )


def file_system_of(path):
    return subprocess.run(
        ["stat", "-f", "-c", "%T", path], check=True, capture_output=True, text=True
    ).stdout.strip()


def cores():
    """The core of the server and that of the driver; the same one twice on a machine that has one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return None


def answers(address):
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        return True
    except OSError:
        return False


def drop_page_cache():
    """Whether it could: only root can."""
    try:
        os.sync()
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3\n")
        return True
    except OSError:
        return False


class Bench:
    def __init__(self, options):
        self.options = options
        self.server_core, self.driver_core = cores()
        self.place = options.place
        self.runs = {}  # side name -> list of (start figures, {workload: figures})
        self.settings = {}

    def drive(self, workload, side, pid, *arguments):
        """The driver's figures of one workload."""
        command = [
            self.options.driver,
            workload,
            "--address",
            side.address,
            "--server-pid",
            str(pid),
            "--seconds",
            str(self.options.seconds),
            *arguments,
        ]
        if side.metrics:
            command += ["--metrics", side.metrics]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {self.driver_core}),
        )
        if done.returncode != 0:
            raise RuntimeError(f"{side.name}, {workload}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def spawn(self, command, core, **how):
        return subprocess.Popen(command, preexec_fn=lambda: os.sched_setaffinity(0, {core}), **how)

    def start(self, side, log, *awaited):
        """Starts the server on its core; its process, and one time from exec per awaited answer, in ms."""
        waiters = [
            self.spawn(
                [self.options.driver, "first_answer", "--address", side.address, *arguments],
                self.driver_core,
                stdout=subprocess.PIPE,
                text=True,
            )
            for arguments in awaited
        ]
        begun_ns = time.time_ns()
        environment = {**os.environ, **side.environment}
        process = self.spawn(
            side.command, self.server_core, stdout=log, stderr=log, cwd=self.place, env=environment
        )
        answers = [waiter.communicate()[0] for waiter in waiters]
        if process.poll() is not None or any(waiter.returncode for waiter in waiters):
            process.kill()
            process.wait()
            raise RuntimeError(f"{side.name} does not answer; its output is in {log.name}")
        return process, [(json.loads(answer)["answered_at_ns"] - begun_ns) / 1e6 for answer in answers]

    @contextlib.contextmanager
    def running(self, side, log):
        """A server while it runs; yields its process and the ms from exec to the first answered call."""
        process, (first_answer_ms,) = self.start(side, log, ())
        try:
            yield process, first_answer_ms
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                print(f"{side.name} did not stop within 15 s of SIGTERM and was killed", file=sys.stderr)
                process.kill()
                process.wait()

    def repetition(self, make_side, number):
        data = self.place / f"{make_side.__name__}-{number}"
        side = make_side(data, self.options)
        self.settings[side.name] = side.settings
        figures = {}
        with open(data.with_suffix(".log"), "wb") as log, self.running(side, log) as (process, first_answer_ms):
            time.sleep(SETTLE_S)
            if side.metrics and not answers(side.metrics):
                side.metrics = None  # fsyncs are counted by the kernel then
            start = {"first_answer_ms": first_answer_ms, "idle_rss_mib": resident_mib(process.pid)}
            self.drive("prepare", side, process.pid)
            for name, title, arguments in report.WORKLOADS:
                if self.options.workloads and name not in self.options.workloads:
                    continue
                workload = name.removesuffix("_alone")
                figures[name] = self.drive(workload, side, process.pid, *arguments)
                print(
                    f"  {number + 1}/{self.options.repetitions} {side.name}: {title.strip()}: "
                    f"{figures[name]['per_s']:,.0f} per s",
                    file=sys.stderr,
                )
        shutil.rmtree(data, ignore_errors=True)
        self.runs.setdefault(side.name, []).append((start, figures))

    def recovery(self, make_side, workflows):
        """Figures of a start after a kill under load, with many open workflows."""
        data = self.place / f"{make_side.__name__}-recovery"
        side = make_side(data, self.options)
        print(f"  {side.name}: start after a kill with {workflows:,} open workflows", file=sys.stderr)
        with open(data.with_suffix(".log"), "wb") as log:
            process, _ = self.start(side, log, ())
            try:
                self.drive("prepare", side, process.pid)
                filled = self.drive("fill", side, process.pid, "--units", str(workflows), "--name", "open")
                load = [
                    self.options.driver,
                    "start",
                    "--address",
                    side.address,
                    "--server-pid",
                    str(process.pid),
                ]
                loading = self.spawn([*load, "--seconds", "60"], self.driver_core, stderr=subprocess.DEVNULL)
                time.sleep(LOAD_BEFORE_KILL_S)
            finally:
                process.kill()
                process.wait()
            loading.wait()
            data_mib = sum(file.stat().st_size for file in data.rglob("*") if file.is_file()) / 2**20
            dropped = drop_page_cache()
            last = f"open-{workflows - 1}"
            process, (answer_ms, read_ms) = self.start(side, log, (), ("--name", last))
            rss_mib = resident_mib(process.pid)
            process.kill()
            process.wait()
        shutil.rmtree(data, ignore_errors=True)
        return {
            "workflows": workflows,
            "fill_per_s": filled["per_s"],
            "data_mib": data_mib,
            "cache_dropped": dropped,
            "first_answer_ms": answer_ms,
            "first_read_ms": read_ms,
            "rss_mib": rss_mib,
        }

    def medians(self, name):
        runs = self.runs[name]
        start = report.median_of([start for start, _ in runs])
        return start, {
            workload: report.median_of([figures[workload] for _, figures in runs]) for workload in runs[0][1]
        }


def settings_lines(bench):
    options = bench.options
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    yield f"machine   {os.cpu_count()} × {model}, Linux {platform.release()}"
    yield f"pinning   server on core {bench.server_core}, driver on core {bench.driver_core}"
    yield f"data      {bench.place} ({file_system_of(bench.place)})"
    yield (
        "load      128 units in flight (1 where it says so), 4 connections, the worker parks 32 polls of each kind, "
        f"windows of {options.seconds:g} s, medians of {options.repetitions}, a fresh server each time"
    )
    yield "worker    plain polls, no sticky queue; a workflow has ended when a history long poll (close event) says so"
    for name, settings in bench.settings.items():
        for key, value in settings:
            yield f"{name:9s} {key}={value}"


def print_report(bench):
    for line in settings_lines(bench):
        print(line)
    medians = {name: bench.medians(name) for name in bench.runs}
    for name, (start, figures) in medians.items():
        print(
            f"\n{name}: idle {start['idle_rss_mib']:.1f} MiB, first answer {start['first_answer_ms']:.0f} ms after exec\n"
        )
        print("\n".join(report.table(figures)))
        print()
        for line in report.notes(figures):
            print(f"- {line}")
    if len(medians) == 2:
        print("\nperdure against temporal\n")
        print("\n".join(report.ratios(medians["perdure"][1], medians["temporal"][1])))
    return medians


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--json", type=pathlib.Path, metavar="FILE", help="also write the figures as one flat object")
    add("--against", choices=["temporal"], help="measure Temporal's own server too, in turns")
    add("--alone", action="store_true", help="with --against: leave ours out")
    add("--build", type=pathlib.Path, default=ROOT / "build", help="the build tree to measure")
    add("--binary", type=pathlib.Path, help="the server; default: perdure in the build tree")
    add("--driver", type=pathlib.Path, help="default: bench/perdure-bench in the build tree")
    add("--place", type=pathlib.Path, help="where the servers keep their data")
    add("--quick", action="store_true", help="one repetition of short windows: a look, not a measurement")
    add("--repetitions", type=int, default=5)
    add("--recovery", type=int, metavar="N", help="open workflows at the start after a kill; default 1000000")
    add("--seconds", type=float, default=3, help="length of each measured window")
    names = " ".join(name for name, _, _ in report.WORKLOADS)
    add("workloads", nargs="*", help=f"only these of: {names}")
    options = parser.parse_args(arguments)
    if options.quick:
        options.repetitions, options.seconds = 1, 1.0
    if options.recovery is None:
        options.recovery = 0 if options.quick or options.workloads or options.alone else 1_000_000
    unknown = set(options.workloads) - {name for name, _, _ in report.WORKLOADS}
    if unknown:
        parser.error(f"no workload of the name {', '.join(sorted(unknown))}")
    if options.alone and not options.against:
        parser.error("--alone needs --against")
    options.binary = options.binary or options.build / "perdure"
    options.driver = options.driver or options.build / "bench/perdure-bench"
    options.place = options.place or options.build / "bench-data"
    options.binary, options.driver, options.place = (
        path.absolute() for path in (options.binary, options.driver, options.place)
    )
    return options


def main(arguments=None):
    options = parse(arguments)
    for program in [options.driver] + ([] if options.alone else [options.binary]):
        if not os.access(program, os.X_OK):
            sys.exit(f"{program} is not there: ./dev build makes it")
    options.place.mkdir(parents=True, exist_ok=True)
    if file_system_of(options.place) in MEMORY_FILE_SYSTEMS:
        sys.exit(
            f"{options.place} is on {file_system_of(options.place)}: a durable server cannot be measured in memory; "
            "use --place"
        )
    bench = Bench(options)
    sides = ([] if options.alone else [perdure]) + ([temporal] if options.against else [])
    for number in range(options.repetitions):
        for side in sides:
            bench.repetition(side, number)
    recovery = bench.recovery(sides[0], options.recovery) if options.recovery else None
    medians = print_report(bench)
    if recovery:
        print("\n" + "\n".join(report.recovery_lines(recovery)))
    if options.json:
        out = {}
        for name, (start, figures) in medians.items():
            out |= report.flat(figures, start, "" if name == "perdure" else f"{name}_")
        if recovery:
            out |= {f"recovery_{key}": value for key, value in recovery.items()}
        options.json.write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
