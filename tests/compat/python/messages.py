"""Timers, signals and queries."""
import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import RPCError, RPCStatusCode, WorkflowExecutionStatus, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.common import QueryRejectCondition
from temporalio.exceptions import ApplicationError

from harness import attributes, eventually, raises, scenario, type_of

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)  # for a query: the SDK's own limit is shorter


@workflow.defn
class Timers:
    @workflow.run
    async def run(self) -> list[int]:
        fired = []

        async def sleeps(milliseconds):
            await asyncio.sleep(milliseconds / 1000)
            fired.append(milliseconds)

        await asyncio.gather(*(sleeps(one) for one in (900, 100, 500)))
        return fired


@scenario
async def timers(trial):
    async with trial.worker(Timers):
        handle = await trial.start(Timers.run)
        assert sorted(await handle.result()) == [100, 500, 900]  # a worker that comes late sees several at once
    started, order = {}, []
    for event in await trial.events(handle):
        if type_of(event) == "TimerStarted":
            started[attributes(event).timer_id] = attributes(event).start_to_fire_timeout.ToMilliseconds()
        elif type_of(event) == "TimerFired":
            order.append(started[attributes(event).timer_id])
    assert order == [100, 500, 900], order


@workflow.defn
class CancelsTimer:
    @workflow.run
    async def run(self) -> str:
        long = asyncio.create_task(workflow.sleep(HOUR))
        await workflow.sleep(timedelta(milliseconds=100))
        long.cancel()
        try:
            await long
        except asyncio.CancelledError:
            return "timer canceled"
        return "timer fired"


@scenario
async def cancel_timer(trial):
    assert await trial.run(CancelsTimer) == "timer canceled"


@workflow.defn
class Collects:
    """Collects signals until it has the wanted number, and returns them in order."""

    def __init__(self):
        self.received = []

    @workflow.run
    async def run(self, wanted: int) -> list[str]:
        await workflow.wait_condition(lambda: len(self.received) >= wanted)
        return self.received

    @workflow.signal
    def put(self, value: str) -> None:
        self.received.append(value)

    @workflow.query
    def got(self) -> list[str]:
        return self.received

    @workflow.query
    def broken(self) -> str:
        raise ApplicationError("this query always fails", type="Broken")


@scenario
async def signal_before(trial):
    handle = await trial.start(Collects.run, 3)
    for value in ("a", "b", "c"):
        await handle.signal(Collects.put, value)
    async with trial.worker(Collects):
        assert await handle.result() == ["a", "b", "c"]


@scenario
async def signal_while(trial):
    async with trial.worker(Collects):
        handle = await trial.start(Collects.run, 1)
        await trial.wait_for(handle, "WorkflowTaskCompleted")
        await handle.signal(Collects.put, "x")
        assert await handle.result() == ["x"]


@scenario
async def signal_after(trial):
    async with trial.worker(Collects):
        handle = await trial.start(Collects.run, 0)
        assert await handle.result() == []
    with raises(RPCError, RPCStatusCode.NOT_FOUND) as caught:
        await handle.signal(Collects.put, "late")
    assert caught[0].message == "workflow execution already completed"


@scenario
async def signal_with_start(trial):
    first = await trial.start(Collects.run, 2, start_signal="put", start_signal_args=["first"])
    async with trial.worker(Collects):
        await trial.wait_for(first, "WorkflowTaskCompleted")
        second = await trial.start(Collects.run, 2, start_signal="put", start_signal_args=["second"])
        assert second.result_run_id == first.result_run_id
        assert await first.result() == ["first", "second"]


@workflow.defn
class CompletesAfterLocal:
    def __init__(self):
        self.received = 0

    @workflow.run
    async def run(self) -> int:
        await workflow.execute_local_activity("hold", start_to_close_timeout=timedelta(seconds=30))
        return self.received

    @workflow.signal
    def put(self) -> None:
        self.received += 1


@scenario
async def signal_during_task(trial):
    inside, signaled = asyncio.Event(), asyncio.Event()

    @activity.defn(name="hold")
    async def hold() -> None:
        inside.set()
        await signaled.wait()

    async with trial.worker(CompletesAfterLocal, activities=[hold]):
        handle = await trial.start(CompletesAfterLocal.run)
        await inside.wait()
        await handle.signal(CompletesAfterLocal.put)
        signaled.set()
        assert await handle.result() == 1


@scenario
async def signals_thousand(trial):
    count = 1000
    async with trial.worker(Collects):
        handle = await trial.start(Collects.run, count)
        await trial.wait_for(handle, "WorkflowTaskCompleted")
        slots = asyncio.Semaphore(20)

        async def send(number):
            async with slots:
                await handle.signal(Collects.put, str(number))

        await asyncio.gather(*(send(number) for number in range(count)))
        received = await handle.result()
    assert sorted(received, key=int) == [str(number) for number in range(count)]
    in_history = [event.workflow_execution_signaled_event_attributes.input.payloads[0].data.decode().strip('"')
                  for event in await trial.events(handle) if event.HasField("workflow_execution_signaled_event_attributes")]
    assert received == in_history


@workflow.defn
class SignalsOther:
    @workflow.run
    async def run(self, other: str) -> str:
        try:
            await workflow.get_external_workflow_handle(other).signal("put", "from outside")
        except ApplicationError as error:
            return error.type or error.message
        return "signaled"


@scenario
async def signal_external(trial):
    target = Collects.run
    async with trial.worker(Collects, SignalsOther):
        other = await trial.start_unchecked(target, 1, part="other")
        await trial.wait_for(other, "WorkflowTaskCompleted")
        assert await trial.execute(SignalsOther.run, other.id) == "signaled"
        trial.check(other)
        assert await other.result() == ["from outside"]


@scenario
async def signal_external_missing(trial):
    assert await trial.run(SignalsOther, trial.id("nobody")) != "signaled"


@scenario
async def query_running(trial):
    async with trial.worker(Collects):
        handle = await trial.start(Collects.run, 1)
        await trial.wait_for(handle, "WorkflowTaskCompleted")
        assert await handle.query(Collects.got, rpc_timeout=MINUTE) == []
        await handle.signal(Collects.put, "seen")
        assert await handle.query(Collects.got, rpc_timeout=MINUTE) == ["seen"]
        assert await handle.result() == ["seen"]


@workflow.defn
class Remembers:
    def __init__(self):
        self.result = ""

    @workflow.run
    async def run(self) -> None:
        self.result = await workflow.execute_activity("work", result_type=str, start_to_close_timeout=timedelta(seconds=30))

    @workflow.query
    def remembered(self) -> str:
        return self.result


@scenario
async def query_closed(trial):
    @activity.defn(name="work")
    async def work() -> str:
        return "kept in the history"

    async with trial.worker(Remembers, activities=[work]):
        handle = await trial.start(Remembers.run)
        await handle.result()

    async def answered():
        try:
            return await handle.query(Remembers.remembered, rpc_timeout=MINUTE) == "kept in the history"
        except RPCError as error:  # the incumbent may cancel one that meets the first worker's queue
            assert error.status == RPCStatusCode.CANCELLED, error
            return False

    async with trial.worker(Remembers):
        await eventually(answered)


@scenario
async def query_failing(trial):
    async with trial.worker(Collects):
        handle = await trial.start(Collects.run, 1)
        await trial.wait_for(handle, "WorkflowTaskCompleted")
        with raises(WorkflowQueryFailedError) as caught:
            await handle.query(Collects.broken, rpc_timeout=MINUTE)
        assert "this query always fails" in str(caught[0])
        with raises(WorkflowQueryFailedError) as caught:
            await handle.query("nobody_knows", rpc_timeout=MINUTE)
        assert "nobody_knows" in str(caught[0])
        await handle.signal(Collects.put, "end")
        assert await handle.result() == ["end"]


@scenario
async def query_rejected(trial):
    async with trial.worker(Collects):
        handle = await trial.start(Collects.run, 0)
        await handle.result()
        with raises(WorkflowQueryRejectedError) as caught:
            await handle.query(Collects.got, reject_condition=QueryRejectCondition.NOT_OPEN, rpc_timeout=MINUTE)
        assert caught[0].status == WorkflowExecutionStatus.COMPLETED
        assert await handle.query(Collects.got, rpc_timeout=MINUTE) == []
