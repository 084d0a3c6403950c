"""A worker in a process of its own, so that it can be killed: worker_process.py ADDRESS NAMESPACE QUEUE [hang|block]

It runs the workflows of workers.py. With `hang` its activity `work` never ends; with `block` its workflow task never ends.
"""
import asyncio
import sys
import threading
from datetime import timedelta

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

import workers


@activity.defn(name="work")
async def work(value: str) -> str:
    if "hang" in sys.argv[4:]:
        await asyncio.Event().wait()
    return f"{value} by a worker process"


async def main():
    address, namespace, queue = sys.argv[1:4]
    client = await Client.connect(address, namespace=namespace)
    if "block" in sys.argv[4:]:
        workers.HOLD = threading.Event()  # never set
    worker = Worker(client, task_queue=queue, workflows=workers.WORKFLOWS, activities=[work], identity=f"process-of-{queue}",
                    workflow_runner=UnsandboxedWorkflowRunner(), debug_mode=True,
                    sticky_queue_schedule_to_start_timeout=timedelta(seconds=2))
    running = asyncio.create_task(worker.run())
    print("ready", flush=True)
    await running


if __name__ == "__main__":
    asyncio.run(main())
