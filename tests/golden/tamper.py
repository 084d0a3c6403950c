#!/usr/bin/env python3
"""Recordings that were tampered with, which every runner must refuse: one value altered in 50, a step dropped, two events swapped.

  tamper.py GOLDEN_TEST      the C++ runner asks the server in process, and must fail each
"""
import copy
import json
import pathlib
import random
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ALTERED = 50


def recording(name):
    return json.loads((HERE / "recorded" / (name + ".json")).read_text())


def leaves(node, place=()):
    """Places of all values that are compared."""
    if isinstance(node, (dict, list)) and node:
        for key, item in node.items() if isinstance(node, dict) else enumerate(node):
            if not ("error" in place and key == "message"):
                yield from leaves(item, (*place, key))
    elif node != "<unstable>":
        yield place


def at(node, place):
    for key in place:
        node = node[key]
    return node


def other(value):
    """A value of the same kind that is not this one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    return value + "x" if isinstance(value, str) else "x"


def altered(outcomes, chance):
    outcomes = copy.deepcopy(outcomes)
    place = chance.choice(list(leaves(outcomes)))
    at(outcomes, place[:-1])[place[-1]] = other(at(outcomes, place))
    return outcomes, ".".join(map(str, place))


def swap_two_events(outcomes):
    """None when no history has two events in a row that differ."""
    outcomes = copy.deepcopy(outcomes)
    for outcome in outcomes:
        events = outcome.get("history", [])
        if len(events) > 1 and events[0] != events[1]:
            events[0], events[1] = events[1], events[0]
            return outcomes
    return None


def changes(names):
    """(name, what was done, altered recording), the same ones in every run."""
    chance = random.Random(1)
    names = chance.sample(sorted(names), len(names))
    for name in names[:ALTERED]:
        outcomes, place = altered(recording(name), chance)
        yield name, f"value at {place} altered", outcomes
    several = next(n for n in names[ALTERED:] if len(recording(n)) > 1)
    yield several, "step dropped", recording(several)[1:]
    for name in names[ALTERED:]:
        if name != several and (swapped := swap_two_events(recording(name))):
            yield name, "two events swapped", swapped
            return


def main(runner):
    lines = (HERE / "passing.txt").read_text().splitlines()
    passing = [line for line in lines if line and not line.startswith(("#", "limits/grpc_message"))]
    passing = [name for name in passing if not (HERE / "better" / (name + ".json")).exists()]
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, how, outcomes in changes(passing):
            path = pathlib.Path(folder) / (name + ".json")
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(outcomes))
            refused = subprocess.run([runner, "--recorded", folder, name], stdout=subprocess.DEVNULL).returncode == 1
            accepted = subprocess.run([runner, name], stdout=subprocess.DEVNULL).returncode == 0
            if not (refused and accepted):
                print(f"{name}: {how}: {refused=}, untouched {accepted=}")
                missed += 1
    print(f"{ALTERED + 2 - missed} passed, {missed} failed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
