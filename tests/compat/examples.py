#!/usr/bin/env python3
"""Runs examples/loan_application as its README says, in every language: examples.py --address HOST:PORT"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import processes
import toolchain

LOAN = ROOT / "examples/loan_application"
FAILURES = 3


def python_programs(_):
    return [sys.executable, LOAN / "python/worker.py"], [sys.executable, LOAN / "python/apply.py"]


def cpp_programs(_):
    return [ROOT / "build/examples/example_loan_worker"], [ROOT / "build/examples/example_loan_apply"]


def go_programs(place):
    subprocess.run([toolchain.go(), "build", "-o", f"{place}/", "./worker", "./apply"], cwd=LOAN / "go", check=True)
    return [place / "worker"], [place / "apply"]


PROGRAMS = {"cpp": cpp_programs, "python": python_programs, "go": go_programs}


def run_once(language, programs, address, place):
    """Everything the README starts, in its order; returns an error text or None."""
    worker_command, apply_command = programs(place)
    applicant = f"{language}-{uuid.uuid4().hex[:8]}"
    service = subprocess.Popen([sys.executable, LOAN / "notification_service.py", "--port", "0", "--failures", str(FAILURES)],
                               stdout=subprocess.PIPE, text=True)
    url = service.stdout.readline().split()[-1]
    environment = {**os.environ, "TEMPORAL_ADDRESS": address, "NOTIFICATION_URL": url}
    worker = subprocess.Popen(worker_command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        said = subprocess.run([*apply_command, applicant], capture_output=True, text=True, timeout=60, env=environment)
        service.kill()
        statuses = [line.split()[0] for line in service.stdout.read().splitlines()]
    finally:
        for process in (worker, service):
            process.kill()
            process.wait()
    wanted = f"loan application of {applicant} is complete"
    if said.returncode or said.stdout.splitlines()[-1:] != [wanted]:
        return f"expected {wanted!r}, got status {said.returncode}: {said.stdout}{said.stderr}"
    if statuses != ["503"] * FAILURES + ["200"]:
        return f"the notification service answered {statuses}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    options = parser.parse_args()
    processes.use_packages()
    failed = 0
    for language, programs in PROGRAMS.items():
        with tempfile.TemporaryDirectory(prefix="loan-") as place:
            problem = run_once(language, programs, options.address, pathlib.Path(place))
        print(f"{'FAIL' if problem else 'ok  '} loan_application in {language}{': ' + problem if problem else ''}", flush=True)
        failed += problem is not None
    print(f"examples: {len(PROGRAMS) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
