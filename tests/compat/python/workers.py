"""Workers: several of one kind, without a cache, replaced, killed, broken and repaired."""
import asyncio
import threading
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

from harness import attributes, eventually, scenario, type_of
from messages import MINUTE, Collects

HOLD = None  # a threading.Event that the workflow waits for, blocking its task; only in a worker process


@workflow.defn
class Steps:
    """Three activities, one after the other; `got` says which results are in."""

    def __init__(self):
        self.results = []

    @workflow.run
    async def run(self) -> list[int]:
        for number in range(3):
            self.results.append(await workflow.execute_activity("work", number, result_type=int,
                                                                start_to_close_timeout=timedelta(seconds=30)))
        return self.results

    @workflow.query
    def got(self) -> list[int]:
        return self.results


@workflow.defn
class OneActivity:
    """One activity that may take two seconds and is tried again at once."""

    @workflow.run
    async def run(self, value: str) -> str:
        if HOLD and not workflow.unsafe.is_replaying():
            HOLD.wait()
        return await workflow.execute_activity(
            "work", value, result_type=str, start_to_close_timeout=timedelta(seconds=2),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100)))


@workflow.defn
class Nothing:
    @workflow.run
    async def run(self) -> str:
        if HOLD:
            HOLD.wait()
        return "nothing"


@workflow.defn
class Pair:
    @workflow.run
    async def run(self) -> list[str]:
        return list(await asyncio.gather(*(
            workflow.execute_activity("meet", number, result_type=str, start_to_close_timeout=timedelta(seconds=30))
            for number in range(2))))


WORKFLOWS = [OneActivity, Nothing]


@scenario
async def two_workers(trial):
    arrived = [asyncio.Event(), asyncio.Event()]

    def meet_as(worker_name):
        @activity.defn(name="meet")
        async def meet(number: int) -> str:
            arrived[number].set()
            await arrived[1 - number].wait()
            return worker_name

        return meet

    # Eager delivery would let one worker reserve both activities.
    options = {"max_concurrent_activities": 1, "disable_eager_activity_execution": True}
    async with (trial.worker(Pair, activities=[meet_as("left")], identity="left", **options),
                trial.worker(Pair, activities=[meet_as("right")], identity="right", client=await trial.another_client(),
                             **options)):
        assert sorted(await trial.execute(Pair.run)) == ["left", "right"]


@scenario
async def cache_zero(trial):
    reached, go_on = asyncio.Event(), asyncio.Event()

    @activity.defn(name="work")
    async def work(number: int) -> int:
        if number == 2:
            reached.set()
            await go_on.wait()
        return number * 10

    async with trial.worker(Steps, activities=[work], max_cached_workflows=0, max_concurrent_workflow_task_polls=1):
        handle = await trial.start(Steps.run)
        await reached.wait()
        assert await handle.query(Steps.got, rpc_timeout=MINUTE) == [0, 10]
        go_on.set()
        assert await handle.result() == [0, 10, 20]
        assert await handle.query(Steps.got, rpc_timeout=MINUTE) == [0, 10, 20]


@scenario
async def worker_replaced(trial):
    async with trial.worker(Collects, identity="first"):
        handle = await trial.start(Collects.run, 1)
        await trial.wait_for(handle, "WorkflowTaskCompleted")
    await handle.signal(Collects.put, "to the second worker")
    async with trial.worker(Collects, identity="second"):
        assert await handle.result() == ["to the second worker"]
    done_by = [attributes(one).identity for one in await trial.events(handle) if type_of(one) == "WorkflowTaskCompleted"]
    assert done_by == ["first", "second"], done_by


@scenario
async def worker_killed(trial):
    child = await trial.spawn_worker("hang")
    handle = await trial.start(OneActivity.run, "done")

    async def picked_up():
        return [one for one in (await handle.describe()).raw_description.pending_activities if one.last_worker_identity]

    await eventually(picked_up)
    child.kill()
    await child.wait()

    @activity.defn(name="work")
    async def work(value: str) -> str:
        return f"{value} by the second worker"

    async with trial.worker(*WORKFLOWS, activities=[work]):
        assert await handle.result() == "done by the second worker"
    started = attributes(next(one for one in await trial.events(handle) if type_of(one) == "ActivityTaskStarted"))
    assert started.attempt == 2 and started.last_failure.timeout_failure_info.timeout_type != 0


@scenario
async def worker_killed_in_task(trial):
    child = await trial.spawn_worker("block")
    handle = await trial.start(Nothing.run, task_timeout=timedelta(seconds=1))
    await trial.wait_for(handle, "WorkflowTaskStarted")
    child.kill()
    await child.wait()
    async with trial.worker(*WORKFLOWS):
        assert await handle.result() == "nothing"


REPAIRED = threading.Event()


@workflow.defn(sandboxed=False)
class Broken:
    @workflow.run
    async def run(self) -> str:
        if not REPAIRED.is_set():
            raise RuntimeError("a bug in the workflow's code")  # not a failure of the workflow: its task fails
        return "repaired"


@scenario
async def workflow_task_fails(trial):
    async with trial.worker(Broken):
        handle = await trial.start(Broken.run)
        events = await trial.wait_for(handle, "WorkflowTaskFailed")
        assert "a bug in the workflow's code" in attributes(events[-1]).failure.message
        REPAIRED.set()
        assert await handle.result() == "repaired"
