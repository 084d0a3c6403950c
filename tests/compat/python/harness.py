"""What every scenario of the Python suite uses: clients, workers, waiting, and the checks at the end."""
import asyncio
import contextlib
import dataclasses
import itertools
import pathlib
import re
import sys
import time
import uuid
from datetime import timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import Replayer, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

LIST = pathlib.Path(__file__).resolve().parent.parent / "scenarios.md"
SCENARIOS = {}  # name -> coroutine function of one Scenario
CLOSED = ("Completed", "Failed", "Canceled", "Terminated", "TimedOut", "ContinuedAsNew")

# The modules of the suite hold workflows beside the scenarios that use them; what is not a workflow stays outside the sandbox.
RUNNER = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules("harness", "google", "grpc"))


# Without the deadlock detector: it fails a workflow task whose workflow does not yield for two seconds. On a starved machine that
# is every first one; the tasks that follow are delayed more and more, while nobody has anything to do.
UNHURRIED = {"debug_mode": True}

RUNTIME = Runtime(telemetry=TelemetryConfig(logging=None))  # the core's log lines would only hide the results


async def connect(address, namespace):
    return await Client.connect(address, namespace=namespace, runtime=RUNTIME)


def scenario(function):
    SCENARIOS.setdefault(function.__name__, function)  # the sandbox imports the modules again; the first import counts
    return function


def read_list():
    """The shared list: name -> (one regular expression per run, whether more runs may follow)."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in LIST.read_text().splitlines()
            if line.startswith("| ")]
    short = {cells[0].strip("`"): cells[1] for cells in rows if cells[0].startswith("`")}
    wanted = {}
    for cells in rows:
        if len(cells) == 3 and cells[0] != "name":
            patterns = cells[2].strip("`").split(";")
            open_ended = patterns[-1].strip() == "…"
            wanted[cells[0]] = ([_expression(pattern, short) for pattern in patterns[:len(patterns) - open_ended]], open_ended)
    return wanted


def _expression(pattern, short):
    expression = ""
    for token in pattern.split():
        name, repeat = re.fullmatch(r"(\w+|[()/])([?*+]|×\d+)?", token).groups()
        repeat = "{%s}" % repeat[1:] if repeat and repeat[0] == "×" else repeat or ""
        if name == "(":
            expression += "(?:"
        elif name == "/":
            expression += "|"
        elif name == ")":
            expression += ")" + repeat
        else:
            expression += "(?:%s)%s" % ("".join(part + " " for part in short.get(name, name).split()), repeat)
    return expression


def type_of(event):
    return "".join(part.capitalize() for part in EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").split("_"))


def types_of(events):
    return [type_of(event) for event in events]


def in_short(types):
    """For a message: repetitions are counted."""
    groups = [(one, len(list(same))) for one, same in itertools.groupby(types)]
    return " ".join(one if count == 1 else f"{one}×{count}" for one, count in groups)


def reasons(events):
    """For a message: why workflow tasks failed."""
    failures = [attributes(event).failure.message for event in events if type_of(event) == "WorkflowTaskFailed"]
    return f" ({'; '.join(failures)})" if failures else ""


def attributes(event):
    return getattr(event, event.WhichOneof("attributes"))


def successor(event):
    """The run that a closing event names as the next of its chain, or an empty text."""
    return getattr(attributes(event), "new_execution_run_id", "")


async def eventually(look, deadline=60.0):
    """Repeat the coroutine function until it returns something true, and return that."""
    end = time.monotonic() + deadline
    while True:
        found = await look()
        if found:
            return found
        assert time.monotonic() < end, f"{look} did not come true within {deadline} s"
        await asyncio.sleep(0.05)


@contextlib.contextmanager
def raises(kind, status=None):
    """The block must raise `kind` (with the gRPC status, when given); the exception is in the yielded list."""
    caught = []
    try:
        yield caught
    except kind as error:
        assert status is None or error.status == status, f"status {error.status.name}, expected {status.name}"
        caught.append(error)
    else:
        raise AssertionError(f"expected {kind.__name__}, nothing was raised")


@dataclasses.dataclass
class Scenario:
    name: str
    client: Client
    uid: str
    runs: list = dataclasses.field(default_factory=list)  # (workflow id, first run id) of everything to be checked
    workflows: list = dataclasses.field(default_factory=list)
    children: list = dataclasses.field(default_factory=list)  # worker processes

    @property
    def queue(self):
        return f"{self.name}-{self.uid}"

    def id(self, part=""):
        return f"{self.name}-{self.uid}{'-' + part if part else ''}"

    async def another_client(self):
        """A connection of its own: the SDK allows one worker per queue and connection."""
        return await connect(self.client.service_client.config.target_host, self.client.namespace)

    def worker(self, *workflows, activities=(), client=None, **options):
        """A worker on the scenario's queue, as a context manager. What it registers is what the replayer knows at the end."""
        self.workflows.extend(one for one in workflows if one not in self.workflows)
        options = {"task_queue": self.queue, "sticky_queue_schedule_to_start_timeout": timedelta(seconds=60),
                   "workflow_runner": RUNNER, **UNHURRIED, **options}
        return Worker(client or self.client, workflows=list(workflows), activities=list(activities), **options)

    async def start_unchecked(self, workflow, *arguments, part="", **options) -> WorkflowHandle:
        # A busy machine must not look like a worker that is gone: no workflow task times out unless a scenario wants it.
        options = {"id": self.id(part), "task_queue": self.queue, "execution_timeout": timedelta(seconds=240),
                   "task_timeout": timedelta(seconds=60), **options}
        return await self.client.start_workflow(workflow, args=list(arguments), **options)

    async def start(self, workflow, *arguments, **options) -> WorkflowHandle:
        """The same; at the end its history is compared with the list."""
        handle = await self.start_unchecked(workflow, *arguments, **options)
        self.check(handle)
        return handle

    def check(self, handle):
        run = (handle.id, handle.result_run_id or handle.first_execution_run_id)
        if run not in self.runs:
            self.runs.append(run)

    async def execute(self, workflow, *arguments, **options):
        return await (await self.start(workflow, *arguments, **options)).result()

    async def run(self, workflow, *arguments, activities=(), **options):
        """One worker, one workflow, its result."""
        async with self.worker(workflow, activities=activities):
            return await self.execute(workflow, *arguments, **options)

    async def events(self, handle):
        return [event async for event in handle.fetch_history_events()]

    async def wait_for(self, handle, event_type, count=1):
        """Return the history up to the count-th event of that type, waiting by long polls."""
        seen = []
        async for event in handle.fetch_history_events(wait_new_event=True):
            seen.append(event)
            count -= type_of(event) == event_type
            if count == 0:
                return seen
        raise AssertionError(f"{handle.id} ended without {event_type}: {in_short(types_of(seen))}")

    async def spawn_worker(self, *arguments):
        """A worker process for this scenario's queue (worker_process.py); it is killed at the end if it still runs."""
        child = await asyncio.create_subprocess_exec(
            sys.executable, str(pathlib.Path(__file__).with_name("worker_process.py")),
            self.client.service_client.config.target_host, self.client.namespace, self.queue, *arguments,
            stdout=asyncio.subprocess.PIPE)
        self.children.append(child)
        assert await child.stdout.readline() == b"ready\n"
        return child

    async def end(self):
        for child in self.children:
            if child.returncode is None:
                child.kill()
            await child.wait()

    async def verify(self, patterns, open_ended):
        """Fetch every run, compare it with its pattern, replay it."""
        replayer = Replayer(workflows=self.workflows, workflow_runner=RUNNER, **UNHURRIED)
        place = 0
        for workflow_id, run_id in self.runs:
            while run_id and place < len(patterns):
                handle = self.client.get_workflow_handle(workflow_id, run_id=run_id)
                events = await self.events(handle)
                self._check_shape(events)
                found = types_of(events)
                assert re.fullmatch(patterns[place], "".join(one + " " for one in found)), \
                    f"history of run {place + 1} does not match the list: {in_short(found)}{reasons(events)}"
                await replayer.replay_workflow(WorkflowHistory(workflow_id, events))
                run_id = successor(events[-1])
                place += 1
            assert not run_id or open_ended, f"{workflow_id} has more runs than the list says"
        assert place == len(patterns), f"{place} runs, the list says {len(patterns)}"

    @staticmethod
    def _check_shape(events):
        ids = [event.event_id for event in events]
        assert ids == list(range(1, len(ids) + 1)), f"event ids are not dense: {ids}"
        closing = [one for one in types_of(events)[:-1] if one in {"WorkflowExecution" + how for how in CLOSED}]
        assert not closing, f"events follow {closing}"


def execution(handle):
    return WorkflowExecution(workflow_id=handle.id, run_id=handle.result_run_id or handle.run_id or "")


def new_uid():
    return uuid.uuid4().hex[:8]
