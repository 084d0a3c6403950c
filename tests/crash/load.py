"""The load under which the server is killed: clients that start and signal workflows, and workers that run them, over raw gRPC.

A workflow runs a few activities and timers at once and waits for a few signals; when it has everything, it completes with a sum
that the client can compute too. The workflow's code is a function of its whole history, so no worker holds anything that a crash
could take.
Calls that a crash interrupts are repeated with the same request id, as an SDK does.
"""
import asyncio
import collections
import dataclasses
import uuid

import grpc
from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import (Command, CompleteWorkflowExecutionCommandAttributes, ScheduleActivityTaskCommandAttributes,
                                       StartTimerCommandAttributes)
from temporalio.api.common.v1 import ActivityType, Payload, Payloads, RetryPolicy, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import CommandType, EventType, WorkflowExecutionStatus, WorkflowIdReusePolicy
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api import workflowservice

import processes

rpc = workflowservice.v1
NAMESPACE = "default"
QUEUE = TaskQueue(name="crash")
CHANNELS = 8
RETRIED = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED,
           grpc.StatusCode.RESOURCE_EXHAUSTED}
SHORT_TIMEOUT = Duration(seconds=2)  # after which a task that a crash took from its worker is given out again


def payloads(number):
    return Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=str(number).encode())])


def number_of(some):
    return int(some.payloads[0].data)


@dataclasses.dataclass
class Plan:
    """One workflow: what it shall do, and what the server has acknowledged of it."""
    workflow_id: str
    activities: int
    timers: list  # milliseconds
    signals: list  # the number each one carries
    run_id: str = ""
    acknowledged: list = dataclasses.field(default_factory=list)  # numbers of acknowledged signals

    @property
    def result(self):
        return sum(number * number for number in range(self.activities)) + len(self.timers) + sum(self.signals)

    def input(self):
        return ",".join(map(str, [self.activities, len(self.signals), *self.timers]))


class Connection:
    """Calls with a bound on their time, counted while they are on their way."""

    def __init__(self, address):
        self.in_flight = 0  # polls are not counted
        self.unexpected = collections.Counter()
        options = [("grpc.initial_reconnect_backoff_ms", 20), ("grpc.min_reconnect_backoff_ms", 20),
                   ("grpc.max_reconnect_backoff_ms", 100), ("grpc.use_local_subchannel_pool", 1),
                   ("grpc.max_receive_message_length", 64 << 20)]
        self._channels = [grpc.aio.insecure_channel(address, options=options) for _ in range(CHANNELS)]
        self._stubs = {}
        self._turn = 0

    async def close(self):
        for channel in self._channels:
            await channel.close()

    async def once(self, method, request, timeout=10.0):
        self._turn = (self._turn + 1) % CHANNELS
        key = (self._turn, method)
        if key not in self._stubs:
            answer = getattr(rpc, method + "Response")
            self._stubs[key] = self._channels[self._turn].unary_unary(
                processes.SERVICE + method, request_serializer=type(request).SerializeToString,
                response_deserializer=answer.FromString)
        return await self._stubs[key](request, timeout=timeout)

    async def call(self, method, request, accepted=()):
        """Repeat until answered. An error with a status in `accepted` is an answer too (None); others are remembered and raised."""
        while True:
            self.in_flight += 1
            try:
                return await self.once(method, request)
            except grpc.aio.AioRpcError as error:
                if error.code() in accepted:
                    return None
                if not self._interrupted(error):
                    self.unexpected[f"{method}: {error.code().name} {error.details()}"] += 1
                    raise
            finally:
                self.in_flight -= 1
            await asyncio.sleep(0.01)

    async def poll(self, method, request):
        """One poll; None when it ended without a task or the server went away."""
        try:
            answer = await self.once(method, request, timeout=70.0)
        except grpc.aio.AioRpcError as error:
            if not self._interrupted(error):
                self.unexpected[f"{method}: {error.code().name} {error.details()}"] += 1
            await asyncio.sleep(0.02)
            return None
        return answer if answer.task_token else None

    @staticmethod
    def _interrupted(error):
        broken_stream = error.code() == grpc.StatusCode.UNKNOWN and "Stream removed" in (error.details() or "")
        return error.code() in RETRIED or broken_stream


def commands_for(history):
    """The workflow's code: what to do next, given everything that has happened."""
    events = list(history)
    given = events[0].workflow_execution_started_event_attributes.input.payloads[0].data
    activities, signals, *timers = map(int, given.split(b","))
    if not any(event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED for event in events):
        return [_activity(number) for number in range(activities)] + [_timer(i, timer) for i, timer in enumerate(timers)]
    done = [number_of(event.activity_task_completed_event_attributes.result) for event in events
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED]
    fired = sum(event.event_type == EventType.EVENT_TYPE_TIMER_FIRED for event in events)
    got = [number_of(event.workflow_execution_signaled_event_attributes.input) for event in events
           if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED]
    if (len(done), fired, len(got)) != (activities, len(timers), signals):
        return []
    result = CompleteWorkflowExecutionCommandAttributes(result=payloads(sum(done) + fired + sum(got)))
    return [Command(command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
                    complete_workflow_execution_command_attributes=result)]


def _activity(number):
    retry = RetryPolicy(initial_interval=Duration(nanos=50_000_000), backoff_coefficient=1.0)
    return Command(command_type=CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
                   schedule_activity_task_command_attributes=ScheduleActivityTaskCommandAttributes(
                       activity_id=f"a{number}", activity_type=ActivityType(name="square"), task_queue=QUEUE,
                       input=payloads(number), start_to_close_timeout=SHORT_TIMEOUT, retry_policy=retry))


def _timer(place, milliseconds):
    return Command(command_type=CommandType.COMMAND_TYPE_START_TIMER, start_timer_command_attributes=StartTimerCommandAttributes(
        timer_id=f"t{place}", start_to_fire_timeout=Duration(nanos=milliseconds * 1_000_000)))


async def whole_history(connection, workflow_id, run_id):
    events, token = [], b""
    while True:
        answer = await connection.call("GetWorkflowExecutionHistory", rpc.GetWorkflowExecutionHistoryRequest(
            namespace=NAMESPACE, execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id), next_page_token=token))
        events.extend(answer.history.events)
        token = answer.next_page_token
        if not token:
            return events


class Load:
    """Clients and workers that run until `finish`.

    While `open_limit` workflows are open, clients repeat their last signal instead of starting another: same request id, so that it
    must have no effect.
    """

    def __init__(self, connection, random, clients=72, pollers=32, open_limit=400):
        self.connection = connection
        self.plans = []
        self.repeated = 0
        self._closed = set()  # workflow ids
        self._random = random
        self._starting = True
        self._open_limit = open_limit
        self._clients = [asyncio.create_task(self._client(place)) for place in range(clients)]
        self._workers = [asyncio.create_task(loop(place)) for place in range(pollers)
                         for loop in (self._workflow_worker, self._activity_worker)]

    async def finish(self):
        """No new workflows; every client ends the ones it has begun and has acknowledged signals for."""
        self._starting = False
        await asyncio.gather(*self._clients)

    async def stop_workers(self):
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def abandon(self):
        """Everything stops where it is."""
        for task in self._clients + self._workers:
            task.cancel()
        await asyncio.gather(*self._clients, *self._workers, return_exceptions=True)

    def broken(self):
        """Loops that ended by an error, which no loop should."""
        ended = [task for task in self._clients + self._workers if task.done() and not task.cancelled() and task.exception()]
        return [repr(task.exception()) for task in ended]

    async def _client(self, client):
        count, last = 0, None
        while self._starting:
            if last and len(self.plans) - len(self._closed) >= self._open_limit:
                await self.connection.call("SignalWorkflowExecution", last, accepted=(grpc.StatusCode.NOT_FOUND,))
                self.repeated += 1
                continue
            plan = Plan(f"crash-{client}-{count}", self._random.randint(1, 3),
                        [self._random.randint(1, 400) for _ in range(self._random.randint(0, 2))],
                        [self._random.randint(1, 1000) for _ in range(self._random.randint(1, 4))])
            count += 1
            self.plans.append(plan)
            last = await self._run(plan)

    def _new_request_id(self):
        return str(uuid.UUID(int=self._random.getrandbits(128)))

    async def _run(self, plan):
        """Start the workflow and send its signals; returns the last request."""
        answer = await self.connection.call("StartWorkflowExecution", rpc.StartWorkflowExecutionRequest(
            namespace=NAMESPACE, workflow_id=plan.workflow_id, workflow_type=WorkflowType(name="sums"), task_queue=QUEUE,
            input=Payloads(payloads=[Payload(metadata={"encoding": b"binary/plain"}, data=plan.input().encode())]),
            workflow_task_timeout=SHORT_TIMEOUT, identity="client", request_id=self._new_request_id(),
            workflow_id_reuse_policy=WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE))
        plan.run_id = answer.run_id
        for value in plan.signals:
            request = rpc.SignalWorkflowExecutionRequest(
                namespace=NAMESPACE, workflow_execution=WorkflowExecution(workflow_id=plan.workflow_id, run_id=plan.run_id),
                signal_name="add", input=payloads(value), identity="client", request_id=self._new_request_id())
            # The workflow may end as soon as it has its last signal, so a repetition may meet a closed one.
            await self.connection.call("SignalWorkflowExecution", request, accepted=(grpc.StatusCode.NOT_FOUND,))
            plan.acknowledged.append(value)
        return request

    async def _workflow_worker(self, place):
        poll = rpc.PollWorkflowTaskQueueRequest(namespace=NAMESPACE, task_queue=QUEUE, identity=f"worker-{place}")
        while True:
            task = await self.connection.poll("PollWorkflowTaskQueue", poll)
            if not task:
                continue
            events = task.history.events
            if task.next_page_token:
                events = await whole_history(self.connection, task.workflow_execution.workflow_id, task.workflow_execution.run_id)
            commands = commands_for(events)
            answer = await self.connection.call("RespondWorkflowTaskCompleted", rpc.RespondWorkflowTaskCompletedRequest(
                namespace=NAMESPACE, task_token=task.task_token, identity=f"worker-{place}", commands=commands),
                accepted=(grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT))  # gone; or UnhandledCommand
            completes = any(one.HasField("complete_workflow_execution_command_attributes") for one in commands)
            if completes and (answer or await self._is_closed(task.workflow_execution)):
                self._closed.add(task.workflow_execution.workflow_id)

    async def _is_closed(self, execution):
        """Whether a completion whose answer a crash took was recorded."""
        answer = await self.connection.call("DescribeWorkflowExecution", rpc.DescribeWorkflowExecutionRequest(
            namespace=NAMESPACE, execution=execution))
        return answer.workflow_execution_info.status != WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING

    async def _activity_worker(self, place):
        poll = rpc.PollActivityTaskQueueRequest(namespace=NAMESPACE, task_queue=QUEUE, identity=f"worker-{place}")
        while True:
            task = await self.connection.poll("PollActivityTaskQueue", poll)
            if task:
                await self.connection.call("RespondActivityTaskCompleted", rpc.RespondActivityTaskCompletedRequest(
                    namespace=NAMESPACE, task_token=task.task_token, identity=f"worker-{place}",
                    result=payloads(number_of(task.input) ** 2)), accepted=(grpc.StatusCode.NOT_FOUND,))
