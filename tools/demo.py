#!/usr/bin/env python3
"""Workflows whose worker and whose server are killed half way: demo.py [--python] [--build build] [--against temporal]

First the loan application: a server, the notification service (which fails at first), a worker and a client; worker and server are
killed with SIGKILL while the service still fails; both are started again; the event history and the result are printed. Then an
order: its worker is killed while it waits for somebody's approval, and another one goes on. Server, workers and clients are C++
programs; with --python, worker and client are the loan application's in Python, on Temporal's own SDK, and there is no order.
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
PYTHON_PROGRAMS = {"worker": [sys.executable, LOAN / "python/worker.py"], "apply": [sys.executable, LOAN / "python/apply.py"]}
FAILURES = 4  # requests the notification service refuses
KILL_AFTER = 2  # refused requests
DEADLINE = 120  # seconds for everything
DETAILS = {  # event type -> what its attributes are asked for
    "WorkflowExecutionStarted": lambda one: f"{one.workflow_type.name} on queue {one.task_queue.name}",
    "WorkflowTaskScheduled": lambda one: f"attempt {one.attempt}",
    "WorkflowTaskStarted": lambda one: one.identity,
    "WorkflowTaskCompleted": lambda one: one.identity,
    "WorkflowTaskTimedOut": lambda one: "the worker is gone",
    "WorkflowExecutionSignaled": lambda one: f"{one.signal_name} {one.input.payloads[0].data.decode()}",
    "TimerStarted": lambda one: f"{one.start_to_fire_timeout.seconds} s",
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
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
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


def play_loan(stage, programs):
    """The loan application; returns what the client printed last."""
    server = stage.server
    service = stage.run(sys.executable, LOAN / "notification_service.py", "--port", "0", "--failures", str(FAILURES))
    surroundings = {"TEMPORAL_ADDRESS": server.address, "NOTIFICATION_URL": service.stdout.readline().split()[-1]}
    worker = stage.run(*programs["worker"], **surroundings)
    stage.say(worker.stdout.readline().strip())
    client = stage.run(*programs["apply"], "Ada", **surroundings)
    stage.say(client.stdout.readline().strip())
    watch(stage, service, KILL_AFTER)

    worker.kill()
    server.kill()
    worker.wait()
    stage.say("killed the worker and the server with SIGKILL")
    server.start()
    stage.say(f"server {server.process.pid} continues on the same data")
    stage.say(stage.run(*programs["worker"], **surroundings).stdout.readline().strip())

    while not watch(stage, service, 1).startswith("200"):
        pass
    result = client.stdout.read().strip().splitlines()[-1]  # before it the SDK may tell of the server's absence
    stage.say(f"the client, which has waited all the time, prints: {result}\n")
    print_table(("event", "time", "type", "details"), asyncio.run(history(server.address, "loan-Ada")))
    return result


def play_order(stage, build):
    """The order; returns what the client printed last."""
    surroundings = {"TEMPORAL_ADDRESS": stage.server.address}
    print()
    worker = stage.run(build / "example_order_worker", **surroundings)
    stage.say(worker.stdout.readline().strip())
    client = stage.run(build / "example_order", "start", "7", **surroundings)
    stage.say(client.stdout.readline().strip())
    status = ""
    while status != "waiting for approval":  # each question is answered by the workflow itself, when a worker has it
        status = stage.run(build / "example_order", "status", "7", **surroundings).stdout.read().strip()
    stage.say(f"the order is {status}")
    worker.kill()
    worker.wait()
    stage.say("killed the worker with SIGKILL")
    stage.run(build / "example_order", "approve", "7", "Ann", **surroundings).wait()
    stage.say("Ann has approved; no worker is there to hear it")
    stage.say(stage.run(build / "example_order_worker", **surroundings).stdout.readline().strip())
    result = client.stdout.read().strip()
    stage.say(f"the client prints: {result}\n")
    print_table(("event", "time", "type", "details"), asyncio.run(history(stage.server.address, "order-7")))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=processes.ROOT / "build", help="the build tree with the programs")
    parser.add_argument("--python", action="store_true", help="worker and client in Python")
    parser.add_argument("--against", choices=["perdure", "temporal"], default="perdure")
    options = parser.parse_args()
    processes.use_packages()
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"demo: not done after {DEADLINE} s"))
    signal.alarm(DEADLINE)
    build = options.build.absolute() / "examples"
    cpp_programs = {"worker": [build / "example_loan_worker"], "apply": [build / "example_loan_apply"]}
    programs = PYTHON_PROGRAMS if options.python else cpp_programs
    results = []
    with tempfile.TemporaryDirectory(prefix="demo-") as place:
        server = processes.server_under_test(options.against, options.build / "perdure", pathlib.Path(place) / "data")
        stage = Stage(server)
        try:
            server.start()
            stage.say(f"server {server.process.pid} listens on {server.address}, its data is in {server.data}")
            results.append((play_loan(stage, programs), "loan application of Ada is complete"))
            if not options.python:
                results.append((play_order(stage, build), "paid by card 4242: 1999 cents"))
        finally:
            stage.end()
    print()
    for result, _ in results:
        print(f"result: {result}")
    processes.leave(any(result != wanted for result, wanted in results))


if __name__ == "__main__":
    main()
