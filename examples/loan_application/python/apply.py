"""Start one loan application and wait for its result: apply.py [APPLICANT]"""
import asyncio
import os
import sys

from loan import TASK_QUEUE, LoanApplication
from temporalio.client import Client


async def main():
    applicant = sys.argv[1] if len(sys.argv) > 1 else "Ada"
    client = await Client.connect(os.environ.get("TEMPORAL_ADDRESS", "127.0.0.1:7233"))
    handle = await client.start_workflow(LoanApplication.run, applicant, id=f"loan-{applicant}", task_queue=TASK_QUEUE)
    print(f"started {handle.id}, run {handle.result_run_id}", flush=True)
    print(await handle.result())


if __name__ == "__main__":
    asyncio.run(main())
    # A thread of the SDK may still hold the answer, and crash an interpreter that is being torn down (temporalio/sdk-python#300).
    sys.stdout.flush()
    os._exit(0)
