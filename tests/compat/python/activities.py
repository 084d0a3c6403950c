"""Activities: retries, the four timeouts, heartbeats, cancellation, completion from outside, local activities."""
import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.api.enums.v1 import RetryState
from temporalio.client import RPCError, RPCStatusCode, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, TimeoutError, TimeoutType
from temporalio.workflow import ActivityCancellationType

from harness import attributes, eventually, raises, scenario, type_of

SHORT = timedelta(milliseconds=100)
SECOND = timedelta(seconds=1)
LONG = timedelta(seconds=60)
HOUR = timedelta(hours=1)
ONCE = RetryPolicy(maximum_attempts=1)
QUICK = RetryPolicy(initial_interval=SHORT, backoff_coefficient=1.0)


@workflow.defn
class Calls:
    """Calls the activity `work` with what it was given and returns its result."""

    @workflow.run
    async def run(self, argument: str, maximum_attempts: int, interval_ms: int) -> str:
        return await workflow.execute_activity(
            "work", argument, result_type=str, start_to_close_timeout=LONG,
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=interval_ms), backoff_coefficient=1.0,
                                     maximum_attempts=maximum_attempts))


@scenario
async def hello(trial):
    @activity.defn(name="work")
    async def work(name: str) -> str:
        return f"hello {name}"

    assert await trial.run(Calls, "world", 0, 100, activities=[work]) == "hello world"


@workflow.defn
class Parallel:
    @workflow.run
    async def run(self, count: int) -> list[int]:
        return list(await asyncio.gather(*(
            workflow.execute_activity("work", number, result_type=int, start_to_close_timeout=LONG) for number in range(count))))


@scenario
async def parallel_activities(trial):
    @activity.defn(name="work")
    async def work(number: int) -> int:
        return number * number

    assert await trial.run(Parallel, 50, activities=[work]) == [number * number for number in range(50)]


@scenario
async def activity_retries(trial):
    @activity.defn(name="work")
    async def work(_: str) -> str:
        attempt = activity.info().attempt
        if attempt < 3:
            raise ApplicationError(f"attempt {attempt} fails", type="NotYet")
        return f"attempt {attempt}"

    async with trial.worker(Calls, activities=[work]):
        handle = await trial.start(Calls.run, "", 0, 100)
        assert await handle.result() == "attempt 3"
    started = attributes(next(one for one in await trial.events(handle) if type_of(one) == "ActivityTaskStarted"))
    assert started.attempt == 3
    assert started.last_failure.message == "attempt 2 fails"
    assert started.last_failure.application_failure_info.type == "NotYet"


@scenario
async def activity_next_retry_delay(trial):
    @activity.defn(name="work")
    async def work(_: str) -> str:
        if activity.info().attempt == 1:
            raise ApplicationError("come back soon", next_retry_delay=SHORT)
        return "soon"

    assert await trial.run(Calls, "", 0, 3600000, activities=[work]) == "soon"


async def failure_of(trial, work, *arguments):
    """The cause of the failed workflow, and the attributes of its failed activity."""
    async with trial.worker(Calls, activities=[work]):
        handle = await trial.start(Calls.run, *arguments)
        with raises(WorkflowFailureError) as caught:
            await handle.result()
    failed = next(one for one in await trial.events(handle) if type_of(one) == "ActivityTaskFailed")
    return caught[0].cause, attributes(failed)


@scenario
async def activity_retries_exhausted(trial):
    @activity.defn(name="work")
    async def work(_: str) -> str:
        raise ApplicationError(f"attempt {activity.info().attempt}")

    cause, failed = await failure_of(trial, work, "", 2, 100)
    assert isinstance(cause, ActivityError) and cause.cause.message == "attempt 2"
    assert failed.retry_state == RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED


@scenario
async def activity_fails(trial):
    @activity.defn(name="work")
    async def work(_: str) -> str:
        try:
            raise ValueError("the reason")
        except ValueError as reason:
            raise ApplicationError("no use", {"answer": 42}, type="Hopeless", non_retryable=True) from reason

    cause, failed = await failure_of(trial, work, "", 0, 100)
    assert isinstance(cause, ActivityError) and cause.activity_type == "work"
    assert (cause.cause.message, cause.cause.type, cause.cause.non_retryable) == ("no use", "Hopeless", True)
    assert list(cause.cause.details) == [{"answer": 42}]
    assert cause.cause.cause.message == "the reason" and cause.cause.cause.type == "ValueError"
    assert failed.retry_state == RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE


@workflow.defn
class Times:
    """Calls `work` with the given timeouts (milliseconds) and returns the type of the timeout it met."""

    @workflow.run
    async def run(self, queue: str, timeouts: dict[str, int], attempts: int) -> str:
        try:
            await workflow.execute_activity(
                "work", task_queue=queue,
                retry_policy=RetryPolicy(initial_interval=SHORT, backoff_coefficient=1.0, maximum_attempts=attempts),
                **{name: timedelta(milliseconds=value) for name, value in timeouts.items()})
        except ActivityError as error:
            assert isinstance(error.cause, TimeoutError), error.cause
            return error.cause.type.name
        return "none"


async def timeout_of(trial, work, queue="", attempts=1, **timeouts):
    return await trial.run(Times, queue or trial.queue, timeouts, attempts, activities=[work])


@activity.defn(name="work")
async def endless() -> None:
    await asyncio.Event().wait()  # until the worker shuts down


@scenario
async def timeout_start_to_close(trial):
    assert await timeout_of(trial, endless, start_to_close_timeout=500) == TimeoutType.START_TO_CLOSE.name


@scenario
async def timeout_schedule_to_start(trial):
    found = await timeout_of(trial, endless, queue=trial.id("nobody"), schedule_to_start_timeout=500, start_to_close_timeout=60000)
    assert found == TimeoutType.SCHEDULE_TO_START.name


@scenario
async def timeout_schedule_to_close(trial):
    @activity.defn(name="work")
    async def work() -> None:
        if activity.info().attempt == 1:
            raise ApplicationError("again")
        await asyncio.Event().wait()

    found = await timeout_of(trial, work, attempts=0, schedule_to_close_timeout=1000, start_to_close_timeout=60000)
    assert found == TimeoutType.SCHEDULE_TO_CLOSE.name


@scenario
async def timeout_heartbeat(trial):
    @activity.defn(name="work")
    async def work() -> None:
        activity.heartbeat("alive")
        await asyncio.Event().wait()

    found = await timeout_of(trial, work, heartbeat_timeout=500, start_to_close_timeout=60000)
    assert found == TimeoutType.HEARTBEAT.name


@workflow.defn
class Beats:
    @workflow.run
    async def run(self) -> list[str]:
        return await workflow.execute_activity("work", result_type=list[str], start_to_close_timeout=LONG,
                                               heartbeat_timeout=timedelta(seconds=20), retry_policy=QUICK)


@scenario
async def heartbeat_details(trial):
    @activity.defn(name="work")
    async def work() -> list[str]:
        if activity.info().attempt == 1:
            activity.heartbeat("progress", 7)
            raise ApplicationError("after the heartbeat")
        return [str(one) for one in activity.info().heartbeat_details]

    assert await trial.run(Beats, activities=[work]) == ["progress", "7"]


@workflow.defn
class CancelsActivity:
    @workflow.run
    async def run(self, cancellation: int, queue: str) -> None:
        await workflow.execute_activity("work", task_queue=queue, start_to_close_timeout=LONG, heartbeat_timeout=timedelta(seconds=30),
                                        retry_policy=ONCE, cancellation_type=ActivityCancellationType(cancellation))


async def cancel_activity(trial, work, cancellation, before_cancel, queue=""):
    """Start, wait until before_cancel, cancel the workflow, expect it to end as canceled."""
    handle = await trial.start(CancelsActivity.run, int(cancellation), queue or trial.queue)
    await trial.wait_for(handle, "ActivityTaskScheduled")
    await before_cancel()
    await handle.cancel()
    with raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught[0].cause, CancelledError), caught[0].cause
    return handle


@scenario
async def cancel_activity_wait(trial):
    running, told = asyncio.Event(), asyncio.Event()

    @activity.defn(name="work")
    async def work() -> None:
        running.set()
        try:
            while True:
                activity.heartbeat("still here")
                await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            told.set()
            raise

    async with trial.worker(CancelsActivity, activities=[work], max_heartbeat_throttle_interval=SHORT,
                            default_heartbeat_throttle_interval=SHORT):
        await cancel_activity(trial, work, ActivityCancellationType.WAIT_CANCELLATION_COMPLETED, running.wait)
        assert told.is_set()


@scenario
async def cancel_activity_try(trial):
    running = asyncio.Event()

    @activity.defn(name="work")
    async def work() -> None:
        running.set()
        await asyncio.Event().wait()

    async with trial.worker(CancelsActivity, activities=[work]):
        await cancel_activity(trial, work, ActivityCancellationType.TRY_CANCEL, running.wait)


@scenario
async def cancel_activity_abandon(trial):
    running, tokens = asyncio.Event(), []

    @activity.defn(name="work")
    async def work() -> None:
        tokens.append(activity.info().task_token)
        running.set()
        activity.raise_complete_async()

    async with trial.worker(CancelsActivity, activities=[work]):
        await cancel_activity(trial, work, ActivityCancellationType.ABANDON, running.wait)
        with raises(RPCError, RPCStatusCode.NOT_FOUND):
            await trial.client.get_async_activity_handle(task_token=tokens[0]).complete(None)


@scenario
async def cancel_activity_unstarted(trial):
    async def at_once():
        pass

    async with trial.worker(CancelsActivity):
        await cancel_activity(trial, None, ActivityCancellationType.WAIT_CANCELLATION_COMPLETED, at_once, queue=trial.id("nobody"))


@activity.defn(name="work")
async def ends_later(_: str) -> str:
    activity.raise_complete_async()


async def pending(trial, handle):
    """The only pending activity of the workflow once it has been picked up."""
    async def look():
        description = await handle.describe()
        found = list(description.raw_description.pending_activities)
        return found if found and found[0].last_started_time.seconds else None

    return (await eventually(look))[0]


@scenario
async def async_completion_token(trial):
    tokens = asyncio.Queue()

    @activity.defn(name="work")
    async def work(_: str) -> str:
        await tokens.put(activity.info().task_token)
        activity.raise_complete_async()

    async with trial.worker(Calls, activities=[work]):
        handle = await trial.start(Calls.run, "", 0, 100)
        later = trial.client.get_async_activity_handle(task_token=await tokens.get())
        await later.heartbeat("half way")
        assert (await pending(trial, handle)).heartbeat_details.payloads[0].data == b'"half way"'
        await later.complete("by token")
        assert await handle.result() == "by token"
        with raises(RPCError, RPCStatusCode.NOT_FOUND):
            await later.complete("twice")


@scenario
async def async_completion_id(trial):
    async with trial.worker(Calls, activities=[ends_later]):
        handle = await trial.start(Calls.run, "", 0, 100)
        activity_id = (await pending(trial, handle)).activity_id
        later = trial.client.get_async_activity_handle(workflow_id=handle.id, run_id=handle.result_run_id, activity_id=activity_id)
        await later.heartbeat(1)
        await later.complete("by id")
        assert await handle.result() == "by id"
    with raises(RPCError, RPCStatusCode.NOT_FOUND):
        await later.heartbeat(2)


@scenario
async def async_failure(trial):
    tokens = asyncio.Queue()

    @activity.defn(name="work")
    async def work(_: str) -> str:
        await tokens.put(activity.info().task_token)
        activity.raise_complete_async()

    async with trial.worker(Calls, activities=[work]):
        handle = await trial.start(Calls.run, "", 1, 100)
        await trial.client.get_async_activity_handle(task_token=await tokens.get()).fail(ApplicationError("from outside"))
        with raises(WorkflowFailureError) as caught:
            await handle.result()
    assert caught[0].cause.cause.message == "from outside"


@scenario
async def describe_pending_activity(trial):
    repaired = asyncio.Event()

    @activity.defn(name="work")
    async def work(_: str) -> str:
        activity.heartbeat("so far")
        if not repaired.is_set():
            raise ApplicationError(f"attempt {activity.info().attempt} fails")
        return "done"

    async with trial.worker(Calls, activities=[work]):
        handle = await trial.start(Calls.run, "", 0, 100)

        async def look():
            found = (await handle.describe()).raw_description.pending_activities
            return found and found[0].attempt >= 3 and found[0]

        shown = await eventually(look)
        assert shown.activity_type.name == "work"
        assert shown.last_failure.message.startswith("attempt ")
        assert shown.heartbeat_details.payloads[0].data == b'"so far"'
        repaired.set()
        assert await handle.result() == "done"


@workflow.defn
class Local:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_local_activity("work", result_type=str, start_to_close_timeout=LONG, retry_policy=QUICK)


@scenario
async def local_activity(trial):
    @activity.defn(name="work")
    async def work() -> str:
        if activity.info().attempt == 1:
            raise ApplicationError("once")
        return f"attempt {activity.info().attempt}"

    assert await trial.run(Local, activities=[work]) == "attempt 2"


@scenario
async def local_activity_long(trial):
    @activity.defn(name="work")
    async def work() -> str:
        await asyncio.sleep(4)  # the workflow task timeout is two seconds
        return "at last"

    assert await trial.run(Local, activities=[work], task_timeout=timedelta(seconds=2)) == "at last"
