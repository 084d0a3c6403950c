"""How a workflow starts and ends: results, failures, cancellation, termination, ids, chains, sizes, what Describe and List say."""
import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import RPCError, RPCStatusCode, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.common import RetryPolicy, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import (ApplicationError, CancelledError, TerminatedError, TimeoutError, TimeoutType,
                                   WorkflowAlreadyStartedError)

from harness import attributes, eventually, execution, raises, scenario, type_of
from messages import Collects

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


@workflow.defn
class Sleeps:
    @workflow.run
    async def run(self, milliseconds: int) -> str:
        await workflow.sleep(timedelta(milliseconds=milliseconds), summary="the only timer")
        return "slept"


FOREVER = 3600000


@scenario
async def long_poll_result(trial):
    async with trial.worker(Sleeps):
        handle = await trial.start(Sleeps.run, 1000)
        results = await asyncio.gather(*(trial.client.get_workflow_handle(handle.id).result() for _ in range(10)))
    assert results == ["slept"] * 10


@workflow.defn
class Fails:
    @workflow.run
    async def run(self) -> None:
        raise ApplicationError("not today", 1, "two", type="Refused")


@scenario
async def workflow_fails(trial):
    with raises(WorkflowFailureError) as caught:
        await trial.run(Fails)
    cause = caught[0].cause
    assert isinstance(cause, ApplicationError) and (cause.message, cause.type) == ("not today", "Refused")
    assert list(cause.details) == [1, "two"]


async def expect(handle, cause_type):
    with raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught[0].cause, cause_type), caught[0].cause
    return caught[0].cause


@scenario
async def cancel_workflow(trial):
    async with trial.worker(Sleeps):
        handle = await trial.start(Sleeps.run, FOREVER)
        await trial.wait_for(handle, "TimerStarted")
        await handle.cancel()
        await expect(handle, CancelledError)
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED


@workflow.defn
class StartsCanceled:
    @workflow.run
    async def run(self) -> None:
        await workflow.sleep(HOUR)


@scenario
async def cancel_before(trial):
    handle = await trial.start(StartsCanceled.run)
    await handle.cancel()
    await handle.cancel()  # a second request changes nothing
    async with trial.worker(StartsCanceled):
        await expect(handle, CancelledError)


@workflow.defn
class CleansUp:
    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.sleep(HOUR)
        except asyncio.CancelledError:
            return await workflow.execute_activity("work", result_type=str, start_to_close_timeout=timedelta(seconds=30))
        return "not canceled"


@scenario
async def cancel_cleanup(trial):
    @activity.defn(name="work")
    async def work() -> str:
        return "clean"

    async with trial.worker(CleansUp, activities=[work]):
        handle = await trial.start(CleansUp.run)
        await trial.wait_for(handle, "TimerStarted")
        await handle.cancel()
        assert await handle.result() == "clean"


@workflow.defn
class CancelsOther:
    @workflow.run
    async def run(self, other: str) -> None:
        await workflow.get_external_workflow_handle(other).cancel()


@scenario
async def cancel_external(trial):
    async with trial.worker(CancelsOther, Sleeps):
        other = await trial.start_unchecked(Sleeps.run, FOREVER, part="other")
        await trial.wait_for(other, "TimerStarted")
        await trial.execute(CancelsOther.run, other.id)
        trial.check(other)
        await expect(other, CancelledError)


@scenario
async def terminate(trial):
    async with trial.worker(Sleeps):
        handle = await trial.start(Sleeps.run, FOREVER)
        await trial.wait_for(handle, "TimerStarted")
        await handle.terminate("details", reason="enough")
        cause = await expect(handle, TerminatedError)
        assert cause.message == "enough"
        with raises(RPCError, RPCStatusCode.NOT_FOUND):
            await handle.terminate()


@scenario
async def run_timeout(trial):
    async with trial.worker(Sleeps):
        handle = await trial.start(Sleeps.run, FOREVER, run_timeout=2 * SECOND)
        cause = await expect(handle, TimeoutError)
    assert cause.type in (None, TimeoutType.START_TO_CLOSE)


@workflow.defn
class FailsOnce:
    @workflow.run
    async def run(self) -> str:
        if workflow.info().attempt == 1:
            raise ApplicationError("the first run fails")
        return f"run {workflow.info().attempt}"


@scenario
async def workflow_retry(trial):
    policy = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_attempts=3)
    assert await trial.run(FailsOnce, retry_policy=policy) == "run 2"


@scenario
async def already_started(trial):
    async with trial.worker(Collects):
        handle = await trial.start(Collects.run, 1)
        with raises(WorkflowAlreadyStartedError) as caught:
            await trial.start_unchecked(Collects.run, 1, id=handle.id)
        assert (caught[0].workflow_id, caught[0].run_id) == (handle.id, handle.result_run_id)
        await trial.wait_for(handle, "WorkflowTaskCompleted")
        await handle.signal(Collects.put, "end")
        await handle.result()


@scenario
async def id_reuse(trial):
    async def again(policy):
        return await trial.start(Collects.run, 0, id_reuse_policy=policy)

    async with trial.worker(Collects):
        first = await again(WorkflowIDReusePolicy.ALLOW_DUPLICATE)
        await first.result()
        for policy in (WorkflowIDReusePolicy.REJECT_DUPLICATE, WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY):
            with raises(WorkflowAlreadyStartedError) as caught:
                await again(policy)
            assert caught[0].run_id == first.result_run_id
        second = await again(WorkflowIDReusePolicy.ALLOW_DUPLICATE)
        assert second.result_run_id != first.result_run_id
        await second.result()


@scenario
async def id_conflict(trial):
    async def again(policy):
        return await trial.start(Sleeps.run, FOREVER, id_conflict_policy=policy)

    async with trial.worker(Sleeps):
        first = await again(WorkflowIDConflictPolicy.FAIL)
        await trial.wait_for(first, "TimerStarted")
        with raises(WorkflowAlreadyStartedError):
            await again(WorkflowIDConflictPolicy.FAIL)
        same = await again(WorkflowIDConflictPolicy.USE_EXISTING)
        assert same.result_run_id == first.result_run_id
        second = await again(WorkflowIDConflictPolicy.TERMINATE_EXISTING)
        assert second.result_run_id != first.result_run_id
        await expect(first, TerminatedError)
        await trial.wait_for(second, "TimerStarted")
        await second.terminate()


@scenario
async def start_delay(trial):
    async with trial.worker(Collects):
        handle = await trial.start(Collects.run, 0, start_delay=SECOND)
        await handle.result()
    events = await trial.events(handle)
    waited = events[1].event_time.ToDatetime() - events[0].event_time.ToDatetime()
    assert SECOND <= waited < 10 * SECOND, waited


@workflow.defn
class Chain:
    @workflow.run
    async def run(self, left: int, sum_so_far: int) -> int:
        if left:
            workflow.continue_as_new(args=[left - 1, sum_so_far + left])
        return sum_so_far


@scenario
async def continue_as_new(trial):
    assert await trial.run(Chain, 3, 0) == 6


@workflow.defn
class Ticks:
    @workflow.run
    async def run(self) -> int:
        return workflow.get_last_completion_result(int) + 1 if workflow.has_last_completion_result() else 1


@scenario
async def cron(trial):
    async with trial.worker(Ticks):
        first = await trial.start(Ticks.run, cron_schedule="@every 1s")
        results, run_id = [], first.result_run_id
        while len(results) < 2:
            run = trial.client.get_workflow_handle(first.id, run_id=run_id)
            events = await trial.wait_for(run, "WorkflowExecutionCompleted")
            completed = attributes(events[-1])
            results.append(completed.result.payloads[0].data)
            run_id = completed.new_execution_run_id
        assert results == [b"1", b"2"], results
        await trial.client.get_workflow_handle(first.id).terminate()


@workflow.defn
class Echoes:
    @workflow.run
    async def run(self, data: bytes) -> bytes:
        return await workflow.execute_activity("work", data, result_type=bytes, start_to_close_timeout=timedelta(seconds=30))


@scenario
async def large_payloads(trial):
    @activity.defn(name="work")
    async def work(data: bytes) -> bytes:
        return data[::-1]

    data = bytes(range(256)) * 7782  # 1.9 MiB
    async with trial.worker(Echoes, activities=[work]):
        handle = await trial.start(Echoes.run, data)
        assert await handle.result() == data[::-1]
        with raises(RPCError, RPCStatusCode.INVALID_ARGUMENT):
            await trial.start_unchecked(Echoes.run, bytes(2 * 1024 * 1024), part="larger")


@workflow.defn
class ChangesMemo:
    @workflow.run
    async def run(self) -> str:
        before = workflow.memo_value("stage")
        workflow.upsert_memo({"stage": "changed", "gone": None})
        return before


@scenario
async def memo(trial):
    async with trial.worker(ChangesMemo):
        handle = await trial.start(ChangesMemo.run, memo={"stage": "given", "kept": [1, 2], "gone": True})
        assert await handle.result() == "given"
    shown = await (await handle.describe()).memo()
    assert shown == {"stage": "changed", "kept": [1, 2]}, shown


@scenario
async def user_metadata(trial):
    async with trial.worker(Sleeps):
        handle = await trial.start(Sleeps.run, 100, static_summary="in short", static_details="at length")
        await handle.result()
    description = await handle.describe()
    assert (await description.static_summary(), await description.static_details()) == ("in short", "at length")
    timer = next(one for one in await trial.events(handle) if type_of(one) == "TimerStarted")
    assert timer.user_metadata.summary.data == b'"the only timer"'


@scenario
async def list_and_count(trial):
    async def listed(query):
        found = [(one.id, one.run_id, one.status) async for one in trial.client.list_workflows(query)]
        return found if (await trial.client.count_workflows(query)).count == len(found) else None

    async with trial.worker(Collects):
        handle = await trial.start(Collects.run, 1)
        query = f"WorkflowId = '{handle.id}'"
        run = (handle.id, handle.result_run_id)
        await eventually(lambda: listed_as(listed, query, [(*run, WorkflowExecutionStatus.RUNNING)]))
        await trial.wait_for(handle, "WorkflowTaskCompleted")
        await handle.signal(Collects.put, "end")
        await handle.result()
        await eventually(lambda: listed_as(listed, query, [(*run, WorkflowExecutionStatus.COMPLETED)]))
        await eventually(lambda: contains(listed, "ExecutionStatus = 'Completed'", (*run, WorkflowExecutionStatus.COMPLETED)))


async def listed_as(listed, query, wanted):
    return await listed(query) == wanted


async def contains(listed, query, wanted):
    return wanted in (await listed(query) or [])


@workflow.defn
class Patched:
    @workflow.run
    async def run(self) -> str:
        if workflow.patched("second-version"):
            return await workflow.execute_activity("work", result_type=str, start_to_close_timeout=timedelta(seconds=30))
        return "first version"


@scenario
async def patched(trial):
    @activity.defn(name="work")
    async def work() -> str:
        return "second version"

    assert await trial.run(Patched, activities=[work]) == "second version"


@scenario
async def delete(trial):
    async with trial.worker(Collects):
        kept = await trial.start(Collects.run, 0)
        await kept.result()
        handle = await trial.start_unchecked(Collects.run, 0, part="gone")
        await handle.result()
    request = DeleteWorkflowExecutionRequest(namespace=trial.client.namespace, workflow_execution=execution(handle))
    await trial.client.workflow_service.delete_workflow_execution(request)

    async def gone():
        try:
            await handle.describe()
        except RPCError as error:
            return error.status == RPCStatusCode.NOT_FOUND

    await eventually(gone, deadline=60)  # the incumbent takes half a minute
