#!/usr/bin/env python3
"""The loan application on a server that is killed half way: demo.py [--binary build/perdure] [--against temporal]

Starts the server, the notification service (which fails at first), an unmodified worker of Temporal's Python SDK, and one loan
application; kills worker and server with SIGKILL while the service still fails; starts both again; prints the event history and the
result.
"""
import argparse
import asyncio
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import processes

LOAN = processes.ROOT / "examples/loan_application"
FAILURES = 4  # requests the notification service refuses
KILL_AFTER = 2  # refused requests
DEADLINE = 120  # seconds for everything
DETAILS = {  # event type -> what its attributes are asked for
    "WorkflowExecutionStarted": lambda one: f"{one.workflow_type.name} on queue {one.task_queue.name}",
    "WorkflowTaskScheduled": lambda one: f"attempt {one.attempt}",
    "WorkflowTaskStarted": lambda one: one.identity,
    "WorkflowTaskCompleted": lambda one: one.identity,
    "WorkflowTaskTimedOut": lambda one: "the worker is gone",
    "ActivityTaskScheduled": lambda one: one.activity_type.name,
    "ActivityTaskStarted": lambda one: f"attempt {one.attempt}; before it: {one.last_failure.message}",
    "ActivityTaskCompleted": lambda one: one.result.payloads[0].data.decode(),
    "WorkflowExecutionCompleted": lambda one: one.result.payloads[0].data.decode(),
}


class Stage:
    """The processes of the demo, all of which end with it."""

    def __init__(self, server):
        self.server = server
        self.began = time.monotonic()
        self._processes = []

    def say(self, text):
        print(f"{time.monotonic() - self.began:6.2f} s  {text}", flush=True)

    def run(self, *command, **environment):
        process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                   env={**os.environ, **environment})
        self._processes.append(process)
        return process

    def end(self):
        for process in self._processes:
            process.kill()
            process.wait()
        self.server.stop()


def watch(stage, service, lines):
    """Pass on the next `lines` answers of the notification service; returns the last one."""
    line = ""
    for _ in range(lines):
        line = service.stdout.readline().strip()
        stage.say(f"notification service answers {line}")
    return line


async def history(address, workflow_id):
    from temporalio.api.enums.v1 import EventType
    from temporalio.client import Client
    client = await Client.connect(address)
    rows, first = [], None
    async for event in client.get_workflow_handle(workflow_id).fetch_history_events():
        at = event.event_time.ToNanoseconds() / 1e9
        first = at if first is None else first
        kind = "".join(word.capitalize() for word in EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").split("_"))
        details = DETAILS.get(kind, lambda _: "")(getattr(event, event.WhichOneof("attributes")))
        rows.append((str(event.event_id), f"{at - first:.3f} s", kind, details))
    return rows


def print_table(head, rows):
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head) - 1)]
    for row in [head, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)) + "  " + row[-1])


def play(stage):
    """The whole demo; returns what the client printed last."""
    server = stage.server
    server.start()
    stage.say(f"server {server.process.pid} listens on {server.address}, its data is in {server.data}")
    service = stage.run(LOAN / "notification_service.py", "--port", "0", "--failures", str(FAILURES))
    surroundings = {"TEMPORAL_ADDRESS": server.address, "NOTIFICATION_URL": service.stdout.readline().split()[-1]}
    worker = stage.run(LOAN / "python/worker.py", **surroundings)
    client = stage.run(LOAN / "python/apply.py", "Ada", **surroundings)
    stage.say(client.stdout.readline().strip())
    watch(stage, service, KILL_AFTER)

    worker.kill()
    server.kill()
    worker.wait()
    stage.say("killed the worker and the server with SIGKILL")
    server.start()
    stage.say(f"server {server.process.pid} continues on the same data")
    stage.run(LOAN / "python/worker.py", **surroundings)
    stage.say("a new worker is started")

    while not watch(stage, service, 1).startswith("200"):
        pass
    result = client.stdout.read().strip().splitlines()[-1]  # before it the SDK may tell of the server's absence
    stage.say(f"the client, which has waited all the time, prints: {result}\n")
    print_table(("event", "time", "type", "details"), asyncio.run(history(server.address, "loan-Ada")))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=processes.ROOT / "build/perdure")
    parser.add_argument("--against", choices=["perdure", "temporal"], default="perdure")
    options = parser.parse_args()
    processes.use_packages()
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"demo: not done after {DEADLINE} s"))
    signal.alarm(DEADLINE)
    with tempfile.TemporaryDirectory(prefix="demo-") as place:
        stage = Stage(processes.server_under_test(options.against, options.binary, pathlib.Path(place) / "data"))
        try:
            result = play(stage)
        finally:
            stage.end()
    print(f"\nresult: {result}")
    sys.exit(result != "loan application of Ada is complete")


if __name__ == "__main__":
    main()
