#!/usr/bin/env python3
"""Kills the real server at random moments under load and checks that nothing it acknowledged is lost.

  run.py [--binary build/perdure] [--kills 60] [--seed N] [--against temporal]

At each kill at least 50 calls (polls not counted) are on their way. Some further kills hit the server while it recovers. At the
end every acknowledged start is there with every acknowledged signal exactly once, every workflow has completed with the right
result, and no history has a gap, a second close, or an activity or timer that ended twice.

The server is given PERDURE_CRASH_MARKS, the name of a file in which it keeps three 64-bit counters: the newest group of records
that it has appended to its log, synced, and answered. Read after each kill, they tell where in the life of a group the kill fell.
"""
import argparse
import asyncio
import collections
import pathlib
import random
import struct
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import processes

IN_FLIGHT = 50
KINDS = ("before append", "between append and fsync", "between fsync and answer")
MOST_KILLS = 3  # times the wanted number, when a kind of kill has not happened yet


class Marks:
    """The file of counters; absent when the server does not keep one."""

    def __init__(self, path):
        self.path = path

    def kind(self):
        """Where the last kill fell, None when the server does not tell."""
        data = self.path.read_bytes() if self.path.exists() else b""
        if len(data) < 24:
            return None
        appended, synced, answered = struct.unpack("<3Q", data[:24])
        if appended > synced:
            return KINDS[1]
        return KINDS[2] if synced > answered else KINDS[0]


async def kill_under_load(server, load, chance, kills, marks):
    """Kill and restart; returns how many kills fell where, and the smallest number of calls in flight at one."""
    fell, least, during_recovery = collections.Counter(), 10**9, 0
    while sum(fell.values()) < kills or (None not in fell and len(fell) < len(KINDS) and sum(fell.values()) < MOST_KILLS * kills):
        await asyncio.sleep(chance.uniform(0.1, 0.8))
        while load.connection.in_flight < IN_FLIGHT:
            await asyncio.sleep(0)
            if server.process.poll() is not None or load.broken():
                raise RuntimeError(f"the server or the load ended by itself: {server.process.poll()} {load.broken()}")
        least = min(least, load.connection.in_flight)
        server.kill()
        fell[marks.kind()] += 1
        if chance.random() < 0.2:
            await asyncio.to_thread(server.spawn)
            await asyncio.sleep(chance.uniform(0, 0.15))
            server.kill()
            during_recovery += 1
        await asyncio.to_thread(server.start)
    print(f"{sum(fell.values())} kills under load, never fewer than {least} calls in flight; {during_recovery} during recovery")
    if None in fell:
        print("the server keeps no marks: where the kills fell is unknown")
    else:
        print("kills " + ", ".join(f"{kind}: {fell[kind]}" for kind in KINDS))
    return fell


async def verify(connection, plans, deadline):
    """Wait until every workflow is closed, then read and check every history; returns the problems."""
    import grpc
    from temporalio.api.common.v1 import WorkflowExecution

    from check import problems_of
    from load import NAMESPACE, rpc, whole_history
    found, slots, end = [], asyncio.Semaphore(64), time.monotonic() + deadline

    async def check(plan):
        async with slots:
            request = rpc.DescribeWorkflowExecutionRequest(
                namespace=NAMESPACE, execution=WorkflowExecution(workflow_id=plan.workflow_id, run_id=plan.run_id))
            while (await connection.call("DescribeWorkflowExecution", request)).workflow_execution_info.status == 1:
                if time.monotonic() > end:
                    found.append(f"{plan.workflow_id}: still running")
                    return
                await asyncio.sleep(0.1)
            events = await whole_history(connection, plan.workflow_id, plan.run_id)
        found.extend(f"{plan.workflow_id} ({plan.run_id}): {problem}" for problem in problems_of(plan, events))

    outcomes = await asyncio.gather(*(check(plan) for plan in plans), return_exceptions=True)
    for plan, outcome in zip(plans, outcomes):
        if outcome is not None:
            words = outcome.details() if isinstance(outcome, grpc.RpcError) else repr(outcome)
            found.append(f"{plan.workflow_id} ({plan.run_id or 'not acknowledged'}): {words}")
    return found


async def trial(options, place):
    from load import Connection, Load
    marks = Marks(place / "marks")
    server = processes.server_under_test(options.against, options.binary, place / "data",
                                         environment={"PERDURE_CRASH_MARKS": str(marks.path)})
    await asyncio.to_thread(server.start)
    connection = Connection(server.address)
    load = Load(connection, random.Random(options.seed))
    try:
        fell = await kill_under_load(server, load, random.Random(options.seed + 1), options.kills, marks)
        await asyncio.wait_for(load.finish(), 60)
        problems = await verify(connection, load.plans, deadline=60)
        await load.stop_workers()
        problems += load.broken()
        signals = sum(len(plan.acknowledged) for plan in load.plans)
        print(f"{len(load.plans)} workflows and {signals} signals were acknowledged and checked; {load.repeated} repeated signals")
    finally:
        await load.abandon()
        await connection.close()
        server.stop()
    problems += [f"{count} × {what}" for what, count in connection.unexpected.items()]
    if None not in fell:
        problems += [f"no kill fell {kind}" for kind in KINDS if not fell[kind]]
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/perdure")
    parser.add_argument("--against", choices=["perdure", "temporal"], default="perdure")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    processes.use_packages()
    import check_test
    if not unittest.main(check_test, argv=[__file__], exit=False, verbosity=0).result.wasSuccessful():
        sys.exit("crash: 0 passed, 1 failed: the check of histories does not see what it must")
    print(f"crash: seed {options.seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="crash-") as place:
        problems = asyncio.run(trial(options, pathlib.Path(place)))
    for problem in problems[:20]:
        print(f"FAIL {problem}")
    print(f"crash: {int(not problems)} passed, {len(problems)} failed, {time.monotonic() - began:.0f} s (seed {options.seed})")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
