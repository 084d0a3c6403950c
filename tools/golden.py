#!/usr/bin/env python3
"""Asks a server over gRPC what Temporal was asked, and compares the answers (tests/golden).

  golden.py [names…]                 our binary, started for this; without names, the scenarios of passing.txt
  golden.py --address A [names…]     a server that runs already
  golden.py --sync DIR               takes newer scenarios and recordings over from DIR

A name is a group or group/scenario. Where better/ holds an answer of our own, it is expected instead of the recording.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import processes
import toolchain

GOLDEN = processes.ROOT / "tests/golden"
REQUIREMENTS = GOLDEN / "requirements.txt"


def sync(source):
    for part in ("scenarios", "recorded"):
        if not (source / part).is_dir():
            sys.exit(f"golden: no folder {source / part}")
        shutil.rmtree(GOLDEN / part)
        for path in (source / part).glob("**/*.*"):
            target = GOLDEN / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)  # not its mode: the source may be read-only
    changed = subprocess.run(["git", "status", "--short", GOLDEN / "scenarios", GOLDEN / "recorded"], check=True,
                             capture_output=True, text=True).stdout
    print(changed, end="")
    print(f"golden: {len(changed.splitlines())} changes taken over from {source}")


def passing():
    lines = (GOLDEN / "passing.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def expected_in(folder):
    """The recordings, and in their place our own answers where there are some."""
    shutil.copytree(GOLDEN / "recorded", folder)
    better = GOLDEN / "better"
    for path in better.glob("*/*.json"):
        (folder / path.relative_to(better)).write_text(json.dumps(json.loads(path.read_text())["outcomes"]))
    return folder


class DevelopmentServer(processes.PerdureServer):
    """`perdure server start-dev`, as the recorded server was one."""

    def command(self):
        return [self.binary, "server", "start-dev", "--port", str(self.port), "--ip", "127.0.0.1", "--headless"]


def ask(address, names, folder, jobs, report):
    """Compares; the names that differ."""
    subprocess.run([sys.executable, "-B", GOLDEN / "golden.py", "check", "--address", address, "--jobs", str(jobs),
                    "--recorded", folder, "--junit", report, *names])
    return [case.get("name") for case in xml.parse(report).iter("testcase")
            if case.find("failure") is not None]


def check(address, names, folder):
    """Exit status of the comparison. Recordings hold deadlines of a second or two, which a starved machine may miss when sixteen
    are asked at once: what differs is asked once more, alone, and only then counts."""
    with tempfile.TemporaryDirectory(prefix="golden-") as place:
        report = pathlib.Path(place) / "report.xml"
        failed = ask(address, names, folder, 16, report)
        total = len(list(xml.parse(report).iter("testcase")))
        if failed:
            print(f"asked again, one at a time: {' '.join(failed)}", flush=True)
            failed = ask(address, failed, folder, 1, report)
    print(f"golden: {total - len(failed)} passed, {len(failed)} failed")
    return int(bool(failed))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address")
    parser.add_argument("--binary", type=pathlib.Path, default=processes.ROOT / "build/perdure")
    parser.add_argument("--sync", metavar="DIR", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if options.sync:
        return sync(options.sync)
    names = options.names or passing()
    if not names:
        sys.exit("golden: no scenario is in passing.txt yet; name some")
    toolchain.run_under(REQUIREMENTS)
    with tempfile.TemporaryDirectory(prefix="golden-") as place:
        expected = expected_in(pathlib.Path(place) / "expected")
        if options.address:
            return check(options.address, names, expected)
        with DevelopmentServer(options.binary, pathlib.Path(place) / "data") as server:
            return check(server.address, names, expected)


if __name__ == "__main__":
    sys.exit(main())
