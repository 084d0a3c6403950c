#!/usr/bin/env python3
"""Which coroutine shapes does this compiler get wrong? canaries_test.py COMPILER

Each hazard of hazards.cc in its dangerous and its safe form, without optimisation and with it. The safe forms must be right with
every compiler. The dangerous ones must be right with a compiler that the SDK believes (g++ from 13 on, clang); with an older g++ it
is a failure when all of them are right: then the guards against them are no longer needed.
"""
import concurrent.futures
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
HAZARDS = ("if", "while", "aggregate", "closure")
LEVELS = ("-O0", "-O2")


def outcome(compiler, case, level, place):
    """right, wrong, or how it broke."""
    program = place / f"{case}{level}"
    built = subprocess.run([compiler, "-std=c++20", level, "-w", f"-DHAZARD={case}", HERE / "hazards.cc", "-o", program],
                           capture_output=True, text=True)
    if built.returncode:
        return "does not compile"
    try:
        ran = subprocess.run([program], capture_output=True, text=True, timeout=20)
    except subprocess.TimeoutExpired:
        return "hangs"
    return ran.stdout.strip() if ran.returncode == 0 else f"ends with status {ran.returncode}"


def is_old_gcc(compiler):
    macros = subprocess.run([compiler, "-dM", "-E", "-x", "c++", "/dev/null"], capture_output=True, text=True, check=True).stdout
    defined = dict(line.split(" ", 2)[1:] for line in macros.splitlines() if line.count(" ") >= 2)
    return "__clang__" not in defined and int(defined["__GNUC__"]) < 13


def main():
    compiler = sys.argv[1]
    old = is_old_gcc(compiler)
    cases = [(f"{hazard}_{form}", level) for hazard in HAZARDS for form in ("good", "bad") for level in LEVELS]
    with tempfile.TemporaryDirectory(prefix="canaries-") as place, concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = dict(zip(cases, pool.map(lambda case: outcome(compiler, *case, pathlib.Path(place)), cases)))
    failures = 0
    for (case, level), what in found.items():
        must_be_right = case.endswith("_good") or not old
        bad = must_be_right and what != "right"
        failures += bad
        print(f"{'FAIL' if bad else 'ok  '} {case} {level}: {what}")
    if old:
        for hazard in HAZARDS:
            if all(found[f"{hazard}_bad", level] == "right" for level in LEVELS):
                print(f"FAIL {hazard}: this compiler gets it right; the guard against it is not needed")
                failures += 1
    print(f"{len(cases) - failures} passed, {failures} failed")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
