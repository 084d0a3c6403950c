#!/usr/bin/env python3
"""Start of a server that was killed with the longest un-projected log, page cache dropped: the row `recovery` of the bench.

  bench/recovery.py [--workflows 100000] [--repeat 3] [--binary build/perdure]

With --workflows 1000000 that many are open and have a task queued. Medians; the directory is made anew each time.
"""
import argparse
import pathlib
import statistics
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/recovery"), str(ROOT / "tools")]
import processes

import measure

POLLS = 50


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=ROOT / "build/perdure")
    parser.add_argument("--fill", default=ROOT / "build/tests/recovery/recovery_fill")
    parser.add_argument("--workflows", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    found = []
    for _ in range(options.repeat):
        with tempfile.TemporaryDirectory(prefix="recovery-", dir=ROOT / "build") as folder:
            found.append(measure.measure(options.binary, options.fill, folder, options.workflows, POLLS))
    print(f"page cache dropped by {found[0]['cache']}")
    print("| recovery of open workflows | in the tail | tail bytes | first answer ms | peak RSS MiB |")
    print("|---:|---:|---:|---:|---:|")
    median = lambda key: statistics.median(one[key] for one in found)
    print(f"| {options.workflows} | {median('tail'):.0f} | {median('tail_bytes'):.0f} | {1000 * median('first_answer_s'):.0f} "
          f"| {median('peak_mib'):.0f} |")


if __name__ == "__main__":
    processes.use_packages()
    main()
