"""Runs the fuzz targets (tests/fuzz), or says which lines their corpora reach. `./dev fuzz` builds them first.

  fuzz.py [--build DIR] [--seconds N] [--jobs N] [--keep] [target…]
  fuzz.py [--build DIR] --coverage [target…]

What is found stays in DIR/found/TARGET and is where the next run begins; --keep writes what of it reaches more code than the kept
corpus, as few and as short as that can be done with, to tests/fuzz/corpus. An input that ends a target is in DIR/crashes.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
CORPUS = ROOT / "tests/fuzz/corpus"
FLOOR = 70  # percent of lines

# Target: the longest input, and the files that it is to reach.
TARGETS = {
    "requests": (6000, ["server/frontend/*.cc", "server/frontend/handlers/*.cc", "server/core/**/*.cc"]),
    "task_tokens": (300, ["server/history/token.cc", "server/frontend/task_token.cc"]),
    "page_tokens": (300, ["server/history/token.cc", "server/frontend/list_token.cc", "server/frontend/handlers/history.cc"]),
    "log_records": (6000, ["server/store/local/log_format.cc", "server/store/local/log_recovery.cc", "server/core/state.cc",
                           "server/history/loading.cc", "server/history/quarantine.cc"]),
    "database_pages": (64, ["server/store/local/reader.cc", "server/store/local/schema.cc", "server/store/local/sqlite.cc",
                            "server/store/local/wal_mark.cc"]),
    "list_filters": (300, ["server/visibility/filter.cc", "server/core/cron/cron.cc"]),
    "connections": (2000, ["server/frontend/grpc/call.cc", "server/frontend/grpc/connection.cc", "server/frontend/grpc/health.cc",
                           "server/frontend/grpc/output_queue.cc", "server/frontend/grpc/reflection.cc",
                           "server/frontend/grpc/wire.cc"]),
    "histories": (6000, ["sdk/src/replay/replay.cc", "sdk/src/worker/replayer.cc", "sdk/src/runtime/*.cc"]),
    "payloads": (600, ["sdk/src/payload/*.cc", "sdk/include/perdure/detail/json.h"]),
    "configurations": (600, ["sdk/src/client/configuration.cc"]),
}


class Progress:
    """One line that is written again and again on a terminal, or a line now and then elsewhere."""

    def __init__(self, seconds):
        self.begin, self.seconds, self.lock, self.shown = time.monotonic(), seconds, threading.Lock(), 0.0
        self.runs, self.found, self.bad = {}, {}, 0

    def show(self, last=False):
        with self.lock:
            now = time.monotonic()
            if not last and now - self.shown < (0.5 if sys.stderr.isatty() else 20):
                return
            self.shown = now
            line = (f"{now - self.begin:5.0f} s of about {self.seconds:.0f}: {sum(self.runs.values()):,} inputs, "
                    f"{sum(self.found.values())} reached something new, {self.bad} bad")
            print("\r\033[K" + line if sys.stderr.isatty() else line, end="\n" if last or not sys.stderr.isatty() else "",
                  file=sys.stderr, flush=True)


def program(build, target):
    return build / "tests/fuzz" / f"fuzz_{target}"


def environment(profile="/dev/null"):
    return os.environ | {"LLVM_PROFILE_FILE": str(profile), "UBSAN_OPTIONS": "print_stacktrace=1",
                         "ASAN_SYMBOLIZER_PATH": "/usr/lib/llvm-19/bin/llvm-symbolizer"}


def fuzz(build, target, seconds, progress):
    """Runs one target; the row of the summary, and whether all was well."""
    found = build / "found" / target
    found.mkdir(parents=True, exist_ok=True)
    crashes = build / "crashes"
    crashes.mkdir(exist_ok=True)
    command = [program(build, target), found, CORPUS / target, f"-max_len={TARGETS[target][0]}", f"-max_total_time={seconds}",
               "-timeout=10", "-detect_leaks=0", "-rss_limit_mb=1500", "-malloc_limit_mb=200", "-print_final_stats=1",
               f"-artifact_prefix={crashes}/{target}-"]
    begin = time.monotonic()
    new = 0
    with open(build / f"fuzz_{target}.log", "w") as log, \
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
                             env=environment(), cwd=ROOT) as process:
        for line in process.stderr:
            log.write(line)
            if counted := re.match(r"#(\d+)\s+(\w+)", line):
                new += counted[2] == "NEW"
                progress.runs[target], progress.found[target] = int(counted[1]), new
                progress.show()
    well = process.returncode == 0
    progress.bad += not well
    runs = progress.runs.get(target, 0)
    rate = runs / max(time.monotonic() - begin, 0.001)
    return f"{target:16} {runs:10,} {rate:9,.0f} {new:6} {'ok' if well else 'FAILED'}", well


def run_all(build, targets, seconds, jobs):
    rounds = -(-len(targets) // jobs)
    each = max(1, seconds // rounds)
    progress = Progress(each * rounds)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(lambda target: fuzz(build, target, each, progress), targets))
    progress.show(last=True)
    print(f"{'target':16} {'inputs':>10} {'a second':>9} {'new':>6}")
    for row, _ in results:
        print(row)
    for target, (_, well) in zip(targets, results):
        if not well:
            print(f"\n{target}: the end of {build}/fuzz_{target}.log")
            print("\n".join((build / f"fuzz_{target}.log").read_text(errors="replace").splitlines()[-60:]))
    good = sum(well for _, well in results)
    print(f"{good} passed, {len(results) - good} failed")
    return good == len(results)


def keep(build, targets):
    """Adds to the kept corpora what was found and reaches more."""
    for target in targets:
        chosen = build / "chosen" / target
        shutil.rmtree(chosen, ignore_errors=True)
        shutil.copytree(CORPUS / target, chosen)
        subprocess.run([program(build, target), "-merge=1", f"-max_len={TARGETS[target][0]}", chosen, build / "found" / target],
                       check=True, env=environment(), cwd=ROOT, stderr=subprocess.DEVNULL)
        before = {path.name for path in (CORPUS / target).iterdir()}
        for path in chosen.iterdir():
            if path.name not in before:
                content = path.read_bytes()
                (CORPUS / target / ("found-" + hashlib.sha1(content).hexdigest()[:8])).write_bytes(content)
        files = list((CORPUS / target).iterdir())
        print(f"{target:16} {len(files):4} files {sum(path.stat().st_size for path in files):8,} bytes")


def coverage(build, targets):
    """Prints which share of the lines of its files each corpus reaches; False where one is below the floor."""
    good = True
    print(f"{'target':16} {'inputs':>7} {'lines':>7} {'reached':>8}")
    for target in targets:
        raw, data = build / f"{target}.profraw", build / f"{target}.profdata"
        subprocess.run([program(build, target), "-runs=0", CORPUS / target], check=True, env=environment(raw), cwd=ROOT,
                       stderr=subprocess.DEVNULL)
        subprocess.run(["llvm-profdata-19", "merge", "-sparse", raw, "-o", data], check=True)
        files = sorted({path for pattern in TARGETS[target][1] for path in ROOT.glob(pattern) if not path.stem.endswith("_test")
                        and "testing" not in path.parts})
        out = subprocess.run(["llvm-cov-19", "export", "-summary-only", program(build, target), f"-instr-profile={data}", *files],
                             check=True, capture_output=True, text=True).stdout
        lines = reached = 0
        detail = []
        for file in json.loads(out)["data"][0]["files"]:
            one = file["summary"]["lines"]
            lines, reached = lines + one["count"], reached + one["covered"]
            detail.append(f"  {file['filename'].removeprefix(str(ROOT) + '/'):48} {one['percent']:5.1f} %  of {one['count']}")
        share = 100 * reached / max(lines, 1)
        good &= share >= FLOOR
        inputs = len(list((CORPUS / target).iterdir()))
        print(f"{target:16} {inputs:7} {lines:7} {share:6.1f} %{'' if share >= FLOOR else f'  below {FLOOR}'}")
        if os.environ.get("PERDURE_COVERAGE_FILES"):
            print("\n".join(detail))
    return good


def main():
    parser = argparse.ArgumentParser(prog="dev fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(TARGETS))
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build-fuzz")
    parser.add_argument("--seconds", type=int, default=240, help="in all, shared among the targets (240)")
    parser.add_argument("--jobs", type=int, default=int(os.environ.get("PERDURE_JOBS") or os.cpu_count()))
    parser.add_argument("--coverage", action="store_true", help="only say which lines the kept corpora reach")
    parser.add_argument("--keep", action="store_true", help="then add what was found to the kept corpora")
    arguments = parser.parse_args()
    unknown = set(arguments.targets) - set(TARGETS)
    if unknown:
        parser.error("no such target: " + ", ".join(sorted(unknown)))
    targets = arguments.targets or list(TARGETS)
    build = arguments.build.resolve()
    if arguments.coverage:
        good = coverage(build, targets)
    else:
        good = arguments.seconds == 0 or run_all(build, targets, arguments.seconds, arguments.jobs)
        if arguments.keep:
            keep(build, targets)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
