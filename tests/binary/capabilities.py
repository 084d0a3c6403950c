"""What the server claims to be able to do, tried with an official SDK."""
import asyncio
import time
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.api.workflowservice.v1 import (DescribeNamespaceRequest, DescribeNamespaceResponse, GetSystemInfoRequest,
                                               GetSystemInfoResponse)
from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, PollerBehaviorSimpleMaximum, UnsandboxedWorkflowRunner, Worker

import processes
from binary import Case

ACTIVITIES = 500
POLL = 60.0  # seconds that a poll lasts


@activity.defn
async def step() -> None:
    pass


@workflow.defn
class Many:
    @workflow.run
    async def run(self) -> None:
        await asyncio.gather(*(workflow.execute_activity(step, start_to_close_timeout=timedelta(seconds=60))
                               for _ in range(ACTIVITIES)))


class Claims(Case):
    def claiming(self):
        """A server with metrics."""
        return self.server("--metrics-port", processes.free_port())

    async def number(self, server, name):
        return await asyncio.to_thread(server.number, name)

    async def until(self, server, name, wanted):
        end = time.monotonic() + POLL / 2
        while not wanted(found := await self.number(server, name)):
            self.assertLess(time.monotonic(), end, f"{name} is {found}")
        return found

    def test_only_what_is_built_is_claimed(self):
        server = self.claiming()
        system = server.call("GetSystemInfo", GetSystemInfoRequest(), GetSystemInfoResponse).capabilities
        self.assertEqual({field.name for field, value in system.ListFields() if value},
                         {"signal_and_query_header", "internal_error_differentiation", "activity_failure_include_heartbeat",
                          "encoded_failure_attributes", "build_id_based_versioning", "upsert_memo", "eager_workflow_start",
                          "sdk_metadata"})
        info = server.call("DescribeNamespace", DescribeNamespaceRequest(namespace="default"),
                           DescribeNamespaceResponse).namespace_info
        self.assertFalse(info.supports_schedules)
        self.assertEqual({field.name for field, value in info.capabilities.ListFields() if value},
                         {"eager_workflow_start", "reported_problems_search_attribute", "poller_autoscaling",
                          "worker_poll_complete_on_shutdown"})

    def test_worker_poll_complete_on_shutdown(self):
        """A worker that stops has its polls answered; it does not wait until they are over."""
        server = self.claiming()

        async def scenario():
            client = await Client.connect(server.address)
            worker = Worker(client, task_queue="tq", workflows=[Many], activities=[step],
                            workflow_runner=UnsandboxedWorkflowRunner(), debug_mode=True)
            async with worker:
                await self.until(server, "perdure_parked_polls", lambda count: count >= 2)
                began = time.monotonic()
            self.assertLess(time.monotonic() - began, POLL / 2)
            await self.until(server, "perdure_parked_polls", lambda count: count == 0)
            self.assertGreaterEqual(await self.number(server, "poll_timeouts"), 2)

        asyncio.run(scenario())

    def test_poller_autoscaling(self):
        """A worker that begins with one poll has more when there was a backlog."""
        server = self.claiming()

        async def scenario():
            client = await Client.connect(server.address)
            worker = Worker(client, task_queue="tq", workflows=[Many], activities=[step],
                            workflow_runner=UnsandboxedWorkflowRunner(), debug_mode=True, disable_eager_activity_execution=True,
                            workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(2),
                            activity_task_poller_behavior=PollerBehaviorAutoscaling(minimum=1, initial=1, maximum=20))
            async with worker:
                await client.execute_workflow(Many.run, id="many", task_queue="tq")
                await self.until(server, "perdure_parked_polls", lambda count: count > 2 + 1)

        asyncio.run(scenario())
