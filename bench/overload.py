#!/usr/bin/env python3
"""Puts more on the server than it can do, beside clients that stall and clients that only stay connected; prints one table.

  bench/overload.py [--json FILE] [--times 2] [--idle 5000] [--stalled 20] [--seconds 3]

The server and the driver have a core each. About 30 s; what the columns mean: bench/README.md.
"""

import argparse
import json
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench")]
import run

COLUMNS = (  # key, heading, format
    ("offered_per_s", "offered/s", "{:,.0f}"),
    ("goodput_per_s", "goodput/s", "{:,.0f}"),
    ("refused_per_s", "refused/s", "{:,.0f}"),
    ("late", "late", "{:,}"),
    ("failed", "failed", "{:,}"),
    ("p50_ms", "p50 ms", "{:,.0f}"),
    ("p99_ms", "p99 ms", "{:,.0f}"),
    ("rss_mib", "RSS MiB", "{:,.0f}"),
    ("server_cpu_percent", "server CPU %", "{:.0f}"),
    ("driver_cpu_percent", "driver CPU %", "{:.0f}"),
)


def table(windows):
    yield "load".ljust(28) + "".join(f"{heading:>14}" for _, heading, _ in COLUMNS)
    for window in windows:
        yield window["name"].ljust(28) + "".join(f"{form.format(window[key]):>14}" for key, _, form in COLUMNS)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--json", type=pathlib.Path, metavar="FILE", help="also write the windows")
    add("--build", type=pathlib.Path, default=ROOT / "build", help="the build tree to measure")
    add("--times", default="2", help="how many times what it can do")
    add("--idle", default="5000", help="connections that say nothing")
    add("--stalled", default="20", help="clients that ask and never read")
    add("--seconds", default="3", help="length of a window; the overload lasts four of them")
    arguments = parser.parse_args()
    options = run.parse(["--build", str(arguments.build), "--seconds", arguments.seconds])
    options.place.mkdir(parents=True, exist_ok=True)
    bench = run.Bench(options)
    data = options.place / "overload"
    shutil.rmtree(data, ignore_errors=True)
    side = run.perdure(data, options)
    with open(data.with_suffix(".log"), "wb") as log, bench.running(side, log) as (process, _):
        bench.drive("prepare", side, process.pid)
        more = ["--times", arguments.times, "--idle", arguments.idle, "--stalled", arguments.stalled]
        windows = bench.drive("overload", side, process.pid, *more)
    shutil.rmtree(data, ignore_errors=True)
    print("\n".join(run.settings_lines(bench)).split("\nload", 1)[0])
    print(f"clients   {arguments.idle} idle connections, {arguments.stalled} stalled clients\n")
    print("\n".join(table(windows)))
    peak, flood, crowded = (windows[i]["goodput_per_s"] for i in range(3))
    shares = [f"{100 * goodput / peak:.0f} %" for goodput in (flood, crowded)]
    print(f"\ngoodput under overload: {shares[0]} of the peak; with idle and stalled clients {shares[1]}")
    if arguments.json:
        arguments.json.write_text(json.dumps(windows, indent=1) + "\n")


if __name__ == "__main__":
    main()
