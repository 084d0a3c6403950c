"""Run the workflow and the activity of loan.py until interrupted."""
import asyncio
import os

from loan import TASK_QUEUE, LoanApplication, notify_applicant
from temporalio.client import Client
from temporalio.worker import Worker


async def main():
    client = await Client.connect(os.environ.get("TEMPORAL_ADDRESS", "127.0.0.1:7233"))
    worker = Worker(client, task_queue=TASK_QUEUE, workflows=[LoanApplication], activities=[notify_applicant])
    print(f"worker {os.getpid()} polls {TASK_QUEUE}", flush=True)
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main())
