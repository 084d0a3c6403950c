#!/usr/bin/env python3
"""Runs the suites of the official SDKs and of our own for C++ against one server, which is started for it in a temporary directory and stopped at the end.

  run.py [--binary build/perdure] [--suite python] [--suite go] [--suite cpp] [--suite cross] [--suite examples] [names…]
  run.py --against temporal        the incumbent instead of ours
  run.py --address HOST:PORT       a server that runs already

Without --suite all suites run, one after another. Exit status 1 when one of them failed.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import processes
import toolchain


def python_suite(address, names):
    return subprocess.run([sys.executable, HERE / "python/suite.py", "--address", address, *names]).returncode


def go_suite(address, names):
    chosen = ["-run", "TestScenarios$/^(" + "|".join(names) + ")$"] if names else []
    command = [toolchain.go(), "test", "-json", "-count=1", "-parallel", "16", "-timeout", "600s", *chosen, "./..."]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=HERE / "go", env={**os.environ, "PERDURE_ADDRESS": address},
                               stdout=subprocess.PIPE, text=True)
    output, passed, failed = {}, 0, []
    for line in process.stdout:
        event = json.loads(line)
        name = event.get("Test", "")
        output[name] = output.get(name, "") + event.get("Output", "")
        if event["Action"] in ("pass", "fail") and "/" in name:
            print(f"{'ok  ' if event['Action'] == 'pass' else 'FAIL'} {name.partition('/')[2]} ({event['Elapsed']:.1f} s)", flush=True)
            passed += event["Action"] == "pass"
            failed += [name] if event["Action"] == "fail" else []
    status = process.wait() or int(passed == 0)
    for name in failed or ([""] if status else []):  # what belongs to no scenario matters only when none explains the failure
        print(f"\n--- {name.partition('/')[2]}\n{output.get(name, '')}{'' if name else output.get('TestScenarios', '')}")
    print(f"go: {passed} passed, {len(failed) or int(status != 0)} failed, {time.monotonic() - began:.1f} s")
    return status


def cpp_suite(address, names):
    return subprocess.run([ROOT / "build/tests/compat/compat_cpp", "--address", address, "--list", HERE / "scenarios.md",
                           *names]).returncode


def cross_suite(address, names):
    assert not names, "the conversations have no names to choose from"
    return subprocess.run([sys.executable, HERE / "cross.py", "--address", address]).returncode


def examples_suite(address, names):
    assert not names, "the examples have no names to choose from"
    return subprocess.run([sys.executable, HERE / "examples.py", "--address", address]).returncode


SUITES = {"python": python_suite, "go": go_suite, "cpp": cpp_suite, "cross": cross_suite, "examples": examples_suite}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/perdure")
    parser.add_argument("--against", choices=["perdure", "temporal"], default="perdure")
    parser.add_argument("--address")
    parser.add_argument("--suite", action="append", choices=list(SUITES))
    parser.add_argument("names", nargs="*", help="scenarios, all when none is given")
    options = parser.parse_args()
    processes.use_packages()

    def run_suites(address):
        results = {}
        for suite in options.suite or SUITES:
            began = time.monotonic()
            results[suite] = (SUITES[suite](address, options.names), time.monotonic() - began)
        for suite, (status, seconds) in results.items():
            print(f"compat {suite}: {'passed' if status == 0 else 'FAILED'} in {seconds:.0f} s")
        return any(status for status, _ in results.values())

    if options.address:
        sys.exit(run_suites(options.address))
    with tempfile.TemporaryDirectory(prefix="compat-") as place:
        with processes.server_under_test(options.against, options.binary, pathlib.Path(place) / "data") as server:
            failed = run_suites(server.address)
            if server.process.poll() is not None:
                print(f"the server ended by itself with status {server.process.returncode}; its last words:\n"
                      f"{server.log.read_text(errors='replace')[-4000:]}")
                failed = True
        sys.exit(failed)


if __name__ == "__main__":
    main()
