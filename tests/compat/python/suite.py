#!/usr/bin/env python3
"""The Python SDK's suite: every scenario of ../scenarios.md against a running server.

  suite.py --address 127.0.0.1:7233 [--namespace default] [--jobs 16] [names…]

Prints one line per scenario, the traceback of each failure, and a summary; exit status 1 when something failed.
"""
import argparse
import asyncio
import logging
import os
import sys
import time
import traceback

import activities  # noqa: F401  (each module registers its scenarios)
import lifecycle  # noqa: F401
import messages  # noqa: F401
import workers  # noqa: F401
from harness import SCENARIOS, Scenario, connect, new_uid, read_list

LIMIT = 240.0  # seconds for one scenario: a few on an idle machine, and a starved one is no failure


async def run_one(name, client, wanted, slots):
    """Seconds taken and, when it failed, the traceback as text."""
    async with slots:
        began = time.monotonic()
        trial = Scenario(name, client, new_uid())
        try:
            async with asyncio.timeout(LIMIT):
                await SCENARIOS[name](trial)
                await trial.verify(*wanted)
            problem = None
        except Exception:
            problem = traceback.format_exc()
        finally:
            await trial.end()
        seconds = time.monotonic() - began
        print(f"{'ok  ' if problem is None else 'FAIL'} {name} ({seconds:.1f} s)", flush=True)
        return name, problem


async def run_all(options, names, wanted):
    client = await connect(options.address, options.namespace)
    slots = asyncio.Semaphore(options.jobs)
    outcomes = await asyncio.gather(*(run_one(name, client, wanted[name], slots) for name in names))
    return [(name, problem) for name, problem in outcomes if problem]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default=os.environ.get("PERDURE_ADDRESS", "127.0.0.1:7233"))
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--jobs", type=int, default=16, help="scenarios at a time")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    logging.disable(logging.ERROR)  # the SDK reports every failed activity and task; here they are meant to fail
    wanted = read_list()
    if wanted.keys() != SCENARIOS.keys():
        sys.exit(f"only in the list: {sorted(wanted.keys() - SCENARIOS.keys())}; "
                 f"only in this suite: {sorted(SCENARIOS.keys() - wanted.keys())}")
    unknown = set(options.names) - wanted.keys()
    if unknown:
        sys.exit(f"no such scenario: {sorted(unknown)}")
    names = options.names or list(wanted)
    began = time.monotonic()
    failures = asyncio.run(run_all(options, names, wanted))
    for name, problem in failures:
        print(f"\n--- {name}\n{problem}")
    print(f"python: {len(names) - len(failures)} passed, {len(failures)} failed, {time.monotonic() - began:.1f} s")
    # Not sys.exit: threads of the SDK and of gRPC that still hold Python objects may abort the interpreter's own tear-down, after
    # everything was judged.
    sys.stdout.flush()
    os._exit(1 if failures else 0)


if __name__ == "__main__":
    main()
